"""Read a text out."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, InputError
from flowsynth.core.operator import Operator
from flowsynth.operators.sound._voices import HEART, Voice, voice_fault, voice_files, voice_of, voice_version
from flowsynth.values import Audio

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: What is below this share of a sentence's loudest sample is silence before and after it.
_SILENCE = 0.01
#: What of that silence stays before and after, seconds: breaths and the ends of words.
_BEFORE, _AFTER = 0.02, 0.03


class Spoken(NamedTuple):
    """What `Speak` gives: the sound, and what is said when."""

    audio: Audio
    cues: list[Any]


class Speak(Operator):
    """Read a text out, sentence by sentence, without a network: what is said when is known exactly.

    English by Hibari (extra ``speech``), a small American voice distilled from Kokoro-82M: some hundred times
    quicker than real time on one core. A hundred languages by espeak-ng where it is installed, which sounds
    like a machine: ``voice: espeak:de``. Sentences end at ``.``, ``!``, ``?`` and at line breaks; numbers,
    dates and money are read as words.

    Inputs:
        text: what to say, such as another node's; or the parameter.

    Outputs:
        audio: samples, 1: float32 in [-1, 1], 24 kHz; 22.05 kHz of espeak-ng.
        cues: a list of ``{"start": seconds, "end": seconds, "text": sentence}``, for `burn_subtitles`.

    Errors:
        InputError: the voice is not installed; nothing that could be said.
    """

    op: ClassVar[str] = "speak"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("onnxruntime", "numpy")

    text: str = Field(default="", description="what to say, unless it comes along an edge")
    voice: str = Field(
        default=HEART,
        pattern=r"^(heart|espeak:[\w\-+]+)$",
        description="heart, or espeak:LANGUAGE such as espeak:de",
    )
    speed: float = Field(default=1.0, ge=0.5, le=2.0, description="of speech; 1 is the voice's own")
    pause: float = Field(default=0.25, ge=0, le=10, description="silence after each sentence, seconds")
    seed: int | None = Field(
        default=0, ge=0, lt=2**32, description="of the breath in the voice; null draws one"
    )

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A text, once, and the package that says it."""
        faults = []
        if self.text.strip() and "text" in inputs:
            faults.append(Fault("params.text", "the edge to the port text says it", "one of them", "both"))
        if not self.text.strip() and "text" not in inputs:
            faults.append(Fault("params.text", "nothing to say", "a text", repr(self.text)))
        lacks, expected = voice_fault(self.voice)
        if lacks:
            faults.append(Fault("params.voice", lacks, expected))
        return faults

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """What says by its content which voice it is: the package's list of its files, or espeak-ng's own."""
        del ctx
        return voice_files(self.voice)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, and the exact version of what speaks."""
        return {**super().key_params(files), "package": voice_version(self.voice)}

    def run(self, ctx: RunContext, /, *, text: str | None = None) -> Spoken:
        """Say it."""
        import numpy as np

        from flowsynth.operators.sound._sound import to_audio

        voice = voice_of(self.voice)
        pieces: list[Array] = []
        cues: list[Any] = []
        done = 0
        for sentence, sound in self._sentences(ctx, voice, text or self.text):
            rate = voice.rate
            rest = np.zeros(round(self.pause * rate), np.float32)
            cues.append({"start": done / rate, "end": (done + len(sound)) / rate, "text": sentence})
            pieces += [sound, rest]
            done += len(sound) + len(rest)
        if not cues:
            raise InputError(f"{ctx.node or self.op}: nothing that could be said in {(text or self.text)!r}")
        return Spoken(to_audio([piece[None] for piece in pieces], voice.rate, 1), cues)

    def _sentences(self, ctx: RunContext, voice: Voice, text: str) -> Iterator[tuple[str, Array]]:
        sentences = voice.sentences(text)
        for number, sentence in enumerate(sentences):
            ctx.check_cancelled()
            ctx.progress(number, len(sentences))
            if any(letter.isalnum() for letter in sentence):
                sound = voice.say(sentence, self.speed, self.seed or 0)
                yield sentence.strip(), _spoken(sound, voice.rate)


def _spoken(sound: Array, rate: int) -> Array:
    """A sentence without the silence that the voice puts around it, so that its cue begins as it does."""
    import numpy as np

    loud = np.flatnonzero(np.abs(sound) > _SILENCE * np.abs(sound).max(initial=0))
    if not len(loud):
        return sound[:0]
    return sound[max(0, loud[0] - round(_BEFORE * rate)) : loud[-1] + round(_AFTER * rate)]

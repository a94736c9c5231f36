"""Voices that read a text out: a network inside a package, and espeak-ng where it is installed."""

from __future__ import annotations

import importlib.util
import io
import re
import shutil
import subprocess
import wave
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from flowsynth.core.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

#: The voice inside the package; it would fetch others by itself, unchecked.
HEART = "heart"
_ESPEAK = "espeak:"
_PACKAGE, _INSTALL = "hibari-tts", "pip install 'flowsynth-engine[speech]'"
_PROGRAM, _DEBIAN = "espeak-ng", "apt install espeak-ng"
#: Words a minute at speed 1.
_PACE = 165
_END = re.compile(r"(?<=[.!?…])[\"'”’»)]*\s+|(?<=[。！？])|\n+")


class Voice(Protocol):
    """Who speaks.

    Attributes:
        rate: samples a second.
    """

    rate: int

    def sentences(self, text: str) -> Sequence[str]:
        """A text in the pieces that are said one by one."""
        ...

    def say(self, sentence: str, speed: float, seed: int) -> Array:
        """The sound of a sentence, (samples,) float32."""
        ...


def voice_fault(name: str) -> tuple[str, str]:
    """What a voice lacks here, and what is expected; empty texts if nothing."""
    if name.startswith(_ESPEAK):
        if shutil.which(_PROGRAM) is None:
            return f"{_PROGRAM} is not installed", _DEBIAN
        language = name.removeprefix(_ESPEAK).partition("+")[0]  # de+f3 is a woman's
        if language not in _languages():
            return f"{_PROGRAM} has no voice {language!r}", "one that `espeak-ng --voices` lists, such as de"
        return "", ""
    missing = importlib.util.find_spec("hibari") is None
    return (f"{_PACKAGE} is not installed", _INSTALL) if missing else ("", "")


def voice_of(name: str) -> Voice:
    """A voice, loaded; a fifth of a second for the network.

    Raises:
        InputError: it is not installed.
    """
    lacks, expected = voice_fault(name)
    if lacks:
        raise InputError(f"speak: {lacks}; expected {expected}")
    return _Espeak(name.removeprefix(_ESPEAK)) if name.startswith(_ESPEAK) else _Hibari()


def voice_files(name: str) -> Mapping[str, Path]:
    """Files that say by their content which voice it is, for keys.

    Raises:
        InputError: it is not installed.
    """
    lacks, expected = voice_fault(name)
    if lacks:
        raise InputError(f"speak: {lacks}; expected {expected}")
    if name.startswith(_ESPEAK):
        program = shutil.which(_PROGRAM)
        data = _data_folder()
        parts = {part: data / part for part in ("phondata", "phontab", "phonindex", "intonations")}
        found = {"program": Path(program or ""), **parts}
        spoken = name.removeprefix(_ESPEAK).partition("-")[0].partition("+")[0]
        found |= {"dictionary": data / f"{spoken}_dict"}
        return {part: path for part, path in found.items() if path.is_file()}
    record = next((file for file in distribution(_PACKAGE).files or () if file.name == "RECORD"), None)
    return {} if record is None else {"package": Path(str(record.locate()))}


def voice_version(name: str) -> str:
    """The exact version of what speaks; empty where it is not installed."""
    if name.startswith(_ESPEAK):
        return "" if shutil.which(_PROGRAM) is None else _told("--version").partition("Data")[0].strip()
    try:
        return distribution(_PACKAGE).version
    except PackageNotFoundError:
        return ""


class _Hibari:
    """The network in the package."""

    def __init__(self) -> None:
        from hibari import Hibari

        self._speaker = Hibari(voice=HEART, threads=1)
        self.rate = int(self._speaker.sample_rate)

    def sentences(self, text: str) -> Sequence[str]:
        """As the package has it."""
        found: Sequence[str] = self._speaker.split_sentences(text)
        return found

    def say(self, sentence: str, speed: float, seed: int) -> Array:
        """Each by the same seed: a sentence sounds the same wherever it stands."""
        sound: Array = self._speaker(sentence, speed=speed, seed=seed)
        return sound


class _Espeak:
    """espeak-ng, a program of a hundred languages; it leaves nothing to chance."""

    def __init__(self, language: str) -> None:
        self._language = language
        self.rate = 22_050

    def sentences(self, text: str) -> Sequence[str]:
        """Apart after full stops, exclamation and question marks, and at line breaks."""
        return [piece.strip() for piece in _END.split(text) if piece.strip()]

    def say(self, sentence: str, speed: float, seed: int) -> Array:
        """As the program writes it."""
        import numpy as np

        del seed
        given = ["-v", self._language, "-s", str(round(_PACE * speed)), "-b", "1", "--stdin", "--stdout"]
        program = shutil.which(_PROGRAM) or _PROGRAM
        done = subprocess.run([program, *given], input=sentence.encode(), capture_output=True, check=False)
        if done.returncode or not done.stdout:
            said = done.stderr.decode(errors="replace").strip().splitlines()
            raise InputError(f"speak: {_PROGRAM} failed: {said[0] if said else done.returncode}")
        with wave.open(io.BytesIO(done.stdout)) as file:
            self.rate = file.getframerate()
            # It writes the header before it knows the length.
            raw = file.readframes((len(done.stdout) - 44) // 2)
        return np.frombuffer(raw[: len(raw) // 2 * 2], np.int16).astype(np.float32) / 32768


def _told(*given: str) -> str:
    program = shutil.which(_PROGRAM) or _PROGRAM
    done = subprocess.run([program, *given], capture_output=True, check=False, text=True)
    return done.stdout


@cache
def _languages() -> frozenset[str]:
    """Names that its voices go by."""
    rows = _told("--voices").splitlines()[1:]
    names = {row.split()[1] for row in rows if len(row.split()) > 1}
    return frozenset(names | {other for row in rows for other in re.findall(r"\(([\w-]+)", row)})


def _data_folder() -> Path:
    """Where it keeps what it knows of languages, as it says itself."""
    return Path(_told("--version").partition("Data at:")[2].strip())

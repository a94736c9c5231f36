"""Turn prompts into conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.operators.diffusion._models import require_verb
from flowsynth.values import Conditioning

#: One prompt, or prompts by the frame at which they hold.
Prompt: TypeAlias = str | dict[Annotated[int, Field(ge=0)], str]


class TextEncode(Operator):
    r"""Encode a prompt and a negative prompt with a model's text encoder.

    Prompts may be longer than CLIP's 75 tokens: they become chunks that are encoded apart and concatenated,
    and ``BREAK`` starts a new one; the shorter of the two prompts is filled with empty chunks.

    Brackets weigh words, in AUTOMATIC1111's grammar: ``(word)`` times 1.1, ``[word]`` divided by 1.1,
    ``(word:1.3)`` times 1.3, nested as you like, ``\(`` for a bracket itself. The mean of the
    states is kept.

    A travelling prompt is a mapping of frames to prompts: between two of them the states are interpolated
    linearly, before the first and after the last they stand still.

    `clip_skip` counts as diffusers does: 1 takes the layer before the last. It is one less than the "clip
    skip" of AUTOMATIC1111's web UI and of Diffutoon (arXiv 2401.16224): their 2 is 1 here.

    Inputs:
        model: gives the text encoder, its LoRAs and its learned words.

    Output:
        Conditioning with ``prompt`` and ``negative``, each K x tokens x width, and the frames of the K keys.

    Errors:
        `clip_skip` leaves no layer.
    """

    op: ClassVar[str] = "text_encode"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("text",)}

    prompt: Prompt = Field("", description="what to show; or {frame: prompt} for a travelling prompt")
    negative_prompt: Prompt = Field("", description="what not to show; may travel too")
    clip_skip: int | None = Field(
        None, ge=0, le=11, description="layers left out at the end; null takes the model's"
    )
    syntax: Literal["weights", "plain"] = Field("weights", description="whether brackets weigh words")

    def run(self, ctx: RunContext, /, *, model: Model) -> Conditioning:
        """Encode both prompts in one go, so that they get one length."""
        loaded = model.load(ctx)
        require_verb(model, loaded, "encode_text", self.op)
        prompt, negative = keyed(self.prompt), keyed(self.negative_prompt)
        texts = [*prompt.values(), *negative.values()]
        states = loaded.encode_text(texts, clip_skip=self.clip_skip, syntax=self.syntax)
        tensors = {"prompt": states[: len(prompt)], "negative": states[len(prompt) :]}
        return Conditioning(
            model.family, tensors, {"prompt_frames": list(prompt), "negative_frames": list(negative)}
        )


def keyed(prompt: Prompt) -> dict[int, str]:
    """Prompts by frame, in order of the frames."""
    if isinstance(prompt, str):
        return {0: prompt}
    return dict(sorted(prompt.items())) or {0: ""}

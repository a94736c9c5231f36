"""Turn prompts into conditioning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, TypeAlias

from pydantic import Field, JsonValue

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault
from flowsynth.core.operator import Operator
from flowsynth.models import Model
from flowsynth.models.protocol import EncodesText
from flowsynth.models.requests import Hooks, TextRequest
from flowsynth.operators.diffusion._models import model_faults
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
    linearly, before the first and after the last they stand still. To a class of family `diffusers` that
    makes pictures they are so many pictures, drawn at once: 0, 1, 2, ...

    Inputs:
        model: gives the text encoder, its LoRAs and its learned words.

    Output:
        Conditioning for a `denoise` of the same family. Family `sd` makes ``prompt`` and ``negative``, each
        K x tokens x width, and the frames of the K keys.

    Errors:
        An option that the model's family does not know, or cannot follow.
    """

    op: ClassVar[str] = "text_encode"
    version: ClassVar[int] = 1
    moved: ClassVar[Mapping[str, str]] = {"clip_skip": "options.clip_skip", "syntax": "options.syntax"}
    libraries: ClassVar[tuple[str, ...]] = ("torch", "transformers")
    model_parts: ClassVar[Mapping[str, tuple[str, ...]]] = {"model": ("text",)}

    prompt: Prompt = Field(default="", description="what to show; or {frame: prompt} for a travelling prompt")
    negative_prompt: Prompt = Field(default="", description="what not to show; may travel too")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the model family's own")

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """What the model cannot do."""
        return model_faults(self._request(), inputs)

    def run(self, ctx: RunContext, /, *, model: Model) -> Conditioning:
        """Encode both prompts."""
        request = self._request()
        loaded = model.open(ctx, request, {})
        if not isinstance(loaded, EncodesText):
            raise model.broken(self.op)
        return loaded.encode_text(request, Hooks(ctx.progress, ctx.check_cancelled, ctx.note))

    def _request(self) -> TextRequest:
        return TextRequest(
            options=self.options, prompt=keyed(self.prompt), negative_prompt=keyed(self.negative_prompt)
        )


def keyed(prompt: Prompt) -> dict[int, str]:
    """Prompts by frame, in order of the frames."""
    if isinstance(prompt, str):
        return {0: prompt}
    return dict(sorted(prompt.items())) or {0: ""}

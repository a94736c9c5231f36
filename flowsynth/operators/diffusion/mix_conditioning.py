"""Mix the states of prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError
from flowsynth.core.operator import Operator
from flowsynth.models.diffusion.regions import conditioning_of, mixed, regions_of
from flowsynth.values import Conditioning


class MixConditioning(Operator):
    """Mix what two prompts became, before the denoiser sees it.

    The modes:

    - ``average``: `share` of the first, the rest of the other, token by token; tokens that the other lacks
      count as zeros.
    - ``concat``: the tokens of the first, then those of the other: the denoiser attends to both.
    - ``zero``: zeros, which a model was often trained to see in the place of no prompt; takes no other.

    Prompts are mixed with prompts, negative prompts with negative prompts. Where the other holds several
    prompts its first one counts.

    Inputs:
        conditioning: of a family whose prompts are plain states, such as `sd`.
        other: likewise, of the same model.

    Output:
        Conditioning like the first.

    Errors:
        RequestError: conditionings of other families, of other widths, or of a family that takes one prompt.
    """

    op: ClassVar[str] = "mix_conditioning"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    mode: Literal["average", "concat", "zero"] = Field(default="average", description="how they are mixed")
    share: float = Field(default=0.5, ge=0, le=1, description="average: of the first")

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """Refuse a mode without its prompts."""
        given = inputs.get("other") is not None
        if given is (self.mode != "zero"):
            return []
        expected = f"a conditioning to mix with, for mode {self.mode}" if not given else "none, for mode zero"
        return [Fault("inputs.other", "not for this mode", expected, "one" if given else "none")]

    def run(
        self, ctx: RunContext, /, *, conditioning: Conditioning, other: Conditioning | None = None
    ) -> Conditioning:
        """Mix both sides."""
        ctx.check_cancelled()
        self._require(conditioning, other)
        sides = []
        for side in ("prompt", "negative"):
            beside = None if other is None else regions_of(other, side, self.op)[0]
            sides.append(mixed(regions_of(conditioning, side, self.op), beside, self.mode, self.share))
        return conditioning_of(conditioning.family, *sides)

    def _require(self, one: Conditioning, other: Conditioning | None) -> None:
        if faults := self.check({"other": other}):
            raise RequestError(f"mix_conditioning: {faults[0]}")
        if other is None:
            return
        widths = [regions_of(each, "prompt", self.op)[0].states.shape[-1] for each in (one, other)]
        if one.family != other.family or widths[0] != widths[1]:
            raise RequestError(
                f"mix_conditioning: {one.family} of width {widths[0]} and {other.family} of width"
                f" {widths[1]}; expected both of one model"
            )

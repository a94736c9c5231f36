"""Put prompts together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.models.diffusion.regions import Region, conditioning_of, regions_of
from flowsynth.values import Conditioning


class JoinConditioning(Operator):
    """Put several prompts and negative prompts together, each for its part of picture and steps.

    Each step predicts for every prompt that acts and averages them by their strength where they hold (see
    `place_conditioning`); then guidance goes from the negative prompts' mean to the prompts'. It costs a pass
    of the denoiser for each.

    Inputs:
        positive: what to show: the prompts of these.
        negative: what not to show: the *prompts* of these, too, as they were written for this; where there
            are none, the negative prompt of the first positive one.

    Output:
        Conditioning for `denoise` of the family that made them.

    Errors:
        RequestError: conditionings of several families, or of one that takes one prompt as it is.
    """

    op: ClassVar[str] = "join_conditioning"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torch",)

    def run(
        self, ctx: RunContext, /, *, positive: list[Conditioning], negative: list[Conditioning] | None = None
    ) -> Conditioning:
        """Join both sides."""
        ctx.check_cancelled()
        families = sorted({each.family for each in (*positive, *(negative or []))})
        if len(families) != 1:
            raise RequestError(
                f"join_conditioning: expected prompts of one family, given {', '.join(families) or 'none'}"
            )
        against = self._prompts(negative or []) or regions_of(positive[0], "negative", self.op)
        return conditioning_of(families[0], self._prompts(positive), against)

    def _prompts(self, given: Sequence[Conditioning]) -> list[Region]:
        return [region for each in given for region in regions_of(each, "prompt", self.op)]

"""The params of operators that match patches."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

PATCH_TEXT = "side of the smallest patch, pixels, odd"
ITERATIONS_TEXT = "passes at each level of the pyramid"
TRACKING_TEXT = "try the matches of the neighbouring frame, for motion of many pixels"
SEED_TEXT = "of the random guesses"


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError(f"expected an odd number, given {value}")
    return value


Patch = Annotated[int, Field(ge=3, le=21), AfterValidator(_odd)]
Iterations = Annotated[int, Field(ge=1, le=20)]
Cut = Annotated[float, Field(ge=0, le=1)]

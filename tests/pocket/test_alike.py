"""Pictures of one story, by a family that knows what it draws."""

from __future__ import annotations

import torch

from tests.pocket.conftest import Pocket


def _apart(pocket: Pocket, share: float) -> float:
    """How far the mean colours of six pictures lie apart whose prompt leaves the background open."""
    made = pocket.make(
        "a large red shape", frames=6, seed=tuple(range(6)), num_inference_steps=5, guidance_scale=3.0,
        options={"consistent": share, "consistent_layers": "all"},
    )  # fmt: skip
    means = made.to_float().mean((2, 3))
    return float(torch.pdist(means).mean())


def test_pictures_that_see_each_other_are_more_alike(pocket: Pocket) -> None:
    alone, half, all_of_them = (_apart(pocket, share) for share in (0.0, 0.5, 1.0))
    assert all_of_them < 0.9 * alone
    assert all_of_them < half < alone

"""Fast pans over repeating texture: the picture as a whole says which way it went."""

from __future__ import annotations

import torch
from torch import Tensor

from flowsynth.nets.interpolation.ifnet import IFNet, Motion, warp_both
from flowsynth.nets.staged import Apply, whole
from flowsynth.operators.timing._pan import motion_over_pans, pan

PERIOD = 24


def wall() -> Tensor:
    """Stripes that repeat, with stains that don't, `(1, 3, 64, 192)` and more to the right."""
    noise = torch.rand(1, 3, 16, 72, generator=torch.Generator().manual_seed(5))
    stains = torch.nn.functional.interpolate(noise, size=(64, 288), mode="bicubic").clamp(0, 1)
    stripes = (torch.arange(288) % PERIOD < 5).float()
    return (0.5 * stains + 0.4 * stripes).clamp(0, 1)


def shown(at: int) -> Tensor:
    return wall()[..., at : at + 192]


class Still(IFNet):
    """Finds no motion, as a network does where texture has moved by its period."""

    def motion(self, first: Tensor, second: Tensor, moment: Tensor, each: Apply = whole) -> Motion:
        none = first.new_zeros(len(first), 5, *first.shape[-2:])
        return Motion(none[:, :4], none[:, 4:])


def test_a_pan_by_a_period_is_found() -> None:
    assert pan(shown(0), shown(PERIOD)) == (0, -PERIOD)
    assert pan(shown(PERIOD), shown(0)) == (0, PERIOD)


def test_what_is_no_pan_is_left_to_the_network() -> None:
    other = torch.rand(1, 3, 64, 192, generator=torch.Generator().manual_seed(6))
    assert pan(shown(0), other) == (0, 0)
    assert pan(shown(0), shown(4)) == (0, 0)
    part = shown(0).clone()
    part[..., :96] = shown(PERIOD)[..., :96]  # half of it moves
    assert pan(shown(0), part) == (0, 0)


def test_frames_between_lie_half_way_and_borders_are_taken_from_who_shows_them() -> None:
    first, second = torch.cat([shown(0), shown(0)]), torch.cat([shown(PERIOD), shown(0)])
    moment = torch.full((2, 1, 1, 1), 0.5)
    motion = motion_over_pans(
        Still((8, 8, 8, 8), 1), (first, second), moment, [(0, -PERIOD), (0, 0)], (64, 192), whole
    )
    ahead, behind = warp_both(first, second, motion)
    made = torch.lerp(behind, ahead, motion.mask)
    torch.testing.assert_close(made[:1], shown(PERIOD // 2), atol=1e-4, rtol=0)
    torch.testing.assert_close(made[1:], shown(0), atol=1e-4, rtol=0)

"""Flow against known motion of photographs, occlusion against a moving square."""

import math

import pytest
import torch
from torch import Tensor

from flowsynth.functional.motion.optical_flow import classical_flow, occlusion, resize_flow, warp
from flowsynth.functional.picture.warp import pixel_grid


def turned(picture: Tensor, angle: float, zoom: float, shift: tuple[float, float]) -> Tensor:
    """The flow of a rotation and zoom about the centre, and a shift."""
    height, width = picture.shape[-2:]
    centre = torch.tensor([(width - 1) / 2, (height - 1) / 2]).view(1, 2, 1, 1)
    grid = pixel_grid(picture) - centre
    matrix = zoom * torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return torch.einsum("ij,bjhw->bihw", matrix, grid) - grid + torch.tensor(shift).view(1, 2, 1, 1)


def end_point_error(found: Tensor, true: Tensor, margin: int = 16) -> float:
    inside = (slice(None), slice(margin, -margin), slice(margin, -margin))
    return float((found - true).square().sum(dim=1).sqrt()[inside].mean())


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize(("angle", "zoom", "shift"), [(0.04, 1.02, (1.5, -0.5)), (0.0, 1.0, (7.3, -3.0))])
def test_known_motion_is_found(
    pictures: dict[str, Tensor], name: str, angle: float, zoom: float, shift: tuple[float, float]
) -> None:
    second = pictures[name]
    true = turned(second, angle, zoom, shift)
    first = warp(second, true)
    assert end_point_error(classical_flow(first, second), true) < 0.3


def test_flicker_is_not_motion(pictures: dict[str, Tensor]) -> None:
    picture = pictures["chelsea"]
    flow = classical_flow(picture, 0.9 * picture)
    assert end_point_error(flow, torch.zeros_like(flow)) < 0.1


def test_pairs_of_a_batch_are_alone(pictures: dict[str, Tensor]) -> None:
    picture = pictures["coffee"][:, :, :48, :64]
    first, second = torch.cat((picture, picture.flip(-1))), torch.cat((picture.roll(2, -1), picture))
    together = classical_flow(first, second)
    for i in range(2):
        alone = classical_flow(first[i : i + 1], second[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (5, 7), (25, 200)])
def test_any_size_works(size: tuple[int, int]) -> None:
    a = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    flow = classical_flow(a, a)
    assert flow.shape == (1, 2, *size)
    assert float(flow.abs().max()) < 0.05


def test_warp_reads_where_the_flow_points() -> None:
    picture = torch.arange(20.0).view(1, 1, 4, 5)
    flow = torch.zeros(1, 2, 4, 5)
    flow[:, 0] = 1.5
    expected = picture[..., 1:4] + 0.5
    torch.testing.assert_close(warp(picture, flow)[..., :3], expected)
    assert torch.equal(warp(picture, flow)[..., 4], picture[..., 4])  # beyond the border: the border


def test_what_a_moving_square_covers_is_occluded() -> None:
    forward, backward = torch.zeros(1, 2, 20, 30), torch.zeros(1, 2, 20, 30)
    forward[:, 0, 5:15, 5:12] = 6  # the square, before
    backward[:, 0, 5:15, 11:18] = -6  # and after
    hidden = occlusion(forward, backward)[0, 0]
    assert hidden[5:15, 12:18].all()  # covered by the square
    assert not hidden[5:15, 5:12].any()  # the square itself stays visible
    assert not hidden[:4].any()
    assert hidden.sum() == 60


def test_what_leaves_the_frame_is_occluded() -> None:
    forward, backward = torch.zeros(1, 2, 4, 10), torch.zeros(1, 2, 4, 10)
    forward[:, 0], backward[:, 0] = 3, -3
    assert occlusion(forward, backward)[0, 0, 0].tolist() == [0] * 7 + [1] * 3


def test_a_resized_flow_is_longer() -> None:
    flow = torch.ones(1, 2, 4, 6)
    resized = resize_flow(flow, (12, 12))
    torch.testing.assert_close(resized[:, 0], torch.full((1, 12, 12), 2.0))
    torch.testing.assert_close(resized[:, 1], torch.full((1, 12, 12), 3.0))

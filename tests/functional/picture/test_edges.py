import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from flowsynth.functional.picture.edges import canny, hysteresis, luma


def near(mask: Tensor) -> Tensor:
    return F.max_pool2d(mask.float(), 3, 1, 1) > 0


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee"])
@pytest.mark.parametrize("sigma", [1.0, 2.0])
def test_canny_agrees_with_scikit_image(pictures: dict[str, Tensor], name: str, sigma: float) -> None:
    """Each edge pixel of one lies within a pixel of an edge of the other, for 95 % of them or more."""
    feature = pytest.importorskip("skimage.feature")
    picture = pictures[name]
    ours = canny(picture, low=0.05, high=0.12, sigma=sigma) > 0
    tone = luma(picture)[0, 0].double().numpy()
    # Its Sobel isn't normalised: a unit step gives 4.
    theirs = feature.canny(tone, sigma, low_threshold=0.05 * 4, high_threshold=0.12 * 4, mode="nearest")
    other = torch.from_numpy(theirs)[None, None]
    assert other.sum() > 300
    assert (ours & near(other)).sum() / ours.sum() > 0.95
    assert (other & near(ours)).sum() / other.sum() > 0.95


def test_a_step_gives_one_straight_line_of_one_pixel() -> None:
    frame = torch.zeros(1, 1, 20, 31)
    frame[..., 13:] = 1
    edges = canny(frame)
    assert edges.sum(dim=-1).flatten().tolist() == [1.0] * 20
    assert edges[0, 0].argmax(dim=1).unique().numel() == 1


def test_a_sharp_unit_step_has_magnitude_one() -> None:
    frame = torch.zeros(1, 1, 9, 9)
    frame[..., 4:] = 1
    assert canny(frame, low=0, high=1, sigma=0).sum() == 9
    assert canny(0.99 * frame, low=0, high=1, sigma=0).sum() == 0


def test_colours_of_one_brightness_have_an_edge_where_colour_counts() -> None:
    frame = torch.empty(1, 3, 16, 16)
    red, green = torch.tensor([0.8, 0.1, 0.4]), torch.tensor([0.2, 0.4, 0.425])
    assert luma(red.view(1, 3, 1, 1)).item() == pytest.approx(luma(green.view(1, 3, 1, 1)).item(), abs=0.01)
    frame[..., :8], frame[..., 8:] = red.view(1, 3, 1, 1), green.view(1, 3, 1, 1)
    assert canny(frame).sum() == 0
    assert canny(frame, color=True).sum(dim=-1).flatten().tolist() == [1.0] * 16


def test_of_a_grey_picture_colour_tells_nothing_more(pictures: dict[str, Tensor]) -> None:
    grey = luma(pictures["chelsea"])
    assert torch.equal(canny(grey.expand(-1, 3, -1, -1), color=True), canny(grey))


def test_weak_edges_survive_only_when_joined_to_strong_ones() -> None:
    weak = torch.zeros(1, 1, 5, 40, dtype=torch.bool)
    weak[..., 1, :30] = True
    weak[..., 2, 30] = True  # joined by a corner
    weak[..., 4, 35:] = True  # alone
    strong = torch.zeros_like(weak)
    strong[..., 1, 0] = True
    kept = hysteresis(strong, weak)
    assert kept.sum() == 31
    assert not kept[..., 4, :].any()


def test_hysteresis_does_not_leak_between_frames_or_rows() -> None:
    weak = torch.zeros(2, 1, 3, 4, dtype=torch.bool)
    weak[0, 0, 2, 3] = weak[1, 0, 0, 0] = weak[0, 0, 0, 3] = weak[0, 0, 1, 0] = True
    strong = torch.zeros_like(weak)
    strong[0, 0, 2, 3] = strong[0, 0, 0, 3] = True
    assert torch.equal(hysteresis(strong, weak), strong)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    batch=st.integers(0, 3),
    channels=st.sampled_from([1, 3]),
)
def test_any_size_works_and_frames_are_independent(
    height: int, width: int, batch: int, channels: int
) -> None:
    frames = torch.rand(
        batch, channels, height, width, generator=torch.Generator().manual_seed(height * width)
    )
    edges = canny(frames)
    assert edges.shape == (batch, 1, height, width)
    assert set(edges.unique().tolist()) <= {0.0, 1.0}
    for index in range(batch):
        assert torch.equal(edges[index : index + 1], canny(frames[index : index + 1]))


def test_bad_thresholds_are_named() -> None:
    with pytest.raises(ValueError, match=r"low=0\.5, high=0\.2"):
        canny(torch.zeros(1, 3, 4, 4), low=0.5, high=0.2)


def test_luma_of_white_is_white_and_channels_are_checked() -> None:
    torch.testing.assert_close(luma(torch.ones(2, 3, 4, 5)), torch.ones(2, 1, 4, 5))
    with pytest.raises(ValueError, match="1 or 3 channels, got 4"):
        luma(torch.ones(1, 4, 2, 2))

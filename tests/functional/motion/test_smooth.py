from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from torch import Tensor

from flowsynth.functional.motion.deflicker import histogram
from flowsynth.functional.motion.smooth import exponential, gaussian, median, temporal_weights

METHODS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "gaussian": lambda x, a, b: gaussian(x, a, b, radius=2, sigma=1.2),
    "median": lambda x, a, b: median(x, a, b, radius=2),
    "quantiles": lambda x, a, b: histogram(x, a, b, radius=2, sigma=1.2),
    "moments": lambda x, a, b: histogram(x, a, b, radius=2, sigma=1.2, match="moments"),
}
every_method = pytest.mark.parametrize("name", list(METHODS))


def clip(length: int, size: int = 8) -> Tensor:
    return torch.rand(length, 3, size, size + 1, generator=torch.Generator().manual_seed(length))


@every_method
@settings(max_examples=20, deadline=None)
@given(length=st.integers(1, 12), cut=st.integers(1, 5))
def test_pieces_with_halos_give_the_bits_of_the_whole(name: str, length: int, cut: int) -> None:
    frames, method = clip(length), METHODS[name]
    pieces = []
    for start in range(0, length, cut):
        stop = min(start + cut, length)
        first, last = max(0, start - 2), min(length, stop + 2)
        pieces.append(method(frames[first:last], start - first, stop - first))
    assert torch.equal(torch.cat(pieces), method(frames, 0, length))


@every_method
def test_a_still_clip_stays_as_it_is(name: str) -> None:
    still = clip(1).expand(7, -1, -1, -1).contiguous()
    torch.testing.assert_close(METHODS[name](still, 0, 7), still, atol=1e-5, rtol=0)


def test_gaussian_is_scipys_away_from_the_ends() -> None:
    frames = clip(9)
    expected = ndimage.gaussian_filter1d(frames.double().numpy(), 1.2, axis=0, radius=2)
    torch.testing.assert_close(METHODS["gaussian"](frames, 2, 7), torch.from_numpy(expected[2:7]).float())


def test_gaussian_renormalises_at_the_ends() -> None:
    near, far = temporal_weights(2, 1.2)[1:]
    frames = clip(3)
    expected = (frames[0] + near * frames[1] + far * frames[2]) / (1 + near + far)
    torch.testing.assert_close(METHODS["gaussian"](frames, 0, 1)[0], expected)


def test_median_removes_a_flash() -> None:
    frames = clip(1).expand(9, -1, -1, -1).clone()
    calm = frames[0].clone()
    frames[4:6] = 1.0
    assert torch.equal(median(frames, 0, 9, radius=2), calm.expand(9, -1, -1, -1))


def test_median_averages_the_middle_of_an_even_number() -> None:
    frames = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1)
    assert median(frames, 0, 2, radius=3).flatten().tolist() == [0.5, 0.5]


@given(length=st.integers(1, 10), cut=st.integers(0, 10), alpha=st.floats(0.05, 1.0))
def test_exponential_by_chunks_gives_the_bits_of_the_whole(length: int, cut: int, alpha: float) -> None:
    frames = clip(length, 4)
    whole, final = exponential(frames, alpha=alpha)
    first, state = exponential(frames[:cut], alpha=alpha)
    second, end = exponential(frames[cut:], alpha=alpha, state=state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert final is not None
    assert end is not None
    assert torch.equal(end, final)


def test_exponential_follows_a_step_at_its_rate() -> None:
    frames = torch.cat([torch.zeros(1, 1, 1, 1), torch.ones(4, 1, 1, 1)])
    out, _ = exponential(frames, alpha=0.5)
    assert out.flatten().tolist() == [0, 0.5, 0.75, 0.875, 0.9375]


@pytest.mark.parametrize("match", ["quantiles", "moments"])
def test_histogram_takes_flicker_out_and_leaves_motion_sharp(pictures: dict[str, Tensor], match: str) -> None:
    """A panning clip whose gain and gamma jump from frame to frame comes back steady and unblurred."""
    picture = pictures["chelsea"][0]
    steady = torch.stack([picture[:, :96, 2 * t : 2 * t + 96] for t in range(9)])
    gamma = torch.tensor([1.0, 1.2, 0.85, 1.1, 0.9, 1.15, 0.95, 1.2, 0.9]).view(9, 1, 1, 1)
    flickering = steady.pow(gamma)
    out = histogram(flickering, 0, 9, radius=4, sigma=4.0, match=match)  # type: ignore[arg-type]

    def flicker(x: Tensor) -> Tensor:
        return x.mean(dim=(1, 2, 3)).diff().abs().mean()

    assert flicker(out) < 0.25 * flicker(flickering)
    detail = [x.diff(dim=-1).abs().mean() for x in (steady, out)]
    assert detail[1] > 0.93 * detail[0]


def test_histogram_of_flat_frames_averages_them() -> None:
    frames = torch.tensor([0.2, 0.4, 0.6]).view(3, 1, 1, 1).expand(3, 3, 5, 6).contiguous()
    for match in ("quantiles", "moments"):
        out = histogram(frames, 1, 2, radius=1, sigma=1e6, match=match)
        torch.testing.assert_close(out, torch.full((1, 3, 5, 6), 0.4))


def test_one_pixel_frames_work() -> None:
    frames = torch.tensor([0.1, 0.9]).view(2, 1, 1, 1)
    for method in METHODS.values():
        assert method(frames, 0, 2).isfinite().all()


def test_mistakes_are_named() -> None:
    frames = clip(3)
    with pytest.raises(ValueError, match=r"sigma=0\.0"):
        gaussian(frames, 0, 3, radius=1, sigma=0.0)
    with pytest.raises(ValueError, match="radius must be at least 0, got -1"):
        median(frames, 0, 3, radius=-1)
    with pytest.raises(ValueError, match=r"alpha must be above 0 and at most 1, got 1\.5"):
        exponential(frames, alpha=1.5)

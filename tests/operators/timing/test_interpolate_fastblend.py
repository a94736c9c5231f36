"""Frames between keyframes: what they are made of, cuts, chunks, and every size and length."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from torch import Tensor

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, RequestError
from flowsynth.core.streams import StreamInfo
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import MovingClip


def fastblend(step: int, **params: object) -> Interpolate:
    settings = {"patch": 3, "iterations": 2, **params}
    return Interpolate(method="fastblend", factor=step, **settings)


def panned(picture: Tensor, length: int, step: int) -> Tensor:
    """A clip of 56x72 that moves over a picture."""
    return torch.cat([picture[:, :, 20:76, step * t : step * t + 72] for t in range(length)])


def every(clip: Frames, step: int) -> Frames:
    return clip.with_data(clip.tensor[::step].contiguous())


def error(made: Tensor, wanted: Tensor) -> Tensor:
    return (made.float() - wanted.float())[..., 4:-4, 4:-4].square().mean()


def test_frames_between_keys_move_like_the_guide(pictures: dict[str, Tensor]) -> None:
    guide = Frames(panned(pictures["astronaut"], 9, 3), fps=Fraction(24))
    rendered = guide.with_data((1 - guide.tensor) ** 2)  # a rendering that is no copy of its guide
    keys = replace(every(rendered, 4), fps=Fraction(6))
    out = fastblend(4, patch=5).run(RunContext(), frames=keys, guide=guide)
    assert (out.num_frames, out.fps) == (9, Fraction(24))
    assert torch.equal(out.tensor[::4], keys.tensor)
    mixed = Interpolate(factor=4, cut=0).run(RunContext(), frames=keys).tensor[:9]
    assert error(out.tensor, rendered.tensor) < 0.03 * error(mixed, rendered.tensor)


def test_a_frame_is_both_keys_mixed_linearly_in_time() -> None:
    still = moving_clip(1, dtype="float32")
    guide = still.with_data(still.tensor.expand(5, -1, -1, -1).contiguous())
    dark, light = still.tensor * 0.5, still.tensor * 0.5 + 0.4
    out = fastblend(4).run(RunContext(), frames=still.with_data(torch.cat((dark, light))), guide=guide)
    for t in range(5):
        torch.testing.assert_close(out.tensor[t], torch.lerp(dark, light, t / 4)[0], atol=1e-5, rtol=0)


@pytest.mark.sample(1)
@pytest.mark.parametrize("tracking", [False, True])
@pytest.mark.parametrize("chunk", [1, 3, 5, 8])
def test_chunks_give_the_bits_of_a_plain_call(chunk: int, tracking: bool) -> None:
    guide = moving_clip(11)
    keys = every(Stylize().run(RunContext(), frames=guide), 4)
    operator = fastblend(4, tracking=tracking)
    whole = operator.run(RunContext(), frames=keys, guide=guide)
    again = operator.run(RunContext(), frames=keys, guide=guide)
    assert torch.equal(whole.tensor, again.tensor)
    assert torch.equal(run_by_chunks(operator, keys, chunk, guide=guide).tensor, whole.tensor)


def test_it_reads_only_the_keys_around_and_the_guide_between() -> None:
    guide, keys = moving_clip(100, 4, 4), moving_clip(25, 4, 4)
    infos = {"frames": info_of(keys), "guide": info_of(guide)}
    reads = fastblend(4).reads(16, 32, infos)
    assert (reads.ports, reads.geometry) == ({"frames": (4, 9), "guide": (16, 33)}, [0])
    assert fastblend(4).reads(80, 96, infos).geometry == reads.geometry
    assert fastblend(4).reads(98, 100, infos).ports == {"frames": (24, 25), "guide": (96, 100)}
    assert fastblend(4).reads(4, 5, infos).ports == {"frames": (1, 2), "guide": (4, 5)}


def info_of(clip: Frames) -> StreamInfo:
    return StreamInfo(clip.num_frames, clip.fps)


@pytest.mark.sample(2)
@pytest.mark.parametrize("cut_at", [1, 2, 3, 4])
def test_across_a_cut_only_the_key_of_the_own_shot_counts(pictures: dict[str, Tensor], cut_at: int) -> None:
    first, second = panned(pictures["astronaut"], 5, 2), panned(pictures["chelsea"], 5, 2)
    clip = Frames(torch.cat((first[:cut_at], second[cut_at:])))
    keys = every(clip, 4)
    out = fastblend(4).run(RunContext(), frames=keys, guide=clip)
    # One key of the own shot suffices for an exact pan, but for what enters the picture at its side.
    for made, true in zip(out.tensor, clip.tensor, strict=True):
        assert error(made[..., 10:-10], true[..., 10:-10]) < 1e-3
    # The other shot's key leaves no trace, whatever it shows.
    other = keys.with_data(torch.stack((keys.tensor[0], 1 - keys.tensor[1])))
    again = fastblend(4).run(RunContext(), frames=other, guide=clip)
    assert torch.equal(again.tensor[:cut_at], out.tensor[:cut_at])
    mixed = [fastblend(4, cut=0).run(RunContext(), frames=x, guide=clip).tensor[1] for x in (keys, other)]
    assert error(*mixed) > 1e-3


def test_blend_shows_the_nearer_frame_across_a_cut(pictures: dict[str, Tensor]) -> None:
    clip = Frames(torch.cat((panned(pictures["astronaut"], 2, 2), panned(pictures["chelsea"], 2, 2))))
    out = Interpolate(factor=4).run(RunContext(), frames=clip).tensor
    assert all(torch.equal(out[k], clip.tensor[1 if k < 6 else 2]) for k in range(4, 9))
    assert not any(torch.equal(out[2], frame) for frame in clip.tensor)
    ghosts = Interpolate(factor=4, cut=0).run(RunContext(), frames=clip).tensor
    torch.testing.assert_close(ghosts[6], (clip.tensor[1] + clip.tensor[2]) / 2)
    by_chunks = run_by_chunks(Interpolate(factor=4), clip, 3)
    assert torch.equal(by_chunks.tensor, out)


def test_black_frames_stay_black(pictures: dict[str, Tensor]) -> None:
    data = panned(pictures["astronaut"], 9, 2)
    data[3:6] = 0
    clip = Frames(data)
    out = fastblend(4).run(RunContext(), frames=every(clip, 4), guide=clip).tensor
    assert not out[3:6].any()
    assert torch.isfinite(out).all()
    assert out[[2, 6]].mean() > 0.2


@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("size", [(1, 1), (5, 40), (9, 9), (23, 31)])
@pytest.mark.parametrize("channels", [1, 4])
def test_any_size_length_and_channels(length: int, size: tuple[int, int], channels: int) -> None:
    guide, clip = moving_clip(length, *size), moving_clip(length, *size, channels=channels)
    for step in (1, 3):
        keys = every(clip, step)
        out = fastblend(step, patch=7).run(RunContext(), frames=keys, guide=guide)
        assert out.tensor.shape == clip.tensor.shape
        assert torch.equal(out.tensor[::step], keys.tensor)


def test_the_seed_decides_and_tracking_is_tried() -> None:
    guide = moving_clip(5)
    keys = every(Stylize().run(RunContext(), frames=guide), 4)
    made = [
        fastblend(4, **params).run(RunContext(), frames=keys, guide=guide).tensor
        for params in ({}, {"seed": 1}, {"tracking": True})
    ]
    assert not torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])


def test_mistakes_are_named() -> None:
    clip = moving_clip(8)
    with pytest.raises(RequestError, match="guide of 8 frames at factor 4 needs 2 keyframes, given 3"):
        fastblend(4).run(RunContext(), frames=moving_clip(3), guide=clip)
    with pytest.raises(RequestError, match="one size, given 30x23 and 31x23"):
        fastblend(4).run(RunContext(), frames=moving_clip(2, width=30), guide=clip)
    with pytest.raises(RequestError, match=r"inputs\.guide: missing"):
        fastblend(4).run(RunContext(), frames=clip)
    faults = Interpolate(method="fastblend", factor="5/2").check({"guide": None})
    assert [str(f) for f in faults] == [
        "params.factor: no step of keyframes; expected a whole factor: frames from key to key; "
        "given 5/2, method fastblend"
    ]
    assert [f.path for f in Interpolate(method="fastblend", fps=24).check({"guide": None})] == ["params.fps"]
    assert [f.path for f in Interpolate().check({"guide": None})] == ["inputs.guide"]


def test_keys_of_a_stream_come_back_as_a_stream(tmp_path: Path) -> None:
    graph = fs.Graph("keys")
    clip = graph.add("clip", MovingClip())
    some = graph.add("some", Interpolate(factor="1/5"), frames=clip)
    style = graph.add("style", Stylize(), frames=some)
    graph.add("all", fastblend(5), frames=style, guide=clip)
    run = graph.run(cache_dir=tmp_path / "cache", outputs=["all"], chunk=8)
    guide = moving_clip(37)
    keys = Stylize().run(RunContext(), frames=every(guide, 5))
    assert torch.equal(run["all"].tensor, fastblend(5).run(RunContext(), frames=keys, guide=guide).tensor)
    wrong = fs.Graph("wrong")
    clip = wrong.add("clip", MovingClip())
    wrong.add("all", fastblend(5), frames=clip, guide=clip)
    with pytest.raises(FlowsynthError, match="needs 8 keyframes, given 37"):
        wrong.run(cache_dir=tmp_path / "cache", outputs=["all"])

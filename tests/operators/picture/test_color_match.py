from fractions import Fraction
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.functional.picture.oklab import rgb_to_oklab
from flowsynth.operators.picture.color_match import ColorMatch
from flowsynth.operators.picture.contrast import Contrast
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.streams import Counter, Invert, write_source

METHODS = ["mean_std", "transport", "histogram"]


def graded(clip: Frames) -> Frames:
    """The same footage, darker, flatter and bluish."""
    darker = Contrast(contrast=0.7, brightness=-0.08, saturation=0.7).run(RunContext(), frames=clip)
    tint = torch.tensor([0.9, 1.0, 1.1]).view(3, 1, 1)
    return clip.like((darker.to_float() * tint).clamp(0, 1))


def lab_mean(clip: Frames) -> torch.Tensor:
    return rgb_to_oklab(clip.to_float()).mean((0, 2, 3))


@pytest.mark.parametrize("method", METHODS)
def test_a_grade_is_carried_over(method: str, dtype: str) -> None:
    clip = moving_clip(4, height=46, width=62, dtype=dtype)
    reference = graded(clip)
    operator = ColorMatch(method=method)
    out = operator.run(RunContext(), frames=clip, reference=reference, source=clip)
    assert out.tensor.dtype == clip.tensor.dtype
    assert (lab_mean(out) - lab_mean(reference)).abs().max() < 0.005
    error = (out.to_float() - reference.to_float()).abs().mean()
    assert error < 0.35 * (clip.to_float() - reference.to_float()).abs().mean()


@pytest.mark.parametrize("method", METHODS)
def test_one_map_serves_all_frames_of_a_source(method: str) -> None:
    clip = moving_clip(4)
    operator = ColorMatch(method=method)
    reference = graded(moving_clip(1, height=40, width=50))
    out = operator.run(RunContext(), frames=clip, reference=reference, source=clip)
    alone = operator.run(RunContext(), frames=clip.slice(2, 3), reference=reference, source=clip)
    assert torch.equal(out.tensor[2:3], alone.tensor)


def test_without_a_source_flicker_goes() -> None:
    still = moving_clip(1).tensor.repeat(6, 1, 1, 1).float() / 255
    gain = torch.tensor([1.0, 0.85, 1.05, 0.9, 1.1, 0.8]).view(-1, 1, 1, 1)
    flickering = Frames((still * gain).clamp(0, 1))
    out = ColorMatch(method="mean_std").run(RunContext(), frames=flickering, reference=Frames(still[:1]))
    before, after = (clip.tensor.mean((1, 2, 3)).std() for clip in (flickering, out))
    assert after < 0.1 * before


def test_strength_lightness_grey_and_alpha() -> None:
    clip, reference = moving_clip(2, channels=4), graded(moving_clip(1))
    out = ColorMatch().run(RunContext(), frames=clip, reference=reference)
    assert torch.equal(out.tensor[:, 3], clip.tensor[:, 3])
    assert not torch.equal(out.tensor[:, :3], clip.tensor[:, :3])
    none = ColorMatch(strength=0).run(RunContext(), frames=clip, reference=reference)
    assert torch.equal(none.tensor, clip.tensor)
    rgb = moving_clip(2, dtype="float32")
    colour = ColorMatch(lightness=False, strength=0.5).run(RunContext(), frames=rgb, reference=reference)
    lightness = [rgb_to_oklab(c.tensor)[:, 0] for c in (rgb, colour)]
    assert (lightness[0] - lightness[1]).abs().mean() < 0.002
    grey = ColorMatch().run(RunContext(), frames=moving_clip(2, channels=1), reference=reference)
    assert grey.frame_shape == (1, 23, 31)
    assert abs(lab_mean(Frames(grey.tensor.expand(-1, 3, -1, -1)))[0] - lab_mean(reference)[0]) < 0.02


def test_black_frames_stay_finite() -> None:
    black = Frames(torch.zeros(2, 3, 5, 7, dtype=torch.uint8))
    for method in METHODS:
        operator = ColorMatch(method=method)
        out = operator.run(RunContext(), frames=black, reference=moving_clip(1))
        assert out.tensor.flatten(2).float().std(2).max() == 0
        again = operator.run(RunContext(), frames=moving_clip(1), reference=black)
        assert again.tensor.float().mean() < 2


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_streamed_graph_gives_the_bits_of_a_plain_call(tmp_path: Path, executor: str) -> None:
    path = write_source(tmp_path / "s.txt", range(37))
    g = fs.Graph("match")
    clip = g.add("clip", Counter(path=path))
    reference = g.add("reference", Invert(), frames=clip)
    g.add("matched", ColorMatch(), frames=clip, reference=reference, source=clip)
    run = g.run(cache_dir=tmp_path / "cache", executor=executor)
    frames = Counter(path=path).run(RunContext())
    negative = frames.with_data(255 - frames.tensor)
    expected = ColorMatch().run(RunContext(), frames=frames, reference=negative, source=frames)
    assert torch.equal(run["matched"].tensor, expected.tensor)


def test_an_empty_reference_is_named() -> None:
    clip = moving_clip(1)
    with pytest.raises(RequestError, match="reference: expected at least one frame, given none"):
        ColorMatch().run(RunContext(), frames=clip, reference=clip.slice(0, 0))


def test_a_clip_with_a_cut_wants_a_source(pictures: dict[str, torch.Tensor]) -> None:
    shots = [pictures[name][..., :64, :80].expand(3, -1, -1, -1) for name in ("astronaut", "chelsea")]
    clip = Frames(torch.cat(shots), Fraction(24))
    reference = Frames(pictures["coffee"])
    with pytest.raises(RequestError, match="cut before frame 3"):
        ColorMatch().run(RunContext(), frames=clip, reference=reference)
    with pytest.raises(RequestError, match="cut before frame 3"):
        run_by_chunks(ColorMatch(), clip, 3, reference=reference)
    for operator, given in ((ColorMatch(), {"source": clip}), (ColorMatch(cut=0), {})):
        assert operator.run(RunContext(), frames=clip, reference=reference, **given).num_frames == 6
    stills = Frames(clip.tensor)
    assert ColorMatch().run(RunContext(), frames=stills, reference=reference).num_frames == 6

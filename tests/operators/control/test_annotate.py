import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.fingerprint import source_parts
from flowsynth.functional.picture.color import luma
from flowsynth.functional.picture.edges import canny
from flowsynth.operators.control._registry import detectors
from flowsynth.operators.control.annotate import Annotate
from tests.operators.conftest import moving_clip


def test_canny_gives_white_edges_of_its_kind() -> None:
    clip = moving_clip(2, dtype="float32")
    out = Annotate(detector="canny", low=0.02, high=0.05, sigma=1.5).run(RunContext(), frames=clip)
    assert out.kind == "canny"
    assert out.fps == clip.fps
    expected = canny(clip.tensor, low=0.02, high=0.05, sigma=1.5)
    assert torch.equal(out.tensor, expected.expand(-1, 3, -1, -1))
    assert out.tensor.sum() > 0


def test_canny_finds_edges_of_colour_where_asked() -> None:
    clip = moving_clip(2, dtype="float32")
    found = [
        Annotate(detector="canny", color=color).run(RunContext(), frames=clip).tensor
        for color in (False, True)
    ]
    assert torch.equal(found[1], canny(clip.tensor, color=True).expand(-1, 3, -1, -1))
    assert not torch.equal(*found)


def test_tile_passes_and_luma_drops_colour() -> None:
    clip = moving_clip(2)
    assert torch.equal(Annotate(detector="tile").run(RunContext(), frames=clip).tensor, clip.tensor)
    grey = Annotate(detector="luma").run(RunContext(), frames=clip)
    torch.testing.assert_close(grey.to_float()[:, :1], luma(clip.to_float()), atol=0.5 / 255 + 1e-6, rtol=0)


def test_alpha_is_dropped() -> None:
    clip = moving_clip(1, channels=4)
    out = Annotate(detector="tile").run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, clip.tensor[:, :3])


def test_every_detector_offered_is_there() -> None:
    schema = Annotate.model_json_schema()["properties"]["detector"]
    assert schema["enum"] == list(detectors())
    assert {"canny", "luma", "tile", "blur", "hed", "softedge", "lineart"} < set(schema["enum"])


@pytest.mark.parametrize("name", list(detectors()))
def test_a_detector_is_described_and_part_of_the_fingerprint(name: str) -> None:
    assert detectors()[name].name == name
    assert f"- ``{name}``: " in (Annotate.__doc__ or "")
    module = type(detectors()[name]).__module__
    assert f"{module}:DETECTOR" in source_parts(Annotate, uses=Annotate.uses)


def test_mistakes_are_named() -> None:
    (fault,) = Annotate(low=0.5, high=0.1).check({})
    assert str(fault) == "params.low: above high; expected at most high (0.1); given 0.5"
    assert Annotate().check({}) == []
    with pytest.raises(ValidationError, match="less than or equal to 1"):
        Annotate(high=100)
    with pytest.raises(ValidationError, match="Input should be 'blur', 'canny', 'luma', 'tile', 'hed'"):
        Annotate(detector="cany")


@pytest.mark.parametrize("detector", ["segmentation", "face", "pose"])
def test_without_litert_the_graph_is_refused(detector: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsynth.operators.control._detector.library_version", lambda name: "absent")
    (fault,) = Annotate(detector=detector).check({})
    assert str(fault) == (
        "params.detector: needs ai-edge-litert; expected pip install 'flowsynth-engine[litert]';"
        f" given {detector}"
    )
    assert Annotate(detector="hed").check({}) == []

"""The operator over segments, and what `upscale` makes of its figure."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.measure.blockiness import Blockiness
from flowsynth.operators.size.upscale import Upscale
from flowsynth.values import Frames
from tests.functional.measure.test_blockiness import jpeg, measured


def test_a_clip_of_segments_is_measured_as_a_whole(pictures: dict[str, Tensor]) -> None:
    clip = torch.cat([jpeg(pictures["chelsea"][..., :64, :96], quality) for quality in (20, 60, 90)])
    whole = Blockiness().run(RunContext(), frames=Frames(clip))
    parts = [Blockiness().segment(RunContext(), frames=Frames(part)) for part in (clip[:1], clip[1:])]
    assert Blockiness().combine(RunContext(), parts) == pytest.approx(whole, rel=1e-9)
    assert whole == pytest.approx(measured(clip), rel=1e-5)
    assert Blockiness().combine(RunContext(), []) == 1


@pytest.mark.parametrize(
    ("figure", "method", "fidelity"),
    [(1.2, "basicvsr", 2), (1.7, "realesr-animevideo", 1), (2.4, "realesr-animevideo", 0)],
)
def test_auto_follows_the_figure(figure: float, method: str, fidelity: int) -> None:
    decided = Upscale(method="auto", fidelity="auto").decided(figure)
    assert (decided.method, decided.fidelity) == (method, fidelity)
    assert Upscale(method="auto", fidelity=4).decided(figure).fidelity == 4
    assert Upscale(method="lanczos", fidelity="auto").decided(figure).method == "lanczos"


def test_the_key_of_auto_holds_both_networks() -> None:
    def weights(method: str) -> object:
        return Upscale.model_validate({"method": method}).key_params([])["weights"]

    both = weights("auto")
    assert isinstance(both, dict)
    assert sorted(both.values()) == sorted([weights("basicvsr"), weights("realesr-animevideo")], key=str)


@pytest.mark.parametrize("params", [{"method": "auto"}, {"fidelity": "auto", "method": "basicvsr"}])
def test_auto_without_a_figure_is_refused(params: dict[str, str]) -> None:
    graph = fs.Graph()
    picture = graph.add("picture", ReadImage(path="picture.png"))
    with pytest.raises(
        GraphError, match=r"auto has nothing to go by; expected an edge to the port blockiness"
    ):
        graph.add("large", Upscale.model_validate(params), frames=picture)


def test_a_figure_that_nothing_reads_is_refused() -> None:
    graph = fs.Graph()
    picture = graph.add("picture", ReadImage(path="picture.png"))
    figure = graph.add("blocks", Blockiness(), frames=picture)
    with pytest.raises(GraphError, match=r"inputs\.blockiness: acts on nothing"):
        graph.add("large", Upscale(), frames=picture, blockiness=figure)

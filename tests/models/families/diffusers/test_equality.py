"""Every class through the engine gives the bits of its own one call."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, more, pictures, sound
from tests.models.families.diffusers.zoo.case import CASES

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "more", "pictures", "sound"]


#: One of every kind of seam, decoder and way of giving pictures; the others are slow.
QUICK = {
    "StableDiffusionXLPipeline",
    "StableDiffusionXLImg2ImgPipeline",
    "StableDiffusionInpaintPipeline",
    "StableDiffusion3Pipeline",
    "FluxPipeline",
    "FluxControlNetPipeline",
    "HunyuanDiTPipeline",
    "QwenImagePipeline",
    "IFPipeline",
    "AnimateDiffVideoToVideoPipeline",
    "AnimateDiffSparseControlNetPipeline",
    "StableVideoDiffusionPipeline",
    "CogVideoXPipeline",
    "WanImageToVideoPipeline",
    "LTXPipeline",
}


#: Those whose latents take their dtype from a text encoder, and one of each kind of decoder.
HALF = ("QwenImagePipeline", "FluxPipeline", "StableDiffusionXLPipeline", "WanPipeline", "CogVideoXPipeline")


@pytest.mark.parametrize("dtype", ["float16", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "name", [HALF[0], *(pytest.param(name, marks=pytest.mark.slow) for name in HALF[1:])]
)
def test_in_half_precision_a_decoder_gives_the_same(name: str, dtype: str, tmp_path: Path) -> None:
    case = CASES[name]
    cls = build(case, tmp_path / "model")
    graph = graph_of(case, tmp_path / "model", dtype=dtype)
    given = graph.run(cache_dir=tmp_path / "cache", outputs=["frames"])["frames"].tensor
    expected = by_hand(cls, case, tmp_path / "model", load={"torch_dtype": getattr(torch, dtype)})
    assert torch.equal(given, expected), float((given - expected).abs().max())


@pytest.mark.sample(4)
@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_graph_gives_the_bits_of_the_pipeline_s_call(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    cls = build(case, tmp_path / "model")
    assert cls.__name__ == name
    run = graph_of(case, tmp_path / "model").run(cache_dir=tmp_path / "cache", outputs=["frames"])
    expected = by_hand(cls, case, tmp_path / "model")
    given = run["frames"].tensor
    assert given.shape == expected.shape
    assert torch.equal(given, expected.float()), float((given - expected).abs().max())

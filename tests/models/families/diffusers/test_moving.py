"""A UNet of pictures and a motion adapter from elsewhere: one network, as AnimateDiff's classes make it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diffusers as d
import numpy as np
import pytest
import torch

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.model import DiffusersModel
from flowsynth.models.manager import ModelManager
from flowsynth.models.parse import parse_model
from tests.models.families.diffusers.call import AT_ONCE, SEED, graph_of
from tests.models.families.diffusers.zoo import clips
from tests.models.families.diffusers.zoo.case import CASES

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)


def saved(folder: Path) -> dict[str, Any]:
    """A text-to-image model and an adapter beside it; how a graph declares the two together."""
    torch.manual_seed(0)
    parts = clips.animate_parts()
    parts.pop("motion_adapter").save_pretrained(folder / "motion")
    unsafe = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    d.StableDiffusionPipeline(**parts, **unsafe).save_pretrained(folder / "sd")
    return {"pipeline": "AnimateDiffPipeline", "components": {"motion_adapter": str(folder / "motion")}}


def frames(folder: Path, **spec: Any) -> torch.Tensor:
    graph = graph_of(CASES["AnimateDiffPipeline"], folder / "sd", **spec)
    made: torch.Tensor = graph.run(cache_dir=folder / "cache", outputs=["frames"])["frames"].tensor
    return made


def test_a_base_with_an_adapter_gives_the_bits_of_the_class_s_call(tmp_path: Path) -> None:
    spec = saved(tmp_path)
    case = CASES["AnimateDiffPipeline"]
    adapter = d.MotionAdapter.from_pretrained(tmp_path / "motion")
    pipe = d.AnimateDiffPipeline.from_pretrained(tmp_path / "sd", motion_adapter=adapter)
    made = pipe(
        **case.settings, **(case.text or {}), **case.size, decode_chunk_size=AT_ONCE,
        generator=torch.Generator().manual_seed(SEED), output_type="np",
    )[0]  # fmt: skip
    expected = torch.as_tensor(np.asarray(made))[0].movedim(-1, 1)
    plain = frames(tmp_path, **spec)
    assert torch.equal(plain, expected.float())
    assert torch.equal(frames(tmp_path, **spec, offload="group"), plain)


def test_motion_modules_normalise_as_declared_and_a_model_without_refuses(tmp_path: Path) -> None:
    spec = saved(tmp_path)
    plain, published = frames(tmp_path, **spec), frames(tmp_path, **spec, motion_norm="frame")
    assert published.isfinite().all()
    assert not torch.equal(plain, published)
    with pytest.raises(FlowsynthError, match="its line motion_norm: no use for it; expected clip"):
        frames(tmp_path, motion_norm="frame", pipeline="StableDiffusionPipeline")


def test_the_two_are_one_part_beside_which_neither_is_kept(tmp_path: Path) -> None:
    spec = saved(tmp_path)
    manager = ModelManager("cpu")
    model = manager.load(
        parse_model("m", {"family": "diffusers", "source": str(tmp_path / "sd"), "dtype": "float32", **spec})
    )
    assert isinstance(model, DiffusersModel)
    network = model.network("unet")
    assert type(network).__name__ == "UNetMotionModel"
    assert manager.resident_bytes == sum(t.nbytes for t in (*network.parameters(), *network.buffers()))

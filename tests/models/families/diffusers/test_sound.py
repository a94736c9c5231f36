"""A pipeline that makes pictures and sound: both are those of its one call."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import av
import pytest
import torch

from flowsynth.models import Model, parse_model
from flowsynth.operators.diffusion.audio_decode import AudioDecode
from flowsynth.operators.files.encode_video import EncodeVideo
from tests.models.families.diffusers.call import SEED, build, by_hand, graph_of
from tests.models.families.diffusers.zoo import pictures, sound
from tests.models.families.diffusers.zoo.case import CASES

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["pictures", "sound"]


def test_pictures_and_sound_are_those_of_one_call_and_go_into_a_file(tmp_path: Path) -> None:
    case, folder = CASES["LTX2Pipeline"], tmp_path / "model"
    cls = build(case, folder)
    pipe = cls.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        **dict(case.size), **dict(case.text or {}), **case.settings, **case.options,
        generator=torch.Generator().manual_seed(SEED), output_type="np",
    )  # fmt: skip
    graph = graph_of(case, folder)
    graph.add("sound", AudioDecode(), model="models.m", latents="denoise")
    graph.add("video", EncodeVideo(fps=25, codec="ffv1"), frames="frames", audio="sound")
    run = graph.run(cache_dir=tmp_path / "cache", outputs=["frames", "sound", "video"])
    assert torch.equal(run["frames"].tensor, by_hand(cls, case, folder).float())
    assert run["sound"].sample_rate == 16000
    assert torch.equal(run["sound"].samples, made.audio[0].float())
    assert run["sound"].samples.std() > 0
    with av.open(BytesIO(bytes(run["video"].data))) as container:
        assert container.streams.audio[0].sample_rate == 16000


def test_a_class_without_sound_is_refused_by_name(tmp_path: Path) -> None:
    build(CASES["StableDiffusionXLPipeline"], tmp_path / "model")
    model = Model(parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model")}))
    faults = AudioDecode().check({"model": model, "latents": 1})
    assert [(fault.path, fault.message) for fault in faults] == [("inputs.model", "has no such verb")]

"""VideoGPT behind the verb `generate`, as graphs run it."""

from __future__ import annotations

import argparse
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import flowsynth as fs
from flowsynth.core.errors import GraphError
from flowsynth.operators.diffusion.generate import Generate
from flowsynth.values import Frames
from tests.nets.judged import judged

LIKELIEST: dict[str, Any] = {"class_label": 1, "options": {"temperature": 0}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "class.safetensors"
    save_file(judged("videogpt_class")[0], path)
    return path


def made(
    file: Path, first: Frames | None = None, model: dict[str, Any] | None = None, **params: Any
) -> Frames:
    g = fs.Graph("g")
    spec = {
        "family": "videogpt",
        "source": str(file),
        "dtype": "float32",
        "strides": [2, 4, 4],
        **(model or {}),
    }
    inputs: dict[str, Any] = {"model": g.model("m", spec)}
    if first is not None:
        inputs["image"] = g.add("first", Given(grey=int(first.tensor[0, 0, 0, 0]), count=len(first.tensor)))
    g.add("g", Generate(**{"dtype": "float32", **params}), **inputs)
    found: Frames = g.run(outputs=["g"], cache_dir=file.parent / "cache")["g"]
    return found


class Given(fs.Operator):
    """Frames of one grey."""

    op = "test_given_frames"
    version = 1
    grey: int = 0
    count: int = 1
    width: int = 64

    def run(self, ctx: fs.RunContext, /) -> Frames:
        return Frames(torch.full((self.count, 3, 16, self.width), self.grey, dtype=torch.uint8), fps=5)


def test_clips_have_a_rate_and_are_the_same_however_many_are_made(file: Path) -> None:
    two = made(file, num_images=2, seed=3, class_label=1, model={"fps": 12.5})
    assert two.tensor.shape == (8, 3, 8, 16)
    assert two.fps == pytest.approx(12.5)
    second = made(file, seed=4, class_label=1)
    assert torch.equal(two.tensor[4:], second.tensor)
    assert not torch.equal(two.tensor[:4], two.tensor[4:])
    assert float(two.tensor.std()) > 0.01


def test_a_class_acts_and_without_chance_there_is_one_clip(file: Path) -> None:
    one = made(file, seed=1, **LIKELIEST)
    assert torch.equal(one.tensor, made(file, seed=2, **LIKELIEST).tensor)
    top = made(file, seed=5, class_label=1, options={"top_k": 1})
    assert torch.equal(one.tensor, top.tensor)
    assert not torch.equal(one.tensor, made(file, **{**LIKELIEST, "class_label": 2}).tensor)


def test_a_trainers_checkpoint_gives_the_same_and_one_with_code_is_refused(file: Path) -> None:
    whole = {
        "state_dict": judged("videogpt_class")[0],
        "hyper_parameters": {"args": argparse.Namespace(heads=4)},
        "epoch": 3,
    }
    torch.save(whole, file.with_suffix(".ckpt"))
    plain = made(file, **LIKELIEST)
    assert torch.equal(made(file.with_suffix(".ckpt"), **LIKELIEST).tensor, plain.tensor)
    file.with_name("code.ckpt").write_bytes(pickle.dumps(Path))
    with pytest.raises(fs.RunFailedError, match="could run code"):
        made(file.with_name("code.ckpt"), **LIKELIEST)


def test_a_clip_goes_on_from_frames(tmp_path: Path) -> None:
    """Eight codes of it are as the network draws them: all 512 take seconds."""
    from flowsynth.models.families.videogpt.model import VideoGptModel
    from flowsynth.models.families.videogpt.spec import VideoGptSpec
    from flowsynth.models.requests import GenerateRequest, GenerateSettings
    from tests.models.families.videogpt.keeping import Keeping

    save_file(judged("videogpt")[0], tmp_path / "first.safetensors")
    spec = VideoGptSpec.model_validate({"source": str(tmp_path / "first.safetensors"), "dtype": "float32"})
    clips = []
    for grey in (0, 255):
        model = VideoGptModel(spec, Keeping())
        frames = Given(grey=grey, width=64).run(fs.RunContext())
        asked = GenerateSettings(options={"temperature": 0}, num_images=1)
        clips.append(model.generate(GenerateRequest(asked, frames)).pictures)
    assert clips[0].shape == (8, 3, 16, 64)
    assert not torch.equal(*clips), "what is seen first acts"


@pytest.mark.parametrize(
    ("model", "params", "wrong"),
    [
        ({}, {}, r"g\.params\.class_label: no such class; expected 0 to 2; given None"),
        ({}, {"class_label": 3}, r"expected 0 to 2; given 3"),
        ({}, {"class_label": 1, "prompt": "x"}, r"params\.prompt: this model reads no words"),
        ({}, {"class_label": 1, "options": {"temprature": 1}}, r"options\.temprature.*temperature"),
        ({"heads": 7}, {"class_label": 1}, r"models\.m\.heads: they do not share a width of 24"),
        ({"strides": [3, 4, 4]}, {"class_label": 1}, r"models\.m\.strides.*powers of two"),
    ],
)
def test_what_it_cannot_do_is_told_before_a_run(
    file: Path, model: dict[str, Any], params: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(GraphError, match=wrong):
        made(file, model=model, **params)


def test_frames_that_have_no_use_are_told(file: Path) -> None:
    still = Frames(torch.zeros(1, 3, 8, 8, dtype=torch.uint8))
    with pytest.raises(GraphError, match=r"g\.inputs\.image: this model begins with nothing"):
        made(file, still, class_label=1)


def test_frames_that_are_missing_or_of_another_size_are_told(tmp_path: Path) -> None:
    path = tmp_path / "first.safetensors"
    save_file(judged("videogpt")[0], path)
    spec: dict[str, Any] = {"strides": [4, 2, 2]}
    with pytest.raises(GraphError, match=r"g\.inputs\.image: missing: this model goes on from frames"):
        made(path, model=spec)
    g = fs.Graph("g")
    model = g.model("m", {"family": "videogpt", "source": str(path)})
    g.add("g", Generate(), model=model, image=g.add("first", Given(width=32)))
    with pytest.raises(fs.RunFailedError, match=r"expected 1 frames of 64x16 \(resize\), given 1 of 32x16"):
        g.run(outputs=["g"], cache_dir=tmp_path / "c")


def test_other_networks_are_told_before_a_run(tmp_path: Path) -> None:
    save_file(judged("stylegan2")[0], tmp_path / "a.safetensors")
    with pytest.raises(GraphError, match=r"models\.m\.source: no checkpoint of VideoGPT; expected"):
        made(tmp_path / "a.safetensors")

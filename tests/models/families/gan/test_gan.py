"""Generators behind the verb `generate`, as graphs run them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

import flowsynth as fs
from flowsynth.cli import main
from flowsynth.core.errors import GraphError
from flowsynth.nets.generation.biggan import biggan_from_state
from flowsynth.nets.translation.spade import spade_from_state
from flowsynth.operators.diffusion.generate import Generate
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.values import Frames
from tests.nets.judged import judged

FLOATS = {"dtype": "float32"}


@pytest.fixture
def files(tmp_path: Path) -> Path:
    for name in ("biggan", "stylegan2", "pix2pix", "spade"):
        save_file(judged(name)[0], tmp_path / f"{name}.safetensors")
    return tmp_path


def graph(source: Path, params: dict[str, Any]) -> fs.Graph:
    return fs.Graph.from_dict(
        {
            "models": {"m": {"family": "gan", "source": str(source)}},
            "nodes": {"g": {"op": "generate", "inputs": {"model": "models.m"}, "params": params}},
            "outputs": ["g"],
        }
    )


def pictures(source: Path, **params: Any) -> Tensor:
    run = graph(source, {**FLOATS, **params}).run(cache_dir=source.parent / "cache")
    frames: Frames = run["g"]
    return frames.tensor


class Stripes(fs.Operator):
    """Labels in stripes, a clip that moves by a stripe a frame, or the same as coloured pictures."""

    op = "test_stripes"
    version = 1
    frames: int = 3
    side: int = 64
    color: bool = False

    def run(self, ctx: fs.RunContext, /) -> Frames:
        place = torch.arange(self.side).expand(self.frames, 1, self.side, self.side) // 8
        labels = (place + torch.arange(self.frames).view(-1, 1, 1, 1)) % 7
        return Frames((labels * 40 if self.color else labels).to(torch.uint8), fps=8)


def translated(source: Path, stripes: Stripes, chunk: int = 16, **params: Any) -> Frames:
    g = fs.Graph("t")
    model = g.model("m", {"family": "gan", "source": str(source)})
    clip = g.add("clip", stripes)
    g.add("g", Generate(**{**FLOATS, **params}), model=model, image=clip)
    found: Frames = g.run(outputs=["g"], cache_dir=source.parent / "cache", chunk=chunk)["g"]
    return found


def test_a_picture_of_a_class_is_the_networks(files: Path) -> None:
    network = biggan_from_state(judged("biggan")[0])
    made = pictures(files / "biggan.safetensors", class_label=3, seed=5, options={"truncation": 0.5})
    z = network.draw(1, 0.5, torch.Generator().manual_seed(5))
    assert torch.equal(made, network(z, torch.tensor([3]), 0.5))


def test_pictures_do_not_depend_on_how_many_are_made(files: Path) -> None:
    three = pictures(files / "stylegan2.safetensors", num_images=3, seed=7, options={"noise": "random"})
    second = pictures(files / "stylegan2.safetensors", seed=8, options={"noise": "random"})
    assert torch.equal(three[1:2], second)
    assert not torch.equal(three[0], three[1])


def test_a_pickled_checkpoint_with_the_tensors_in_a_nest_gives_the_same(files: Path) -> None:
    state = judged("stylegan2")[0]
    mean = state.pop("latent_avg")
    torch.save({"g_ema": state, "latent_avg": mean}, files / "nested.pt")
    named = pictures(files / "stylegan2.safetensors", seed=1)
    assert torch.equal(pictures(files / "nested.pt", seed=1), named)


def test_a_file_that_holds_code_is_refused(files: Path) -> None:
    (files / "network.pt").write_bytes(pickle.dumps(Path))
    with pytest.raises(fs.RunFailedError, match="could run code"):
        pictures(files / "network.pt")


def test_labels_become_a_clip_frame_by_frame(files: Path) -> None:
    source, network = files / "spade.safetensors", spade_from_state(judged("spade")[0])
    made = translated(source, Stripes(), chunk=2)
    labels = Stripes().run(fs.RunContext()).tensor
    assert torch.equal(made.tensor, torch.cat([network(frame[None]) for frame in labels]))
    assert made.fps == 8


def test_dropout_is_the_seeds_and_the_same_for_every_frame(files: Path) -> None:
    source, still = files / "pix2pix.safetensors", Stripes(frames=1, side=128, color=True)
    made = [translated(source, still, seed=seed).tensor for seed in (0, 1)]
    assert not torch.equal(made[0], made[1])
    plain = [translated(source, still, seed=seed, options={"dropout": False}).tensor for seed in (0, 1)]
    assert torch.equal(plain[0], plain[1])


@pytest.mark.parametrize(
    ("name", "params", "wrong"),
    [
        ("biggan", {}, r"g\.params\.class_label: no such class; expected 0 to 9; given None"),
        ("biggan", {"class_label": 10}, r"expected 0 to 9; given 10"),
        ("stylegan2", {"class_label": 1}, r"params\.class_label: stylegan2 has no classes"),
        ("stylegan2", {"prompt": "a cat"}, r"params\.prompt: this model reads no words"),
        ("stylegan2", {"options": {"truncatoin": 1}}, r"options\.truncatoin.*truncation"),
        ("pix2pix", {}, r"g\.inputs\.image: missing: pix2pix makes pictures of pictures"),
    ],
)
def test_what_a_network_cannot_do_is_told_before_a_run(
    files: Path, name: str, params: dict[str, Any], wrong: str
) -> None:
    with pytest.raises(GraphError, match=wrong):
        graph(files / f"{name}.safetensors", params)


def test_a_picture_that_a_network_has_no_use_for_is_told(files: Path) -> None:
    with pytest.raises(GraphError, match=r"inputs\.image: stylegan2 has no use for a picture"):
        translated(files / "stylegan2.safetensors", Stripes())


def test_frames_that_are_no_labels_are_refused(files: Path) -> None:
    g = fs.Graph("t")
    model = g.model("m", {"family": "gan", "source": str(files / "spade.safetensors")})
    color = g.add("c", ReadImage(path="picture:astronaut", width=64, height=64))
    g.add("g", Generate(), model=model, image=color)
    with pytest.raises(fs.RunFailedError, match="expected labels, grey frames of uint8"):
        g.run(outputs=["g"], cache_dir=files / "cache")


def test_another_checkpoint_is_named_with_what_is_expected(files: Path) -> None:
    save_file({"a": torch.zeros(1)}, files / "other.safetensors")
    with pytest.raises(GraphError, match=r"models\.m\.source: no known generator; expected biggan"):
        graph(files / "other.safetensors", {})


def test_a_folder_with_several_files_asks_for_a_name(files: Path) -> None:
    with pytest.raises(GraphError, match=r"expected one checkpoint, or weight_name; found biggan"):
        graph(files, {})


def test_the_command_line_says_what_a_generator_is(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", str(files / "biggan.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "biggan" in said
    assert "truncation" in said


def test_the_shipped_graphs_make_pictures(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(files)
    monkeypatch.setenv("XDG_CACHE_HOME", str(files / "cache"))
    labels = Stripes(frames=1).run(fs.RunContext()).tensor[0, 0]
    Image.fromarray(labels.numpy()).save("labels.png")
    common = ["run", "-q", "model.dtype=float32", "output_dir=made"]
    words = [
        "graph=translate_image",
        "model=gaugan",
        "model.source=spade.safetensors",
        "input.image=labels.png",
    ]
    assert main([*common, *words]) == 0
    made = torch.from_numpy(np.array(Image.open("made/image/000000.png"))).permute(2, 0, 1)
    expected = spade_from_state(judged("spade")[0])(labels[None, None])[0]
    assert (made.float() / 255 - expected).abs().max() <= 0.5 / 255 + 1e-6
    words = ["graph=generate", "model.source=stylegan2.safetensors", "batch_size=2"]
    assert main([*common, *words]) == 0
    with Image.open("made/image/000001.png") as picture:
        assert picture.size == (16, 16)

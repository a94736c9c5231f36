"""Pictures of their own: each is that of its seed alone, whatever is drawn beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.errors import FlowsynthError, GraphError
from tests.tiny import tiny_sd

SIDE = 32


def drawn(count: int, seed: Any = 5, *, image: bool = False, lines: int = 0, **extra: Any) -> fs.Graph:
    """Pictures from text, or from a picture under lines."""
    graph = fs.Graph("pictures")
    nets = {"lines": str(tiny_sd() / "controlnet_lines")}
    base = graph.model("base", {"family": "sd", "source": str(tiny_sd() / "base"), "controlnets": nets})
    size: dict[str, Any] = {"width": SIDE, "height": SIDE}
    prompt = graph.add("prompt", "text_encode", model=base, prompt="a red square")
    extra = {"num_inference_steps": 2, "guidance_scale": 3.0, "seed": seed, "apart": True, **extra}
    if image:
        picture = graph.add("picture", "read_image", path="picture:astronaut", copies=count, **size)
        latents = graph.add("latents", "vae_encode", model=base, frames=picture)
        extra["strength"] = 0.6
    else:
        latents = graph.add("latents", "empty_latents", model=base, num_frames=count, **size)
    if lines:
        shown = graph.add("shown", "read_image", path="picture:astronaut", copies=lines, **size)
        extra["control"] = [graph.add("lines", "annotate", frames=shown)]
        extra["controlnets"] = ("lines",)
    made = graph.add("made", "denoise", model=base, conditioning=prompt, latents=latents, **extra)
    graph.add("frames", "vae_decode", model=base, latents=made)
    return graph


def pixels(graph: fs.Graph, cache: Path) -> torch.Tensor:
    found: torch.Tensor = graph.run(cache_dir=cache)["frames"].tensor
    return found


@pytest.mark.parametrize(
    "given",
    [{}, {"image": True}, {"lines": 1}, {"image": True, "lines": 3}],
    ids=lambda given: "-".join(given),
)
def test_each_is_what_its_seed_alone_makes(tmp_path: Path, given: dict[str, Any]) -> None:
    several = pixels(drawn(3, **given), tmp_path)
    for index in range(3):
        one = {**given, "lines": min(given.get("lines", 0), 1)}
        assert torch.equal(several[index], pixels(drawn(1, 5 + index, **one), tmp_path)[0])
    assert not torch.equal(several[0], several[1])
    assert not torch.equal(several[1], several[2])


def test_seeds_may_be_listed(tmp_path: Path) -> None:
    listed = pixels(drawn(2, (7, 5)), tmp_path)
    assert torch.equal(listed[1], pixels(drawn(1, 5), tmp_path)[0])
    with pytest.raises(FlowsynthError, match="2 seeds given; expected one for each picture"):
        drawn(3, (7, 5)).run(cache_dir=tmp_path)


def test_the_last_seed_is_followed_by_the_first(tmp_path: Path) -> None:
    assert torch.equal(pixels(drawn(2, 2**63 - 1), tmp_path)[1], pixels(drawn(1, 0), tmp_path)[0])


def test_a_null_seed_is_drawn_once_and_said(tmp_path: Path) -> None:
    run = drawn(2, None).run(cache_dir=tmp_path)
    frames = run["frames"].tensor
    assert not torch.equal(frames[0], frames[1])
    (note,) = [text for text in run.summary.notes if text.startswith("seed ")]
    seed = int(note.split()[1])
    assert torch.equal(frames[1], pixels(drawn(1, (seed + 1) % 2**63), tmp_path)[0])


def test_what_does_not_go_with_it_is_said_before_a_run() -> None:
    with pytest.raises(GraphError, match=r"params\.deflicker: pictures have no neighbours"):
        drawn(2, deflicker=(0,))
    graph = fs.Graph("travel")
    base = graph.model("base", {"family": "sd", "source": str(tiny_sd() / "base")})
    prompt = graph.add("prompt", "text_encode", model=base, prompt={0: "a", 1: "b"})
    latents = graph.add("latents", "empty_latents", model=base, width=SIDE, height=SIDE, num_frames=2)
    with pytest.raises(GraphError, match=r"params\.apart: the prompt travels; expected one prompt for all"):
        graph.add("made", "denoise", model=base, conditioning=prompt, latents=latents, apart=True)


def test_copies_are_the_pictures_again_and_again(tmp_path: Path) -> None:
    from PIL import Image

    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (4, 4), colour).save(tmp_path / f"{number}.png")
    graph = fs.Graph("copies")
    graph.add("pictures", "read_image", path=str(tmp_path), copies=3)
    frames = graph.run(cache_dir=tmp_path / "cache", chunk=2)["pictures"].tensor
    assert frames[:, 0, 0, 0].tolist() == [255, 0] * 3

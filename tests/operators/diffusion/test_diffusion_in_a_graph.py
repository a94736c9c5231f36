"""The model operators under the engine: what runs again, what does not, and that variants never mix."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.values import Frames
from tests.operators.conftest import moving_clip
from tests.tiny import tiny_sd

LENGTH = 20


class DrawnClip(fs.Operator):
    """A clip that is made rather than read."""

    op = "drawn_clip"
    version = 1
    positional = True

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return StreamInfo(LENGTH, Fraction(24))

    def run(self, ctx: RunContext, /) -> Frames:
        clip = moving_clip(LENGTH)
        return clip if ctx.span is None else clip.slice(ctx.span.start, ctx.span.stop)


def spec(**extra: Any) -> dict[str, Any]:
    root = tiny_sd()
    nets = {"lines": str(root / "controlnet_lines"), "tile": str(root / "controlnet_tile")}
    motion = {"motion": str(root / "motion_adapter")}
    return {"family": "sd", "source": str(root / "base"), "controlnets": nets, **motion, **extra}


def stylized(guidance_scale: float = 4.0, strength: float = 0.7, **model: Any) -> fs.Graph:
    """Diffutoon's shape: a clip's latents denoised under lines and tile, in windows."""
    graph = fs.Graph("stylized")
    base = graph.model("base", spec(**model))
    clip = graph.add("clip", DrawnClip())
    lines = graph.add("lines", Annotate(), frames=clip)
    prompt = graph.add("prompt", TextEncode(prompt="a red cat", negative_prompt="bad"), model=base)
    latents = graph.add("latents", VaeEncode(), frames=clip, model=base)
    params = {"num_inference_steps": 3, "window": 8, "stride": 4, "control_scale": 0.5}
    denoised = graph.add(
        "denoise",
        Denoise(guidance_scale=guidance_scale, strength=strength, **params),
        model=base,
        latents=latents,
        conditioning=prompt,
        control=[lines, clip],
    )
    graph.add("frames", VaeDecode(), latents=denoised, model=base)
    return graph


def computed(run: fs.Run) -> set[str]:
    return {name for name, node in run.record.nodes.items() if node.status == "computed"}


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_diffusion_graph_runs_once_and_then_only_what_changed(tmp_path: Path, executor: str) -> None:
    how: dict[str, Any] = {"executor": executor, "outputs": ["frames"], "chunk": 8, "keep": "all"}
    first = stylized().run(cache_dir=tmp_path / "cache", **how)
    assert computed(first) == {"clip", "lines", "prompt", "latents", "denoise", "frames"}
    assert first["frames"].tensor.shape == (LENGTH, 3, *moving_clip(1).frame_shape[1:])
    again = stylized().run(cache_dir=tmp_path / "cache", **how)
    assert computed(again) == set()
    changed = stylized(guidance_scale=5.0).run(cache_dir=tmp_path / "cache", **how)
    assert computed(changed) == {"denoise", "frames"}
    assert not torch.equal(changed["frames"].tensor, first["frames"].tensor)


@pytest.mark.slow
def test_how_a_stream_is_cut_does_not_change_the_result(tmp_path: Path) -> None:
    runs = [
        stylized().run(cache_dir=tmp_path / str(chunk), executor="serial", outputs=["frames"], chunk=chunk)
        for chunk in (5, 16)
    ]
    assert torch.equal(runs[0]["frames"].tensor, runs[1]["frames"].tensor)


def test_a_node_with_a_lora_does_not_change_a_later_one_without(tmp_path: Path) -> None:
    def graph(with_lora: bool) -> fs.Graph:
        built = fs.Graph("loras")
        plain = built.model("plain", {"family": "sd", "source": str(tiny_sd() / "base")})
        lora = {"source": str(tiny_sd() / "lora"), "scale": 1.0}
        styled = built.model("styled", {"family": "sd", "source": str(tiny_sd() / "base"), "loras": [lora]})
        models = [("styled", styled), ("plain", plain)] if with_lora else [("plain", plain)]
        for name, owner in models:
            prompt = built.add(f"{name}_prompt", TextEncode(prompt="a cat"), model=owner)
            latents = built.add(f"{name}_latents", EmptyLatents(height=32, width=32), model=owner)
            built.add(name, Denoise(num_inference_steps=2), model=owner, latents=latents, conditioning=prompt)
        return built

    both = graph(True).run(cache_dir=tmp_path / "a", executor="serial", outputs=["styled", "plain"])
    alone = graph(False).run(cache_dir=tmp_path / "b", executor="serial", outputs=["plain"])
    assert torch.equal(both["plain"].tensor, alone["plain"].tensor)
    assert not torch.equal(both["plain"].tensor, both["styled"].tensor)


@pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")
def test_another_part_of_a_model_runs_only_what_uses_it(tmp_path: Path) -> None:
    root = tiny_sd()
    swapped = {name: str(root / f"controlnet_{name}") for name in ("tile", "lines")}
    variants: list[tuple[dict[str, Any], set[str]]] = [
        ({}, {"clip", "lines", "prompt", "latents", "denoise", "frames"}),
        ({"controlnets": swapped}, {"denoise", "frames"}),
        ({"scheduler": "euler"}, {"denoise", "frames"}),
        ({"loras": [{"source": str(root / "lora")}]}, {"prompt", "denoise", "frames"}),
        ({"clip_skip": 1}, {"prompt", "denoise", "frames"}),
        ({"vae": {"path": str(root / "base"), "subfolder": "vae"}}, set()),
    ]
    for model, expected in variants:
        run = stylized(**model).run(
            cache_dir=tmp_path / "cache", executor="serial", outputs=["frames"], chunk=8, keep="all"
        )
        assert computed(run) == expected, model


def test_changed_weights_run_the_model_s_nodes_again(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_sd() / "base", tmp_path / "model"))

    def run() -> fs.Run:
        graph = fs.Graph("weights")
        base = graph.model("base", {"family": "sd", "source": str(folder)})
        graph.add("prompt", TextEncode(prompt="a cat"), model=base)
        return graph.run(cache_dir=tmp_path / "cache", executor="serial", outputs=["prompt"])

    assert computed(run()) == {"prompt"}
    assert computed(run()) == set()
    for part, expected in (("unet", set()), ("text_encoder", {"prompt"})):
        file = next((folder / part).glob("*.safetensors"))
        data = bytearray(file.read_bytes())
        data[-3] ^= 1
        file.write_bytes(bytes(data))
        assert computed(run()) == expected


def test_an_edit_of_the_family_s_code_is_part_of_a_model_s_fingerprint(tmp_path: Path) -> None:
    from flowsynth.core.fingerprint.source import source_parts
    from flowsynth.models.families.sd.family import StableDiffusion

    reached = {label.partition(":")[0] for label in source_parts(StableDiffusion)}
    names = ("families.sd.denoise", "families.sd.text", "diffusion.windows", "diffusion.vae")
    modules = {f"flowsynth.models.{name}" for name in names}
    assert modules <= reached
    session = fs.Session(tmp_path)
    given = {"family": "sd", "source": str(tiny_sd() / "base")}
    from flowsynth.models import model_fingerprint, parse_model

    assert session.model_fingerprint("base", given) != model_fingerprint(parse_model("base", given))
    session.close()


def test_faults_against_a_model_are_found_before_anything_runs() -> None:
    graph = fs.Graph("bad")
    base = graph.model("base", spec())
    prompt = graph.add("prompt", TextEncode(prompt="a cat"), model=base)
    latents = graph.add("latents", EmptyLatents(height=32, width=32), model=base)
    clip = graph.add("clip", DrawnClip())
    wrong = Denoise(window=17, scheduler="eulr")
    with pytest.raises(RequestError) as in_python:
        graph.add("denoise", wrong, model=base, latents=latents, conditioning=prompt, control=[clip])
    data = graph.to_dict()
    data["nodes"]["denoise"] = {
        "op": "denoise",
        "inputs": {"model": "models.base", "latents": "latents", "conditioning": "prompt", "control": "clip"},
        "params": {"window": 17, "scheduler": "eulr"},
    }
    with pytest.raises(RequestError) as in_yaml:
        fs.Graph.from_dict(data)
    for part in ("params.window", "params.scheduler", "inputs.control"):
        assert f"nodes.denoise.{part}" in str(in_python.value)
        assert f"nodes.denoise.{part}" in str(in_yaml.value)

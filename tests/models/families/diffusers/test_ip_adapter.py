"""IP-Adapters: the bits of the library's own loader and call, or a refusal with the names of tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.family import Diffusers
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.parse import parse_model
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case
from tests.models.families.diffusers.zoo.parts import clip_vision

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]

WIDTH = 64  # of the image encoder's states
Tensors = dict[str, torch.Tensor]


def halves(net: Any, kind: str = "plain") -> Tensors:
    """Random tensors of an adapter in the names of its publishers, for a network."""
    torch.manual_seed(7)
    is_flux = hasattr(net, "inner_dim")
    across = net.config.joint_attention_dim if is_flux else net.config.cross_attention_dim
    found = _plain(across) if kind != "plus" else _resampler(across)
    key = 0 if is_flux else 1
    for name, _ in net.named_modules():
        if is_flux and name.startswith("transformer_blocks") and name.endswith(".attn"):
            for what in ("to_k_ip", "to_v_ip"):
                found[f"ip_adapter.{key}.{what}.weight"] = torch.randn(net.inner_dim, across)
                found[f"ip_adapter.{key}.{what}.bias"] = torch.randn(net.inner_dim)
            key += 1
    for name in [] if is_flux else net.attn_processors:  # in the order in which they are numbered
        if name.endswith("attn2.processor") and "motion_modules" not in name:
            inner = net.get_submodule(name.removesuffix(".processor")).to_k.out_features
            for what in ("to_k_ip", "to_v_ip"):
                found[f"ip_adapter.{key}.{what}.weight"] = torch.randn(inner, across)
            key += 2
    return found


def _plain(across: int) -> Tensors:
    return {
        "image_proj.proj.weight": torch.randn(4 * across, WIDTH),
        "image_proj.proj.bias": torch.randn(4 * across),
        "image_proj.norm.weight": torch.randn(across),
        "image_proj.norm.bias": torch.randn(across),
    }


def _resampler(across: int) -> Tensors:
    """That of IP-Adapter Plus, which reads all states of the image encoder."""
    inner, stem = 64, "image_proj."
    shapes: dict[str, tuple[int, ...]] = {
        "latents": (1, 3, inner), "proj_in.weight": (inner, WIDTH), "proj_in.bias": (inner,),
        "proj_out.weight": (across, inner), "proj_out.bias": (across,),
        "norm_out.weight": (across,), "norm_out.bias": (across,),
    }  # fmt: skip
    for i in range(4):
        layer = f"layers.{i}"
        for name in ("norm1", "norm2"):
            shapes |= {f"{layer}.0.{name}.weight": (inner,), f"{layer}.0.{name}.bias": (inner,)}
        shapes |= {
            f"{layer}.0.to_q.weight": (inner, inner), f"{layer}.0.to_kv.weight": (2 * inner, inner),
            f"{layer}.0.to_out.weight": (inner, inner), f"{layer}.1.0.weight": (inner,),
            f"{layer}.1.0.bias": (inner,), f"{layer}.1.1.weight": (4 * inner, inner),
            f"{layer}.1.3.weight": (inner, 4 * inner),
        }  # fmt: skip
    return {stem + name: torch.randn(shape) for name, shape in shapes.items()}


def made(case: Case, folder: Path, kind: str = "plain") -> tuple[type[Any], Path]:
    """A saved pipeline, and beside it an adapter with its image encoder."""
    cls = build(case, folder / "model")
    pipe = case.build()
    beside = folder / "ip"
    clip_vision(WIDTH)[0].save_pretrained(beside / "image_encoder")
    net = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    save_file(halves(net, kind), beside / "ip.safetensors")
    return cls, beside


def led(name: str, count: int = 1) -> Case:
    base = CASES[name]
    frames = {**base.frames, "image_prompt": count}
    return Case(base.build, base.text, base.size, base.settings, base.options, frames)


def lines(beside: Path, scale: float = 0.6) -> dict[str, Any]:
    adapter = {"source": str(beside), "weight_name": "ip.safetensors", "scale": scale}
    return {"ip_adapters": [adapter], "components": {"image_encoder": str(beside / "image_encoder")}}


def loads(beside: Path, scale: float = 0.6) -> Any:
    """What loads it into a pipeline by hand."""

    def change(pipe: Any) -> None:
        own: dict[str, Any]
        if hasattr(pipe, "transformer"):
            encoder = str(beside / "image_encoder")
            own = {
                "image_encoder_pretrained_model_name_or_path": encoder,
                "image_encoder_dtype": pipe.dtype,
            }
        else:
            own = {"image_encoder_folder": "image_encoder"}
        # Else tensors lie in memory as they do in the file, unaligned, which moves Flux's last bits.
        own["low_cpu_mem_usage"] = False
        pipe.load_ip_adapter(str(beside), subfolder="", weight_name="ip.safetensors", **own)
        pipe.set_ip_adapter_scale(scale)

    return change


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("name", "kind", "count"),
    [
        ("StableDiffusionPipeline", "plus", 1),
        ("StableDiffusionXLPipeline", "plain", 2),
        ("FluxPipeline", "plain", 1),
        pytest.param("StableDiffusionPipeline", "plain", 1, marks=pytest.mark.slow),
        pytest.param("StableDiffusionXLImg2ImgPipeline", "plain", 1, marks=pytest.mark.slow),
        pytest.param("StableDiffusionControlNetPipeline", "plus", 1, marks=pytest.mark.slow),
        ("AnimateDiffPipeline", "plain", 1),
    ],
)
def test_a_picture_leads_bit_for_bit_as_by_hand(name: str, kind: str, count: int, tmp_path: Path) -> None:
    case = led(name, count)
    cls, beside = made(case, tmp_path, kind)
    given, _ = frames(case, tmp_path, lines(beside))
    expected = by_hand(cls, case, tmp_path / "model", change=loads(beside))
    assert torch.equal(given, expected.float())
    plain, _ = frames(CASES[name], tmp_path, {})
    assert not torch.equal(given, plain), "the picture acts"
    _, status = frames(case, tmp_path, lines(beside))
    assert set(status.values()) == {"hit"}


def frames(case: Case, folder: Path, spec: Mapping[str, Any]) -> tuple[torch.Tensor, dict[str, str]]:
    run = graph_of(case, folder / "model", **spec).run(cache_dir=folder / "cache", outputs=["frames"])
    return run["frames"].tensor, {name: node.status for name, node in run.record.nodes.items()}


def test_all_that_is_read_is_in_the_key_and_parts_load_where_they_are_used(tmp_path: Path) -> None:
    case = led("StableDiffusionPipeline")
    _, beside = made(case, tmp_path)
    first, _ = frames(case, tmp_path, lines(beside))
    weaker, status = frames(case, tmp_path, lines(beside, scale=0.0))
    assert (status["text"], status["denoise"]) == ("hit", "computed")
    assert torch.equal(weaker, frames(CASES["StableDiffusionPipeline"], tmp_path, {})[0])
    tensors = load_file(beside / "ip.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, beside / "ip.safetensors")
    other, status = frames(case, tmp_path, lines(beside))
    assert status["denoise"] == "computed"
    assert not torch.equal(first, other)
    clip_vision(WIDTH)[0].save_pretrained(beside / "image_encoder")
    _, status = frames(case, tmp_path, lines(beside))
    assert status["denoise"] == "computed"
    spec = parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model"), **lines(beside)})
    assert isinstance(spec, DiffusersSpec)
    bare = spec.model_copy(update={"ip_adapters": ()})
    held = sum(tensor.nbytes for tensor in tensors.values())
    needed = [Diffusers().weight_bytes(each, ("denoiser",)) or 0 for each in (spec, bare)]
    assert needed[0] - needed[1] == held


def wrong(tensors: Tensors, what: str) -> Tensors:
    if what == "none":
        return {"a": torch.ones(1)}
    if what == "more":
        return {**tensors, "ip_adapter.99.to_k_ip.weight": torch.ones(1)}
    if what == "more of the picture's":
        return {**tensors, "image_proj.other": torch.ones(1)}
    if what == "less":
        return {name: tensor for name, tensor in tensors.items() if not name.endswith("1.to_v_ip.weight")}
    if what == "of another":
        return {name: torch.cat([tensor, tensor]) for name, tensor in tensors.items()}
    return {**tensors, "ip_adapter.0.to_k_lora.down.weight": torch.ones(1)}


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("none", r"ip_adapters\[0\].source: .*not an IP-Adapter .* it has a"),
        ("face", r"ip_adapters\[0\].source: .*a face's identity .*to_k_lora.* takes no picture"),
        ("more", r"more than an IP-Adapter of this UNet2DConditionModel; no use for 99.to_k_ip.weight"),
        ("more of the picture's", r"not an IP-Adapter of this UNet2DConditionModel .*other"),
        ("less", r"not an IP-Adapter of this UNet2DConditionModel; it lacks '1.to_v_ip.weight'"),
        ("of another", r"not an IP-Adapter of this UNet2DConditionModel \(.*size mismatch"),
    ],
)
def test_every_tensor_has_a_place_or_is_named(what: str, message: str, tmp_path: Path) -> None:
    case = led("StableDiffusionPipeline")
    _, beside = made(case, tmp_path)
    tensors = load_file(beside / "ip.safetensors")
    save_file(wrong(tensors, what), beside / "ip.safetensors")
    with pytest.raises(FlowsynthError, match=message):
        frames(case, tmp_path, lines(beside))


def test_what_has_no_use_for_it_says_so_before_the_run(tmp_path: Path) -> None:
    case = led("StableDiffusionPipeline")
    _, beside = made(case, tmp_path)
    own = lines(beside)
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("StableDiffusionPipeline", own, r"inputs.image_prompt: another number; expected 1, .* given 0"),
        ("image_prompt", {}, r"inputs.image_prompt: another number; expected 0"),
        ("image_prompt", {"ip_adapters": own["ip_adapters"]}, r"components.image_encoder: missing"),
        ("image_prompt", {**own, "storage": "float8"}, r"storage: no use for it; expected null"),
        ("image_prompt", {"ip_adapters": [{"source": "x", "skale": 1}]}, r"skale: unknown key.*scale"),
    ]
    for name, spec, message in cases:
        given = CASES.get(name, case)
        with pytest.raises(FlowsynthError, match=message):
            frames(given, tmp_path, spec)
    adapters = {"ip_adapters": own["ip_adapters"]}
    build(CASES["WanPipeline"], tmp_path / "wan" / "model")
    with pytest.raises(FlowsynthError, match=r"ip_adapters: no use for it; expected none: WanPipeline"):
        frames(CASES["WanPipeline"], tmp_path / "wan", adapters)
    flux = CASES["FluxPipeline"]
    build(flux, tmp_path / "flux" / "model")
    pictured = Case(flux.build, flux.text, options={"negative_ip_adapter_image": "a.png"})
    with pytest.raises(FlowsynthError, match="negative_ip_adapter_image"):
        frames(pictured, tmp_path / "flux", {})

"""Weights load whole or are refused by name: folders, single files in every naming, motion adapters."""

from __future__ import annotations

import json
import re
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flowsynth.core.errors import InputError
from flowsynth.models import ModelManager, parse_model
from flowsynth.models.weights import check_safetensors
from tests.models.single_file import single_file, unet_name
from tests.tiny import tiny_sd

WEIGHTS = {
    "unet": "unet/diffusion_pytorch_model.safetensors",
    "vae": "vae/diffusion_pytorch_model.safetensors",
    "text_encoder": "text_encoder/model.safetensors",
}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    shutil.copytree(tiny_sd() / "base", tmp_path / "base")
    return tmp_path / "base"


def load(source: Any, **extra: Any) -> Any:
    return ModelManager(offline=True).load(parse_model("m", {"family": "sd", "source": source, **extra}))


def network(model: Any, kind: str) -> Any:
    return {"unet": lambda: model.unet, "vae": lambda: model.vae}.get(kind, lambda: model.text_encoder.net)()


def same(one: Any, other: Any) -> bool:
    a, b = one.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without(tensors: dict[str, torch.Tensor], part: str) -> str:
    """Take a tensor out of the middle of a network."""
    name = next(name for name in sorted(tensors) if part in name and name.endswith("weight"))
    tensors.pop(name)
    return name


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("pickled", [False, True])
def test_a_folder_lacks_nothing_and_holds_nothing_more(kind: str, pickled: bool, base: Path) -> None:
    file = base / WEIGHTS[kind]

    def write(tensors: dict[str, torch.Tensor]) -> Path:
        file.unlink(missing_ok=True)
        if not pickled:
            save_file(tensors, file, metadata={"format": "pt"})
            return file
        target = file.with_name("pytorch_model.bin" if kind == "text_encoder" else file.stem + ".bin")
        torch.save(tensors, target)
        return target

    tensors = load_file(file)
    whole = network(load(str(base)), kind)
    written = write(dict(tensors))
    assert same(network(load(str(base)), kind), whole)
    missing = without(tensors, "1")
    write(dict(tensors))
    with pytest.raises(InputError, match=f"{written.name}: lacks .* {re.escape(missing)}"):
        network(load(str(base)), kind)
    tensors = {**load_file(tiny_sd() / "base" / WEIGHTS[kind]), "other.weight": torch.ones(2)}
    write(tensors)
    with pytest.raises(InputError, match=rf"{written.name}: holds more than the .*: other.weight"):
        network(load(str(base)), kind)


def test_a_text_encoder_with_its_old_positions_is_whole(base: Path) -> None:
    file = base / WEIGHTS["text_encoder"]
    tensors = {f"text_model.{name}": tensor for name, tensor in load_file(file).items()}
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, file, metadata={"format": "pt"})
    assert same(load(str(base)).text_encoder.net, load(str(tiny_sd() / "base")).text_encoder.net)


@pytest.mark.sample(1)
@pytest.mark.parametrize("kind", WEIGHTS)
def test_a_single_file_gives_the_folder_s_weights_bit_for_bit(kind: str, base: Path, tmp_path: Path) -> None:
    tensors, file = single_file(base), tmp_path / "all.safetensors"
    save_file(tensors, file)
    source = {"file": str(file), "config": str(base)}
    assert same(network(load(source), kind), network(load(str(base)), kind))
    torch.save({"state_dict": {f"module.{k}": v for k, v in tensors.items()}}, tmp_path / "all.ckpt")
    wrapped = {"file": str(tmp_path / "all.ckpt"), "config": str(base)}
    assert same(network(load(wrapped), kind), network(load(str(base)), kind))


PREFIX = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "text_encoder": "cond_stage_model."}


@pytest.mark.parametrize("kind", PREFIX)
def test_a_single_file_lacks_nothing_and_holds_nothing_more(kind: str, base: Path, tmp_path: Path) -> None:
    tensors, file = single_file(base), tmp_path / "all.safetensors"
    source = {"file": str(file), "config": str(base)}
    part = {name: tensor for name, tensor in tensors.items() if name.startswith(PREFIX[kind])}
    without(part, "1")
    save_file(part, file)
    with pytest.raises(InputError, match=r"all.safetensors: lacks 1 tensors of a \w+: "):
        network(load(source), kind)
    extra = next(iter(sorted(part))).rpartition(".")[0] + ".surplus"
    save_file({**tensors, extra: torch.ones(2)}, file)
    with pytest.raises(InputError, match=r"all.safetensors: holds more than the tensors of this .*surplus"):
        network(load(source), kind)


def open_clip(weights: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """A text tower as OpenCLIP writes it, in SD 2.x's files."""
    found = {
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "positional_embedding": weights["embeddings.position_embedding.weight"],
        "ln_final.weight": weights["final_layer_norm.weight"],
        "ln_final.bias": weights["final_layer_norm.bias"],
        "text_projection": torch.ones(3, 3),
        "logit_scale": torch.tensor(1.0),
    }
    names = {
        "layer_norm1": "ln_1", "layer_norm2": "ln_2", "self_attn.out_proj": "attn.out_proj",
        "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj",
    }  # fmt: skip
    for i in range(layers):
        ours, theirs = f"encoder.layers.{i}.", f"transformer.resblocks.{i}."
        for leaf in ("weight", "bias"):
            parts = [weights[f"{ours}self_attn.{p}_proj.{leaf}"] for p in "qkv"]
            found[f"{theirs}attn.in_proj_{leaf}"] = torch.cat(parts)
            for one, other in names.items():
                found[f"{theirs}{other}.{leaf}"] = weights[f"{ours}{one}.{leaf}"]
    return {f"cond_stage_model.model.{name}": tensor for name, tensor in found.items()}


def test_open_clip_s_text_tower_is_read(base: Path, tmp_path: Path) -> None:
    tensors = {k: v for k, v in single_file(base).items() if not k.startswith("cond_stage_model.")}
    tensors |= open_clip(load_file(base / WEIGHTS["text_encoder"]), layers=3)
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "two.safetensors")
    model = load({"file": str(tmp_path / "two.safetensors"), "config": str(base)})
    assert same(model.text_encoder.net, load(str(base)).text_encoder.net)


def test_a_controlnet_in_the_original_names_is_read(tmp_path: Path) -> None:
    folder = tiny_sd() / "controlnet_lines"
    named = {}
    for name, tensor in load_file(folder / "diffusion_pytorch_model.safetensors").items():
        head, _, rest = name.partition(".")
        if head == "controlnet_down_blocks":
            index, leaf = rest.split(".")
            theirs = f"zero_convs.{index}.0.{leaf}"
        elif head == "controlnet_mid_block":
            theirs = f"middle_block_out.0.{rest}"
        elif head == "controlnet_cond_embedding":
            order = ["conv_in", "blocks.0", "blocks.1", "blocks.2", "blocks.3", "conv_out"]
            layer, _, leaf = rest.rpartition(".")
            theirs = f"input_hint_block.{2 * order.index(layer)}.{leaf}"
        else:
            theirs = unet_name(name).removeprefix("model.diffusion_model.")
        named[f"control_model.{theirs}"] = tensor
    torch.save(named, tmp_path / "lines.pth")
    nets = {"a": {"file": str(tmp_path / "lines.pth"), "config": str(folder)}, "b": str(folder)}
    model = load(str(tiny_sd() / "base"), controlnets=nets)
    assert same(model.controlnet("a"), model.controlnet("b"))
    undescribed = load(str(tiny_sd() / "base"), controlnets={"a": {"file": str(tmp_path / "lines.pth")}})
    with pytest.raises(InputError, match=r"lines.pth: a single file needs config"):
        undescribed.controlnet("a")


def animatediff(folder: Path) -> dict[str, torch.Tensor]:
    """A motion adapter as AnimateDiff publishes it, trained data parallel."""
    ours = {
        "attn1": "attention_blocks.0", "attn2": "attention_blocks.1", "norm1": "norms.0",
        "norm2": "norms.1", "norm3": "ff_norm",
    }  # fmt: skip
    found = {}
    for name, tensor in load_file(folder / "diffusion_pytorch_model.safetensors").items():
        match = re.fullmatch(r"(.+motion_modules\.\d+)\.([^.]+)\.(.+)", name)
        assert match is not None
        head, module, rest = match.groups()
        rest = rest.replace("pos_embed.pe", "attention_blocks.0.pos_encoder.pe")
        for one, other in ours.items():
            rest = re.sub(rf"\b{one}\b", other, rest)
        found[f"module.{head}.temporal_transformer.{module}.{rest}"] = tensor
    for name in [n for n in found if n.endswith("ff_norm.weight")]:
        stem = name.removesuffix("ff_norm.weight")
        for i in (0, 1):
            width = found[name].shape[0]
            found[f"{stem}attention_blocks.{i}.pos_encoder.pe"] = torch.zeros(1, 16, width)
    return found


@pytest.mark.parametrize("described", [True, False])
def test_an_original_motion_adapter_is_read_without_the_hub(
    described: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the hub was asked")

    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", refuse)
    folder = tiny_sd() / "motion_adapter"
    torch.save({"state_dict": animatediff(folder), "epoch": 3}, tmp_path / "mm.ckpt")
    source: dict[str, str] = {"file": str(tmp_path / "mm.ckpt")}
    if described:
        source["config"] = str(folder)
    model = load(str(tiny_sd() / "base"), motion=source)
    if described:
        assert same(model.unet, load(str(tiny_sd() / "base"), motion=str(folder)).unet)
    else:
        with pytest.raises(InputError, match="MotionAdapter"):
            _ = model.unet  # of another number of heads and groups than AnimateDiff's: told, not guessed


def test_the_config_of_a_motion_adapter_acts(tmp_path: Path) -> None:
    folder = tiny_sd() / "motion_adapter"
    torch.save(animatediff(folder), tmp_path / "mm.ckpt")
    config = json.loads((folder / "config.json").read_text())
    shutil.copytree(folder, tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text(json.dumps({**config, "motion_max_seq_length": 9}))
    motion = {"file": str(tmp_path / "mm.ckpt"), "config": str(tmp_path / "other")}
    with pytest.raises(InputError, match=r"mm.ckpt: its table holds 16 positions; .*_max_seq_length 9"):
        _ = load(str(tiny_sd() / "base"), motion=motion).unet


def _document(header: object, data: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def _entry(dtype: str, shape: list[Any], start: int, stop: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, stop]}


DAMAGED: dict[str, tuple[bytes, str]] = {
    "a name twice": (
        _document(b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":1}', bytes(4)),
        "names a twice",
    ),
    "an overlap": (
        _document({"a": _entry("F32", [2], 0, 8), "b": _entry("F32", [1], 4, 8)}, bytes(8)),
        "the bytes of b overlap or leave a hole",
    ),
    "a hole": (
        _document({"a": _entry("F32", [1], 4, 8)}, bytes(8)),
        "the bytes of a overlap or leave a hole",
    ),
    "another shape": (
        _document({"a": _entry("F32", [3], 0, 8)}, bytes(8)),
        r"a has 8 bytes; expected 12 for F32 of \(3,\)",
    ),
    "a negative size": (
        _document({"a": _entry("F32", [-1], 0, 8)}, bytes(8)),
        "shape and place of a are no sizes",
    ),
    "a text for a size": (_document({"a": _entry("F32", ["2"], 0, 8)}, bytes(8)), "are no sizes"),
    "an unknown dtype": (
        _document({"a": _entry("F13", [2], 0, 8)}, bytes(8)),
        "a is of the unknown dtype F13",
    ),
    "no entry": (_document({"a": 5}, b""), "its entry of a is none"),
    "a list": (_document([], b""), "its header is not JSON"),
    "deep nesting": (_document(b"[" * 100_000, b""), "its header is not JSON"),
    "cut short": (_document({"a": _entry("F32", [2], 0, 8)}, bytes(7)), "truncated safetensors file"),
    "more than said": (_document({"a": _entry("F32", [2], 0, 8)}, bytes(9)), "too long safetensors file"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damaged_safetensors_get_one_message_with_the_file_s_name(case: str, base: Path) -> None:
    data, message = DAMAGED[case]
    file = base / WEIGHTS["unet"]
    file.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        check_safetensors(file)
    assert str(file) in str(caught.value)
    with pytest.raises(InputError, match=message):
        _ = load(str(base)).unet


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
@pytest.mark.parametrize("kind", WEIGHTS)
def test_quantised_networks_are_refused(kind: str, dtype: torch.dtype, base: Path, tmp_path: Path) -> None:
    file = base / WEIGHTS[kind]
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("weight"))
    tensors[name] = tensors[name].to(dtype)
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"{file.name}: {re.escape(name)} is .*quantised"):
        network(load(str(base)), kind)
    if kind != "text_encoder":
        single = {"file": str(file), "config": str(base)}
        with pytest.raises(InputError, match=f"{file.name}: {re.escape(name)} is .*quantised"):
            network(load(single), kind)


def test_loading_draws_nothing_from_the_global_generator(base: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    save_file(single_file(base), base / "all.safetensors")
    torch.manual_seed(3)
    _ = load({"file": str(base / "all.safetensors"), "config": str(base)}).unet
    _ = load(str(tiny_sd() / "base")).unet
    assert torch.equal(torch.rand(1), expected)

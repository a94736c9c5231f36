"""What a part reads is its identity, and resident parts are kept by it, never by path."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from flowsynth.models import ModelManager, model_fingerprint, parse_model
from flowsynth.models.requests import EncodeSettings
from tests.models.single_file import single_file
from tests.tiny import as_sd, tiny_sd

_opened: list[str] | None = None


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], (str, bytes, os.PathLike)):
        _opened.append(os.fsdecode(arguments[0]))


@lru_cache(maxsize=1)
def _listen() -> None:
    """Once a process, and not before it is needed: a hook stays, and hears of all that is opened."""
    sys.addaudithook(_hook)


def opened_by(work: Callable[[], object], folder: Path) -> set[Path]:
    """The files inside a folder that some work opens."""
    global _opened
    _listen()
    _opened = []
    try:
        work()
        found = [Path(name).resolve() for name in _opened]
    finally:
        _opened = None
    return {path for path in found if path.is_relative_to(folder.resolve()) and path.is_file()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Every kind of file that a model may name."""
    shutil.copytree(tiny_sd(), tmp_path / "sd")
    root = tmp_path / "sd"
    save_file(single_file(root / "base"), root / "all.safetensors")
    shutil.copy(root / "base" / "vae" / "diffusion_pytorch_model.safetensors", root / "vae.safetensors")
    shutil.copytree(root / "base" / "vae", root / "vae_config" / "vae")
    save_file({"<w>": torch.randn(1, 32)}, root / "word.safetensors")
    torch.save(load_file(root / "controlnet_tile" / "diffusion_pytorch_model.safetensors"), root / "tile.pth")
    peft = {f"base_model.model.conv_in.lora_{k}.weight": torch.ones(s) for k, s in
            (("A", (2, 4, 3, 3)), ("B", (16, 2, 1, 1)))}  # fmt: skip
    (root / "peft").mkdir()
    save_file(peft, root / "peft" / "adapter_model.safetensors")
    (root / "peft" / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "lora_alpha": 1}))
    for i, part in enumerate(("unet", "vae", "text_encoder")):
        # Nobody reads these: other variants and formats, pictures, notes.
        for name in ("model.fp16.safetensors", "pytorch_model.bin", "optimizer.pt", "README.md"):
            (root / "base" / part / name).write_bytes(bytes([i]) * 9)
    return root


def specs(root: Path) -> dict[str, dict[str, Any]]:
    base = str(root / "base")
    return {
        "folder": {"source": base},
        "single file": {"source": {"file": str(root / "all.safetensors"), "config": base}},
        "everything": {
            "source": base,
            "vae": {"file": str(root / "vae.safetensors"), "config": str(root / "vae_config")},
            "motion": str(root / "motion_adapter"),
            "controlnets": {
                "lines": str(root / "controlnet_lines"),
                "tile": {"file": str(root / "tile.pth"), "config": str(root / "controlnet_tile")},
            },
            "loras": [{"source": str(root / "lora")}, {"source": str(root / "peft")}],
            "textual_inversion": [{"source": str(root / "word.safetensors"), "token": "<w>"}],
        },
    }


CASES = ("folder", "single file", "everything")


def use(spec: Any) -> dict[str, torch.Tensor]:
    """Load all parts of a model, and say what they are made of."""
    model = as_sd(ModelManager(offline=True).load(spec))
    nets = {"unet": model.unet, "vae": model.vae, "text": model.text_encoder.net}
    nets |= {name: model.controlnet(name) for name in spec.controlnets}
    model.scheduler()
    model.text_states(["a red <w> cat"])
    return {
        f"{kind}.{name}": tensor for kind, net in nets.items() for name, tensor in net.state_dict().items()
    }


def edited(path: Path) -> None:
    """Another content of the same size or one more space: what any reader may not take for the old one."""
    data = bytearray(path.read_bytes())
    if path.suffix in (".json", ".txt"):
        path.write_bytes(bytes(data) + b"\n")
    else:
        data[-3] ^= 1
        path.write_bytes(bytes(data))


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", CASES)
def test_every_file_that_is_opened_while_loading_is_in_the_fingerprint(case: str, root: Path) -> None:
    spec = parse_model("m", {"family": "sd", **specs(root)[case]})
    read = opened_by(lambda: use(spec), root)
    assert {path.name for path in read} >= {"config.json", "tokenizer_config.json", "scheduler_config.json"}
    before = model_fingerprint(spec)
    for path in sorted(read):
        kept = path.read_bytes()
        edited(path)
        assert model_fingerprint(spec) != before, f"{path.relative_to(root)} is read, but not identified"
        path.write_bytes(kept)
    assert model_fingerprint(spec) == before


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", CASES)
def test_no_file_outside_the_fingerprint_matters(case: str, root: Path) -> None:
    """Native readers open files unseen: so whatever the fingerprint leaves out is made unreadable."""
    spec = parse_model("m", {"family": "sd", **specs(root)[case]})
    expected, before = use(spec), model_fingerprint(spec)
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        kept = path.read_bytes()
        path.write_bytes(b"\0" * 20)
        try:
            outside = model_fingerprint(spec) == before
        except Exception:
            outside = False  # it was missed at once
        if not outside:
            path.write_bytes(kept)
    made = use(spec)
    assert made.keys() == expected.keys()
    assert all(torch.equal(made[name], expected[name]) for name in made)


def test_another_configuration_beside_the_same_file_is_another_model(root: Path) -> None:
    prints, made = [], []
    for scale in (0.18215, 0.5):
        folder = root / f"scaled{scale}"
        folder.mkdir()
        config = json.loads((root / "base" / "vae" / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "scaling_factor": scale}))
        source = {"file": str(root / "vae.safetensors"), "config": str(folder)}
        spec = parse_model("m", {"family": "sd", "source": str(root / "base"), "vae": source})
        prints.append(model_fingerprint(spec, parts=("vae",)))
        model = as_sd(ModelManager().load(spec))
        made.append(model.encode_frames(torch.ones(1, 3, 32, 32), EncodeSettings()).std())
    assert prints[0] != prints[1]
    assert made[0] != made[1]


def test_a_word_that_is_its_file_s_name_is_part_of_the_identity(root: Path) -> None:
    torch.save({"emb_params": torch.ones(1, 32)}, root / "cat.pt")
    shutil.copy(root / "cat.pt", root / "dog.pt")
    base = {"family": "sd", "source": str(root / "base")}
    words = [[{"source": str(root / f"{name}.pt")}] for name in ("cat", "dog")]
    cat, dog = (parse_model("m", {**base, "textual_inversion": word}) for word in words)
    assert model_fingerprint(cat) != model_fingerprint(dog)


def replaced(path: Path, write: Callable[[Path], object]) -> None:
    """Put another file in the place of one, as trainers and editors do."""
    write(path.with_name("new" + path.suffix))
    path.with_name("new" + path.suffix).replace(path)


def _word(path: Path) -> None:
    save_file({"<w>": torch.randn(1, 32)}, path)


def _lora(path: Path) -> None:
    tensors = load_file(tiny_sd() / "lora" / "pytorch_lora_weights.safetensors")
    save_file({name: tensor * 3 for name, tensor in tensors.items()}, path)


def _vocabulary(path: Path) -> None:
    data = json.loads((tiny_sd() / "base" / "tokenizer" / "tokenizer.json").read_text())
    table = data["model"]["vocab"]
    table["d</w>"], table["e</w>"] = table["e</w>"], table["d</w>"]
    path.write_text(json.dumps(data))


def _weights(path: Path) -> None:
    tensors = load_file(tiny_sd() / "base" / "text_encoder" / "model.safetensors")
    save_file({name: tensor * 1.5 for name, tensor in tensors.items()}, path, metadata={"format": "pt"})


SWAPS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "a learned word": ("word.safetensors", _word),
    "a LoRA": ("lora/pytorch_lora_weights.safetensors", _lora),
    "a vocabulary": ("base/tokenizer/tokenizer.json", _vocabulary),
    "a text encoder": ("base/text_encoder/model.safetensors", _weights),
}


@pytest.mark.sample(1)
@pytest.mark.parametrize("case", SWAPS)
def test_a_file_replaced_between_two_uses_of_one_manager_is_read_anew(case: str, root: Path) -> None:
    name, write = SWAPS[case]
    extra = {
        "loras": [{"source": str(root / "lora")}],
        "textual_inversion": [{"source": str(root / "word.safetensors"), "token": "<w>"}],
    }
    spec = parse_model("m", {"family": "sd", "source": str(root / "base"), **extra})

    def result(manager: ModelManager) -> torch.Tensor:
        model: Any = manager.load(spec)
        text = model.text_states(["d e f <w> cat"])
        with torch.no_grad():
            noise = model.unet(torch.ones(1, 4, 8, 8), 10, encoder_hidden_states=text).sample
        return torch.cat([text.flatten(), noise.flatten()])

    one = ModelManager()
    before = result(one)
    kept = (root / name).read_bytes()
    replaced(root / name, write)
    after = result(one)
    assert not torch.equal(before, after)
    assert torch.equal(after, result(ModelManager()))
    replaced(root / name, lambda path: path.write_bytes(kept))
    assert torch.equal(result(one), before)


def test_the_same_files_elsewhere_share_their_parts(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "base", tmp_path / "copy")
    manager = ModelManager()
    one, two = (
        as_sd(manager.load(parse_model("m", {"family": "sd", "source": str(folder)})))
        for folder in (root / "base", tmp_path / "copy")
    )
    assert one.unet is two.unet
    assert one._tokenizer() is two._tokenizer()

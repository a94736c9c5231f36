"""What a LoRA's metadata asks for: peft's configuration, in the file's header or beside it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsynth.core.errors import InputError
from flowsynth.core.filehash import watch_folder
from flowsynth.models.diffusion.lora.file import Component, LoraFile, LoraLayer

#: peft's name of its weights; ``adapter_config.json`` lies beside it.
PEFT_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
PEFT_CONFIG = "adapter_config.json"
#: The entry in a safetensors header where diffusers keeps the same.
_HEADER = "lora_adapter_metadata"
#: Settings that act here, or that act in training and on the choice of layers only.
_KNOWN = frozenset({
    "r", "lora_alpha", "alpha_pattern", "rank_pattern", "use_rslora", "use_dora", "lora_dropout",
    "target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "base_model_name_or_path",
    "revision", "task_type", "inference_mode", "auto_mapping", "peft_version", "runtime_config",
    "ensure_weight_tying", "megatron_core", "qalora_group_size", "eva_config", "loftq_config",
    "peft_type", "init_lora_weights", "swift_type", "lorap_lr_ratio", "lorap_emb_lr", "lora_dtype",
})  # fmt: skip
#: Ways to begin training that leave the base's weights as they are; the others change them.
_PLAIN_STARTS = (True, False, None, "gaussian", "orthogonal", "eva", "true", "false")


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """How the layers of one network are scaled.

    Attributes:
        alpha: numerator of the scale; None where it is the rank, so that the scale is 1.
        alphas: pattern of layers -> their own alpha.
        rooted: divided by the root of the rank, as rsLoRA does (arXiv 2312.03732).
    """

    alpha: float | None = None
    alphas: Mapping[str, float] = field(default_factory=dict)
    rooted: bool = False

    def scale(self, layer: LoraLayer, module: str) -> float:
        """The factor on up @ down: of the layer's own alpha, or the configuration's.

        Args:
            layer: with its tensors.
            module: its name in the network.
        """
        rank = layer.rank
        alpha = rank if self.alpha is None else self.alpha
        for pattern, own in self.alphas.items():
            if re.fullmatch(rf"(.*\.)?({pattern})", module):
                alpha = own
                break
        if "alpha" in layer.tensors:
            alpha = float(layer.tensors["alpha"])
        return alpha / (math.sqrt(rank) if self.rooted else rank)


def config_file(weights: Path) -> Path | None:
    """Peft's configuration beside its weights, if there is one: it belongs to the adapter's identity."""
    if weights.name not in PEFT_WEIGHTS:
        return None
    watch_folder(weights.parent)
    beside = weights.parent / PEFT_CONFIG
    return beside if beside.is_file() else None


def lora_config(file: LoraFile, metadata: Mapping[str, str], component: Component) -> LoraConfig:
    """What the metadata says of one network's layers.

    Args:
        file: the adapter.
        metadata: of its header.
        component: the network.

    Raises:
        InputError: it asks for what is no LoRA, or for a kind that is not applied here.
    """
    beside = config_file(file.path)
    if beside is not None:
        return _read(file, _mapping(beside, beside.read_text(encoding="utf-8")), component)
    if _HEADER not in metadata:
        return LoraConfig()
    found = _mapping(file.path, metadata[_HEADER])
    own = {k.removeprefix(f"{component}."): v for k, v in found.items() if k.startswith(f"{component}.")}
    bare = {k: v for k, v in found.items() if "." not in k}
    return _read(file, own or bare, component)


def _mapping(path: Path, text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InputError(f"{path}: the LoRA's metadata is not JSON ({error})") from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: the LoRA's metadata is a {type(found).__name__}; expected a mapping")
    return found


def _read(file: LoraFile, data: Mapping[str, Any], component: Component) -> LoraConfig:
    kind = data.get("swift_type", data.get("peft_type", "LORA"))  # ms-swift names its own kinds besides
    if str(kind).rpartition(".")[2] != "LORA":
        raise InputError(f"{file.path}: an adapter of type {kind}; expected LORA")
    if data.get("init_lora_weights", True) not in _PLAIN_STARTS:
        raise InputError(
            f"{file.path}: init_lora_weights {data['init_lora_weights']!r} changed the base's weights, which"
            " these are not; save the adapter converted to a plain LoRA"
        )
    acting = {
        name: value
        for name, value in data.items()
        if name not in _KNOWN and value not in (None, False, "none", [], {})
    }
    if acting:
        settings = ", ".join(f"{name}: {value!r}" for name, value in sorted(acting.items()))
        raise InputError(f"{file.path}: its metadata asks for what is not applied here ({settings})")
    magnitudes = any("magnitude" in layer.tensors for layer in file.layers[component].values())
    if data.get("use_dora") and not magnitudes:
        raise InputError(f"{file.path}: its metadata says use_dora, but it holds no magnitudes")
    try:
        alpha = None if data.get("lora_alpha") is None else float(data["lora_alpha"])
        alphas = {str(k): float(v) for k, v in (data.get("alpha_pattern") or {}).items()}
    except (TypeError, ValueError, AttributeError):
        raise InputError(
            f"{file.path}: lora_alpha and alpha_pattern of its metadata are no numbers"
        ) from None
    return LoraConfig(alpha, alphas, bool(data.get("use_rslora", False)))

"""The layers of a LoRA file, whatever names its trainer gave its tensors.

Known are the layouts of diffusers (today's and the older ones with ``processor``), of peft (bare, or behind
``base_model.model.``), of kohya's scripts (``lora_unet_...`` in diffusers' or in the original names) and of
ComfyUI (``diffusion_model.``). Every tensor has a place in one of its layers, or the file is refused
with its name: LoHa, LoKr, (IA)^3, OFT, full differences, Tucker factors and biases are no LoRA.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from flowsynth.core.errors import InputError

if TYPE_CHECKING:
    import torch

#: Name of the network that a layer is of, as a pipeline's folder calls it.
Component: TypeAlias = str
Role: TypeAlias = Literal["down", "up", "alpha", "magnitude"]

#: Stands for whatever network predicts the noise: files of transformers say ``unet`` too.
_DENOISER = "unet"
#: What a name begins with -> the network; longer ones first.
_PREFIXES: tuple[tuple[str, Component], ...] = (
    ("text_encoders.clip_l.transformer.", "text_encoder"),
    ("cond_stage_model.transformer.", "text_encoder"),
    ("model.diffusion_model.", "unet"),
    ("diffusion_model.", "unet"),
    ("text_encoder_2.", "text_encoder_2"),
    ("text_encoder_3.", "text_encoder_3"),
    ("text_encoder.", "text_encoder"),
    ("transformer_2.", "transformer_2"),
    ("transformer.", "unet"),
    ("lora_unet_", "unet"),
    ("lora_te1_", "text_encoder"),
    ("lora_te2_", "text_encoder_2"),
    ("lora_te3_", "text_encoder_3"),
    ("lora_te_", "text_encoder"),
    ("unet.", "unet"),
)
_WRAPPERS = ("base_model.model.",)
_TEXT = re.compile(r"text_model[._]|encoder[._]layers[._]|embeddings[._]")
#: ``.NAME`` of an adapter stands inside names that peft's own state has.
_ADAPTER = r"(?:\.(?!weight)\w+)?"
_DOWN = rf"\.(?:lora_A|lora_down|lora\.down|lora_linear_layer\.down){_ADAPTER}\.weight"
_UP = rf"\.(?:lora_B|lora_up|lora\.up|lora_linear_layer\.up){_ADAPTER}\.weight"
_MAGNITUDE = rf"\.(?:dora_scale|lora_magnitude_vector{_ADAPTER}(?:\.weight)?)"
_ROLES: tuple[tuple[re.Pattern[str], Role], ...] = (
    (re.compile(rf"(?P<module>.+?){_DOWN}"), "down"),
    (re.compile(rf"(?P<module>.+?){_UP}"), "up"),
    (re.compile(r"(?P<module>.+?)\.alpha"), "alpha"),
    (re.compile(rf"(?P<module>.+?){_MAGNITUDE}"), "magnitude"),
)
#: diffusers' older names: ``attn1.processor.to_q_lora.down.weight``, ``self_attn.to_q_lora.up.weight``.
_OLD = re.compile(r"(?P<module>.+?)(?:\.processor)?\.to_(?P<part>q|k|v|out)_lora\.(?P<role>down|up)\.weight")
_OLD_TEXT = {"q": "q_proj", "k": "k_proj", "v": "v_proj", "out": "out_proj"}
_OLD_UNET = {"q": "to_q", "k": "to_k", "v": "to_v", "out": "to_out.0"}


@dataclass(slots=True)
class LoraLayer:
    """One layer's update: up @ down, times alpha / rank.

    Attributes:
        module: the layer's name in the file, without prefixes.
        names: role -> name of its tensor in the file.
        tensors: role -> the tensor.
    """

    module: str
    names: dict[Role, str] = field(default_factory=dict)
    tensors: dict[Role, torch.Tensor] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """Rows of the first factor."""
        return int(self.tensors["down"].shape[0])


@dataclass(frozen=True, slots=True)
class LoraFile:
    """What a file holds: layers by network and by their names in the file."""

    path: Path
    layers: Mapping[Component, Mapping[str, LoraLayer]]


def parse_lora(
    path: Path,
    tensors: Mapping[str, Any],
    denoiser: Component = _DENOISER,
    others: Collection[Component] = ("text_encoder",),
) -> LoraFile:
    """Sort the tensors of a file into layers.

    Args:
        path: the file, for messages.
        tensors: by name, or what stands for them and has their shape.
        denoiser: the network that predicts the noise.
        others: further networks that the model has.

    Raises:
        InputError: no LoRA, or tensors that belong to no layer of one.
    """
    networks = {name: name for name in others} | {_DENOISER: denoiser}
    layers: dict[Component, dict[str, LoraLayer]] = {name: {} for name in networks.values()}
    strange = []
    for name, tensor in tensors.items():
        found = _place(name)
        if found is None or found[0] not in networks:
            strange.append(name)
            continue
        component, module, role = found
        layer = layers[networks[component]].setdefault(module, LoraLayer(module))
        if role in layer.names:
            raise InputError(f"{path}: {name} and {layer.names[role]} name one tensor")
        layer.names[role], layer.tensors[role] = name, tensor
    every = [layer for group in layers.values() for layer in group.values()]
    if strange or not every:
        kind = "not a LoRA of this model" if not every else "more than a LoRA"
        raise InputError(f"{path}: {kind}; no LoRA's layer has {some_of(strange) or 'nothing'}")
    halves = [
        name for layer in every if not {"down", "up"} <= layer.names.keys() for name in layer.names.values()
    ]
    if halves:
        raise InputError(f"{path}: not a whole LoRA; the other half is missing of {some_of(halves)}")
    return LoraFile(path, layers)


def _place(name: str) -> tuple[Component, str, Role] | None:
    """Network, module and role of a tensor; None where it is no part of a LoRA."""
    component, rest = _component(name)
    old = _OLD.fullmatch(rest)
    if old is not None:
        parts = _OLD_TEXT if component.startswith("text_encoder") else _OLD_UNET
        return component, f"{old['module']}.{parts[old['part']]}", "down" if old["role"] == "down" else "up"
    for pattern, role in _ROLES:
        match = pattern.fullmatch(rest)
        if match is not None:
            return component, match["module"], role
    return None


def _component(name: str) -> tuple[Component, str]:
    """The network that a name is of, and the rest of the name."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    for prefix, component in _PREFIXES:
        if name.startswith(prefix):
            rest = name.removeprefix(prefix)
            return component, rest.removeprefix(_WRAPPERS[0])
    return ("text_encoder" if _TEXT.match(name) else "unet"), name


def some_of(names: Iterable[str], limit: int = 6) -> str:
    """Names for a message, cut when they are many."""
    names = sorted(names)
    more = f", ... ({len(names)} in all)" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more

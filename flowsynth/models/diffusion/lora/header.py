"""A LoRA held against a model by the headers of their files, before anything is loaded: no torch here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.lora.apply import placed
from flowsynth.models.diffusion.lora.config import lora_config
from flowsynth.models.diffusion.lora.file import Component, LoraFile, LoraLayer, parse_lora
from flowsynth.models.diffusion.names import aliases
from flowsynth.models.weights import read_metadata, tensor_shapes

#: Shapes of the weights of a network's layers, by the layer's name.
Weights: TypeAlias = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Shaped:
    """Stands for a tensor of which the shape is known."""

    shape: tuple[int, ...]


def read_header(path: Path, denoiser: Component, others: Collection[Component]) -> LoraFile:
    """The layers of a file, without their tensors; see `parse_lora`.

    Raises:
        InputError: no LoRA, or more than one.
    """
    shapes = tensor_shapes(path)
    return parse_lora(path, {name: Shaped(shape) for name, shape in shapes.items()}, denoiser, others)


def require_fits(file: LoraFile, networks: Mapping[Component, Weights]) -> None:
    """Raise unless all layers of a file are layers of a model, of its shapes, and its metadata can act.

    Args:
        file: from `read_header`.
        networks: the model's, as far as they are known.

    Raises:
        InputError: says what does not fit.
    """
    metadata = read_metadata(file.path)
    for component, layers in file.layers.items():
        if layers:
            lora_config(file, metadata, component)
        if layers and component in networks:
            weights = networks[component]
            for module, layer in placed(file, component, aliases(weights)).items():
                _require_shape(file, layer, weights[module])


def _require_shape(file: LoraFile, layer: LoraLayer, weight: tuple[int, ...]) -> None:
    down, up = (layer.tensors[role].shape for role in ("down", "up"))
    rank, out = (down or (0,))[0], (weight or (0,))[0]
    # Factors of convolutions may be kept as matrices: numbers are counted.
    if prod(down) * out != rank * prod(weight) or prod(up) != out * rank:
        raise InputError(
            f"{file.path}: not a LoRA of this model; {layer.names['down']} has shape {tuple(down)} and"
            f" {layer.names['up']} {tuple(up)}, which do not make the {tuple(weight)} of {layer.module}"
        )

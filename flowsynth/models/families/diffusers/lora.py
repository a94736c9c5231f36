"""LoRAs on any part of a pipeline: applied layer by layer, or refused with the names of what has no place.

Files name layers as diffusers does, or as the code that their model was published with. The latter are
converted by the class's own loader of diffusers, and every tensor has to leave a trace in what comes out.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.lora.apply import Adapter, layer_names, with_loras
from flowsynth.models.diffusion.lora.declared import adapter_file
from flowsynth.models.diffusion.lora.file import LoraFile, parse_lora, some_of
from flowsynth.models.families.diffusers.spec import PartLora
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import read_metadata, read_weights, tensors_only

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]


def with_part_loras(
    net: Any, part: str, loras: Sequence[PartLora], parts: Collection[str], pipeline: Any, *, offline: bool
) -> Any:
    """A part with those LoRAs that concern it; the part itself if none does.

    Args:
        net: the loaded network.
        part: its name in the pipeline.
        loras: all of the model's, in order.
        parts: names of all networks of the pipeline.
        pipeline: its class.
        offline: never touch the network.

    Raises:
        InputError: a file that holds anything besides a LoRA of this pipeline.
    """
    names = layer_names(net)
    adapters = []
    for lora in loras:
        path = adapter_file(lora, offline=offline)
        tensors = tensors_only(read_weights(path))
        file = _read(path, tensors, part, names, lora.part or _denoiser(parts), parts, pipeline)
        adapters.append(Adapter(file, read_metadata(path), lora.scale))
    return with_loras(net, part, adapters)


def _denoiser(parts: Collection[str]) -> str:
    return next((name for name in ("unet", "transformer", "prior") if name in parts), "unet")


def _read(
    path: Path,
    tensors: Tensors,
    part: str,
    names: Mapping[str, str],
    denoiser: str,
    parts: Collection[str],
    pipeline: Any,
) -> LoraFile:
    """The layers of a file under names that a part's layers have, if there are such."""
    try:
        file = parse_lora(path, tensors, denoiser, parts)
        if all(name in names for name in file.layers.get(part, ())):
            return file
        refused: InputError | None = None
    except InputError as error:
        refused = error
    converted = _converted(path, tensors, pipeline)
    if converted is not None:
        return parse_lora(path, converted, denoiser, parts)
    if refused is not None:
        raise refused
    return file


def _converted(path: Path, tensors: Tensors, pipeline: Any) -> dict[str, torch.Tensor] | None:
    """The tensors under diffusers' names; None where its loader knows no other names for this class.

    Raises:
        InputError: tensors that the loader passes over.
    """
    import torch

    loader = getattr(pipeline, "lora_state_dict", None)
    if loader is None:
        return None
    with torch.enable_grad():
        traced = {name: _traced(name, tensor) for name, tensor in tensors.items()}
        try:
            with quiet():
                found = loader(dict(traced))
        except Exception:  # whatever it raises on names that it does not know
            return None
        state: dict[str, torch.Tensor] = found[0] if isinstance(found, tuple) else found
        if set(state) == set(tensors):
            return None
        idle = _untouched(traced, state)
    if idle:
        raise InputError(
            f"{path}: more than a LoRA of {pipeline.__name__}; it has no use for {some_of(idle)}"
        )
    return {name: tensor.detach() for name, tensor in state.items()}


def _traced(name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A copy that remembers what becomes of it; alphas are read as numbers, which leave no trace."""
    return tensor.detach().clone().requires_grad_(tensor.is_floating_point() and not name.endswith("alpha"))


def _untouched(traced: Tensors, state: Tensors) -> list[str]:
    """Names of the tensors that nothing in a converted state depends on."""
    totals = [tensor.float().sum() for tensor in state.values() if tensor.requires_grad]
    if totals:
        sum(totals[1:], totals[0]).backward()
    return [name for name, tensor in traced.items() if tensor.requires_grad and tensor.grad is None]

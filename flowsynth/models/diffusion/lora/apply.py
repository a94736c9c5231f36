"""Put LoRAs into a network: a variant that shares the base's tensors, each update as its file says."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.lora.config import lora_config
from flowsynth.models.diffusion.lora.file import Component, LoraFile, LoraLayer, Role, some_of
from flowsynth.models.diffusion.names import aliases
from flowsynth.models.diffusion.sharing import sharing_copy

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Adapter:
    """One LoRA to apply.

    Attributes:
        file: its layers.
        metadata: of its file's header.
        scale: factor on all of it.
    """

    file: LoraFile
    metadata: Mapping[str, str]
    scale: float


def with_loras(net: Any, component: Component, adapters: Sequence[Adapter]) -> Any:
    """A variant of a network with adapters, in order; the network itself if none concerns it.

    Args:
        net: any network of diffusers or transformers.
        component: which of a model's it is.
        adapters: all of the model's; those without layers for this network leave it alone.

    Raises:
        InputError: layers that the network does not have, tensors of other shapes, metadata that cannot act.
    """
    concerned = [adapter for adapter in adapters if adapter.file.layers.get(component)]
    if not concerned:
        return net
    known = layer_names(net)
    variant = sharing_copy(net)
    for i, adapter in enumerate(concerned):
        layers = placed(adapter.file, component, known)
        config = lora_config(adapter.file, adapter.metadata, component)
        scales = {module: config.scale(layer, module) * adapter.scale for module, layer in layers.items()}
        with _no_warning(adapter.file):
            _add(variant, f"lora{i}", adapter.file, layers, scales)
    return _settled(variant, net, len(concerned))


def layer_names(net: Any) -> dict[str, str]:
    """Every name that an adapter may call a network's layer -> its own."""
    return aliases(
        name for name, module in net.named_modules() if getattr(module, "weight", None) is not None
    )


def placed(file: LoraFile, component: Component, known: Mapping[str, str]) -> dict[str, LoraLayer]:
    """Layers by the network's own names.

    Raises:
        InputError: layers that the network does not have, or has once for two of the file.
    """
    found: dict[str, LoraLayer] = {}
    lost: list[str] = []
    for name, layer in file.layers[component].items():
        module = known.get(name)
        if module is None:
            lost += layer.names.values()
        elif module in found:
            raise InputError(
                f"{file.path}: {name} and {found[module].module} are one layer of this {component}"
            )
        else:
            found[module] = layer
    if lost:
        raise InputError(
            f"{file.path}: not a LoRA of this model; its {component} has no layers for {some_of(lost)}"
        )
    return found


@contextmanager
def _no_warning(file: LoraFile) -> Iterator[None]:
    """Whatever peft merely warns of would be an adapter that acts differently than its file says."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")  # several LoRAs
        yield
    for item in caught:
        if "peft" in item.filename:
            raise InputError(f"{file.path}: cannot be applied as it is ({item.message})")


def _add(
    net: Any, name: str, file: LoraFile, layers: Mapping[str, LoraLayer], scales: Mapping[str, float]
) -> None:
    """Put one adapter's layers into a network."""
    from peft import LoraConfig, inject_adapter_in_model

    weighed = [layer for layer in layers.values() if "magnitude" in layer.tensors]
    if weighed and len(weighed) < len(layers):
        bare = next(layer for layer in layers.values() if layer not in weighed)
        raise InputError(f"{file.path}: some layers have magnitudes, and {bare.names['down']} has none")
    # peft matches ends of names: only whole ones will do.
    config = LoraConfig(
        target_modules="|".join(re.escape(module) for module in layers),
        r=1,
        rank_pattern={f"^{re.escape(module)}": layer.rank for module, layer in layers.items()},
        use_dora=bool(weighed),
    )
    try:
        inject_adapter_in_model(config, net, adapter_name=name)
    except (ValueError, TypeError, RuntimeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{file.path}: not a LoRA of this model ({first})") from None
    for module, layer in layers.items():
        target = net.get_submodule(module)
        _set(file, layer, "down", target.lora_A[name].weight)
        _set(file, layer, "up", target.lora_B[name].weight)
        if weighed:
            _set(file, layer, "magnitude", target.lora_magnitude_vector[name].weight)
        target.scaling[name] = scales[module]


def _set(file: LoraFile, layer: LoraLayer, role: Role, parameter: torch.nn.Parameter) -> None:
    """Give a layer its tensor; factors of 1 x 1 convolutions are kept as matrices by some."""
    tensor = layer.tensors[role]
    fits = tensor.numel() == parameter.numel() and [n for n in tensor.shape if n > 1] == [
        n for n in parameter.shape if n > 1
    ]
    if not fits:
        given, expected = tuple(tensor.shape), tuple(parameter.shape)
        raise InputError(
            f"{file.path}: not a LoRA of this model; {layer.names[role]} has shape {given},"
            f" expected {expected}"
        )
    parameter.data = tensor.reshape(parameter.shape)


def _settled(variant: Any, base: Any, count: int) -> Any:
    """All adapters active, their tensors on the base's device and in its dtype; nothing else is moved.

    What asks for a gradient goes on doing so: the last bits of some products depend on it.
    """
    names = [f"lora{i}" for i in range(count)]
    asking = {name: parameter.requires_grad for name, parameter in base.named_parameters()}
    for module in variant.modules():
        if hasattr(module, "lora_A"):
            module.set_adapter([name for name in names if name in module.lora_A])
    for name, parameter in variant.named_parameters():
        if "lora_" in name:
            parameter.data = parameter.data.to(device=base.device, dtype=base.dtype)
        parameter.requires_grad_(asking.get(name.replace(".base_layer", ""), False))
    return variant.eval()

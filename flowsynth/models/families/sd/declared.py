"""What files on this machine show to be wrong with a declared model, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flowsynth.core.errors import Fault, FlowsynthError, InputError
from flowsynth.core.paths import user_path
from flowsynth.models.diffusion.checkpoint import part_prefixes
from flowsynth.models.diffusion.lora.declared import Lora, adapter_file
from flowsynth.models.diffusion.lora.header import Weights, read_header, require_fits
from flowsynth.models.diffusion.names import diffusers_name
from flowsynth.models.diffusion.scheduler_options import scheduler_option_faults
from flowsynth.models.families.sd.components import (
    component_config,
    component_source,
    described,
    known_config,
)
from flowsynth.models.families.sd.spec import SdSpec
from flowsynth.models.locate import locate
from flowsynth.models.weights import tensor_shapes, weight_files


def spec_faults(spec: SdSpec) -> list[Fault]:
    """A single file of another kind, LoRAs that do not fit, and options that the scheduler does not have."""
    own = str(known_config(spec, "scheduler").get("_class_name", "")) or None
    chosen = spec.scheduler
    return [
        *_file_faults(spec),
        *_lora_faults(spec),
        *scheduler_option_faults("scheduler", chosen.name, own, chosen.options),
    ]


def _file_faults(spec: SdSpec) -> Iterator[Fault]:
    source = spec.source
    if not source.file or source.config or not (path := _local(source.file)):
        return
    try:
        described(path)
    except InputError as error:
        yield Fault("source", str(error))
        return
    try:
        component_config(spec, "scheduler")
    except InputError as error:
        yield Fault("scheduler", str(error))


def _local(name: str) -> Path | None:
    path = user_path(name)
    return path if path.is_file() else None


def _lora_faults(spec: SdSpec) -> Iterator[Fault]:
    if not spec.loras:
        return
    networks = {name: found for name in ("unet", "text_encoder") if (found := _weights(spec, name))}
    for i, lora in enumerate(spec.loras):
        path = _adapter(lora)
        if path is None:
            continue
        try:
            require_fits(read_header(path, "unet", ("text_encoder",)), networks)
        except InputError as error:
            yield Fault(f"loras[{i}].source", str(error))


def _adapter(lora: Lora) -> Path | None:
    """A LoRA's file whose header can be read at once."""
    if lora.source.hub:
        return None
    try:
        path = adapter_file(lora)
    except FlowsynthError:
        return None  # said where it is looked for
    return path if path.suffix == ".safetensors" else None


def _weights(spec: SdSpec, name: str) -> Weights | None:
    """The layers of a network with the shapes of their weights; None where headers do not show all."""
    sources = [component_source(spec, name), *([spec.motion] if name == "unet" and spec.motion else [])]
    found: dict[str, tuple[int, ...]] = {}
    for source in sources:
        if source.hub:
            return None
        try:
            path = locate(source)
            files = [path] if path.is_file() else weight_files(path, source.variant)
            shapes = {key: shape for file in files for key, shape in tensor_shapes(file).items()}
        except (FlowsynthError, OSError):
            return None  # pickled, damaged or missing
        if path.is_file():
            inside = _inside(spec, name, shapes)
            if inside is None or source is spec.motion:
                return None
            shapes = dict(inside)
        found |= {key.removesuffix(".weight"): s for key, s in shapes.items() if key.endswith(".weight")}
    return found


def _inside(spec: SdSpec, name: str, shapes: Weights) -> Weights | None:
    """The tensors of one network of a single file, in the library's names."""
    prefix = part_prefixes(name)[0]
    own = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
    if name != "unet":
        return own or None  # a text tower of OpenCLIP has other names
    layers = known_config(spec, "unet").get("layers_per_block")
    if not isinstance(layers, int):
        return None
    found = {}
    for key, shape in own.items():
        module, _, leaf = key.rpartition(".")
        found[f"{diffusers_name(module, layers)}.{leaf}"] = shape
    return found

"""What files on this machine show to be wrong with a declared pipeline, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator

from flowsynth.core.errors import Fault, FlowsynthError, InputError, listing, nearest
from flowsynth.core.paths import user_path
from flowsynth.models.diffusion.ip_adapter.declared import header_fault
from flowsynth.models.diffusion.lora.declared import adapter_file
from flowsynth.models.diffusion.lora.file import some_of
from flowsynth.models.diffusion.lora.header import Weights, read_header, require_fits
from flowsynth.models.diffusion.single_file.known import checkpoint_of
from flowsynth.models.families.diffusers.clips import DENOISERS
from flowsynth.models.families.diffusers.facts import Facts, facts, pipeline_names
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.weights import tensor_shapes, weight_files

#: Denoisers that have attention for pictures beside that for text.
TAKES_IP_ADAPTERS = {"UNet2DConditionModel", "UNetMotionModel", "FluxTransformer2DModel"}


def spec_faults(spec: DiffusersSpec) -> list[Fault]:
    """A file that is no whole pipeline, classes and parts that are none, LoRAs that do not fit."""
    found = [*_file_faults(spec), *_class_faults(spec)]
    if found:
        return found
    try:
        known = facts(spec.class_name(offline=True))
    except FlowsynthError:
        return []  # not on this machine
    return [*_part_faults(spec, known), *_lora_faults(spec, known), *_ip_adapter_faults(spec, known)]


def _file_faults(spec: DiffusersSpec) -> Iterator[Fault]:
    source = spec.source
    if source.file and not source.config and user_path(source.file).is_file():
        try:
            checkpoint_of(user_path(source.file))
        except InputError as error:
            yield Fault("source", str(error))


def _class_faults(spec: DiffusersSpec) -> Iterator[Fault]:
    if spec.pipeline is None:
        return
    try:
        facts(spec.pipeline)
    except InputError as error:
        names = pipeline_names()
        near = nearest(spec.pipeline, names)
        if spec.pipeline in names:
            yield Fault("pipeline", str(error))
        else:
            yield Fault(
                "pipeline", "no such class in diffusers", listing(names, 8), repr(spec.pipeline), near
            )


def _part_faults(spec: DiffusersSpec, known: Facts) -> Iterator[Fault]:
    for name in spec.components if known.parts else ():
        if name not in known.parts:
            message = f"{known.name} has no such part"
            yield Fault(
                f"components.{name}",
                message,
                listing(known.parts, 30),
                repr(name),
                nearest(name, known.parts),
            )


def _lora_faults(spec: DiffusersSpec, known: Facts) -> Iterator[Fault]:
    """LoRAs that do not fit; where the class knows further names of layers, only files that are none."""
    if not spec.loras:
        return
    parts = part_classes(spec.index(offline=True))
    denoiser = next((name for name in ("unet", "transformer", "prior") if name in parts), "unet")
    networks = {name: weights for name in parts if (weights := _weights(spec, name))}
    for i, lora in enumerate(spec.loras):
        try:
            path = None if lora.source.hub else adapter_file(lora)
        except FlowsynthError:
            path = None  # said where it is looked for
        if path is None or path.suffix != ".safetensors":
            continue
        where = lora.part or denoiser
        if where not in parts:
            yield Fault(
                f"loras[{i}].part", "no such part", listing(parts), repr(where), nearest(where, parts)
            )
        elif not known.converts_loras:
            try:
                require_fits(read_header(path, where, tuple(parts)), networks)
            except InputError as error:
                yield Fault(f"loras[{i}].source", str(error))
        else:
            names = tensor_shapes(path)
            if not any("lora" in name or name.endswith("alpha") for name in names):
                said = f"not a LoRA of this model; no LoRA's layer has {some_of(names)}"
                yield Fault(f"loras[{i}].source", f"{path}: {said}")


def _ip_adapter_faults(spec: DiffusersSpec, known: Facts) -> Iterator[Fault]:
    """Adapters on a class that no picture leads, without an image encoder, or in files that are none."""
    if not spec.ip_adapters:
        return
    try:
        parts = part_classes(spec.index(offline=True))
    except FlowsynthError:
        return  # not on this machine
    kinds = [kind for name, (_, kind) in parts.items() if name in DENOISERS]
    if "ip_adapter_image" not in known.arguments or not {*kinds} & TAKES_IP_ADAPTERS:
        expected = f"none: {known.name} with its {listing(kinds) or 'parts'} takes none"
        yield Fault("ip_adapters", "no use for it", expected, f"{len(spec.ip_adapters)}")
    elif "image_encoder" not in parts:
        yield Fault("components.image_encoder", "missing", "the image encoder that ip_adapters were made for")
    if spec.storage is not None:
        yield Fault("storage", "no use for it", "null: with ip_adapters no layer is cast", spec.storage)
    for i, adapter in enumerate(spec.ip_adapters):
        try:
            said = header_fault(adapter)
        except FlowsynthError:
            continue  # said where it is looked for
        if said is not None:
            yield Fault(f"ip_adapters[{i}].source", said)


def _weights(spec: DiffusersSpec, name: str) -> Weights | None:
    """The layers of a part in a local folder with the shapes of their weights."""
    source = spec.components.get(name, spec.source)
    if source.hub or source.file:
        return None
    try:
        folder = spec.part_folder(name)
        shapes = {
            key: shape
            for file in weight_files(folder, source.variant)
            for key, shape in tensor_shapes(file).items()
        }
    except (FlowsynthError, OSError):
        return None  # a tool, or weights whose headers cannot be read
    return {key.removesuffix(".weight"): s for key, s in shapes.items() if key.endswith(".weight")}

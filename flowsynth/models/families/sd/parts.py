"""Loading the networks of a Stable Diffusion model, one at a time, from files that cannot run code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.checkpoint import fill, part_of, part_prefixes
from flowsynth.models.diffusion.single_file.vocabulary import clip_tokenizer
from flowsynth.models.families.sd.components import config_dir, described, file_config, read_config
from flowsynth.models.families.sd.motion import motion_config
from flowsynth.models.locate import locate
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import check_safetensors, read_weights, tensor_bytes, tensors_only, weight_files

if TYPE_CHECKING:
    import torch

#: Component -> (library, class).
_CLASSES = {
    "unet": ("diffusers", "UNet2DConditionModel"),
    "vae": ("diffusers", "AutoencoderKL"),
    "controlnet": ("diffusers", "ControlNetModel"),
    "motion": ("diffusers", "MotionAdapter"),
    "text_encoder": ("transformers", "CLIPTextModel"),
}
#: Left over in older files of text encoders: positions that count from 0.
_IDLE = ("position_ids",)
_OPEN_CLIP = "cond_stage_model.model."


def load_network(kind: str, source: Source, dtype: torch.dtype, device: str, *, offline: bool = False) -> Any:
    """Load one network, in eval mode, on the device.

    Args:
        kind: ``unet``, ``vae``, ``controlnet``, ``motion`` or ``text_encoder``.
        source: the component's folder, or a single file with a local config.
        dtype: dtype of its weights.
        device: torch's name of the device.
        offline: never touch the network.

    Raises:
        InputError: files are missing, damaged, refused, of another architecture, or do not hold exactly the
            network's tensors.
    """
    path = locate(source, offline=offline)
    with quiet():
        if path.is_file():
            net = _from_single_file(kind, path, source, dtype)
        else:
            net = _from_folder(kind, path, source.variant, dtype)
        net = laid_out(net.to(device).eval())
    return net.requires_grad_(False)


def laid_out(net: Any) -> Any:
    """The network with its weights as its convolutions are quickest.

    Half-precision ones are channels-last: a fifth less time on a CPU. float32 keeps torch's own order, in
    which results are bit-equal to those of diffusers' pipelines.
    """
    import torch

    if not isinstance(net, torch.nn.Module) or next(net.parameters()).dtype.itemsize > 2:
        return net
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def network_bytes(kind: str, source: Source, itemsize: int, *, offline: bool = False) -> int:
    """Bytes that a network will take, read off the headers of its files; see `load_network`.

    Args:
        kind: as for `load_network`, as are `source` and `offline`.
        itemsize: of its numbers.
    """
    path = locate(source, offline=offline)
    if path.is_file():
        return tensor_bytes(path, itemsize, part_prefixes(kind))
    return sum(tensor_bytes(file, itemsize) for file in weight_files(path, source.variant))


def network_class(kind: str) -> Any:
    """The class of a component."""
    import importlib

    library, name = _CLASSES[kind]
    return getattr(importlib.import_module(library), name)


def _from_folder(kind: str, folder: Path, variant: str | None, dtype: torch.dtype) -> Any:
    cls = network_class(kind)
    config = read_config(folder)
    named = config.get("_class_name") or next(iter(config.get("architectures") or []), None)
    if named and named != cls.__name__:
        raise InputError(f"{folder}: holds a {named}; expected a {cls.__name__}")
    files = weight_files(folder, variant)
    if files[0].suffix == ".safetensors":
        for file in files:
            check_safetensors(file, floats=True)
        return _pretrained(cls, folder, variant, dtype, files)
    weights = {k: v for file in files for k, v in tensors_only(read_weights(file)).items()}
    return fill(_skeleton(cls, config, folder), weights, files[0], dtype)


def _pretrained(cls: Any, folder: Path, variant: str | None, dtype: torch.dtype, files: list[Path]) -> Any:
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "variant": variant}
    name = "torch_dtype" if cls.__module__.startswith("diffusers") else "dtype"
    where = files[0] if len(files) == 1 else folder
    try:
        net, found = cls.from_pretrained(folder, output_loading_info=True, **options, **{name: dtype})
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{where}: cannot be loaded as a {cls.__name__} ({first})") from None
    extra = [n for n in found["unexpected_keys"] if not n.endswith(_IDLE)]
    for what, names in (("lacks", found["missing_keys"]), ("holds more than", extra)):
        if names:
            listed = ", ".join(sorted(names)[:4]) + (", ..." if len(names) > 4 else "")
            raise InputError(f"{where}: {what} the tensors of this {cls.__name__}: {listed}")
    return net


def _skeleton(cls: Any, config: dict[str, Any], folder: Path | None = None) -> Any:
    """A network without weights; nothing random is drawn for it.

    Args:
        cls: its class.
        config: its configuration.
        folder: where that lies: transformers reads a text encoder's out of that of a whole CLIP, too.
    """
    from accelerate import init_empty_weights

    try:
        with init_empty_weights():
            if cls.__module__.startswith("diffusers"):
                return cls.from_config(config)
            kind = cls.config_class
            return cls(
                kind(**config) if folder is None else kind.from_pretrained(folder, local_files_only=True)
            )
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{folder}: cannot describe a {cls.__name__} ({first})") from None


def _from_single_file(kind: str, file: Path, source: Source, dtype: torch.dtype) -> Any:
    folder = config_dir(source, kind)
    weights = tensors_only(read_weights(file, part_prefixes(kind)))
    config = None if folder is None else read_config(folder)
    if kind == "motion":
        config = motion_config(weights, config, file)
    elif config is None:
        config = file_config(file, kind)
    own = part_of(weights, kind)
    if any(name.startswith(_OPEN_CLIP) for name in weights) and kind == "text_encoder":
        # OpenCLIP's last layer is in the file, but Stable Diffusion 2.x was trained on the one before it.
        last = f"encoder.layers.{config.get('num_hidden_layers')}."
        own = {name: tensor for name, tensor in own.items() if not name.startswith(last)}
    return fill(_skeleton(network_class(kind), config, folder), own, file, dtype)


def load_tokenizer(source: Source, *, offline: bool = False) -> Any:
    """The CLIP tokenizer of a component's folder, or the one that all single files share.

    Raises:
        InputError: its files are missing or damaged.
    """
    from transformers import CLIPTokenizer

    place = locate(source, offline=offline)
    folder = config_dir(source, "tokenizer") if place.is_file() else place
    with quiet():
        if folder is None:
            return clip_tokenizer(described(place)["tokenizer"]["pad_token"])
        try:
            return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"{folder}: not a CLIP tokenizer ({first})") from None

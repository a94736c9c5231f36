"""Loading the networks of a Stable Diffusion model, one at a time, from files that cannot run code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.fetch.source import Source
from flowsynth.models.families.sd.components import read_config
from flowsynth.models.locate import locate
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import check_safetensors, read_weights, tensors_only, weight_files

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


def load_network(kind: str, source: Source, dtype: torch.dtype, device: str, *, offline: bool = False) -> Any:
    """Load one network, in eval mode, on the device.

    Args:
        kind: ``unet``, ``vae``, ``controlnet``, ``motion`` or ``text_encoder``.
        source: the component's folder, or a single file with a local config.
        dtype: dtype of its weights.
        device: torch's name of the device.
        offline: never touch the network.

    Raises:
        InputError: files are missing, damaged, refused, or of another architecture.
    """
    path = locate(source, offline=offline)
    with quiet():
        if path.is_file():
            net = _from_single_file(kind, path, source, dtype)
        else:
            net = _from_folder(kind, path, source.variant, dtype)
        net = net.to(device).eval()
    return net.requires_grad_(False)


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
            check_safetensors(file)
        return _pretrained(cls, folder, variant, dtype)
    net = cls.from_config(config) if kind != "text_encoder" else _empty_text_encoder(cls, folder)
    weights = {k: v for file in files for k, v in tensors_only(read_weights(file)).items()}
    return _filled(net, weights, files[0]).to(dtype)


def _pretrained(cls: Any, folder: Path, variant: str | None, dtype: torch.dtype) -> Any:
    options: dict[str, Any] = {"local_files_only": True, "use_safetensors": True, "variant": variant}
    name = "torch_dtype" if cls.__module__.startswith("diffusers") else "dtype"
    try:
        return cls.from_pretrained(folder, **options, **{name: dtype})
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{folder}: cannot be loaded as a {cls.__name__} ({first})") from None


def _empty_text_encoder(cls: Any, folder: Path) -> Any:
    return cls(cls.config_class.from_pretrained(folder, local_files_only=True))


def _filled(net: Any, weights: dict[str, Any], file: Path) -> Any:
    """Put weights into a network; every one of its tensors must be there.

    Names with the prefix ``text_model.`` are taken too: older releases of transformers wrote them.
    """
    own = net.state_dict()
    renamed = {name if name in own else name.removeprefix("text_model."): w for name, w in weights.items()}
    missing = sorted(set(own) - set(renamed) - {"embeddings.position_ids"})
    if missing:
        name = type(net).__name__
        raise InputError(f"{file}: lacks {len(missing)} tensors of a {name}, such as {missing[0]}")
    wrong = [n for n in own if n in renamed and own[n].shape != renamed[n].shape]
    if wrong:
        given, expected = tuple(renamed[wrong[0]].shape), tuple(own[wrong[0]].shape)
        raise InputError(f"{file}: {wrong[0]} has shape {given}; expected {expected}")
    net.load_state_dict({name: renamed[name] for name in own if name in renamed}, strict=False)
    return net


def _from_single_file(kind: str, file: Path, source: Source, dtype: torch.dtype) -> Any:
    weights = read_weights(file)
    cls = network_class(kind)
    if kind == "motion" or source.config is None:
        if kind in ("unet", "vae", "text_encoder"):
            raise InputError(
                f"{file}: a single file needs config: a local diffusers folder that describes it"
                " (without one the hub would be asked)"
            )
        if kind == "motion":
            return _single(cls, tensors_only(weights), {}, file, dtype)
    root = locate(Source(path=source.config)) if source.config else file.parent
    folder = root / kind if (root / kind).is_dir() else root
    if kind == "text_encoder":
        found = {k.partition("transformer.")[2]: v for k, v in weights.items() if _is_clip(k)}
        return _filled(_empty_text_encoder(cls, folder), tensors_only(found), file).to(dtype)
    return _single(cls, tensors_only(weights), {"config": str(folder), "local_files_only": True}, file, dtype)


def _is_clip(name: str) -> bool:
    return name.startswith("cond_stage_model.transformer.")


def _single(
    cls: Any, weights: dict[str, Any], options: dict[str, Any], file: Path, dtype: torch.dtype
) -> Any:
    try:
        return cls.from_single_file(weights, torch_dtype=dtype, **options)
    except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(
            f"{file}: cannot be loaded as a {cls.__name__} ({type(error).__name__}: {first})"
        ) from None


def load_tokenizer(source: Source, *, offline: bool = False) -> Any:
    """The CLIP tokenizer of a folder.

    Raises:
        InputError: its files are missing or damaged.
    """
    from transformers import CLIPTokenizer

    folder = locate(source, offline=offline)
    with quiet():
        try:
            return CLIPTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"{folder}: not a CLIP tokenizer ({first})") from None

"""The parts of a pipeline: tools and networks, and how each is loaded."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.checkpoint import fill, part_of, part_prefixes
from flowsynth.models.diffusion.single_file.open_sora import in_flux_names, is_open_sora
from flowsynth.models.diffusion.single_file.vocabulary import clip_tokenizer
from flowsynth.models.manager import LOADING
from flowsynth.models.quiet import quiet
from flowsynth.models.weights import read_weights, tensors_only

if TYPE_CHECKING:
    from torch import nn

#: Classes whose original names `fill` knows itself.
_OWN_NAMES = ("UNet2DConditionModel", "AutoencoderKL")


def class_of(library: str, name: str) -> type[Any]:
    """The class of a part, from diffusers or transformers only.

    Raises:
        InputError: another library, which could run any code, or no such class.
    """
    if library.startswith("diffusers.") or library in (
        "stable_diffusion",
        "deepfloyd_if",
        "latent_diffusion",
    ):
        library = f"diffusers.pipelines.{library}" if "." not in library else library
    if library.partition(".")[0] not in ("diffusers", "transformers"):
        pipeline = f"diffusers.pipelines.{library}"
        try:
            return _named(pipeline, name)
        except ImportError:
            raise InputError(
                f"a part of class {library}.{name}: expected one of diffusers or transformers"
            ) from None
    return _named(library, name)


def _named(library: str, name: str) -> type[Any]:
    found = getattr(importlib.import_module(library), name, None)
    if not isinstance(found, type):
        raise InputError(f"{library} has no class {name}")
    return found


def is_network(cls: type[Any]) -> bool:
    """Whether instances hold weights."""
    from torch import nn

    return issubclass(cls, nn.Module)


def load_tool(cls: type[Any], folder: Path) -> Any:
    """A tokenizer, scheduler or processor from its folder."""
    return cls.from_pretrained(folder, local_files_only=True)


def network_builder(cls: type[Any], folder: Path) -> Callable[[], nn.Module]:
    """What makes a network from its configuration, without weights."""
    if hasattr(cls, "load_config"):  # of diffusers
        config = cls.load_config(folder, local_files_only=True)
        return lambda: cls.from_config(config)
    return _of_transformers(cls, cls.config_class.from_pretrained(folder, local_files_only=True))


def network_loader(
    cls: type[Any], folder: Path, variant: str | None, dtype: Any, device: str
) -> Callable[[], nn.Module]:
    """What loads a network with its weights, in eval mode, on a device."""
    argument = "torch_dtype" if hasattr(cls, "load_config") else "dtype"

    def load() -> nn.Module:
        with quiet():
            return _load().eval().to(device)

    def _load() -> nn.Module:
        network: nn.Module = cls.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, variant=variant, **{argument: dtype}
        )
        return network

    return load


def described_builder(cls: type[Any], config: Mapping[str, Any]) -> Callable[[], nn.Module]:
    """What makes a network without weights from a configuration that lies nowhere."""
    if hasattr(cls, "load_config"):  # of diffusers
        return lambda: cls.from_config(dict(config))
    return _of_transformers(cls, cls.config_class(**config))


def _of_transformers(cls: type[Any], config: Any) -> Callable[[], nn.Module]:
    """What makes a network of transformers in the default dtype, as diffusers' are.

    Else it has the one that its configuration names, which is that of the files and not what is asked for;
    pipelines make latents in the dtype that a text encoder says before it is real.
    """

    def build() -> nn.Module:
        import torch

        network: nn.Module = cls._from_config(config, dtype=torch.get_default_dtype())
        return network

    return build


def implied_tool(cls: type[Any], config: Mapping[str, Any]) -> Any:
    """CLIP's tokenizer, or a scheduler, from what a single file implies."""
    if "pad_token" in config:
        return clip_tokenizer(str(config["pad_token"]))
    return cls.from_config(dict(config))


def load_from_file(
    cls: type[Any], name: str, file: Path, config: Mapping[str, Any], dtype: Any, device: str
) -> nn.Module:
    """Load a network out of a single file, in eval mode, on a device.

    Args:
        cls: its class.
        name: of the part, which says the prefix of its tensors.
        file: a safetensors file.
        config: its configuration.
        dtype: of its weights.
        device: torch's name of it.

    Raises:
        InputError: the file is damaged, or does not hold exactly the network's tensors.
    """
    from accelerate import init_empty_weights

    weights = part_of(tensors_only(read_weights(file, part_prefixes(name))), name)
    with quiet(), LOADING:
        with init_empty_weights():
            network = described_builder(cls, config)()
        weights = in_own_names(network, weights, cls, config, file)
        filled: nn.Module = fill(network, weights, file, dtype)
        return filled.eval().to(device)


def in_own_names(
    network: nn.Module, weights: Any, cls: type[Any], config: Mapping[str, Any], file: Path
) -> Any:
    """The tensors of a file by the names of a network's layers, where they bear others.

    Raises:
        InputError: they are not those of its class.
    """
    if cls.__name__ == "FluxTransformer2DModel" and is_open_sora(weights):
        return in_flux_names(weights)
    own = set(network.state_dict())
    if 2 * len(own & set(weights)) < len(own):  # some names are everybody's
        return _converted(cls, weights, config, file)
    return weights


def _converted(cls: type[Any], weights: Any, config: Mapping[str, Any], file: Path) -> Any:
    """Tensors in diffusers' names, by the conversion that the library has for a class of denoisers."""
    from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES

    known = SINGLE_FILE_LOADABLE_CLASSES.get(cls.__name__)
    if known is None or cls.__name__ in _OWN_NAMES:
        return weights  # `fill` knows their other names, and says what is missing
    try:
        return known["checkpoint_mapping_fn"](checkpoint=dict(weights), config=dict(config))
    except (KeyError, ValueError, RuntimeError, IndexError, TypeError, AttributeError) as error:
        first = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise InputError(f"{file}: holds no {cls.__name__} that diffusers can convert ({first})") from None

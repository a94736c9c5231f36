"""Denoisers with weights of fewer bits: int8 by torchao, and files of llama.cpp's format (GGUF).

Both keep computing in the part's dtype: weights are widened where a layer runs. Both need a library that the
package does not bring; without torch it is known here whether that is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import InputError
from flowsynth.models.diffusion.lora.file import some_of
from flowsynth.models.families.diffusers.parts import described_builder, in_own_names
from flowsynth.models.manager import LOADING
from flowsynth.models.quiet import quiet

if TYPE_CHECKING:
    from torch import nn

GGUF = ".gguf"


def library_of(line: str) -> str:
    """The library that a line ``quantize`` needs: it is named as the extra that brings it."""
    return line.partition(":")[0]


def missing_library(line: str) -> str | None:
    """What to install for a line, if that is not here."""
    name = library_of(line)
    return None if importlib.util.find_spec(name) else f"pip install 'flowsynth-engine[{name}]'"


def library_version(line: str) -> str | None:
    """The version of a line's library, whose code decides the last bits."""
    try:
        return version(library_of(line))
    except PackageNotFoundError:
        return None


def to_int8(network: nn.Module) -> None:
    """Hold the matrices of a loaded network's linear layers as int8, with a factor a row."""
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    with quiet():
        quantize_(network, Int8WeightOnlyConfig())


def gguf_loader(
    cls: type[Any], file: Path, config: Mapping[str, Any], dtype: Any, device: str
) -> Callable[[], nn.Module]:
    """What loads a network out of a GGUF file, in eval mode, on a device.

    The loader raises InputError where the file is damaged or does not hold exactly the network's tensors.
    """

    def load() -> nn.Module:
        from accelerate import init_empty_weights

        with quiet(), LOADING:
            with init_empty_weights():
                network = described_builder(cls, config)()
            tensors = in_own_names(network, _read(file), cls, config, file)
            _require_all(network, tensors, file)
            _take(network, tensors, dtype)
            return network.eval().to(device)

    return load


def _read(file: Path) -> dict[str, Any]:
    from diffusers.models.model_loading_utils import load_gguf_checkpoint

    try:
        found: dict[str, Any] = load_gguf_checkpoint(str(file))
    except (ValueError, KeyError, IndexError, OSError, OverflowError) as error:
        first = str(error).strip().partition("\n")[0]
        raise InputError(f"{file}: not a readable GGUF file ({first})") from None
    return found


def _require_all(network: nn.Module, tensors: Mapping[str, Any], file: Path) -> None:
    own, kind = set(network.state_dict()), type(network).__name__
    for what, names in (("lacks", own - set(tensors)), ("holds more than", set(tensors) - own)):
        if names:
            raise InputError(f"{file}: {what} the tensors of this {kind}: {some_of(names)}")


def _take(network: nn.Module, tensors: Mapping[str, Any], dtype: Any) -> None:
    """Give a network without weights those of a file, its layers the library's that widen them."""
    import torch
    from diffusers import GGUFQuantizationConfig
    from diffusers.quantizers.gguf import GGUFQuantizer
    from diffusers.quantizers.gguf.utils import GGUFLinear, dequantize_gguf_tensor

    quantizer = GGUFQuantizer(GGUFQuantizationConfig(compute_dtype=dtype))
    quantizer.preprocess_model(
        model=network, device_map=None, keep_in_fp32_modules=[], state_dict=dict(tensors)
    )
    shapes = {name: tensor.shape for name, tensor in network.state_dict().items()}
    for name, tensor in tensors.items():
        quantised = quantizer.check_if_quantized_param(network, tensor, name, {})
        if quantised:
            quantizer.check_quantized_param_shape(name, torch.empty(shapes[name], device="meta"), tensor)
        place, _, leaf = name.rpartition(".")
        owner = network.get_submodule(place)
        if quantised and isinstance(owner, GGUFLinear):
            owner._parameters[leaf] = tensor
        else:
            plain = dequantize_gguf_tensor(tensor) if quantised else tensor
            owner._parameters[leaf] = torch.nn.Parameter(plain.to(dtype), requires_grad=False)

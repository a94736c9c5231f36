"""What a pipeline's text encoder gives, a tree of lists, tensors and plain values, as tensors and JSON.

Strides are kept: the last bits of a convolution or a product depend on the memory format of what it reads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RunError

if TYPE_CHECKING:
    import torch

#: Marks of what JSON has no word for; a dictionary is always written as one of them.
_TENSOR, _TUPLE, _LIST, _DICT = "tensor", "tuple", "list", "dict"


def flatten(value: Any, tensors: dict[str, torch.Tensor], where: str = "t") -> Json:
    """The JSON of a tree; its tensors go into a mapping under the names that the JSON holds.

    Args:
        value: None, booleans, numbers, texts, tensors, and lists, tuples and dictionaries of these.
        tensors: is added to.
        where: prefix of the tensors' names.

    Raises:
        RunError: something else is in the tree, which could not be kept.
    """
    import torch

    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        tensors[where] = value.detach()
        return {_TENSOR: [where, *value.stride()]}
    if isinstance(value, (list, tuple)):
        items: list[Json] = [flatten(item, tensors, f"{where}.{i}") for i, item in enumerate(value)]
        return {_TUPLE if isinstance(value, tuple) else _LIST: items}
    if isinstance(value, Mapping):
        return {_DICT: [[str(key), flatten(v, tensors, f"{where}.{key}")] for key, v in value.items()]}
    raise RunError(f"{where}: a {type(value).__name__} cannot be kept between two nodes")


def rebuild(data: Json, tensors: Mapping[str, torch.Tensor]) -> Any:
    """The tree back from its JSON and tensors.

    Raises:
        RunError: the JSON is no tree, or names a tensor that is not there.
    """
    if not isinstance(data, dict):
        return data
    ((kind, body),) = data.items() if len(data) == 1 else [("", data)]
    if kind == _TENSOR and isinstance(body, Sequence) and str(body[0]) in tensors:
        return strided(tensors[str(body[0])], body[1:])
    if kind in (_TUPLE, _LIST) and isinstance(body, Sequence):
        items = [rebuild(item, tensors) for item in body]
        return tuple(items) if kind == _TUPLE else items
    if kind == _DICT and isinstance(body, Sequence):
        return {str(pair[0]): rebuild(pair[1], tensors) for pair in body if isinstance(pair, Sequence)}
    raise RunError(f"a conditioning whose tree cannot be read: {kind} {body!r}")


def strided(tensor: torch.Tensor, strides: Any) -> torch.Tensor:
    """A tensor of its own memory, in a memory format; what was repeated without memory is again.

    Args:
        tensor: of any strides.
        strides: of the one that is wanted; of the first axis they may come from a longer one.
    """
    import torch

    wanted = [int(stride) for stride in strides]
    once = tensor[tuple(slice(0, None if stride else 1) for stride in wanted)]
    made = torch.empty_strided(tuple(once.shape), wanted, dtype=tensor.dtype, device=tensor.device)
    return made.copy_(once).expand(tensor.shape)

"""What a model family is, and from the name of a family to its class.

To add one: a spec (a :class:`ModelSpec` with fields of its own), a class with ``name``, ``spec_type``,
``fingerprint`` and ``open`` as :class:`Family` says, and a loaded model with the verbs it can do, which take
what :mod:`flowsynth.models.requests` defines. Name the class under the entry point ``flowsynth.families``.
Nothing of it may import torch at module level; no operator changes.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from flowsynth.core.errors import RequestError, listing, nearest

if TYPE_CHECKING:
    from flowsynth.models.spec import ModelSpec

T = TypeVar("T")
ENTRY_POINT_GROUP = "flowsynth.families"
#: Shipped families: name -> ``module:class``.
_SHIPPED = {"sd": "flowsynth.models.families.sd.family:StableDiffusion"}


class PartStore(Protocol):
    """Where a loaded model keeps its networks: shared by all models of one device, evicted by use."""

    device: str
    cache_dir: Path | None
    offline: bool

    def part(self, key: str, load: Callable[[], T], nbytes: int = 0) -> T:
        """The network under a key, loaded if it is not resident."""
        ...


class Family(Protocol):
    """A model family: how its specs read, what identifies them, and how they become a loaded model.

    A loaded model offers what the verbs need (``encode_text``, ``encode_frames``, ``decode_latents``,
    ``denoise``); a family may leave out what it has no notion of.
    """

    name: ClassVar[str]
    spec_type: ClassVar[type[ModelSpec]]

    def fingerprint(self, spec: Any, memo: Path | None, parts: tuple[str, ...] = ()) -> str:
        """Identity of everything that the spec loads, without importing torch.

        With `parts` (``text``, ``vae``, ``denoiser``) only of what those depend on; a family that makes no
        difference between them may ignore it.
        """
        ...

    def open(self, spec: Any, store: PartStore) -> Any:
        """A loaded model; its networks are loaded when they are first used."""
        ...


class UnknownFamilyError(RequestError):
    """No family of that name; says the nearest one."""

    def __init__(self, name: str) -> None:
        self.name, self.nearest = name, nearest(name, family_names())
        super().__init__(f"unknown model family {name!r}; expected one of {listing(family_names())}")


@cache
def _places() -> dict[str, str]:
    return {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)} | _SHIPPED


def family_names() -> list[str]:
    """Names of all families, shipped and plugged in."""
    return sorted(_places())


@cache
def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UnknownFamilyError: there is none.
    """
    if name not in _places():
        raise UnknownFamilyError(name)
    module, _, attribute = _places()[name].partition(":")
    found: Family = getattr(importlib.import_module(module), attribute)()
    return found

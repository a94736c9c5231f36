"""How a network is known by its tensors and built of them, and what sizes it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar

if TYPE_CHECKING:
    from torch import Tensor, nn

Network = TypeVar("Network", bound="nn.Module", covariant=True)
#: A checkpoint's tensors by name.
State: TypeAlias = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Architecture(Generic[Network]):
    """A kind of network; a module of `flowsynth.nets` has one, as ``ARCHITECTURE``.

    Attributes:
        name: of the architecture, in small letters.
        layout: tensors by which a person knows its checkpoints, for messages.
        fits: whether names and shapes are those of such a network; never raises.
        build: the network that a checkpoint's shapes describe, with its tensors, in evaluation mode; takes
            what else a role has as keywords. Raises ValueError where a tensor is missing, too many or of
            another shape.
    """

    name: str
    layout: str
    fits: Callable[[State], bool]
    build: Callable[..., Network]


@dataclass(frozen=True, slots=True)
class SizeNeeds:
    """What sizes a network takes; found from its weights, it is the attribute ``needs`` of the network.

    Attributes:
        multiple: sides are multiples of it.
        least: pixels that a side has at least.
        tiled: parts of it may be applied in tiles, with the same result.
    """

    multiple: int = 1
    least: int = 1
    tiled: bool = False

    def side(self, pixels: int) -> int:
        """The least side it takes that is no less than a picture's."""
        return -(-max(pixels, self.least) // self.multiple) * self.multiple

    def filled(self, x: Tensor) -> Tensor:
        """(N, C, H, W) with its border repeated to the right and below, up to a size that it takes."""
        from torch.nn import functional as F

        height, width = x.shape[-2:]
        return F.pad(x, (0, self.side(width) - width, 0, self.side(height) - height), mode="replicate")

"""Super-resolution by a trained network: pictures of any size and channels, in tiles without seams."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from flowsynth.core.context import Portions
from flowsynth.core.errors import RequestError
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

    from flowsynth.nets.staged import Apply, Stage, StagedNetwork

#: A tile is at least so many times the reach of a stage, or context would cost more than the tile.
_TILE_PER_HALO = 4
#: Pixels of a tile's side that any device has room for.
_LEAST_TILE = 64
#: Bytes that a stage may hold where no tile is given: frames of common sizes pass most stages whole, and a
#: tile that is cut nevertheless has hundreds of pixels to a few of context.
_STAGE_BYTES = 1 << 30


def enlarge(
    frame: Tensor,
    network: StagedNetwork,
    tile: int | None,
    size: tuple[int, int],
    fidelity: int = 0,
    portions: Portions | None = None,
) -> Tensor:
    """Enlarge a frame by a network, then bring it to a size by Lanczos where that differs.

    Args:
        frame: (1, C, H, W) in [0, 1]; C is 1, 3 or 4. Alpha is resized by Lanczos.
        network: on the frame's device.
        tile: most pixels along a side to pass at once; 0 passes the frame whole, None as much as fits 1 GiB.
        size: height and width of the result.
        fidelity: steps of back-projection; none where the result is smaller than the frame.
        portions: smaller tiles, if memory is short.

    Returns:
        (1, C, *size) float32 in [0, 1] but for the ringing of the resize.
    """
    import torch

    with torch.inference_mode():
        made = _run(as_rgb(frame), network, tile, portions or Portions()).clamp_(0, 1)
        return finished(made, frame, size, fidelity)


def finished(made: Tensor, frame: Tensor, size: tuple[int, int], fidelity: int) -> Tensor:
    """Bring what a network made, (1, 3, H', W'), to the channels and the size asked for; see `enlarge`."""
    import torch

    from flowsynth.functional.picture.backprojection import back_project
    from flowsynth.functional.picture.resize import lanczos

    if frame.shape[1] == 1:
        made = made.mean(1, keepdim=True)
    if made.shape[-2:] != size:
        made = lanczos(made, size)
    if size[0] >= frame.shape[-2] and size[1] >= frame.shape[-1]:
        made = back_project(made, frame[:, : made.shape[1]], fidelity)
    return torch.cat((made, lanczos(frame[:, 3:], size)), 1) if frame.shape[1] == 4 else made


def _run(frame: Tensor, network: StagedNetwork, tile: int | None, portions: Portions) -> Tensor:
    """Pass (1, 3, H, W) through the stages, each in tiles; float32."""
    import torch

    height, width = frame.shape[-2:]
    scale = network.scale
    whole = network.needs.filled(frame).to(
        next(network.parameters()).dtype, memory_format=torch.channels_last
    )
    made = network.run(whole, _applied(network, tile, portions))
    return made[..., : height * scale, : width * scale].float()


def _applied(network: StagedNetwork, tile: int | None, portions: Portions) -> Apply:
    """Return what applies the network's stages: in tiles, or whole where it has to see a frame whole."""
    from flowsynth.nets.staged import whole

    if network.needs.tiled:
        return in_tiles(tile, portions)
    if tile:
        raise RequestError(
            f"params.tile: expected null or 0, since the network sees frames whole; given {tile}"
        )
    return whole


def in_tiles(tile: int | None, portions: Portions) -> Apply:
    """Return what applies a stage to a picture in tiles; see `enlarge`."""
    from flowsynth.functional.cut.tiling import tile_by_context

    def each(stage: Stage, x: Tensor) -> Tensor:
        most = _tile_side(stage, x) if tile is None else tile
        least = _TILE_PER_HALO * stage.halo
        most = max(most, least) if most else 0
        whole = max(x.shape[-2:])
        side = portions.of(min(most or whole, whole), max(least, _LEAST_TILE))
        most = side if side < whole else most
        return tile_by_context(
            stage.apply, x, tile=most, halo=stage.halo, scale=stage.scale, align=stage.align
        )

    return each


def _tile_side(stage: Stage, x: Tensor) -> int:
    """Return the side of the largest tile of `x`, (N, C, H, W), within `_STAGE_BYTES`; 0 if all of it is."""
    pixels = _STAGE_BYTES // (stage.numbers * x.element_size() * x.shape[0])
    return 0 if x.shape[-2] * x.shape[-1] <= pixels else math.isqrt(pixels)

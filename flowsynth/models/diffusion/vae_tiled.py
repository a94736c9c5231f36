"""The VAE in tiles, equal to the untiled one.

Decoding apart and blending can't be exact: group normalisation and the middle attention look at the whole
frame. So the network runs layer by layer on whole maps: statistics come from the whole map, the attention
runs whole at the latents' small size, and only the convolutions, whose buffers are what exhausts a device,
work tile by tile with the pixels of context they need. The results differ by rounding alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import torch

    Pre: TypeAlias = Callable[[torch.Tensor], torch.Tensor]


def tiled_decode(vae: Any, latents: torch.Tensor, tile_size: int) -> torch.Tensor:
    """Decode unscaled latents.

    Args:
        vae: ``AutoencoderKL``.
        latents: N x C x h x w.
        tile_size: side of a tile in pixels of each map; 0, or frames that fit one tile, runs it plainly.

    Returns:
        N x 3 x H x W in [-1, 1], roughly.
    """
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    if not tile_size or max(latents.shape[-2:]) * scale <= tile_size:
        plain: torch.Tensor = vae.decode(latents, return_dict=False)[0]
        return plain
    x = latents if vae.post_quant_conv is None else vae.post_quant_conv(latents)
    decoder = vae.decoder
    x = decoder.mid_block(decoder.conv_in(x))
    for block in decoder.up_blocks:
        for resnet in block.resnets:
            x = _resnet(resnet, x, tile_size)
        for upsampler in block.upsamplers or ():
            x = _upsample(upsampler.conv, x, tile_size)
    return _conv(
        decoder.conv_out, x, tile_size, _normed(decoder.conv_norm_out, x, decoder.conv_act, tile_size)
    )


def tiled_encode(vae: Any, pixels: torch.Tensor, tile_size: int) -> torch.Tensor:
    """Encode pixels to the moments of the posterior.

    Args:
        vae: ``AutoencoderKL``.
        pixels: N x 3 x H x W in [-1, 1], multiples of the VAE's factor.
        tile_size: as for :func:`tiled_decode`.

    Returns:
        N x 2C x h x w.
    """
    encoder = vae.encoder
    if not tile_size or max(pixels.shape[-2:]) <= tile_size:
        x = encoder(pixels)
    else:
        x = _conv(encoder.conv_in, pixels, tile_size)
        for block in encoder.down_blocks:
            for resnet in block.resnets:
                x = _resnet(resnet, x, tile_size)
            for downsampler in block.downsamplers or ():
                x = _downsample(downsampler.conv, x, tile_size)
        x = encoder.mid_block(x)
        x = encoder.conv_out(encoder.conv_act(encoder.conv_norm_out(x)))
    moments: torch.Tensor = x if vae.quant_conv is None else vae.quant_conv(x)
    return moments


def _resnet(block: Any, x: torch.Tensor, tile: int) -> torch.Tensor:
    """``ResnetBlock2D`` without a time embedding: x + conv(act(norm(conv(act(norm(x))))))."""
    h = _conv(block.conv1, x, tile, _normed(block.norm1, x, block.nonlinearity, tile))
    pre = _normed(block.norm2, h, block.nonlinearity, tile)
    shortcut = block.conv_shortcut

    def add(out: torch.Tensor, y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
        straight = x[..., y0:y1, x0:x1]
        total: torch.Tensor = out + (straight if shortcut is None else shortcut(straight))
        return total if block.output_scale_factor == 1 else total.div(block.output_scale_factor)

    return _conv(block.conv2, h, tile, pre, add)


def _normed(norm: Any, x: torch.Tensor, act: Any, tile: int) -> Pre:
    """Group normalisation with the whole map's statistics, then the activation, for any part of the map."""
    import torch

    batch, channels, height, width = x.shape
    groups, rows = norm.num_groups, max(tile * tile // width, 1)
    count = channels // groups * height * width
    total = torch.zeros(batch, groups, dtype=torch.float64, device=x.device)
    for y in range(0, height, rows):
        total += x[..., y : y + rows, :].reshape(batch, groups, -1).double().sum(-1)
    mean = total / count
    total = torch.zeros_like(mean)
    for y in range(0, height, rows):
        part = x[..., y : y + rows, :].reshape(batch, groups, -1).double()
        total += (part - mean[..., None]).square().sum(-1)
    inverse = (total / count + norm.eps).rsqrt()
    weight = norm.weight.double().view(1, groups, -1) * inverse[..., None]
    bias = norm.bias.double().view(1, groups, -1) - mean[..., None] * weight
    scale, shift = (p.reshape(batch, channels, 1, 1) for p in (weight, bias))

    def apply(part: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = act((part.float() * scale.float() + shift.float()).to(part.dtype))
        return result

    return apply


def _same(part: torch.Tensor) -> torch.Tensor:
    return part


Finish: TypeAlias = "Callable[[torch.Tensor, int, int, int, int], torch.Tensor]"


def _conv(
    conv: Any, x: torch.Tensor, tile: int, pre: Pre = _same, finish: Finish | None = None
) -> torch.Tensor:
    """A 3 x 3 convolution with padding 1 over ``pre(x)``."""
    from torch.nn.functional import conv2d, pad

    height, width = x.shape[-2:]

    def run(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
        top, bottom, left, right = _halo(y0, y1, x0, x1, height, width)
        part = pre(x[..., y0 - 1 + top : y1 + 1 - bottom, x0 - 1 + left : x1 + 1 - right])
        out = conv2d(pad(part, (left, right, top, bottom)), conv.weight, conv.bias)
        return out if finish is None else finish(out, y0, y1, x0, x1)

    return _assemble(run, height, width, tile)


def _upsample(conv: Any, x: torch.Tensor, tile: int) -> torch.Tensor:
    """Nearest neighbours twice as large, then a 3 x 3 convolution."""
    from torch.nn.functional import conv2d, interpolate, pad

    height, width = x.shape[-2] * 2, x.shape[-1] * 2

    def run(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
        top, bottom, left, right = _halo(y0, y1, x0, x1, height, width)
        a, b, c, d = y0 - 1 + top, y1 + 1 - bottom, x0 - 1 + left, x1 + 1 - right
        part = x[..., a // 2 : (b + 1) // 2, c // 2 : (d + 1) // 2]
        large = interpolate(part, scale_factor=2.0, mode="nearest")
        large = large[..., a % 2 : a % 2 + b - a, c % 2 : c % 2 + d - c]
        return conv2d(pad(large, (left, right, top, bottom)), conv.weight, conv.bias)

    return _assemble(run, height, width, tile)


def _downsample(conv: Any, x: torch.Tensor, tile: int) -> torch.Tensor:
    """A 3 x 3 convolution of stride 2 over the map padded by one at the right and bottom."""
    from torch.nn.functional import conv2d, pad

    height, width = x.shape[-2:]

    def run(y0: int, y1: int, x0: int, x1: int) -> torch.Tensor:
        bottom, right = max(2 * y1 + 1 - height, 0), max(2 * x1 + 1 - width, 0)
        part = x[..., 2 * y0 : 2 * y1 + 1, 2 * x0 : 2 * x1 + 1]
        return conv2d(pad(part, (0, right, 0, bottom)), conv.weight, conv.bias, stride=2)

    return _assemble(run, (height - 2) // 2 + 1, (width - 2) // 2 + 1, tile)


def _halo(y0: int, y1: int, x0: int, x1: int, height: int, width: int) -> tuple[int, int, int, int]:
    """How many rows and columns of a tile's context lie outside the map: top, bottom, left, right."""
    return int(y0 == 0), int(y1 == height), int(x0 == 0), int(x1 == width)


def _assemble(
    run: Callable[[int, int, int, int], torch.Tensor], height: int, width: int, tile: int
) -> torch.Tensor:
    """A map from its tiles."""
    out: torch.Tensor | None = None
    for y0 in range(0, height, tile):
        for x0 in range(0, width, tile):
            y1, x1 = min(y0 + tile, height), min(x0 + tile, width)
            part = run(y0, y1, x0, x1)
            if out is None:
                out = part.new_empty(*part.shape[:2], height, width)
            out[..., y0:y1, x0:x1] = part
    if out is None:
        raise ValueError(f"a map of {height} x {width} pixels has no tiles")
    return out

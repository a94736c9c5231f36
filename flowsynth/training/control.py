"""Both ControlNets over a batch: each runs only on the rows that it shall act on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from diffusers import ControlNetModel
    from torch import Tensor


def control_residuals(
    nets: Sequence[ControlNetModel],
    pictures: Sequence[Tensor],
    scales: Sequence[Tensor],
    inputs: tuple[Tensor, Tensor, Tensor],
) -> tuple[list[Tensor], Tensor] | None:
    """Returns the summed residuals of several ControlNets for the UNet's down blocks and middle.

    Args:
        nets: The networks.
        pictures: Each network's control, (B, 3, H, W) in [0, 1].
        scales: Each network's scale a row, (B,); rows at 0 cost nothing.
        inputs: Noisy latents (B, C, h, w), timesteps (B,), text states (B, L, D).

    Returns:
        None if every scale is 0.
    """
    total: list[Tensor] | None = None
    for net, picture, scale in zip(nets, pictures, scales, strict=True):
        rows = scale.nonzero().flatten()
        if not len(rows):
            continue
        noisy, times, text = (tensor[rows] for tensor in inputs)
        down, middle = net(noisy, times, text, controlnet_cond=picture[rows], return_dict=False)
        if total is None:
            total = [r.new_zeros(len(scale), *r.shape[1:]) for r in (*down, middle)]
        weight = scale[rows].view(-1, 1, 1, 1)
        made = [r * weight.to(r.dtype) for r in (*down, middle)]
        total = [t.index_add(0, rows, r.to(t.dtype)) for t, r in zip(total, made, strict=True)]
    return None if total is None else (total[:-1], total[-1])

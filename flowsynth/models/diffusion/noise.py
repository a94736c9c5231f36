"""Starting noise and the generators behind it: per call, on the CPU, never the global one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

from flowsynth.core.errors import RequestError

if TYPE_CHECKING:
    import torch

NoiseMode: TypeAlias = Literal["auto", "shared", "independent"]
Generators: TypeAlias = "torch.Generator | list[torch.Generator]"


def make_generators(seed: int | Sequence[int], num_frames: int, noise: NoiseMode, motion: bool) -> Generators:
    """The generators of one call, given to the scheduler too, so that its own noise follows the same rule.

    Args:
        seed: one seed, or one a frame.
        num_frames: T.
        noise: ``independent`` draws every frame's noise from one generator, as diffusers does for a batch;
            ``shared`` repeats one sample over all frames (as many generators with the same seed);
            ``auto`` is shared without a motion module, where independent noise flickers (Diffutoon, arXiv
            2401.16224), and independent with one, as such modules are trained; a model's spec may say
            otherwise by ``motion_noise``.
        motion: whether a motion module is at work.

    Returns:
        One generator, or a list of T.

    Raises:
        RequestError: a list of seeds whose length is not T.
    """
    import torch

    if not isinstance(seed, int):
        if len(seed) != num_frames:
            raise RequestError(f"{len(seed)} seeds given for {num_frames} frames; give one, or one a frame")
        return [torch.Generator("cpu").manual_seed(s) for s in seed]
    shared = noise == "shared" or (noise == "auto" and not motion)
    if shared and num_frames > 1:
        return [torch.Generator("cpu").manual_seed(seed) for _ in range(num_frames)]
    return torch.Generator("cpu").manual_seed(seed)


def draw_noise(
    shape: tuple[int, ...], generators: Generators, device: torch.device, dtype: torch.dtype
) -> torch.Tensor:
    """Unit Gaussian noise of a shape, drawn on the CPU as diffusers' ``randn_tensor`` draws it.

    Args:
        shape: TCHW, or 1CTHW for a clip drawn in one go; with a list of generators its frames' axis must
            have their number.
        generators: one, or one a frame.
        device: where the noise goes.
        dtype: its dtype.
    """
    import torch

    if not isinstance(generators, list):
        return torch.randn(shape, generator=generators, dtype=dtype).to(device)
    if len(shape) == 5:
        clip = (1, shape[1], 1, *shape[3:])
        return torch.cat([torch.randn(clip, generator=g, dtype=dtype) for g in generators], dim=2).to(device)
    frame = (1, *shape[1:])
    return torch.cat([torch.randn(frame, generator=g, dtype=dtype) for g in generators]).to(device)

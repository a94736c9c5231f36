"""Frames to latents and back with the VAE of Stable Diffusion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.requests import FrameReader

if TYPE_CHECKING:
    import torch


def pad_to_multiple(frames_TCHW: torch.Tensor, multiple: int) -> torch.Tensor:
    """Frames padded at the right and bottom to a multiple, by reflection (by repetition where too small)."""
    from torch.nn.functional import pad

    height, width = frames_TCHW.shape[-2:]
    bottom, right = -height % multiple, -width % multiple
    if not (bottom or right):
        return frames_TCHW
    mode = "reflect" if bottom < height and right < width else "replicate"
    return pad(frames_TCHW, (0, right, 0, bottom), mode=mode)


def padded_reader(read: FrameReader, multiple: int) -> FrameReader:
    """A reader whose frames are padded as those that are encoded."""
    return lambda start, stop: pad_to_multiple(read(start, stop), multiple)


def encode_frames(
    vae: Any,
    frames_TCHW: torch.Tensor,
    *,
    generator: torch.Generator | None = None,
    tile_size: int = 0,
    batch_size: int = 1,
) -> torch.Tensor:
    """Encode frames to latents in the denoiser's scale.

    Args:
        vae: ``AutoencoderKL``.
        frames_TCHW: RGB in [0, 1], any size; padded by reflection to the VAE's factor.
        generator: draws from the posterior; None takes its mode, which is deterministic.
        tile_size: pixels of a tile's side; 0 encodes whole frames.
        batch_size: frames at once. Results of different batch sizes differ in the last bits.

    Returns:
        T x C x ceil(H / factor) x ceil(W / factor) in the VAE's dtype.

    Raises:
        RequestError: the frames are not RGB.
    """
    import torch

    from flowsynth.models.diffusion.vae_tiled import tiled_encode

    if frames_TCHW.shape[1] != 3:
        raise RequestError(f"vae_encode takes RGB frames, given {frames_TCHW.shape[1]} channels")
    parts = []
    with torch.no_grad():
        for batch in torch.split(frames_TCHW, batch_size):
            pixels = pad_to_multiple(batch, vae_factor(vae.config)).to(device=vae.device, dtype=vae.dtype)
            moments = tiled_encode(vae, pixels * 2 - 1, tile_size)
            posterior = vae_posterior(moments)
            latent = posterior.mode() if generator is None else posterior.sample(generator)
            parts.append(to_denoiser_scale(latent, vae.config))
    return torch.cat(parts)


def decode_latents(
    vae: Any, latents_TCHW: torch.Tensor, *, tile_size: int = 0, batch_size: int = 1
) -> torch.Tensor:
    """Decode latents to frames.

    Args:
        vae: ``AutoencoderKL``.
        latents_TCHW: latents in the denoiser's scale.
        tile_size: pixels of a tile's side; 0 decodes whole frames.
        batch_size: frames at once.

    Returns:
        T x 3 x H x W, float32 in [0, 1].
    """
    import torch

    from flowsynth.models.diffusion.vae_tiled import tiled_decode

    parts = []
    with torch.no_grad():
        for batch in torch.split(latents_TCHW, batch_size):
            latent = from_denoiser_scale(batch.to(device=vae.device, dtype=vae.dtype), vae.config)
            pixels = tiled_decode(vae, latent, tile_size)
            parts.append((pixels.float() / 2 + 0.5).clamp(0, 1))
    return torch.cat(parts)


def vae_posterior(moments: torch.Tensor) -> Any:
    """The diagonal Gaussian behind an encoder's output."""
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    return DiagonalGaussianDistribution(moments)


def vae_factor(config: Any) -> int:
    """Pixels along the side of a latent pixel."""
    return int(2 ** (len(config["block_out_channels"]) - 1))


def to_denoiser_scale(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """(z - shift) * scale: unit variance for the denoiser."""
    shift = config.get("shift_factor") or 0.0
    shifted = latents - shift if shift else latents
    return shifted * float(config["scaling_factor"])


def from_denoiser_scale(latents: torch.Tensor, config: Any) -> torch.Tensor:
    """Z / scale + shift: what the decoder takes."""
    shift = config.get("shift_factor") or 0.0
    scaled = latents / float(config["scaling_factor"])
    return scaled + shift if shift else scaled


def latent_space(config: Any) -> str:
    """Name of a VAE's latent space: latents of one are refused by another's decoder.

    Fine-tuned VAEs of one lineage share it, as their latents are interchangeable.
    """
    shift = config.get("shift_factor") or 0.0
    name = f"sd/f{vae_factor(config)}c{config['latent_channels']}x{float(config['scaling_factor']):g}"
    return f"{name}{shift:+g}" if shift else name

"""The VAE: sizes, scales, and tiles that give what whole frames give."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.vae import decode_latents, encode_frames, latent_space, pad_to_multiple
from flowsynth.models.diffusion.vae_tiled import tiled_decode, tiled_encode
from tests.tiny import tiny_sd

#: Largest difference between tiled and whole, in units of the output's standard deviation.
TOLERANCE = 5e-5


@functools.lru_cache(maxsize=1)
def vae() -> Any:
    return AutoencoderKL.from_pretrained(tiny_sd() / "base" / "vae", local_files_only=True).eval()


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (16, 8), (25, 31), (7, 40)])
@pytest.mark.parametrize("tile", [8, 16, 40])
def test_tiled_decoding_equals_whole_decoding_for_every_size(size: tuple[int, int], tile: int) -> None:
    latents = rand(2, 4, *size) * 6 - 3
    with torch.no_grad():
        whole = vae().decode(latents).sample
        tiled = tiled_decode(vae(), latents, tile)
    assert (tiled - whole).abs().max() <= TOLERANCE * whole.std()


@pytest.mark.parametrize("size", [(32, 32), (36, 68), (64, 100), (28, 160)])
@pytest.mark.parametrize("tile", [8, 24])
def test_tiled_encoding_equals_whole_encoding_for_every_size(size: tuple[int, int], tile: int) -> None:
    pixels = rand(1, 3, *size) * 2 - 1
    with torch.no_grad():
        whole = vae().encode(pixels).latent_dist.parameters
        tiled = tiled_encode(vae(), pixels, tile)
    assert (tiled - whole).abs().max() <= TOLERANCE * whole.std()


def test_encoding_equals_the_vae_by_hand() -> None:
    frames = rand(2, 3, 32, 48)
    with torch.no_grad():
        expected = torch.cat([vae().encode(f[None] * 2 - 1).latent_dist.mode() for f in frames])
    assert torch.equal(encode_frames(vae(), frames), expected * vae().config.scaling_factor)


def test_decoding_equals_the_vae_by_hand() -> None:
    latents = rand(2, 4, 8, 12)
    with torch.no_grad():
        expected = torch.cat([vae().decode(z[None] / vae().config.scaling_factor).sample for z in latents])
    assert torch.equal(decode_latents(vae(), latents), (expected / 2 + 0.5).clamp(0, 1))


@pytest.mark.parametrize("size", [(1, 1), (3, 70), (31, 33), (50, 75)])
def test_any_size_is_padded_by_reflection(size: tuple[int, int]) -> None:
    frames = rand(1, 3, *size)
    padded = pad_to_multiple(frames, 4)
    assert padded.shape[-2] % 4 == padded.shape[-1] % 4 == 0
    assert torch.equal(padded[..., : size[0], : size[1]], frames)
    if size == (31, 33):
        assert torch.equal(padded[..., 31, :33], frames[..., 29, :])
    assert encode_frames(vae(), frames).shape[-2:] == (-(-size[0] // 4), -(-size[1] // 4))


def test_frames_are_encoded_alike_however_they_are_cut() -> None:
    frames = rand(5, 3, 32, 32)
    parts = torch.cat([encode_frames(vae(), frames[:2]), encode_frames(vae(), frames[2:])])
    assert torch.equal(encode_frames(vae(), frames), parts)


def test_sampling_is_seeded_and_differs_from_the_mode() -> None:
    frames = rand(2, 3, 32, 32)

    def sample(seed: int) -> torch.Tensor:
        return encode_frames(vae(), frames, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(sample(1), sample(1))
    assert not torch.equal(sample(1), sample(2))
    assert not torch.equal(sample(1), encode_frames(vae(), frames))


def test_grey_frames_are_refused() -> None:
    with pytest.raises(RequestError, match="takes RGB frames, given 1 channels"):
        encode_frames(vae(), rand(1, 1, 32, 32))


def test_spaces_differ_with_factor_channels_and_scale() -> None:
    sd15 = {"block_out_channels": (1, 2, 3, 4), "latent_channels": 4, "scaling_factor": 0.18215}
    assert latent_space(sd15) == "sd/f8c4x0.18215"
    assert latent_space(sd15 | {"shift_factor": 0.1}) == "sd/f8c4x0.18215+0.1"
    assert len({latent_space(c) for c in (sd15, sd15 | {"latent_channels": 8}, vae().config)}) == 3

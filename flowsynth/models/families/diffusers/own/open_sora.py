"""Open-Sora 2 (arXiv 2503.09642): a Flux denoiser that reads what is known of the clip beside its noise.

The network is the library's `FluxTransformer2DModel`: what is known (a mask and latents) stands behind the
noise as further channels, and the two layers that take them in are one; `single_file.open_sora` reads
its file.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from diffusers.video_processor import VideoProcessor

_PATCH = 2
#: Steps from the beginning in which guidance does not oscillate.
_STEADY = 10
#: The shift of the schedule: 1 at 256 places of a frame, 3 at 4096, times the root of the latent frames.
_PLACES, _SHIFTS = (256, 4096), (1.0, 3.0)


class OpenSora2Pipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers has no types
    """A clip from a text, and from its first or last picture where they are given."""

    model_cpu_offload_seq = "text_encoder->text_encoder_2->transformer->vae"

    def __init__(
        self,
        scheduler: Any,
        vae: Any,
        text_encoder: Any,
        tokenizer: Any,
        text_encoder_2: Any,
        tokenizer_2: Any,
        transformer: Any,
    ) -> None:
        """Take the parts: CLIP and T5, the denoiser, HunyuanVideo's VAE, a scheduler of flow matching."""
        super().__init__()
        self.register_modules(
            scheduler=scheduler,
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            text_encoder_2=text_encoder_2,
            tokenizer_2=tokenizer_2,
            transformer=transformer,
        )

    def encode_prompt(
        self, prompt: Any, negative_prompt: Any = None, max_sequence_length: int = 512
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Words by T5, (2, L, C), and the whole by CLIP, (2, C): of the prompt and of what is not wanted.

        Args:
            prompt: the text, or one in a list.
            negative_prompt: likewise.
            max_sequence_length: tokens that T5 reads.
        """
        texts = [_first(prompt), _first(negative_prompt)]
        words = self._ids(self.tokenizer_2, texts, max_sequence_length)
        whole = self._ids(self.tokenizer, texts, self.tokenizer.model_max_length)
        states = self.text_encoder_2(words, attention_mask=None)[0]
        pooled = self.text_encoder(whole).pooler_output
        dtype = self.transformer.dtype
        return states.to(dtype), pooled.to(dtype)

    def _ids(self, tokenizer: Any, texts: list[str], length: int) -> torch.Tensor:
        given = {"padding": "max_length", "truncation": True, "max_length": length, "return_tensors": "pt"}
        found: torch.Tensor = tokenizer(texts, **given).input_ids
        return found.to(self._execution_device)

    @torch.no_grad()
    def __call__(
        self,
        prompt: Any = None,
        image: Any = None,
        last_image: Any = None,
        negative_prompt: Any = None,
        height: int = 256,
        width: int = 464,
        num_frames: int = 129,
        num_inference_steps: int = 50,
        guidance_scale: float = 7.5,
        picture_guidance: float = 3.0,
        oscillate: bool = True,
        shift: float | None = None,
        max_sequence_length: int = 512,
        generator: torch.Generator | None = None,
        latents: torch.Tensor | None = None,
        output_type: str = "np",
    ) -> tuple[Any]:
        """Make a clip, (1, T, H, W, 3) in [0, 1].

        Args:
            prompt: the text.
            image: the first picture, (1, 3, H, W) in [-1, 1].
            last_image: the last one.
            negative_prompt: what is not wanted.
            height: pixels, a multiple of 16.
            width: likewise.
            num_frames: 4 k + 1.
            num_inference_steps: steps.
            guidance_scale: how much the text counts.
            picture_guidance: how much the pictures count.
            oscillate: after ten steps both count in every second one only; pictures the less the later the
                step and the earlier the frame.
            shift: of the schedule; by the size unless given.
            max_sequence_length: tokens that T5 reads.
            generator: of the noise.
            latents: noise to begin with.
            output_type: as the library's `VideoProcessor` has them.
        """
        words, whole = self.encode_prompt(
            prompt=prompt, negative_prompt=negative_prompt, max_sequence_length=max_sequence_length
        )
        ratio, channels = self.vae.spatial_compression_ratio, self.vae.config.latent_channels
        frames = (num_frames - 1) // self.vae.temporal_compression_ratio + 1
        shape = (1, channels, frames, height // ratio, width // ratio)
        device = self._execution_device
        noise = latents if latents is not None else randn_tensor(shape, generator, device, words.dtype)
        known = self._known(image, last_image, shape, words.dtype)
        moments = _schedule(num_inference_steps, frames, shape[-2] * shape[-1] // _PATCH**2, shift)
        self.scheduler.set_timesteps(sigmas=moments, device=device)
        pictures = image is not None or last_image is not None
        x, beside = _packed(noise), _packed(known)
        with self.progress_bar(total=num_inference_steps) as progress:
            for number, moment in enumerate(self.scheduler.timesteps):
                told = not oscillate or number < _STEADY or number % 2 == 0
                text, seen = (guidance_scale, picture_guidance) if told else (1.0, 1.0)
                counts = _along(seen, number, num_inference_steps, shape, x) if oscillate else seen
                found = self._predicted(
                    x, beside, moment, words, whole, shape, text, counts if pictures else None
                )
                x = self.scheduler.step(found, moment, x, return_dict=False)[0]
                progress.update()
        made = _unpacked(x, shape)
        made = torch.where(known[:, :1] > 0, known[:, 1:], made)
        clip = self.vae.decode(made / self.vae.config.scaling_factor, return_dict=False)[0]
        return (self._processor.postprocess_video(clip, output_type=output_type),)

    def _known(self, image: Any, last_image: Any, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """A mask of the latent frames that are given, and these: (1, 1 + C, T, h, w)."""
        found = torch.zeros(1, 1 + shape[1], *shape[2:], dtype=dtype, device=self._execution_device)
        for place, picture in ((0, image), (-1, last_image)):
            if picture is not None:
                pixels = self._pixels(picture, shape).to(self.vae.dtype)
                coded = (
                    self.vae.encode(pixels[:, :, None]).latent_dist.mode() * self.vae.config.scaling_factor
                )
                found[:, 0, place], found[:, 1:, place] = 1, coded[:, :, 0].to(dtype)
        return found

    @property
    def _processor(self) -> VideoProcessor:
        return VideoProcessor(vae_scale_factor=self.vae.spatial_compression_ratio)

    def _pixels(self, picture: Any, shape: tuple[int, ...]) -> torch.Tensor:
        ratio = self.vae.spatial_compression_ratio
        made: torch.Tensor = self._processor.preprocess(picture, shape[-2] * ratio, shape[-1] * ratio)
        return made.to(self._execution_device)

    def _predicted(
        self,
        x: torch.Tensor,
        beside: torch.Tensor,
        moment: torch.Tensor,
        words: torch.Tensor,
        whole: torch.Tensor,
        shape: tuple[int, ...],
        text: float,
        seen: float | torch.Tensor | None,
    ) -> torch.Tensor:
        """The velocity: with the text, without it, and without the pictures where there are some."""
        nothing = torch.zeros_like(beside)
        known = [beside, beside] if seen is None else [beside, beside, nothing]
        rows = [0, 1] if seen is None else [0, 1, 1]
        count = len(rows)
        given = torch.cat((x.expand(count, -1, -1), torch.cat(known)), -1)
        places, none = _places(shape, x), torch.zeros(words.shape[1], 3, dtype=x.dtype, device=x.device)
        made = self.transformer(
            hidden_states=given,
            timestep=(moment / 1000).expand(count).to(x.dtype),
            encoder_hidden_states=words[rows],
            pooled_projections=whole[rows],
            txt_ids=none,
            img_ids=places,
            return_dict=False,
        )[0]
        if seen is None:
            wanted, without = made.chunk(2)
            return without + text * (wanted - without)  # type: ignore[no-any-return]
        wanted, without, blind = made.chunk(3)
        return blind + seen * (without - blind) + text * (wanted - without)  # type: ignore[no-any-return]


def _first(text: Any) -> str:
    return str((text[0] if isinstance(text, (list, tuple)) and text else text) or "")


def _schedule(steps: int, frames: int, places: int, shift: float | None) -> list[float]:
    """From 1 towards 0, the more of it near 1 the larger the clip is."""
    if shift is None:
        slope = (_SHIFTS[1] - _SHIFTS[0]) / (_PLACES[1] - _PLACES[0])
        shift = (_SHIFTS[0] + slope * (places - _PLACES[0])) * math.sqrt(frames)
    moments = [1 - k / steps for k in range(steps)]
    return [shift * moment / (1 + (shift - 1) * moment) for moment in moments]


def _along(
    seen: float, number: int, steps: int, shape: tuple[int, ...], like: torch.Tensor
) -> float | torch.Tensor:
    """How much the pictures count at each place of a step: from 1 at the first frame up to the step's own."""
    if seen <= 1:
        return seen
    most = torch.linspace(seen, 1.0, steps + 1)[number].item()
    frames = torch.linspace(1.0, most, shape[2]).view(1, 1, -1, 1, 1).expand(shape)
    return _packed(frames).to(like)


def _packed(x: torch.Tensor) -> torch.Tensor:
    """(N, C, T, h, w) to (N, T h w / 4, 4 C): squares of four are a place."""
    n, c, t, h, w = x.shape
    squares = x.reshape(n, c, t, h // _PATCH, _PATCH, w // _PATCH, _PATCH).permute(0, 2, 3, 5, 1, 4, 6)
    return squares.reshape(n, -1, c * _PATCH**2)


def _unpacked(x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    _, c, t, h, w = shape
    squares = x.view(-1, t, h // _PATCH, w // _PATCH, c, _PATCH, _PATCH)
    return squares.permute(0, 4, 1, 2, 5, 3, 6).reshape(-1, c, t, h, w)


def _places(shape: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
    """Time, row and column of each place."""
    sides = shape[2], shape[3] // _PATCH, shape[4] // _PATCH
    return torch.cartesian_prod(*(torch.arange(n, device=like.device, dtype=like.dtype) for n in sides))

"""Stage 2: text encoder, UNet and both ControlNets, trained together on both worlds."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict

from .attributes import pretrain
from .control import control_residuals
from .errors import beside_lines, mean_where
from .latents import Batch, PoolConfig, ShapeData, StyleData
from .networks import NetworkConfig, alphas_sigmas, blank_starts, build_controlnet, build_unet
from .perception import Perception
from .reader import reading_labels, train_reader
from .styled import VERSIONS
from .text import build_text_encoder, build_tokenizer, caption_states, drop_captions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from .reader import Reader

log = logging.getLogger(__name__)


class DenoiserConfig(BaseModel):
    """What the denoiser stage sees and how often."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    network: NetworkConfig = NetworkConfig()
    short_sides: tuple[int, ...] = (144, 192)
    batch: int = 24
    crop: int = 16  # latents
    shapes: PoolConfig = PoolConfig()
    shapes_share: float = 0.2
    versions: tuple[str, ...] = VERSIONS  # of photos; what is hard to learn may be said twice
    low_noise_share: float = 0.65  # rows whose noise is what image-to-image at a low strength sees
    low_noise_step: int = 450
    bridge_share: float = 0.2  # rows that start between the photo and the styled picture
    bridge_min_step: int = 200
    restyled_share: float = 0.4  # photos whose tile shows them as they are, whatever the style
    caption_dropout: float = 0.1
    tile_dropout: float = 0.15
    lines_dropout: float = 0.25
    high_noise_share: float = 0.65  # drawings whose noise hides what they show
    high_noise_step: int = 400
    blank_share: float = 0.15  # rows that start from noise alone, as sampling does
    lines_blank_share: float = 0.5  # the same among drawings that have lines only
    shape_free_share: float = 0.65  # drawings without any control
    shape_tile_dropout: float = 0.7  # among the other drawings: lines alone must learn to decide
    shape_lines_dropout: float = 0.2
    vague_share: float = 0.3  # controlled drawings whose caption leaves words out
    open_share: float = 0.1  # drawings without any control whose caption leaves words out, colours too
    word_share: float = 0.05  # drawings without any control whose caption is a word or two
    prefit_steps: int = 400
    text_steps: int = 1500
    reader_steps: int = 1500
    moving_read_step: int = 750  # where a moving shape is, is told below it only
    reader_life: int = 0  # steps until another reader is trained, on average; 0: the first one stays
    reading_weight: float = 0.02  # of the reader's loss beside the squared error
    outline_weight: float = 0.0  # of the squared error along outlines, large or small, beside that of all
    perceptual_weight: float = 0.0  # of the photos' LPIPS; at 0 its network isn't asked for
    drawing_looks: int = 0  # drawings a batch that are looked at like that too
    drawing_looks_weight: float = 4.0  # of their LPIPS


class DenoiserStage:
    """Predicts v under a caption, a tile control and a line control."""

    def __init__(
        self, config: DenoiserConfig, words: Sequence[str], styles: StyleData, shapes: ShapeData
    ) -> None:
        self.config, self.styles, self.shapes = config, styles, shapes
        net = config.network
        self.tokenizer = build_tokenizer(words)
        self.text_encoder = build_text_encoder(
            self.tokenizer, net.text_width, net.text_layers, net.text_heads
        )
        self.unet = build_unet(net)
        self.tile, self.lines = build_controlnet(net), build_controlnet(net)
        self.alphas, self.sigmas = alphas_sigmas()
        self.reader: Reader | None = None

    def modules(self) -> Mapping[str, torch.nn.Module]:
        """Returns the trained modules by name."""
        return {
            "text_encoder": self.text_encoder,
            "unet": self.unet,
            "tile": self.tile,
            "lines": self.lines,
        }

    def prefit(self, seed: int) -> float:
        """Fits the tile embedding's first channels to the latents; returns the explained variance.

        Learning to encode a picture from the denoiser's noisy gradients alone takes far longer.
        """
        embedding = self.tile.controlnet_cond_embedding
        channels = self.config.network.latent_channels
        optimizer = torch.optim.AdamW(embedding.parameters(), lr=3e-3)
        steps = self.config.prefit_steps
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=max(1, steps))
        explained = 0.0
        for step in range(steps):
            rng = np.random.default_rng([seed, step])
            pixels, wanted = self.styles.pairs(self.config.batch, self.config.crop, rng)
            with torch.autocast("cpu", torch.bfloat16):
                error = F.mse_loss(embedding(pixels)[:, :channels].float(), wanted)
            optimizer.zero_grad()
            error.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            explained = 0.95 * explained + 0.05 * float(1 - error.detach() / wanted.var())
        return explained

    def pretrain_text(self, seed: int) -> float:
        """Teaches the text encoder what captions say; returns the share it reads without a fault."""
        subjects = self.styles.subjects
        return pretrain(self.text_encoder, self.tokenizer, subjects, self.config.text_steps, seed)

    def loss(self, rng: np.random.Generator) -> tuple[Tensor, dict[str, float]]:
        """Returns the mean squared error of v over one batch, and that of the predicted latents."""
        config = self.config
        # At least one photo, so that neither world's part of a batch is ever empty.
        drawn = min(int(rng.binomial(config.batch, config.shapes_share)), config.batch - 1)
        scales = self._scales(drawn, rng)
        batch = self._batch(drawn, (scales > 0).any(0).numpy(), rng)
        drawn_times = self._times(batch, drawn, rng)
        start, times, blank = blank_starts(batch.start, drawn_times, self._blank_share(drawn, scales), rng)
        alpha, sigma = self.alphas[times][:, None, None, None], self.sigmas[times][:, None, None, None]
        noisy = alpha * start + sigma * torch.randn_like(start)
        # Where the start isn't the target, this is the v that leads from here to the target.
        wanted = (alpha * noisy - batch.target) / sigma
        captions = drop_captions(batch.captions, config.caption_dropout, rng)
        text = self.states(captions)
        made = self.predict((noisy, times, text), (batch.tile, batch.lines), scales)
        errors = (made - wanted).square().mean((1, 2, 3))
        figures = self._figures(errors.detach(), sigma.flatten(), drawn, blank)
        predicted = alpha * noisy - sigma * made
        loss = errors.mean()
        told = self._told(batch, times, captions)
        if drawn:
            squares = (made - wanted)[-drawn:].square()
            loss = loss + self._drawing_losses(squares, predicted[-drawn:], batch, told, rng, figures)
        if config.perceptual_weight:
            marked = self._restyled(batch, scales, captions)
            loss = loss + config.perceptual_weight * self._looks(predicted, batch, marked, "looks", figures)
        if config.drawing_looks:
            marked = self._some_drawings(scales, told, rng)
            loss = loss + config.drawing_looks_weight * self._looks(predicted, batch, marked, "seen", figures)
        return loss, figures

    def _drawing_losses(
        self,
        squares: Tensor,
        predicted: Tensor,
        batch: Batch,
        told: Tensor,
        rng: np.random.Generator,
        figures: dict[str, float],
    ) -> Tensor:
        """Returns what outlines and reading add to the loss, and notes both figures."""
        config, drawn = self.config, len(batch.drawings)
        loss = torch.zeros(())
        if config.outline_weight:
            rims = mean_where(squares, beside_lines(batch.lines[-drawn:])) * told
            figures["rims"] = float(rims.detach().sum()) / drawn
            loss = loss + config.outline_weight * rims.sum() / config.batch
        if config.reading_weight:
            readings = self._reader(rng).loss(predicted, reading_labels(batch.drawings)) * told
            figures["reading"] = float(readings.detach().sum()) / drawn
            loss = loss + config.reading_weight * readings.sum() / config.batch
        return loss

    def _looks(
        self, predicted: Tensor, batch: Batch, marked: Tensor, name: str, figures: dict[str, float]
    ) -> Tensor:
        """Returns the sum of the marked rows' LPIPS over the batch's size, and notes their mean."""
        if not marked.any():
            return torch.zeros(())
        looks = self.perception.loss(predicted[marked], batch.pixels[marked])
        figures[name] = float(looks.detach().mean())
        return looks.sum() / self.config.batch

    def _some_drawings(self, scales: Tensor, told: Tensor, rng: np.random.Generator) -> Tensor:
        """Marks in the batch (B,) so many of the drawings that captions alone tell."""
        marked = torch.zeros(scales.shape[1], dtype=torch.bool)
        free = (scales[:, scales.shape[1] - len(told) :] == 0).all(0)
        rows = scales.shape[1] - len(told) + (told & free).nonzero()[:, 0].numpy()
        marked[torch.from_numpy(rng.permutation(rows)[: self.config.drawing_looks])] = True
        return marked

    def _reader(self, rng: np.random.Generator) -> Reader:
        """Says what predicted latents of drawings show; trained when first asked for, and now and then again.

        What one reader takes for a star another need not: the weak spots of one that stays are learned.
        """
        life = self.config.reader_life
        if self.reader is None or (life and rng.random() < 1 / life):
            seed = int(rng.integers(2**31)) if life else 0
            self.reader, right = train_reader(self.shapes, self.config.reader_steps, seed)
            log.info("drawings read without a fault: %.0f %%", 100 * right)
        return self.reader

    @cached_property
    def perception(self) -> Perception:
        """Looks at predicted latents."""
        assert self.styles.cache is not None
        return Perception(self.styles.vae, self.styles.cache)

    @staticmethod
    def _restyled(batch: Batch, scales: Tensor, captions: Sequence[str]) -> Tensor:
        """Marks the photos (B,) whose caption and tile tell the picture, where the tile isn't it already."""
        told = (scales[0] > 0) & _said(captions)
        told[len(told) - len(batch.drawings) :] = False
        return told & (batch.tile != batch.pixels).flatten(1).any(1)

    def _told(self, batch: Batch, times: Tensor, captions: Sequence[str]) -> Tensor:
        """Marks the drawings (drawings,) of which it is said what they show and where."""
        drawn = len(batch.drawings)
        if not drawn:
            return batch.determined
        # Under much noise a moving shape may be anywhere, and its prediction is rightly a smear.
        moving = torch.tensor([drawing.moves for drawing in batch.drawings])
        smeared = moving & (times[-drawn:] > self.config.moving_read_step)
        return batch.determined & _said(captions[-drawn:]) & ~smeared

    def _blank_share(self, drawn: int, scales: Tensor) -> NDArray[np.float64]:
        """Returns how likely each row starts blank: drawings by lines alone must learn to begin too."""
        config = self.config
        alone = ((scales[0] == 0) & (scales[1] > 0)).numpy()
        alone[: len(alone) - drawn] = False
        return np.where(alone, config.lines_blank_share, config.blank_share)

    @staticmethod
    def _figures(errors: Tensor, sigma: Tensor, drawn: int, blank: Tensor) -> dict[str, float]:
        """Returns means over the drawings, over those that start blank, and over the photos' latents."""
        photos = len(errors) - drawn
        text = errors[photos:][blank[photos:]]
        figures = {"drawings": float(errors[photos:].sum()) / max(1, drawn)}
        if len(text):
            figures["blank"] = float(text.mean())
        return figures | {"latents": float((sigma**2 * errors)[:photos].mean())}

    def states(self, captions: Sequence[str]) -> Tensor:
        """Returns the captions' text states (B, 77, D)."""
        return caption_states(self.text_encoder, self.tokenizer, captions)

    def control(
        self, inputs: tuple[Tensor, Tensor, Tensor], pictures: tuple[Tensor, Tensor], scales: Tensor
    ) -> dict[str, Any]:
        """Returns what both ControlNets add to the UNet, as its keyword arguments.

        Args:
            inputs: Noisy latents, timesteps and text states, one row a picture.
            pictures: Tile and lines (B, 3, H, W) in [0, 1].
            scales: Both controls' scales a row (2, B).
        """
        residuals = control_residuals((self.tile, self.lines), pictures, list(scales), inputs)
        if residuals is None:
            return {}
        names = ("down_block_additional_residuals", "mid_block_additional_residual")
        return dict(zip(names, residuals, strict=True))

    def predict(
        self, inputs: tuple[Tensor, Tensor, Tensor], pictures: tuple[Tensor, Tensor], scales: Tensor
    ) -> Tensor:
        """Returns v (B, C, h, w) under the controls; arguments as those of `control`."""
        made: Tensor = self.unet(*inputs, **self.control(inputs, pictures, scales)).sample
        return made.float()

    def _batch(self, drawn: int, controlled: NDArray[np.bool_], rng: np.random.Generator) -> Batch:
        config = self.config
        photos = self.styles.batch(
            config.batch - drawn,
            config.crop,
            rng,
            config.bridge_share,
            config.restyled_share,
            config.versions,
        )
        if not drawn:
            return photos
        controlled = controlled[-drawn:]
        brief = rng.random(drawn) < np.where(controlled, config.vague_share, config.open_share)
        kinds = np.where(brief, np.where(controlled, "vague", "open"), "full")
        # A single word leaves colours open, which lines alone don't tell either.
        kinds[~controlled & (rng.random(drawn) < config.word_share)] = "word"
        drawings = self.shapes.batch(list(kinds), rng)
        return Batch(
            torch.cat([photos.target, drawings.target]),
            torch.cat([photos.start, drawings.start]),
            torch.cat([photos.pixels, drawings.pixels]),
            torch.cat([photos.tile, drawings.tile]),
            torch.cat([photos.lines, drawings.lines]),
            photos.captions + drawings.captions,
            drawings.drawings,
            torch.from_numpy(controlled | (kinds == "full")),
        )

    def _times(self, batch: Batch, drawn: int, rng: np.random.Generator) -> Tensor:
        config, count = self.config, len(batch.target)
        times = rng.integers(0, 1000, count)
        drawing = np.arange(count) >= count - drawn
        low = (rng.random(count) < config.low_noise_share) & ~drawing
        times = np.where(low, rng.integers(0, config.low_noise_step, count), times)
        # What a drawing shows is decided at high noise; below, only its edges are left to draw.
        high = (rng.random(count) < config.high_noise_share) & drawing
        times = np.where(high, rng.integers(config.high_noise_step, 1000, count), times)
        moved = (batch.start != batch.target).flatten(1).any(1).numpy()
        # Little noise leaves no room to move: v would be large.
        lowest = np.where(moved, config.bridge_min_step, 0)
        return torch.from_numpy(np.maximum(times, lowest))

    def _scales(self, drawn: int, rng: np.random.Generator) -> Tensor:
        """Draws each row's tile and line scales (2, rows): off, on, or in between."""
        config, count = self.config, self.config.batch
        drawing = np.arange(count) >= count - drawn
        free = drawing & (rng.random(count) < config.shape_free_share)
        tile_off = rng.random(count) < np.where(drawing, config.shape_tile_dropout, config.tile_dropout)
        lines_off = rng.random(count) < np.where(drawing, config.shape_lines_dropout, config.lines_dropout)
        strength = np.where(rng.random((2, count)) < 0.3, rng.uniform(0.4, 1.0, (2, count)), 1.0)
        return torch.from_numpy(strength * ~(np.stack([tile_off, lines_off]) | free)).float()


def _said(captions: Sequence[str]) -> Tensor:
    """Marks the captions (B,) that weren't dropped."""
    return torch.tensor([bool(caption) for caption in captions])

"""Stage 2: text encoder, UNet and both ControlNets, trained together on both worlds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from flowsynth.training.attributes import pretrain
from flowsynth.training.clarity import Clarity, ClarityConfig, Guess
from flowsynth.training.control import control_residuals
from flowsynth.training.coupling import Coupling
from flowsynth.training.latents import Batch, StyleData
from flowsynth.training.networks import NetworkConfig, blank_rows, build_controlnet, build_unet
from flowsynth.training.pools import PoolConfig, ShapeData
from flowsynth.training.rollout import Noisy, RolloutConfig, roll_on
from flowsynth.training.styled import VERSIONS
from flowsynth.training.text import build_text_encoder, build_tokenizer, caption_states, drop_captions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor


class DenoiserConfig(ClarityConfig):
    """What the denoiser stage sees and how often."""

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
    choices: int = 0  # drawings that noise can choose from where such a caption leaves it open
    chosen_step: int = 800  # noise chooses above it only: below, what is started from does
    chosen_blank_share: float = 0.5  # rows of these that start from noise alone
    rollout: RolloutConfig = RolloutConfig()
    prefit_steps: int = 400
    text_steps: int = 1500


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
        self.clarity = Clarity(styles, shapes)
        self.coupling = Coupling(shapes.still(config.choices)) if config.choices else None

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
            error.backward()
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
        times, blank = blank_rows(drawn_times, self._blank_share(batch, scales), rng)
        noise = torch.randn_like(batch.start)
        if self.coupling:
            batch = self.coupling.choose(batch, times >= config.chosen_step, noise, rng)
        noisy = Noisy.mix(batch.start * ~blank[:, None, None, None], noise, times)
        captions = drop_captions(batch.captions, config.caption_dropout, rng)
        text, pictures = self.states(captions), (batch.tile, batch.lines)

        def predict(some: Noisy, rows: Tensor) -> Tensor:
            tile, lines = (picture[rows] for picture in pictures)
            return self.predict((some.latents, some.times, text[rows]), (tile, lines), scales[:, rows])

        noisy, moved = roll_on(config.rollout, noisy, batch.target, predict, rng)
        made = self.predict((noisy.latents, noisy.times, text), pictures, scales)
        # Where the start isn't the target, this is the v that leads from here to the target.
        squares = (made - noisy.towards(batch.target)).square()
        errors = squares.mean((1, 2, 3))
        figures = self._figures(errors.detach(), noisy.sigma.flatten(), drawn, blank & ~moved)
        guess = Guess(batch, noisy.picture(made), squares, noisy.times, scales, captions)
        unclear, more = self.clarity.loss(config, guess, rng)
        return errors.mean() + unclear, figures | more

    def _blank_share(self, batch: Batch, scales: Tensor) -> NDArray[np.float64]:
        """Returns how likely each row starts blank: drawings by lines alone must learn to begin too."""
        config, drawn = self.config, len(batch.drawings)
        alone = ((scales[0] == 0) & (scales[1] > 0)).numpy()
        alone[: len(alone) - drawn] = False
        shares = np.where(alone, config.lines_blank_share, config.blank_share)
        if self.coupling:
            # What no drawing can be chosen for would only learn its mean.
            fits = np.array([bool(len(self.coupling.allowed(hint))) for hint in batch.hints], bool)
            left_open = ~batch.determined.numpy()
            open_shares = np.where(fits, config.chosen_blank_share, 0.0)
            shares[len(shares) - drawn :][left_open] = open_shares[left_open]
        return shares

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
            drawings.hints,
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

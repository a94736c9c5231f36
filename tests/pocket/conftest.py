"""Pictures made with the family in the package, by operators called plainly."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from flowsynth.core.context import RunContext
from flowsynth.models import Model, ModelManager, parse_model
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.values import Frames

SIDE = 96
PICTURES = Path(str(files("flowsynth") / "assets" / "pictures"))
CONTROLS = {"lines": "canny", "tile": "tile"}


class Pocket:
    """The family, loaded once for all tests of a module."""

    def __init__(self) -> None:
        self.ctx = RunContext(models=ModelManager("cpu", 10**9))

    def model(self, **extra: Any) -> Model:
        nets = {name: f"shipped:pocket/controlnet_{name}" for name in CONTROLS}
        return Model(
            parse_model("base", {"family": "sd", "source": "shipped:pocket", "controlnets": nets, **extra})
        )

    def make(
        self,
        prompt: Any = "",
        *,
        negative: Any = "",
        start: Frames | None = None,
        lines: Frames | None = None,
        tile: Frames | None = None,
        frames: int = 1,
        motion: bool = False,
        loras: tuple[dict[str, Any], ...] = (),
        **params: Any,
    ) -> Frames:
        """Picture or clip of a prompt: from noise, or from `start`; controlled by what is given."""
        extra: dict[str, Any] = {"loras": loras}
        if motion:
            extra |= {"motion": "shipped:pocket/motion_adapter", "motion_noise": "shared"}
        model = self.model(**extra)
        text = TextEncode(prompt=prompt, negative_prompt=negative).run(self.ctx, model=model)
        if start is None:
            latents = EmptyLatents(height=64, width=64, num_frames=frames, fps=8).run(self.ctx, model=model)
        else:
            latents = VaeEncode().run(self.ctx, frames=start, model=model)
        shown = {name: clip for name, clip in (("lines", lines), ("tile", tile)) if clip is not None}
        control = [Annotate(detector=CONTROLS[n]).run(self.ctx, frames=clip) for n, clip in shown.items()]
        denoise = Denoise(controlnets=tuple(shown) or None, **params)
        made = denoise.run(self.ctx, model=model, latents=latents, conditioning=text, control=control or None)
        return VaeDecode().run(self.ctx, latents=made, model=model)


@pytest.fixture(scope="session")
def pocket() -> Pocket:
    return Pocket()


@pytest.fixture(scope="session")
def photo() -> Frames:
    """Head and shoulders of the shipped picture, which training never saw."""
    image = Image.open(PICTURES / "astronaut.jpg").convert("RGB").crop((60, 0, 380, 320))
    return frames(np.asarray(image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))[None])


@pytest.fixture(scope="session")
def toon(photo: Frames) -> Frames:
    return Stylize(style="toon").run(RunContext(), frames=photo)


def frames(clip: np.ndarray) -> Frames:
    """uint8 THWC as frames."""
    return Frames(torch.from_numpy(clip.copy()).permute(0, 3, 1, 2).contiguous(), Fraction(8))


def pixels(made: Frames) -> np.ndarray:
    """Frames as uint8 THWC."""
    return made.tensor.permute(0, 2, 3, 1).contiguous().numpy()


def change(one: Frames, other: Frames) -> float:
    """Mean absolute difference, in levels of 255."""
    return float((one.tensor.float() - other.tensor.float()).abs().mean())


def colourfulness(made: Frames) -> float:
    """Mean distance of the channels' largest to their smallest, in levels: 0 for grey."""
    data = made.tensor.float()
    return float((data.amax(1) - data.amin(1)).mean())

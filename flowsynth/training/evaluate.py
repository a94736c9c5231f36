"""A quick look at an exported family: figures and contact sheets on pictures it never saw.

The goals are measured by ``benchmarks/pocket.py``, through graphs and with a judge of shapes.
"""

from __future__ import annotations

import json
import logging
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from flowsynth.training.captions import STYLE_WORDS
from flowsynth.training.styled import VERSIONS, StyledPicture, render_versions
from flowsynth.training.vae import reconstruct

if TYPE_CHECKING:
    from pathlib import Path

    from flowsynth.training.pictures import Picture

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Restyle:
    """Settings of one image-to-image pass under both controls.

    ``steps`` counts the denoising steps really made, whatever the strength.
    """

    prompt: str = "toon"
    strength: float = 0.25
    steps: int = 4
    guidance: float = 1.0
    tile: float = 1.0
    lines: float = 1.0
    seed: int = 0


def load_pipeline(folder: Path) -> Any:
    """Loads an exported family as diffusers' own ControlNet image-to-image pipeline, in float32."""
    from diffusers import ControlNetModel, StableDiffusionControlNetImg2ImgPipeline

    nets = [
        ControlNetModel.from_pretrained(folder / f"controlnet_{name}", local_files_only=True)
        for name in ("tile", "lines")
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # diffusers warns that there is no safety checker
        pipe = StableDiffusionControlNetImg2ImgPipeline.from_pretrained(
            folder, controlnet=nets, local_files_only=True, torch_dtype=torch.float32
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(torch.float32)


def restyle(pipe: Any, guide: Picture, tile: Picture, lines: Picture, how: Restyle) -> Picture:
    """Runs one picture (uint8 HWC; ``lines`` HW) through image-to-image."""
    total = max(how.steps, round(how.steps / how.strength))
    made = pipe(
        how.prompt,
        image=Image.fromarray(guide),
        control_image=[Image.fromarray(tile), Image.fromarray(lines).convert("RGB")],
        controlnet_conditioning_scale=[how.tile, how.lines],
        strength=how.strength,
        num_inference_steps=total,
        guidance_scale=how.guidance,
        generator=torch.Generator().manual_seed(how.seed),
        output_type="np",
    ).images[0]
    return np.asarray((made * 255).round().astype(np.uint8))


def psnr(made: Picture, wanted: Picture) -> float:
    """Returns the PSNR of two uint8 pictures in dB."""
    error = np.square(made.astype(np.float64) - wanted).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))


def reduced(picture: Picture, short_side: int) -> StyledPicture:
    """Returns a picture at a short side in all versions, sides cut to multiples of 8."""
    image = Image.fromarray(picture)
    scale = min(1.0, short_side / min(image.size))
    size = [round(side * scale) // 8 * 8 for side in image.size]
    return render_versions(np.asarray(image.resize((size[0], size[1]), Image.Resampling.LANCZOS)))


def sheet(rows: list[list[Picture]], zoom: int = 1) -> Image.Image:
    """Pastes pictures of equal height into rows, white where a row is short."""
    width = max(sum(p.shape[1] for p in row) for row in rows)
    canvas = Image.new("RGB", (width, sum(row[0].shape[0] for row in rows)), "white")
    top = 0
    for row in rows:
        left = 0
        for picture in row:
            canvas.paste(Image.fromarray(picture), (left, top))
            left += picture.shape[1]
        top += row[0].shape[0]
    return canvas.resize((canvas.width * zoom, canvas.height * zoom), Image.Resampling.NEAREST)


def evaluate(folder: Path, held_out: dict[str, Picture], out: Path, short_side: int = 160) -> dict[str, Any]:
    """Measures a family and draws contact sheets.

    Args:
        folder: The exported family.
        held_out: Pictures it was never trained on.
        out: Folder for ``figures.json`` and the sheets.
        short_side: Size to work at, pixels.

    Returns:
        What is in ``figures.json``.
    """
    out.mkdir(parents=True, exist_ok=True)
    pipe = load_pipeline(folder)
    pictures = {name: reduced(picture, short_side) for name, picture in held_out.items()}
    figures: dict[str, Any] = {"vae_db": _vae_figures(pipe.vae, held_out, out)}
    figures["styles"] = _style_figures(pipe, pictures, out)
    first = next(iter(pictures.values()))
    _strength_sheet(pipe, first, out)
    (out / "figures.json").write_text(json.dumps(figures, indent=2))
    log.info("%s", json.dumps(figures, indent=2))
    return figures


def _vae_figures(vae: Any, held_out: dict[str, Picture], out: Path) -> dict[str, float]:
    rows, figures = [], {}
    for name, picture in held_out.items():
        made, value = reconstruct(vae, picture)
        figures[name] = round(value, 2)
        rows.append([picture[: made.shape[0], : made.shape[1]], made])
    sheet(rows).save(out / "vae.png")
    figures["mean"] = round(float(np.mean(list(figures.values()))), 2)
    return figures


def _style_figures(pipe: Any, pictures: dict[str, StyledPicture], out: Path) -> dict[str, dict[str, float]]:
    """Default strength from the stylised guide: distance to the guide beside that of the photo."""
    figures: dict[str, dict[str, float]] = {}
    for index, style in enumerate(VERSIONS):
        rows, made_db, photo_db = [], [], []
        for made in pictures.values():
            guide, photo = made.versions[index], made.versions[0]
            result = restyle(pipe, guide, guide, made.lines, Restyle(prompt=STYLE_WORDS[style]))
            rows.append([photo, guide, result])
            made_db.append(psnr(result, guide))
            photo_db.append(psnr(photo, guide))
        sheet(rows, 2).save(out / f"style-{style}.png")
        figures[style] = {"result_to_guide_db": round(float(np.mean(made_db)), 2)}
        if index:
            figures[style]["photo_to_guide_db"] = round(float(np.mean(photo_db)), 2)
    return figures


def _strength_sheet(pipe: Any, made: StyledPicture, out: Path) -> None:
    """Rows: guide and tile are the toon picture; both are the photo. Columns: rising strength."""
    rows = []
    for version in ("toon", "photo"):
        shown = made.versions[VERSIONS.index(version)]
        strengths = (0.2, 0.3, 0.4, 0.6, 1.0)
        made_row = [restyle(pipe, shown, shown, made.lines, Restyle(strength=s)) for s in strengths]
        rows.append([shown, *made_row])
    sheet(rows, 2).save(out / "strength.png")

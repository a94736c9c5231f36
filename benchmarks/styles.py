"""The classical styles at 1080p: what a frame costs, and a sheet of crops at full size for each.

Run::

    python benchmarks/styles.py [--out benchmarks/results/styles.md]

Writes, beside the table, ``style_toon.jpg`` and so on: source above, result below, pixel for pixel, of six
subjects that nothing was tuned on, each brought to a short side of 1080 by Lanczos's filter: a portrait
(grace of matplotlib's sample data, US Navy, public domain), lettering (set here in DejaVu, 16 to 72 pixels,
over coffee, CC0), a night (the earth, gradio's media assets, Apache-2.0), snow (made: flakes of
three depths, over china of scikit-learn, CC BY 2.0, danielbuechele), a cartoon (Big Buck Bunny, CC BY 3.0,
Blender Foundation, of moviepy's archive) and grain (flower of scikit-learn, CC BY 2.0, vultilion, with film
grain).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import torch
from cuts import film
from matplotlib import font_manager
from picture import member, picture
from PIL import Image, ImageDraw, ImageFilter, ImageFont
from report import machine, publish

from flowsynth.functional.style.stylize import STYLES, stylize

SIDE, CROP = 1080, 300
#: Where the crops begin, as shares of width and height.
PLACES = {
    "portrait": (0.27, 0.2),
    "lettering": (0.02, 0.02),
    "night": (0.45, 0.3),
    "snow": (0.35, 0.3),
    "cartoon": (0.4, 0.25),
    "grain": (0.4, 0.4),
}


def enlarged(image: Image.Image) -> Image.Image:
    """Bring a picture to a short side of 1080."""
    scale = SIDE / min(image.size)
    size = round(image.width * scale), round(image.height * scale)
    return image.resize(size, Image.Resampling.LANCZOS)


def frame(path: Path, seconds: float) -> Image.Image:
    """A frame of a clip."""
    with av.open(str(path)) as container:
        container.seek(int(seconds * av.time_base))
        for found in container.decode(video=0):
            if found.time is not None and found.time >= seconds:
                image: Image.Image = found.to_image()
                return image
    raise ValueError(f"{path} ends before {seconds} s")


def lettering(under: Image.Image) -> Image.Image:
    """Set lines of black and white letters over a picture."""
    draw, top = ImageDraw.Draw(under), 30
    for i, size in enumerate((72, 48, 36, 28, 22, 16)):
        font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)
        draw.text((40, top), f"Night train {size}", "white" if i % 2 == 0 else "black", font)
        top += round(1.25 * size)
    return under


def snow(under: Image.Image) -> Image.Image:
    """Let flakes fall over a picture: many small far ones, few large near ones that are out of focus."""
    draw = np.random.default_rng(3)
    for count, radius, fall, blur in ((1500, 2, 4, 0.8), (400, 4, 10, 1.5), (60, 10, 24, 5.0)):
        layer = Image.new("L", under.size)
        pen = ImageDraw.Draw(layer)
        for x, y in draw.uniform((0, 0), under.size, (count, 2)):
            pen.line((x, y, x + 0.3 * fall, y + fall), fill=220, width=2 * radius)
        under.paste(Image.new("RGB", under.size, "white"), mask=layer.filter(ImageFilter.GaussianBlur(blur)))
    return under


def subjects(folder: Path) -> Iterator[tuple[str, Image.Image]]:
    """The pictures, a short side of 1080 each."""
    yield "portrait", enlarged(picture("grace", folder))
    yield "lettering", lettering(enlarged(picture("coffee", folder)))
    yield "night", enlarged(frame(member("gradio:gradio/media_assets/videos/world.mp4", folder), 0.5))
    yield "snow", snow(enlarged(picture("china", folder)))
    yield "cartoon", enlarged(frame(film(folder), 95.0))
    grain = np.asarray(enlarged(picture("flower", folder)))
    noise = np.random.default_rng(5).normal(0, 9, grain.shape[:2])[..., None]
    yield "grain", Image.fromarray(np.clip(grain + noise, 0, 255).astype(np.uint8))


def crop(image: Image.Image, name: str) -> Image.Image:
    """The part of a picture that a sheet shows."""
    left, top = (round(share * side) for share, side in zip(PLACES[name], image.size, strict=True))
    return image.crop((left, top, left + CROP, top + CROP))


def main() -> None:
    """Render, measure, and write the sheets."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "styles.md")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "flowsynth_bench")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    found = dict(subjects(args.folder))
    lines = ["# The styles at 1080p, CPU seconds a frame", "", f"| | {' | '.join(found)} |"]
    lines.append("|---" * (len(found) + 1) + "|")
    for style in STYLES:
        sheet = Image.new("RGB", (len(found) * (CROP + 4) - 4, 2 * CROP + 4), "white")
        cells = []
        for column, (name, image) in enumerate(found.items()):
            x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
            start = time.process_time()
            made = (stylize(x, style)[0] * 255).round().byte()
            cells.append(f"{time.process_time() - start:.2f}")
            result = Image.fromarray(made.permute(1, 2, 0).contiguous().numpy())
            for row, shown in enumerate((image, result)):
                sheet.paste(crop(shown, name), (column * (CROP + 4), row * (CROP + 4)))
        sheet.save(args.out.parent / f"style_{style}.jpg", quality=78)
        lines.append(f"| {style} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    sizes = ", ".join(f"{name} {image.width}x{image.height}" for name, image in found.items())
    publish([*lines, "", f"Sizes: {sizes}.", machine("torch"), "- `python benchmarks/styles.py`"], args.out)


if __name__ == "__main__":
    main()

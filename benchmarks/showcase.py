"""Make the pictures and the clip of the README by the shipped graphs, from freely licensed footage.

Run::

    python benchmarks/showcase.py [--out benchmarks/results] [--frames 36]

Writes ``toon.jpg``, ``oil.jpg`` and ``pencil.jpg``, each a source and its result, ``styles.jpg``, four styles
of one picture, and ``toon.webp``, a short clip of source and result. The clip is Big Buck Bunny (CC BY 3.0,
Blender Foundation), fetched by checksum; the pictures are astronaut (NASA, public domain), coffee and chelsea
(CC0) of scikit-image.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

import flowsynth as fs
from flowsynth.values import Frames

CLIP = "clip:bigbuckbunny"


def toon(overrides: list[str]) -> tuple[Frames, Frames]:
    """Run the default graph on the clip and return source and finished frames."""
    graph = fs.compose("toon", [f"input.video={CLIP}", "rate=1", *overrides])
    run = graph.run(outputs=["clip", "finish"], executor="threads")
    return run["clip"], run["finish"]


def redrawn(name: str, prompt: str, side: int = 480) -> tuple[Frames, Frames]:
    """Run `image_to_image` on one of scikit-image's pictures and return source and result."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.png"
        Image.fromarray(getattr(data, name)()).save(file)
        overrides = [f"input.image={file}", f"prompt={prompt}", f"short_side={side}"]
        run = fs.compose("image_to_image", overrides).run(outputs=["picture", "lay"], executor="threads")
        return run["picture"], run["lay"]


def picture(frames: Frames, number: int = 0, height: int = 0) -> Image.Image:
    """Return a frame, of a height if one is given."""
    pixels = np.ascontiguousarray(frames.frame(number).permute(1, 2, 0).numpy())
    found = Image.fromarray(pixels)
    size = round(found.width * height / found.height) if height else found.width, height or found.height
    return found.resize(size, Image.Resampling.LANCZOS)


def sheet(row: list[Image.Image], gap: int = 4) -> Image.Image:
    """Lay pictures of one height out side by side."""
    width = sum(one.width + gap for one in row) - gap
    canvas, left = Image.new("RGB", (width, row[0].height), "white"), 0
    for one in row:
        canvas.paste(one, (left, 0))
        left += one.width + gap
    return canvas


def main() -> None:
    """Run the graphs and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--start", type=float, default=1.2, help="seconds into the clip")
    parser.add_argument("--frames", type=int, default=36)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for file, name, prompt in (("oil", "coffee", "oil painting"), ("pencil", "astronaut", "pencil sketch")):
        both = [picture(frames, 0, 320) for frames in redrawn(name, prompt)]
        sheet(both).save(args.out / f"{file}.jpg", quality=82)
    styles = ("toon", "oil painting", "watercolor", "pencil sketch")
    made = [picture(redrawn("chelsea", style)[1], 0, 200) for style in styles]
    sheet(made).save(args.out / "styles.jpg", quality=82)
    source, result = toon([f"frames={args.frames}", f"input.start={args.start}"])
    middle = args.frames * 2 // 3
    both = [picture(clip, middle, 256) for clip in (source, result)]
    sheet(both).save(args.out / "toon.jpg", quality=84)
    steps = [
        sheet([picture(clip, number, 108) for clip in (source, result)])
        for number in range(0, args.frames, 2)
    ]
    steps[0].save(args.out / "toon.webp", save_all=True, append_images=steps[1:], duration=80, quality=55)


if __name__ == "__main__":
    main()

"""Make the pictures of the README: the default graph's result beside its source, at several strengths.

Run::

    python benchmarks/showcase.py [--out benchmarks/results] [--start 0.4] [--frames 48]

The clip is Big Buck Bunny (CC BY 3.0), fetched by checksum. Writes ``toon.jpg`` (three moments: source,
colour guide, result), ``strength.jpg`` (strength 0, the default, 1.0) and ``toon.webp`` (a short clip of
source and result).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import flowsynth as fs
from flowsynth.values import Frames

CLIP = "clip:bigbuckbunny"
HEIGHT = 192  # of a picture in the sheets, pixels


def toon(overrides: list[str]) -> dict[str, Frames]:
    """Run the default graph on the clip and return source, guide and finished frames."""
    graph = fs.compose("toon", [f"input.video={CLIP}", *overrides])
    outputs = ["clip", "guide", "finish/interpolate"]
    run = graph.run(outputs=outputs, executor="threads")
    return {name: run[name] for name in outputs}


def pictures(frames: Frames, numbers: list[int], height: int = HEIGHT) -> list[Image.Image]:
    """Return some frames as pictures of one height."""
    made = []
    for number in numbers:
        pixels = frames.frame(number).permute(1, 2, 0).numpy()
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        size = round(picture.width * height / picture.height), height
        made.append(picture.resize(size, Image.Resampling.LANCZOS))
    return made


def sheet(rows: list[list[Image.Image]], gap: int = 4) -> Image.Image:
    """Lay pictures of one size out in rows."""
    width, height = rows[0][0].size
    columns = max(map(len, rows))
    canvas = Image.new("RGB", (columns * (width + gap) - gap, len(rows) * (height + gap) - gap), "white")
    for row, line in enumerate(rows):
        for column, picture in enumerate(line):
            canvas.paste(picture, (column * (width + gap), row * (height + gap)))
    return canvas


def main() -> None:
    """Run the graph at three strengths and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--start", type=float, default=0.4, help="seconds into the clip")
    parser.add_argument("--frames", type=int, default=48)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    common = [f"frames={args.frames}", f"input.start={args.start}"]
    default = toon(common)
    last = args.frames - 1
    moments = [last // 8, last // 2, last - last // 8]
    columns = [
        pictures(default["clip"], moments),
        pictures(default["guide"], moments),
        pictures(default["finish/interpolate"], [2 * m for m in moments]),
    ]
    sheet([list(row) for row in zip(*columns, strict=True)]).save(args.out / "toon.jpg", quality=88)
    by_strength = [toon([*common, f"strength={value}"])["finish/interpolate"] for value in (0, 1.0)]
    by_strength.insert(1, default["finish/interpolate"])
    rows = [[pictures(frames, [2 * m])[0] for frames in by_strength] for m in moments[:2]]
    sheet(rows).save(args.out / "strength.jpg", quality=88)
    source = pictures(default["clip"], list(range(args.frames)), 144)
    result = pictures(default["finish/interpolate"], list(range(0, 2 * args.frames, 2)), 144)
    steps = [sheet([[a, b]]) for a, b in zip(source, result, strict=True)]
    steps[0].save(args.out / "toon.webp", save_all=True, append_images=steps[1:], duration=40, quality=70)


if __name__ == "__main__":
    main()

"""When details of a compressed source should come back after super-resolution: `upscale`'s `fidelity: auto`.

Run::

    python benchmarks/fidelity.py [--out benchmarks/results/fidelity.md] [--only coffee,page]

The middle 320x192 of scikit-image's pictures (shorter side brought down to 512 first), halved by Lanczos,
compressed as JPEG or H.264 (the fourth of six still frames), enlarged twice by realesr-animevideo with
`fidelity` 0, 1, 2 and auto, and compared with the pictures by LPIPS (AlexNet).
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from PIL import Image
from report import machine, publish

import flowsynth as fs
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.measure.blockiness import Blockiness
from flowsynth.operators.measure.measure import Measure
from flowsynth.operators.size.upscale import Upscale

Pixels = npt.NDArray[np.uint8]
PICTURES = ("astronaut", "chelsea", "coffee", "stereo_motorcycle", "rocket", "page")
CODECS = ("none", "jpeg 90", "jpeg 75", "jpeg 50", "jpeg 35", "h264 18", "h264 23", "h264 28", "h264 36")
FIDELITY: tuple[int | str, ...] = (0, 1, 2, "auto")


def picture(name: str) -> Image.Image:
    """The middle of one of scikit-image's pictures."""
    from skimage import data

    found = getattr(data, name)()
    image = Image.fromarray(found[0] if isinstance(found, tuple) else found).convert("RGB")
    factor = 512 / min(image.size)
    if factor < 1:
        width, height = (round(side * factor) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    x, y = image.width // 2, image.height // 2
    return image.crop((x - 160, y - 96, x + 160, y + 96))


def compressed(image: Image.Image, codec: str) -> Image.Image:
    """The picture after a codec: ``none``, ``jpeg QUALITY`` or ``h264 CRF``."""
    kind, _, level = codec.partition(" ")
    if kind == "jpeg":
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(level))
        return Image.open(io.BytesIO(file.getvalue())).convert("RGB")
    return _h264(image, level) if kind == "h264" else image


def _h264(image: Image.Image, crf: str) -> Image.Image:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": crf})
        stream.width, stream.height, stream.pix_fmt = *image.size, "yuv420p"
        for _ in range(6):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(image), format="rgb24")))
        container.mux(stream.encode())
    with av.open(io.BytesIO(file.getvalue())) as container:
        return Image.fromarray(list(container.decode(video=0))[3].to_ndarray(format="rgb24"))


def figures(image: Image.Image, codec: str, folder: Path) -> tuple[float, list[float]]:
    """Blockiness of a compressed half, and the LPIPS of each fidelity."""
    image.save(folder / "source.png")
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    compressed(half, codec).save(folder / "half.png")
    graph = fs.Graph("fidelity")
    source = graph.add("source", ReadImage(path=str(folder / "source.png")))
    small = graph.add("half", ReadImage(path=str(folder / "half.png")))
    blocks = graph.add("blocks", Blockiness(), frames=small)
    for fidelity in FIDELITY:
        upscale = Upscale.model_validate({"method": "realesr-animevideo", "fidelity": fidelity})
        figure = blocks if fidelity == "auto" else None
        large = graph.add(f"large_{fidelity}", upscale, frames=small, blockiness=figure)
        graph.add(f"likeness_{fidelity}", Measure(lpips=True), frames=large, reference=source)
    wanted = [f"likeness_{fidelity}.values" for fidelity in FIDELITY]
    run = graph.run(outputs=["blocks", *wanted])
    return run["blocks"], [run[name]["lpips"] for name in wanted]


def main() -> None:
    """Measure all pictures and codecs and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", default=",".join(PICTURES))
    args = parser.parse_args()
    lines = [
        "# Fidelity of super-resolution of compressed pictures",
        "",
        "| picture | codec | blockiness | LPIPS, fidelity 0 | 1 | 2 | auto |",
        "|---|---|---|---|---|---|---|",
    ]
    found: list[list[float]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only.split(","):
            for codec in CODECS:
                blockiness, row = figures(picture(name), codec, Path(folder))
                found.append(row)
                cells = " | ".join(f"{value:.3f}" for value in row)
                lines.append(f"| {name} | {codec} | {blockiness:.2f} | {cells} |")
    means = np.mean(found, axis=0)
    lines.append(f"| mean | | | {' | '.join(f'{value:.3f}' for value in means)} |")
    best = np.mean(np.min(np.array(found)[:, :3], axis=1))
    lines += ["", f"The best of each row: {best:.3f}.", ""]
    lines += [machine("torch", "av"), "- `python benchmarks/fidelity.py`"]
    publish(lines, args.out)


if __name__ == "__main__":
    main()

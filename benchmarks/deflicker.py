"""Flicker added to a panning real clip, and what each method of temporal_smooth leaves of it.

`python benchmarks/deflicker.py` takes frames of the clip `bikes` while its camera pans, multiplies the
brightness of each by a random factor, smooths, and measures with the operator `measure`: flicker and
warping error along the motion of the clean clip, and sharpness. Writes results/deflicker.md, and with
--video a video of clean, flickering and smoothed frames side by side.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import torch
from ffmpeg_filters import as_clip, filtered

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.measure.measure import Measure
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.picture.side_by_side import SideBySide
from flowsynth.values import Frames

RESULTS = Path(__file__).parent / "results" / "deflicker.md"


def methods(radius: int) -> dict[str, tuple[dict[str, Any], bool]]:
    """The methods' params by name, fastblend at a radius, and whether they see the clean clip as guide."""
    fastblend: dict[str, Any] = {"method": "fastblend", "radius": radius}
    return {
        "FFmpeg's deflicker, 9 frames": ({"method": "ffmpeg", "radius": 4}, False),
        "gaussian, radius 2": ({"method": "gaussian", "radius": 2}, False),
        "histogram, radius 12": ({"method": "histogram", "radius": 12}, False),
        "flow (classical), radius 3, guided": ({"method": "flow", "radius": 3}, True),
        "flow (classical), radius 3, guided, detail 0": ({"method": "flow", "radius": 3, "detail": 0}, True),
        "flow (spynet), radius 3, guided": ({"method": "flow", "radius": 3, "estimator": "spynet"}, True),
        f"fastblend fast, radius {radius}, guided": (fastblend, True),
        f"fastblend fast, radius {radius}, guided, detail 0": (fastblend | {"detail": 0}, True),
        f"fastblend fast, radius {radius}, guided, tracking": (fastblend | {"tracking": True}, True),
        f"fastblend fast, radius {radius}, no guide": (fastblend, False),
        f"fastblend balanced, radius {radius}, guided": (fastblend | {"mode": "balanced"}, True),
        f"fastblend accurate, radius {radius}, guided": (fastblend | {"mode": "accurate"}, True),
    }


def main() -> None:
    """Measure every method and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=84, help="source frame to start at")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--strength", type=float, default=0.08, help="of the flicker: factors 1 +- this")
    parser.add_argument("--radius", type=int, default=12, help="of fastblend")
    parser.add_argument("--only", default="", help="methods whose name holds this")
    parser.add_argument("--out", type=Path, help="report; by default results/deflicker.md, unless --only")
    parser.add_argument("--video", type=Path, help="folder for a side-by-side video")
    args = parser.parse_args()
    torch.set_num_threads(1)
    clean = ReadVideo(
        path="clip:bikes", start=f"{args.first}f", max_frames=args.frames, width=args.width
    ).run(RunContext())
    clips = {"clean": clean, "flickering": flickering(clean, args.strength)}
    figures = {name: measured(clip, clean) for name, clip in clips.items()}
    seconds: dict[str, float] = {}
    for name, (params, guided) in methods(args.radius).items():
        if args.only in name:
            guide = {"guide": clean} if guided else {}
            start = time.process_time()
            if params["method"] == "ffmpeg":
                options = f"size={2 * params['radius'] + 1}:mode=am"
                found = filtered(clips["flickering"], ("deflicker", options), keeps_length=True)
                clips[name] = as_clip(found, clips["flickering"])
            else:
                clips[name] = TemporalSmooth(**params).run(RunContext(), frames=clips["flickering"], **guide)
            seconds[name] = (time.process_time() - start) / args.frames
            figures[name] = measured(clips[name], clean)
            text = report(args, figures, seconds)
            print(text.splitlines()[-5], flush=True)
            out = args.out or (None if args.only else RESULTS)
            if out:
                out.write_text(text)
            if args.video and name.startswith("fastblend fast"):
                show([clips["clean"], clips["flickering"], clips[name]], args.video / f"{name}.mp4")


def show(clips: list[Frames], path: Path) -> None:
    """Write clips side by side."""
    both = SideBySide().run(RunContext(), frames=clips)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(EncodeVideo().run(RunContext(), frames=both).data)


def measured(clip: Frames, clean: Frames) -> dict[str, Any]:
    """The figures of `measure`."""
    return Measure().run(RunContext(), frames=clip, reference=clean).values


def flickering(clean: Frames, strength: float) -> Frames:
    """Multiply each frame by a factor of its own, rounded to 8 bits and clipped as a camera would."""
    draws = torch.rand(clean.num_frames, 1, 1, 1, generator=torch.Generator().manual_seed(1))
    return clean.like(clean.to_float() * (1 + strength * (2 * draws - 1)))


def report(args: argparse.Namespace, figures: dict[str, dict[str, Any]], seconds: dict[str, float]) -> str:
    """The table as Markdown."""
    clean, worst = figures["clean"], figures["flickering"]
    lines = [
        "# Flicker added to a panning clip, and what smoothing leaves of it",
        "",
        f"`bikes`, {args.frames} frames from {args.first}, {args.width} pixels wide, brightness times 1 +- "
        f"{args.strength:.0%} at random a frame. Guided methods see the clean clip as their guide. "
        "Methods smooth with their defaults but for what is said. Flicker left is (its flicker - the clean "
        "clip's) / (flicker added). CPU seconds on one thread of a shared machine. The goals: at most 15 % "
        "left, a warping error of at most 1.10, sharpness of at least 95 %.",
        "",
        "| clip | flicker | left | warping error | of clean | sharpness kept | PSNR, dB | CPU s a frame |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, f in figures.items():
        left = (f["flicker"] - clean["flicker"]) / (worst["flicker"] - clean["flicker"])
        decibels = "" if f["psnr"] is None else f"{f['psnr']:.2f}"
        cpu = f"{seconds[name]:.2f}" if name in seconds else ""
        lines.append(
            f"| {name} | {f['flicker']:.5f} | {left:.1%} | {f['warping_error']:.6f} "
            f"| {f['warping_error'] / clean['warping_error']:.2f} "
            f"| {f['sharpness'] / clean['sharpness']:.1%} | {decibels} | {cpu} |"
        )
    lines += [
        "",
        f"torch {torch.__version__}, flowsynth {fs.__version__}",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()

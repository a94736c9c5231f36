"""What tracking does to patch matches: how truly a frame of a real pan is carried to frames further away.

`python benchmarks/tracking.py` takes one frame of the clip `bikes` while its camera pans and carries it to
the frames after it, guided by the clip itself, with and without trying the field of the frame before. Writes
results/tracking.md.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.functional.patchmatch.fastblend import Job, Remapper
from flowsynth.functional.patchmatch.search import MatchSettings
from flowsynth.operators.files.read_video import ReadVideo

RESULTS = Path(__file__).parent / "results" / "tracking.md"
_MARGIN = 16  # pixels at the sides that are not judged: what enters there has no match


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=84, help="the frame that is carried")
    parser.add_argument("--frames", type=int, default=8, help="how far")
    parser.add_argument("--width", type=int, default=240)
    parser.add_argument("--iterations", type=int, nargs="+", default=[5, 1])
    args = parser.parse_args()
    torch.set_num_threads(1)
    clip = ReadVideo(
        path="clip:bikes", start=f"{args.first}f", max_frames=args.frames + 1, width=args.width
    ).run(RunContext())
    frames = clip.to_float()
    lines = []
    for iterations in args.iterations:
        for tracking in (False, True):
            settings = MatchSettings(iterations=iterations)
            start = time.process_time()
            decibels = carried(frames, Remapper(frames, settings, tracking=tracking))
            seconds = (time.process_time() - start) / args.frames
            cells = " | ".join(f"{value:.2f}" for value in decibels)
            lines.append(f"| {iterations} | {'yes' if tracking else 'no'} | {cells} | {seconds:.2f} |")
            print(lines[-1], flush=True)
    head = " | ".join(str(distance) for distance in range(1, args.frames + 1))
    table = [
        "# Tracking: PSNR in dB of a frame carried over to the frames after it",
        "",
        f"`bikes` from frame {args.first}, {args.width} pixels wide, {_MARGIN} pixels at each side not "
        "judged, by distance in frames. CPU seconds a field on one thread of a shared machine.",
        "",
        f"| iterations | tracking | {head} | CPU s |",
        "|---|---|" + "---|" * (args.frames + 1),
        *lines,
        "",
        f"torch {torch.__version__}, flowsynth {fs.__version__}",
        "",
    ]
    RESULTS.write_text("\n".join(table))


def carried(frames: torch.Tensor, remap: Remapper) -> list[float]:
    """PSNR of the first frame carried to each of the others."""
    jobs: list[Job] = [(frames[0], 0, target) for target in range(1, len(frames))]
    inside = (..., slice(_MARGIN, -_MARGIN))
    errors = [
        (made - true)[inside].square().mean() for made, true in zip(remap(jobs), frames[1:], strict=True)
    ]
    return [-10 * math.log10(float(error)) for error in errors]


if __name__ == "__main__":
    main()

"""Every second frame of real clips dropped and made again, by each method of interpolate and by FFmpeg's.

`python benchmarks/interpolation.py` compares what is made with what was dropped, by `measure`, and writes
results/interpolation.md. FFmpeg's minterpolate runs with its defaults (motion-compensated, overlapped
blocks, bidirectional motion).
"""

from __future__ import annotations

import platform
import time
from fractions import Fraction
from pathlib import Path

import torch
from ffmpeg_filters import filtered

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.media.clips import fetch_clip
from flowsynth.media.reader import VideoReader
from flowsynth.operators.measure.measure import Measure
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames

RESULTS = Path(__file__).parent / "results" / "interpolation.md"
#: Clip, first frame, width.
CLIPS = (("bikes", 84, 320), ("bigbuckbunny", 40, 320), ("carphone", 20, 176))
FRAMES = 25
METHODS = ("blend", "rife", "FFmpeg's minterpolate")


def made(clip: Frames, method: str) -> Frames:
    """The frames between those of a clip."""
    if method in ("blend", "rife"):
        operator = Interpolate(method=method, factor=2)
        found = operator.run(RunContext(cache_dir=default_cache_dir()), frames=clip)
        return found.with_data(found.tensor[1 : 2 * clip.num_frames - 2 : 2].contiguous())
    rate = (clip.fps or Fraction(1)) * 2
    pictures = filtered(clip, ("minterpolate", f"fps={rate}"))
    moments = [(2 * k + 1) / rate for k in range(clip.num_frames - 1)]  # of the last it makes none
    tensors = [torch.from_numpy(pictures[at]).permute(2, 0, 1) for at in moments if at in pictures]
    return clip.with_data(torch.stack(tensors))


def main() -> None:
    """Measure all and write the table."""
    lines = [
        "# Every second frame dropped and made again",
        "",
        f"{FRAMES} frames of each clip, of which 12 are made; PSNR over the clip, mean SSIM, CPU seconds a "
        "made frame on one thread of a shared machine. `python benchmarks/interpolation.py`.",
        "",
        "| clip | size | method | PSNR, dB | SSIM | CPU s a frame |",
        "|---|---|---|---|---|---|",
    ]
    for name, start, width in CLIPS:
        reader = VideoReader(fetch_clip(name, default_cache_dir()), width=width)
        pictures = torch.from_numpy(reader.read(start, start + FRAMES)).permute(0, 3, 1, 2).contiguous()
        kept, dropped = Frames(pictures[::2].contiguous(), 12), Frames(pictures[1::2].contiguous(), 12)
        for method in METHODS:
            begin = time.process_time()
            found = made(kept, method)
            seconds = (time.process_time() - begin) / found.num_frames
            truth = dropped.slice(0, found.num_frames)
            values = Measure().run(RunContext(), frames=found, reference=truth).values
            size = f"{pictures.shape[-1]}x{pictures.shape[-2]}"
            figures = f"{values['psnr']:.2f} | {values['ssim']:.4f} | {seconds:.3f}"
            lines.append(f"| {name} | {size} | {method} ({found.num_frames} frames) | {figures} |")
            print(lines[-1], flush=True)
    lines += ["", f"torch {torch.__version__}, {platform.machine()}; FFmpeg as PyAV carries it"]
    RESULTS.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()

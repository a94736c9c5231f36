"""Memory and chunks alive for a short and a ten times longer video through the same six operators.

Run::

    python benchmarks/long_video.py [--frames 600] [--out benchmarks/results/long_video.md]

read_video, annotate, temporal_smooth, upscale x1.25, interpolate x2, encode_video on 640x360, executor
``threads`` (the reader has a worker of its own), each length in a process of its own with an empty cache.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from report import machine, publish

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.executors.long import finish, write_clip


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (args.frames // 10, args.frames):
            clip = write_clip(folder / f"{count}.mkv", count, (640, 360))
            found[count] = finish(clip, folder / f"cache{count}", "threads")
    short, long = found.values()
    lines = [
        "# Memory of a long video",
        "",
        "read, annotate, smooth, upscale x1.25, interpolate x2, encode; 640x360 in, 800x450 out; threads.",
        "",
        "| frames | peak RSS, MiB | most chunks in memory | seconds |",
        "|---:|---:|---:|---:|",
        *(
            f"| {count} | {one['rss'] / 2**20:.0f} | {one['alive']} | {one['seconds']:.0f} |"
            for count, one in found.items()
        ),
        "",
        f"Ten times the frames take {long['rss'] / short['rss']:.2f} times the memory.",
        "",
        machine("torch", "av"),
        f"- `python benchmarks/long_video.py --frames {args.frames}`",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()

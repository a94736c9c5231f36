"""Memory and chunks alive for a short and a ten times longer video through the same operators.

Run::

    python benchmarks/long_video.py [--chain plain] [--frames 600] [--size 640x360] [--out FILE]

The chain ``plain`` is read_video, annotate, temporal_smooth, upscale x1.25, interpolate x2, encode_video;
``fastblend`` is read_video, temporal_smooth by fastblend, upscale x2, interpolate x2, encode_video. Executor
``threads`` (the reader has a worker of its own), each length in a process of its own with an empty cache. A
report that is there gets the section of chain and size replaced.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from report import machine

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.executors.long import finish, write_clip

CHAIN_TEXT = {
    "plain": "read, annotate, smooth, upscale x1.25, interpolate x2, encode",
    "fastblend": "read, smooth by fastblend (radius 1, fast, patch 3, 1 iteration), upscale x2 by Lanczos, "
    "interpolate x2 by blend, encode",
}


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chain", choices=sorted(CHAIN_TEXT), default="plain")
    parser.add_argument("--frames", type=int, default=600)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    width, height = (int(side) for side in args.size.split("x"))
    found: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count in (args.frames // 10, args.frames):
            clip = write_clip(folder / f"{count}.mkv", count, (width, height))
            found[count] = finish(clip, folder / f"cache{count}", "threads", args.chain, 36_000)
            print(count, found[count]["rss"] >> 20, found[count]["seconds"], flush=True)
    section = report(args, found)
    print(section)
    if args.out:
        args.out.write_text(replaced(args.out, section))


def report(args: argparse.Namespace, found: dict[int, dict[str, Any]]) -> str:
    """One section as Markdown."""
    short, long = found.values()
    lines = [
        f"## {args.chain}, {args.size}",
        "",
        f"{CHAIN_TEXT[args.chain]}; threads.",
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
        f"- `python benchmarks/long_video.py --chain {args.chain} --frames {args.frames} --size {args.size}`",
    ]
    return "\n".join(lines) + "\n"


def replaced(path: Path, section: str) -> str:
    """A report with one section put in, or put in place of that of the same name."""
    head, *others = path.read_text().split("\n## ") if path.exists() else ["# Memory of a long video\n"]
    title = section.splitlines()[0].removeprefix("## ")
    kept = {other.splitlines()[0]: other.rstrip() + "\n" for other in others}
    kept[title] = section.removeprefix("## ")
    return "\n## ".join([head.rstrip() + "\n", *(kept[name] for name in sorted(kept, reverse=True))])


if __name__ == "__main__":
    main()

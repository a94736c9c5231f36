"""``flowsynth compare A B``: figures of two videos, and a video that shows them side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import RequestError

if TYPE_CHECKING:
    from flowsynth.api import Graph

#: Name -> (unit or meaning, digits after the point).
_FIGURES = {
    "psnr": ("dB, B against A", 2),
    "ssim": ("B against A, 1 is equal", 4),
    "lpips": ("perceptual distance of B from A; less is closer", 4),
    "flicker": ("change of local brightness along the motion; less is steadier", 5),
    "warping_error": ("squared difference along the motion; less is steadier", 6),
    "sharpness": ("difference of neighbouring pixels", 5),
}


def parser() -> argparse.ArgumentParser:
    """The options of `compare`."""
    made = command_parser(
        "compare",
        "Measure two videos and write both side by side. B is brought to A's size (its centre, where the "
        "aspects differ) and rate; the shorter one says how long. A is the reference: motion is found on it.",
        "print the figures as JSON",
    )
    made.add_argument("a", metavar="A", type=file_name, help="a video: the reference")
    made.add_argument("b", metavar="B", type=file_name, help="a video to hold against it")
    made.add_argument(
        "-o", "--out", metavar="FOLDER", default="outputs/compare", help="where the side-by-side video goes"
    )
    made.add_argument("--start", metavar="MOMENT", default="0", help="of A, where B begins: seconds or 36f")
    made.add_argument("--lpips", action="store_true", help="the perceptual distance too (fetches weights)")
    made.add_argument("--no-video", action="store_true", help="print the figures only")
    made.add_argument("--cache-dir", metavar="FOLDER", help="the cache's folder")
    return made


def execute(args: argparse.Namespace) -> int:
    """Measure, print, and write the video."""
    graph, frames = comparison(args.a, args.b, start=args.start, lpips=args.lpips)
    outputs = ["figures.values"] + ([] if args.no_video else ["side_by_side"])
    folder = None if args.no_video else Path(args.out)
    run = graph.run(cache_dir=args.cache_dir, outputs=outputs, output_dir=folder)
    figures = dict(run["figures.values"])  # a copy: the run keeps its own
    values = {"a": figures.pop("reference"), "b": figures, "frames": frames}
    if args.json:
        print(json.dumps(values, indent=2))
        return 0
    print("\n".join(_table(args.a, args.b, values)))
    if run.main_output is not None:
        print(run.main_output)
    return 0


def comparison(a: str, b: str, *, start: str = "0", lpips: bool = False) -> tuple[Graph, int]:
    """The graph that compares two videos, and how many frames it looks at: those of the shorter.

    Raises:
        InputError: a file that is missing or is no video.
        RequestError: a start that is no moment.
    """
    import flowsynth as fs
    from flowsynth.core.context import RunContext
    from flowsynth.media.reader import VideoReader
    from flowsynth.operators.files.encode_video import EncodeVideo
    from flowsynth.operators.files.read_video import ReadVideo
    from flowsynth.operators.measure.measure import Measure
    from flowsynth.operators.picture.overlay import Overlay
    from flowsynth.operators.picture.side_by_side import SideBySide

    try:
        first = ReadVideo(path=a) if start == "0" else ReadVideo(path=a, start=start)
    except ValueError:
        raise RequestError(f'--start: expected seconds, "36f" or "1:02.5"; given {start!r}') from None
    with VideoReader(first.files(RunContext())["path"], start=first.start) as reader:
        width, height, length, fps = reader.width, reader.height, len(reader), str(reader.fps)
    second = ReadVideo(path=b, fps=fps, width=width, height=height)
    length = min(length, second.probe(RunContext()).length)
    graph = fs.Graph("compare")
    left = graph.add("a", first.model_copy(update={"max_frames": length}))
    right = graph.add("b", second.model_copy(update={"max_frames": length}))
    graph.add("figures", Measure(lpips=lpips), frames=right, reference=left)
    named = [
        graph.add(f"named_{name}", Overlay(text=name.upper(), position="top_left"), frames=frames)
        for name, frames in (("a", left), ("b", right))
    ]
    both = graph.add("both", SideBySide(), frames=named)
    graph.add("side_by_side", EncodeVideo(), frames=both)
    return graph, length


def _table(a: str, b: str, values: dict[str, Any]) -> list[str]:
    rows = [f"{'':<14} {'A':>12} {'B':>12}   A = {a}, B = {b}, {values['frames']} frames"]
    for name, (meaning, digits) in _FIGURES.items():
        if name == "lpips" and name not in values["b"]:
            continue  # it was not asked for
        cells = [_cell(values[side], name, digits) for side in ("a", "b")]
        rows.append(f"{name:<14} {cells[0]:>12} {cells[1]:>12}   {meaning}")
    return rows


def _cell(figures: dict[str, Any], name: str, digits: int) -> str:
    if name not in figures:
        return "-"
    return "equal" if figures[name] is None else f"{figures[name]:.{digits}f}"

"""``flowsynth compare A B``: figures of two videos or pictures, and both side by side."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.compared import compared
from flowsynth.cli.jobs import output_folder, shown
from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import InputError, RequestError

if TYPE_CHECKING:
    from flowsynth.api import Graph
    from flowsynth.operators.files.read_image import ReadImage
    from flowsynth.operators.files.read_video import ReadVideo

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
        "Measure two videos, or two pictures, and write both side by side. B is brought to A's size (its "
        "centre, where the aspects differ) and rate; the shorter one says how long. A is the reference: "
        "motion is found on it. A run's folder stands for what the run made.",
        "print the figures as JSON",
    )
    made.add_argument("a", metavar="A", type=file_name, help="the reference: a video, picture or folder")
    made.add_argument("b", metavar="B", type=file_name, help="what is held against it: of the same kind")
    made.add_argument(
        "-o",
        "--out",
        metavar="FOLDER",
        help="where both go side by side; a new folder in outputs/compare unless given",
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
    with _folder(args) as folder:
        run = graph.run(cache_dir=args.cache_dir, outputs=outputs, output_dir=folder)
    figures = dict(run["figures.values"])  # a copy: the run keeps its own
    values = {"a": figures.pop("reference"), "b": figures, "frames": frames}
    if args.json:
        print(json.dumps(values, indent=2))
        return 0
    print("\n".join(_table(args.a, args.b, values)))
    if run.main_output is not None:
        print(shown(run.main_output))
    return 0


@contextmanager
def _folder(args: argparse.Namespace) -> Iterator[Path | None]:
    """Where what is written goes; nothing that is there is written over.

    Raises:
        RequestError: something of that name is there.
    """
    if args.no_video:
        yield None
        return
    from flowsynth.config.settings import Settings

    if args.out is not None and (there := sorted(Path(args.out).glob("side_by_side*"))):
        raise RequestError(f"--out: {there[0]} is there already; expected another folder")
    settings = Settings(output_dir=None if args.out is None else Path(args.out))
    with output_folder(settings, "compare") as folder:
        yield folder


def comparison(a: str, b: str, *, start: str = "0", lpips: bool = False) -> tuple[Graph, int]:
    """The graph that compares two videos or pictures, and how many frames it looks at: those of the shorter.

    Raises:
        InputError: a file that is missing or is neither, or of one each.
        RequestError: a start that is no moment.
    """
    import flowsynth as fs
    from flowsynth.operators.files.encode_video import EncodeVideo
    from flowsynth.operators.files.save_images import SaveImages
    from flowsynth.operators.measure.measure import Measure
    from flowsynth.operators.picture.overlay import Overlay
    from flowsynth.operators.picture.side_by_side import SideBySide

    first, second = compared(a), compared(b)
    if first.still != second.still:
        kinds = ["pictures" if each.still else "a video" for each in (first, second)]
        raise InputError(f"compare: expected two videos or two pictures; given {kinds[0]} and {kinds[1]}")
    if first.still and start != "0":
        raise RequestError(f"--start: only read with videos; given {start!r}")
    readers = _pictures if first.still else _videos
    one, other, length = readers(str(first.path), str(second.path), start)
    graph = fs.Graph("compare")
    left, right = graph.add("a", one), graph.add("b", other)
    graph.add("figures", Measure(lpips=lpips), frames=right, reference=left)
    named = [
        graph.add(f"named_{name}", Overlay(text=name.upper(), position="top_left"), frames=frames)
        for name, frames in (("a", left), ("b", right))
    ]
    both = graph.add("both", SideBySide(), frames=named)
    graph.add("side_by_side", SaveImages() if first.still else EncodeVideo(), frames=both)
    return graph, length


def _pictures(a: str, b: str, start: str) -> tuple[ReadImage, ReadImage, int]:
    """Readers of pictures, B's in the size of A's, and how many there are."""
    from flowsynth.core.context import RunContext
    from flowsynth.media.pictures import picture_size
    from flowsynth.operators.files.read_image import ReadImage

    del start
    first = ReadImage(path=a)
    width, height = picture_size(first.files(RunContext())["path"])
    second = ReadImage(path=b, width=width, height=height)
    length = min(reader.probe(RunContext()).length for reader in (first, second))
    cut = {"max_frames": length}
    return first.model_copy(update=cut), second.model_copy(update=cut), length


def _videos(a: str, b: str, start: str) -> tuple[ReadVideo, ReadVideo, int]:
    """Readers of videos, B's in the size and at the rate of A's, and how many frames there are."""
    from flowsynth.core.context import RunContext
    from flowsynth.media.reader import VideoReader
    from flowsynth.operators.files.read_video import ReadVideo

    try:
        first = ReadVideo(path=a) if start == "0" else ReadVideo(path=a, start=start)
    except ValueError:
        raise RequestError(f'--start: expected seconds, "36f" or "1:02.5"; given {start!r}') from None
    with VideoReader(first.files(RunContext())["path"], start=first.start) as reader:
        width, height, length, fps = reader.width, reader.height, len(reader), str(reader.fps)
    second = ReadVideo(path=b, fps=fps, width=width, height=height)
    length = min(length, second.probe(RunContext()).length)
    cut = {"max_frames": length}
    return first.model_copy(update=cut), second.model_copy(update=cut), length


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

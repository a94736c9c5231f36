"""``flowsynth grid SWEEP``: labelled sheets and videos of a sweep's results, two axes each."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from flowsynth.cli.options import command_parser


def parser() -> argparse.ArgumentParser:
    """The options of `grid`."""
    made = command_parser(
        "grid",
        "Lay the pictures and videos of a sweep out between two of its axes, with their values on it: a PNG "
        "of the middle frames, and a video. Further axes make more sheets.",
    )
    made.add_argument("sweep", metavar="SWEEP", help="the folder of a sweep, or its sweep.json")
    made.add_argument(
        "output", metavar="OUTPUT", nargs="?", default="", help="which output; all unless given"
    )
    made.add_argument("--rows", metavar="KEY", default="", help="what changes from row to row")
    made.add_argument("--columns", metavar="KEY", default="", help="what changes along a row")
    made.add_argument("--height", type=int, default=180, help="short side of a cell, pixels")
    made.add_argument("-o", "--out", metavar="FOLDER", help="where they go; SWEEP/grid unless given")
    made.add_argument("--no-video", action="store_true", help="sheets only")
    made.add_argument("--cache-dir", metavar="FOLDER", help="the cache's folder")
    return made


def execute(args: argparse.Namespace) -> int:
    """Make the grids and print where they are."""
    from flowsynth.cli.jobs import shown
    from flowsynth.sweeps.grid import grid_graph, outputs_of
    from flowsynth.sweeps.read import read_sweep
    from flowsynth.sweeps.sheets import sheets_of

    record, folder = read_sweep(Path(args.sweep))
    sheets = sheets_of(record, args.rows, args.columns)
    outputs = outputs_of(record, args.output)
    with tempfile.TemporaryDirectory() as scratch:
        blank = Path(scratch, "blank.png")
        blank.write_bytes(_grey())
        graph = grid_graph(record, folder.absolute(), sheets, outputs, args.height, blank)
        wanted = [name for name in graph.outputs if not (args.no_video and name.endswith("_clip"))]
        out = Path(args.out) if args.out else folder / "grid"
        run = graph.run(cache_dir=args.cache_dir, output_dir=out, outputs=wanted)
    for value in run.record.outputs.values():
        print(shown(out.absolute() / str(value)))
    return 0


def _grey() -> bytes:
    """A grey picture, wider than any frame."""
    import numpy as np

    from flowsynth.media.pictures import encode_picture

    return encode_picture(np.full((50, 400, 3), 96, dtype=np.uint8), "png")

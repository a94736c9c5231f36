"""Grids of a sweep: every job's picture or clip between two axes, with its values written on it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from flowsynth.api import Graph
from flowsynth.core.errors import RequestError, did_you_mean, listing
from flowsynth.core.record import JobRecord, SweepRecord
from flowsynth.sweeps.sheets import Sheet

VIDEOS = frozenset({".mp4", ".mov", ".mkv", ".webm", ".avi", ".gif", ".webp", ".apng"})
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".avif"})
#: Cells of one sheet.
MOST = 400
_LONGEST = 32


def outputs_of(record: SweepRecord, output: str = "") -> dict[str, bool]:
    """Outputs that can be shown -> whether they are videos.

    Raises:
        RequestError: the one that is asked for is none of them, or there is none at all.
    """
    found: dict[str, bool] = {}
    for row in record.jobs:
        for name, value in row.outputs.items():
            suffix = Path(value).suffix.lower() if isinstance(value, str) else ""
            if suffix in VIDEOS | PICTURES:
                found.setdefault(name, suffix in VIDEOS)
    if output and output not in found:
        hint = did_you_mean(output, found)
        expected = f"expected one of {listing(found)}"
        raise RequestError(f"{output}: no picture or video of this sweep; {expected}{hint}")
    if not found:
        raise RequestError("grid: no job has a picture or a video to show")
    return {output: found[output]} if output else found


def grid_graph(
    record: SweepRecord,
    folder: Path,
    sheets: Sequence[Sheet],
    outputs: Mapping[str, bool],
    height: int,
    blank: Path,
) -> Graph:
    """The graph that makes the sheets, and clips of them where outputs are videos.

    Args:
        record: the table.
        folder: where it lies.
        sheets: the grids.
        outputs: what to show -> whether it is a video.
        height: short side of a cell, pixels.
        blank: a picture for places where there is nothing to show.

    Raises:
        RequestError: more cells than a sheet may have.
    """
    graph = Graph("grid")
    for output, video in outputs.items():
        for sheet in sheets:
            if sum(map(len, sheet.cells)) > MOST:
                raise RequestError(
                    f"grid: a sheet has at most {MOST} cells; given {sum(map(len, sheet.cells))}"
                )
            name = re.sub(r"[^A-Za-z0-9_-]", "_", output) + sheet.name
            _Drawing(graph, name, record, folder, output, height, blank).draw(sheet, video)
    return graph


class _Drawing:
    """One sheet as nodes."""

    def __init__(
        self,
        graph: Graph,
        name: str,
        record: SweepRecord,
        folder: Path,
        output: str,
        height: int,
        blank: Path,
    ) -> None:
        self.graph, self.name, self.record, self.output = graph, name, record, output
        self.folder, self.height, self.blank = folder, height, blank

    def draw(self, sheet: Sheet, video: bool) -> None:
        """Add the nodes."""
        from flowsynth.operators.files.encode_video import EncodeVideo
        from flowsynth.operators.picture.side_by_side import SideBySide
        from flowsynth.operators.timing.trim import Trim

        shown = [path for line in sheet.cells for job in line if job and (path := self._file(job))]
        if not shown:
            return
        length, fps = _clip(shown) if video else (1, "")
        lines = []
        for r, line in enumerate(sheet.cells):
            cells = [self._cell(f"r{r}c{c}", job, shown[0], video, length, fps) for c, job in enumerate(line)]
            lines.append(self.graph.add(f"{self.name}_row{r}", SideBySide(), frames=cells))
        grid = self.graph.add(f"{self.name}_grid", SideBySide(direction="column"), frames=lines)
        middle = Trim(start=length // 2, stop=length // 2 + 1)
        self.graph.add(f"{self.name}_sheet", middle, frames=grid)
        self.graph.outputs.append(f"{self.name}_sheet")
        if video:
            self.graph.add(f"{self.name}_clip", EncodeVideo(), frames=grid)
            self.graph.outputs.append(f"{self.name}_clip")

    def _file(self, job: JobRecord) -> Path | None:
        value = job.outputs.get(self.output)
        path = self.folder / job.folder / value if isinstance(value, str) else None
        return path if path is not None and path.is_file() else None

    def _cell(self, at: str, job: JobRecord | None, first: Path, video: bool, length: int, fps: str) -> str:
        from flowsynth.operators.files.read_image import ReadImage
        from flowsynth.operators.files.read_video import ReadVideo
        from flowsynth.operators.picture.overlay import Overlay

        path = self._file(job) if job else None
        name = f"{self.name}_{at}"
        if video:
            read = ReadVideo(path=str(path or first), short_side=self.height, max_frames=length, fps=fps)
            self.graph.add(f"{name}_in", read)
        else:
            self.graph.add(f"{name}_in", ReadImage(path=str(path or first), short_side=self.height))
        source = f"{name}_in"
        if path is None:
            cover = Overlay(file=self.blank, position="centre", size=1.0, margin=0.0)
            self.graph.add(f"{name}_blank", cover, frames=source)
            source = f"{name}_blank"
        text = "\n".join(label(job, path is not None)) or "all"
        self.graph.add(f"{name}_named", Overlay(text=text, position="top_left"), frames=source)
        return f"{name}_named"


def label(job: JobRecord | None, shown: bool) -> Iterator[str]:
    """What is written on a cell: a line for every axis."""
    if job is None:
        yield "no job"
        return
    for key, value in job.axes.items():
        if value is not None:
            text = f"{key.rpartition('.')[2]}={value}"
            plain = text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
            yield plain.encode("ascii", "replace").decode()  # the font inside Pillow has no more
    if not shown:
        yield f"job {job.job} {job.status}"


def _clip(paths: Sequence[Path]) -> tuple[int, str]:
    """Frames of the shortest video at the first one's rate, and that rate."""
    from flowsynth.core.context import RunContext
    from flowsynth.operators.files.read_video import ReadVideo

    info = ReadVideo(path=str(paths[0])).probe(RunContext())
    fps = str(info.fps)
    lengths = [ReadVideo(path=str(path), fps=fps).probe(RunContext()).length for path in paths]
    return max(1, min(lengths)), fps

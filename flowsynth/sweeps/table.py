"""``sweep.json`` and ``sweep.csv``: a row a job, appended as jobs end."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from flowsynth.api.outputs import tidy, write_atomic
from flowsynth.core.errors import RequestError, RunError
from flowsynth.core.record import JobRecord, SweepRecord, json_text

_TAIL = b"\n]}\n"


class Rows:
    """Rows in memory.

    Args:
        folder: of the sweep.
        axes: what differs between the jobs.

    Attributes:
        path: of the sweep's table.
        rows: in the order in which the jobs ended.
    """

    def __init__(self, folder: Path, axes: Mapping[str, Sequence[str | None]]) -> None:
        self.path = folder / "sweep.json"
        self.axes = {key: list(values) for key, values in axes.items()}
        self.rows: list[JobRecord] = []

    def add(self, row: JobRecord) -> None:
        """Append a row."""
        self.rows.append(row)


class Table(Rows):
    """The rows of a sweep. Valid JSON after every row, which is one write at the end of the file.

    Args:
        folder: where to write.
        axes: what differs between the jobs; may grow until the table is closed.

    Raises:
        RequestError: another process writes there.
        RunError: the file cannot be written.
    """

    def __init__(self, folder: Path, axes: Mapping[str, Sequence[str | None]]) -> None:
        super().__init__(folder, axes)
        self._axes_written = self.axes
        head = f'{{"axes": {json.dumps(self.axes, ensure_ascii=False)}, "jobs": ['.encode()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            _lock(self._fd, folder)
            os.ftruncate(self._fd, 0)
            self._end = 0
            self._append(head)
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    def _append(self, text: bytes) -> None:
        os.lseek(self._fd, self._end, os.SEEK_SET)
        data = memoryview(text + _TAIL)
        while data:
            data = data[os.write(self._fd, data) :]
        self._end += len(text)

    def add(self, row: JobRecord) -> None:
        """Append a row.

        Raises:
            RunError: the disk is full.
        """
        super().add(row)
        comma = "," if len(self.rows) > 1 else ""
        try:
            self._append(f"{comma}\n{json_text(row)}".encode())
        except OSError as error:
            raise RunError(f"{self.path}: cannot be written: {error.strerror or error}") from error

    @property
    def record(self) -> SweepRecord:
        """All rows, by the number of the job."""
        return SweepRecord(axes=self.axes, jobs=sorted(self.rows, key=lambda row: row.job))

    def close(self) -> None:
        """Sort the rows, and write ``sweep.csv`` beside them.

        Raises:
            RunError: the disk is full.
        """
        record = self.record
        try:
            tidy(self.path.parent)
            sorted_already = [row.job for row in self.rows] == [row.job for row in record.jobs]
            if not sorted_already or self.axes is not self._axes_written:
                write_atomic(self.path, _sorted_text(record))
            write_atomic(self.path.with_suffix(".csv"), csv_text(record).encode())
        finally:
            os.close(self._fd)


def _sorted_text(record: SweepRecord) -> bytes:
    rows = ",\n".join(json_text(row) for row in record.jobs)
    axes = json.dumps(record.axes, ensure_ascii=False)
    return f'{{"axes": {axes}, "jobs": [\n{rows}\n]}}\n'.encode()


def csv_text(record: SweepRecord) -> str:
    """A line a job: its axes, its metrics, and what it took."""
    metrics = list(dict.fromkeys(name for row in record.jobs for name in row.metrics))
    own = ["seconds", "compute", "hits", "computed", "nodes", "shared", "error"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["job", *record.axes, *metrics, "status", *own])
    for row in record.jobs:
        values = [row.axes.get(key) for key in record.axes] + [row.metrics.get(name) for name in metrics]
        took = [f"{row.seconds:.3f}", f"{row.compute:.3f}", row.tasks.hit, row.tasks.computed]
        writer.writerow(
            [row.job, *values, row.status, *took, row.nodes, row.shared, "; ".join(row.errors)[:200]]
        )
    return text.getvalue()


def _lock(fd: int, folder: Path) -> None:
    """Hold the file for this process; the system frees it on death."""
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise RequestError(
            f"output_dir: another sweep writes there now; expected a folder of its own; given {folder}"
        ) from None

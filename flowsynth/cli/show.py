"""``flowsynth show FILE``: the provenance inside an output file, or the record of a run or a sweep."""

from __future__ import annotations

import argparse
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import InputError
from flowsynth.core.read_record import read_record, record_file
from flowsynth.core.readable import seconds_text
from flowsynth.core.record import Provenance, RunRecord, SweepRecord, json_text


def parser() -> argparse.ArgumentParser:
    """The options of `show`."""
    made = command_parser("show", "Show how a file was made.", "print all of it as JSON")
    made.add_argument(
        "file",
        metavar="FILE",
        type=file_name,
        help="a video, a picture, tensors, a run.json or sweep.json, or the folder of a run or a sweep",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the provenance, or the record of a run or a sweep."""
    path = Path(args.file)
    if path.is_dir() or path.suffix == ".json":
        return _show_record(path, args)
    provenance = read_provenance(path)
    if args.json:
        print(json.dumps(provenance.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(args.file, provenance)))
    return 0


def _show_record(path: Path, args: argparse.Namespace) -> int:
    """Print a `run.json` or a `sweep.json`.

    Raises:
        InputError: another file, or a folder without one.
    """
    from flowsynth.media.errors import require_file

    file = record_file(path)
    if file is None:
        raise InputError(
            f"{path}: expected a file, or a folder with run.json or sweep.json in it; given neither"
        )
    require_file(file, "an output of flowsynth")
    record = read_record(file)
    if args.json:
        print(json_text(record, 2))
    else:
        print(
            "\n".join(
                _run_lines(file, record) if isinstance(record, RunRecord) else _sweep_lines(file, record)
            )
        )
    return 0


def _run_lines(file: Path, record: RunRecord) -> list[str]:
    from flowsynth.core.yaml_dump import dump_yaml

    counts = Counter(node.status for node in record.nodes.values())
    nodes = ", ".join(f"{count} {status}" for status, count in counts.items())
    saved = f"; hits saved {seconds_text(record.saved)}" if record.saved else ""
    request = shlex.join(record.request.command)
    return [
        f"file      {file}",
        f"status    {record.status}",
        *([f"time      {seconds_text(record.seconds)}{saved}"] if record.seconds else []),
        *([f"nodes     {nodes}"] if nodes else []),
        *([f"command   {request}"] if request else []),
        *(f"output    {name} = {value}" for name, value in record.outputs.items()),
        *(f"error     {text}" for text in record.errors),
        f"made by   {', '.join(f'{name} {text}' for name, text in record.versions.items())}",
        "",
        dump_yaml(record.graph).rstrip(),
    ]


def _sweep_lines(file: Path, record: SweepRecord) -> list[str]:
    failed = [job for job in record.jobs if job.status == "failed"]
    axes = (f"axis      {key} = {', '.join(map(str, values))}" for key, values in record.axes.items())
    jobs = (f"job {job.job:<5} {job.status:<7} {' '.join(job.overrides)}" for job in record.jobs)
    errors = (f"error     [{job.job}] {text}" for job in failed for text in job.errors)
    rows = [f"file      {file}", f"jobs      {len(record.jobs)}, {len(failed)} failed", *axes, *errors]
    return [*rows, "", *jobs]


def read_provenance(path: Path) -> Provenance:
    """The provenance inside a file.

    Raises:
        InputError: no such file, or it carries none.
    """
    from flowsynth.media.errors import NotMediaError, require_file

    require_file(path, "an output of flowsynth")
    try:
        data = _tensors_text(path) if path.suffix == ".safetensors" else _media_text(path)
    except NotMediaError:
        data = None  # a text, or another program's file
    try:
        return Provenance.model_validate(data)
    except ValueError:
        raise InputError(
            f"{path}: carries no provenance; expected an output of flowsynth; given a file "
            "that it did not write, or that another program wrote anew"
        ) from None


def _media_text(path: Path) -> Any:
    from flowsynth.media.provenance import read_provenance as read

    return read(path)


def _tensors_text(path: Path) -> Any:
    """The header of a safetensors file: eight bytes of length, then JSON."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > 100 * 2**20:
            return None
        try:
            return json.loads(json.loads(file.read(length))["__metadata__"]["flowsynth"])
        except (ValueError, KeyError, TypeError):
            return None


def _lines(name: str, provenance: Provenance) -> list[str]:
    from flowsynth.core.yaml_dump import dump_yaml

    versions = ", ".join(f"{key} {value}" for key, value in provenance.versions.items())
    return [
        f"file      {name}",
        f"output    {provenance.output} of graph {provenance.graph.get('name', '')!r}",
        f"content   {provenance.object}",
        f"made by   {versions or 'flowsynth ' + provenance.flowsynth}",
        f"folder    {provenance.folder}",
        "",
        dump_yaml(provenance.graph).rstrip(),
    ]

"""``flowsynth show FILE``: the provenance inside an output file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from flowsynth.cli.options import command_parser, file_name
from flowsynth.core.errors import InputError
from flowsynth.core.record import Provenance, RunRecord


def parser() -> argparse.ArgumentParser:
    """The options of `show`."""
    made = command_parser("show", "Show how a file was made.", "print all of it as JSON")
    made.add_argument(
        "file", metavar="FILE", type=file_name, help="a video, a picture, tensors, or a run.json"
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the provenance, or the record of a run."""
    if args.file.endswith(".json"):
        return _show_record(Path(args.file), args)
    provenance = read_provenance(Path(args.file))
    if args.json:
        print(json.dumps(provenance.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        print("\n".join(_lines(args.file, provenance)))
    return 0


def _show_record(path: Path, args: argparse.Namespace) -> int:
    """Print a `run.json`.

    Raises:
        InputError: another file.
    """
    from flowsynth.core.yaml_dump import dump_yaml
    from flowsynth.media.errors import require_file

    require_file(path, "an output of flowsynth")
    try:
        record = RunRecord.model_validate_json(path.read_bytes())
    except ValueError:
        raise InputError(f"{path}: not the record of a run; expected an output of flowsynth") from None
    if args.json:
        print(record.to_json(), end="")
        return 0
    versions = ", ".join(f"{name} {text}" for name, text in record.versions.items())
    outputs = [f"output    {name} = {value}" for name, value in record.outputs.items()]
    errors = [f"error     {text}" for text in record.errors]
    graph = dump_yaml(record.graph).rstrip()
    rows = [f"file      {args.file}", f"status    {record.status}", *outputs, *errors]
    print("\n".join([*rows, f"made by   {versions}", "", graph]))
    return 0


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

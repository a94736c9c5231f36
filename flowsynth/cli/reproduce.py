"""``flowsynth reproduce FILE``: make an output again from its own provenance, and compare the bytes."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.options import add_overrides, command_parser, file_name
from flowsynth.cli.show import read_provenance
from flowsynth.cli.watch import watching
from flowsynth.core.secrets import revealed

if TYPE_CHECKING:
    from flowsynth.core.record import Provenance


def parser() -> argparse.ArgumentParser:
    """The options of `reproduce`."""
    made = command_parser("reproduce", "Make a file again and compare the bytes.", "print the result as JSON")
    made.add_argument("file", metavar="FILE", type=file_name, help="an output of flowsynth")
    made.add_argument("--from-cache", action="store_true", help="take what the cache holds; compute the rest")
    made.add_argument("-q", "--quiet", action="store_true", help="show no progress")
    add_overrides(made)
    return made


def execute(args: argparse.Namespace) -> int:
    """Run the file's graph again; 0 if content and file agree, else 1."""
    from flowsynth.config import compose_settings

    path = Path(args.file).absolute()
    provenance = read_provenance(path)
    settings = compose_settings(args.overrides, "reproduce")
    with tempfile.TemporaryDirectory(prefix="flowsynth-") as scratch:
        cache_dir = settings.cache.dir.absolute() if args.from_cache else Path(scratch) / "cache"
        with _inside(Path(provenance.folder)):
            result = _again(path, provenance, settings, cache_dir, Path(scratch) / "out", args.quiet)
    changed = _changed_versions(provenance)
    if args.json:
        print(json.dumps({"file": str(path), **result, "versions_changed": changed}, indent=2))
    else:
        print("\n".join(_lines(path, result, changed)))
    return 0 if result["content_agrees"] and result["file_agrees"] is not False else 1


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """The folder that the graph's relative paths start from, if it is still there."""
    before = Path.cwd()
    if folder.is_absolute() and folder.is_dir():
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _again(
    path: Path, provenance: Provenance, settings: Any, cache_dir: Path, folder: Path, quiet: bool
) -> dict[str, Any]:
    from flowsynth.api import Graph, RunFailedError

    graph = Graph.from_dict(revealed(provenance.graph))
    with watching(quiet) as observer:
        run = graph.run(
            cache_dir=cache_dir,
            executor=settings.executor,
            ray_address=settings.ray.address,
            ray_cache=settings.ray.cache,
            outputs=[provenance.output],
            output_dir=folder,
            device=settings.device,
            offline=settings.offline,
            chunk=settings.chunk,
            workers=settings.workers,
            observer=observer,
            check=False,
        )
    if run.record.status == "failed":
        raise RunFailedError(run)
    made = {
        f"{node}.{port}": text
        for node, done in run.record.nodes.items()
        for port, text in done.objects.items()
    }
    content = made.get(provenance.output) or made.get(f"{provenance.output}.out", "")
    return {
        "output": provenance.output,
        "content": provenance.object,
        "content_again": content,
        "content_agrees": content == provenance.object,
        "file_agrees": _same_file(path, folder, provenance),
        "first_to_differ": _first_to_differ(provenance.objects, made),
    }


def _first_to_differ(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The first output, in the order of the run, whose content is another one; empty if none is."""
    return next((name for name, text in before.items() if now.get(name, text) != text), "")


def _same_file(path: Path, folder: Path, provenance: Provenance) -> bool | None:
    """Whether the file itself has the same bytes, provenance aside; None where there is no counterpart."""
    twins = [found for found in folder.rglob(path.name) if found.is_file()] or [
        found for found in folder.rglob(f"*{path.suffix}") if found.is_file()
    ]
    if len(twins) != 1:
        return None
    again = read_provenance(twins[0])
    if again != provenance:
        # The texts inside differ (versions, folder): give the twin the file's own before comparing.
        _put(twins[0], provenance.to_json())
    return twins[0].read_bytes() == path.read_bytes()


def _put(path: Path, text: str) -> None:
    from flowsynth.media.provenance import embed

    if path.suffix != ".safetensors":
        embed(path, text)


def _changed_versions(provenance: Provenance) -> dict[str, list[str]]:
    from flowsynth.api.run import versions

    now = versions()
    return {
        name: [before, now.get(name, "")]
        for name, before in provenance.versions.items()
        if now.get(name, "") != before
    }


def _lines(path: Path, result: dict[str, Any], changed: dict[str, list[str]]) -> list[str]:
    lines = [f"{name}: was {before}, is {now}" for name, (before, now) in changed.items()]
    if not result["content_agrees"]:
        change = f"content {result['content']} became {result['content_again']}"
        return [*lines, f"{path}: DIFFERS, first at {result['first_to_differ']}: {change}"]
    if result["file_agrees"] is False:
        return [*lines, f"{path}: the content agrees, the file's bytes differ"]
    return [*lines, f"{path}: agrees bit for bit ({result['output']}, content {result['content']})"]

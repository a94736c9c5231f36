"""``flowsynth cache stats|ls|prune|verify|clear|export|import``: look after the cache."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flowsynth.cache.location import default_cache_dir
from flowsynth.cli.carry import CARRYING, INPUTS, carry
from flowsynth.cli.options import command_parser
from flowsynth.config.settings import CacheSettings, cache_folder
from flowsynth.core.errors import RequestError, did_you_mean
from flowsynth.core.options import parse_size
from flowsynth.core.readable import bytes_text, when_text

_KEYS = ("cache.dir", "cache.max_bytes")


def parser() -> argparse.ArgumentParser:
    """The options of `cache`."""
    made = command_parser("cache", "Look after the cache.", "print the same as JSON")
    made.add_argument("action", choices=[*_ACTIONS, *CARRYING], help="; ".join(_HELP))
    made.add_argument(
        "overrides",
        nargs="*",
        default=[],
        metavar="KEY=VALUE",
        help="cache.dir=PATH, and cache.max_bytes=20GB to prune to; export takes all that run takes",
    )
    made.add_argument(
        "--with-inputs",
        action="store_true",
        help=f"export and import: the files that the graph reads, too; an import puts them into {INPUTS}/",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Do one of the actions on the cache folder."""
    if args.action in CARRYING:
        return carry(args)
    if args.with_inputs:
        raise RequestError(f"--with-inputs: not used by 'cache {args.action}'; expected export or import")
    from flowsynth.cache import Cache

    folder, limit = _settings(args.overrides)
    if args.action != "prune" and limit is not None:
        raise RequestError("cache.max_bytes: only 'cache prune' takes it")
    if not folder.is_dir() and folder != default_cache_dir():
        raise RequestError(
            f"cache.dir: no such folder; expected one that a run has made; given {str(folder)!r}"
        )
    reads = args.action in ("stats", "ls") and folder.is_dir()
    with Cache(folder, read_only=reads) as cache:
        data, lines, code = _ACTIONS[args.action](cache, limit)
    print(json.dumps({"dir": str(folder), **data}, indent=2) if args.json else "\n".join(lines))
    return code


def _settings(overrides: list[str]) -> tuple[Path, int | None]:
    values = dict(_pair(text) for text in overrides)
    given = values.get("cache.max_bytes")
    try:
        limit = None if given is None else parse_size(given)
    except ValueError as error:
        raise RequestError(f"cache.max_bytes: {error}; given {given!r}") from None
    return cache_folder(values.get("cache.dir")), limit


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if key not in _KEYS or not equals:
        hint = did_you_mean(key, _KEYS)
        raise RequestError(f"cache: expected cache.dir=PATH or cache.max_bytes=SIZE; given {text!r}{hint}")
    return key, value


_Result = tuple[dict[str, Any], list[str], int]


def _stats(cache: Any, _limit: int | None) -> _Result:
    data = cache.stats()
    lines = [
        f"folder       {cache.root}",
        f"results      {data['traces']:,} ({bytes_text(data['trace_bytes'])})",
        f"objects      {data['objects']:,} ({bytes_text(data['object_bytes'])})",
        f"quarantined  {data['quarantined']:,} ({bytes_text(data['quarantined_bytes'])})",
    ]
    return data, lines, 0


def _ls(cache: Any, _limit: int | None) -> _Result:
    infos = sorted(cache.ls(), key=lambda info: -info.nbytes)
    rows = [{"object": info.key, "bytes": info.nbytes, "used": info.used} for info in infos]
    lines = [f"{bytes_text(info.nbytes):>9}  {when_text(info.used)}  {info.key}" for info in infos]
    return {"objects": rows}, lines or ["no objects"], 0


def _prune(cache: Any, limit: int | None) -> _Result:
    evicted = cache.prune(CacheSettings().max_bytes if limit is None else limit)
    line = f"removed {evicted.count:,} objects, {bytes_text(evicted.nbytes)}"
    return {"removed": evicted.count, "bytes": evicted.nbytes}, [line], 0


def _verify(cache: Any, _limit: int | None) -> _Result:
    bad = cache.verify()
    lines = [f"damaged, set aside: {key}" for key in bad]
    lines.append(f"{len(bad)} damaged; they will be computed again when needed" if bad else "all sound")
    return {"damaged": bad}, lines, 1 if bad else 0


def _clear(cache: Any, _limit: int | None) -> _Result:
    before = cache.stats()
    cache.clear()
    line = f"removed {before['objects']:,} objects ({bytes_text(before['object_bytes'])}) and all results"
    return {"removed": before["objects"], "bytes": before["object_bytes"]}, [line], 0


_ACTIONS: dict[str, Callable[[Any, int | None], _Result]] = {
    "stats": _stats,
    "ls": _ls,
    "prune": _prune,
    "verify": _verify,
    "clear": _clear,
}
_HELP = (
    "stats: counts and bytes",
    "ls: the objects, largest first",
    "prune: down to a size, least worth keeping first",
    "verify: read every byte, set damaged objects aside (exit code 1 if there were any)",
    "clear: delete everything",
    "export GRAPH FILE: what the cache holds of a graph, as a file",
    "import FILE: take such a file in",
)

"""From the record of a run, and the cache, to what its page shows. Imports no torch."""

from __future__ import annotations

import json
import shlex
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.api.outputs import series_of
from flowsynth.core.record import NodeRecord, RunRecord
from flowsynth.core.refs import Trace
from flowsynth.report.facts import asked, model_rows
from flowsynth.report.figure import graph_view, sources_of, ticks, timeline
from flowsynth.report.media import Shelf, shown_as
from flowsynth.report.pages import Media, NodeView, RunPage
from flowsynth.report.strips import Strips

if TYPE_CHECKING:
    from flowsynth.cache.store import Cache

#: Nodes that are shown with all that is known of them; of the others a row of the table says most.
MOST_SHOWN = 300
_LONGEST = 4000
#: Pictures of a set that are shown; all of them lie in its folder.
_MOST_PICTURES = 16
_STATES = ("computed", "hit", "failed", "skipped")


def run_page(record: RunRecord, folder: Path, cache: Cache | None, shelf: Shelf) -> RunPage:
    """The page of a run.

    Args:
        record: what became of it.
        folder: that its outputs lie in.
        cache: what it was run with, if that is there.
        shelf: gives files their addresses.
    """
    media = outputs_of(record.outputs, folder, shelf)
    traces = _traces(record, cache)
    nodes = [_node(i, name, node, record) for i, (name, node) in enumerate(record.nodes.items())]
    shown = sorted(sorted(nodes, key=_interest)[:MOST_SHOWN], key=lambda node: node.number)
    left_out = _add_looks(shown, record, traces, cache, shelf)
    bars, rest = timeline(nodes, {name: node.busy for name, node in record.nodes.items()}, record.seconds)
    counts = Counter(node.status for node in nodes)
    return RunPage(
        title=str(record.graph.get("name") or "run"),
        status=record.status,
        facts=asked(record.nodes, record.models),
        counts={status: counts[status] for status in _STATES if counts[status]},
        seconds=record.seconds,
        saved=record.saved or sum(node.saved for node in nodes),
        started=record.started,
        commands=commands(record.request.command, record.request.overrides, record.outputs, folder),
        media=media,
        nodes=nodes,
        shown=shown,
        graph=graph_view(nodes, _wanted(record)),
        bars=bars,
        ticks=ticks(record.seconds),
        bars_left=rest,
        versions=record.versions,
        models=model_rows(record, traces),
        yaml=_yaml(record),
        notes=record.notes,
        errors=record.errors,
        peak_rss_bytes=record.peak_rss_bytes,
        left_out=left_out,
    )


def outputs_of(outputs: Mapping[str, Any], folder: Path, shelf: Shelf) -> list[Media]:
    """What a run gave, as it is shown: files that are still there, and values."""
    found: list[Media] = []
    for name, value in outputs.items():
        files = files_of(value, folder)
        if files:
            found.extend(shelf.file(name, path) for path in files)
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            found.append(Media(name, "value", text=text[:_LONGEST]))
    order = ("video", "image", "audio", "file", "value")
    return sorted(found, key=lambda media: order.index(media.kind))


def files_of(value: object, folder: Path) -> list[Path]:
    """The files of an output that are still there: a set of pictures is recorded as its first."""
    first = folder / value if isinstance(value, str) else None
    if first is None or not _is_inside(first, folder):
        return []
    if first.parent == folder or shown_as(first) != "image":
        return [first]
    return [path for path in series_of(first)[:_MOST_PICTURES] if _is_inside(path, folder)]


def _is_inside(path: Path, folder: Path) -> bool:
    """Whether a file is there, and in the run's own folder: a record may say anything."""
    try:
        return path.is_file() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError):
        return False


def commands(
    command: list[str], overrides: list[str], outputs: Mapping[str, Any], folder: Path
) -> list[tuple[str, str]]:
    """(what it does, a line for a shell)."""
    found = [("Run it again", shlex.join(command))] if command else []
    if not command and overrides:
        found.append(("Run it again", shlex.join(["flowsynth", "run", *overrides])))
    files = [path for value in outputs.values() for path in files_of(value, folder)]
    if files:
        found.append(
            ("Make the output again and compare", shlex.join(["flowsynth", "reproduce", str(files[0])]))
        )
    return [*found, ("This page", shlex.join(["flowsynth", "report", str(folder)]))]


def _traces(record: RunRecord, cache: Cache | None) -> dict[str, Trace]:
    """What the cache remembers of the nodes."""
    if cache is None:
        return {}
    keys = {name: node.key for name, node in record.nodes.items() if node.key}
    rows = cache.lookup_many(list(dict.fromkeys(keys.values())))
    found = {name: Trace.from_bytes(rows[key]) for name, key in keys.items() if key in rows}
    return {name: trace for name, trace in found.items() if trace is not None}


def _interest(node: NodeView) -> tuple[int, float, int]:
    order = ("failed", "computed", "skipped", "hit").index(node.status)
    return order, -max(node.seconds, node.saved), node.number


def _node(number: int, name: str, node: NodeRecord, record: RunRecord) -> NodeView:
    specs: Any = record.graph.get("nodes")
    spec = specs.get(name, {}) if isinstance(specs, dict) else {}
    given = spec.get("params", {}) if isinstance(spec, dict) else {}
    return NodeView(
        number=number,
        name=name,
        op=node.op,
        status=node.status,
        device=node.device,
        seconds=node.seconds,
        wait=node.wait,
        saved=node.saved,
        peak_bytes=node.peak_bytes,
        nbytes=node.bytes,
        hits=node.tasks.hit,
        computed=node.tasks.computed,
        jobs=node.jobs,
        key=node.key,
        started=node.started,
        ended=node.ended,
        error=node.error,
        inputs=sources_of(spec) if isinstance(spec, dict) else [],
        params=[(key, _text(value), key in given) for key, value in node.params.items()],
        changed=node.changed,
        notes=node.notes,
        dtypes=node.dtypes,
    )


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _add_looks(
    shown: list[NodeView],
    record: RunRecord,
    traces: Mapping[str, Trace],
    cache: Cache | None,
    shelf: Shelf,
) -> list[str]:
    """What the cache adds to nodes: the parts of their keys, and pictures; returns what it could not."""
    strips = None if cache is None else Strips(cache, shelf)
    pictured, gone = 0, 0
    for node in shown:
        trace = traces.get(node.name)
        node.parts = [(part, _text(value)) for part, value in (trace.reasons() if trace else {}).items()]
        if strips is not None:
            node.strips = strips.of(record.nodes[node.name].objects, trace)
        types = {getattr(ref, "type", "") for ref in trace.outputs.values()} if trace else set()
        if not node.strips and types & {"frames", "mask"}:
            node.missing = "no picture is left: its frames were not kept"
            gone += 1
        pictured += bool(node.strips)
    said = []
    if cache is None:
        said.append(
            "the cache of this run is not here, so there are no pictures of its nodes (cache.dir=PATH)"
        )
    elif gone:
        said.append(f"{gone} of {gone + pictured} nodes with frames have no picture left")
    return said


def _wanted(record: RunRecord) -> list[str]:
    names = record.graph.get("outputs")
    edges = [str(name) for name in names] if isinstance(names, list) else list(record.outputs)
    return [edge if edge in record.nodes else edge.rpartition(".")[0] for edge in edges]


def _yaml(record: RunRecord) -> str:
    """The resolved graph, unless it is too long for anybody to read."""
    from flowsynth.core.yaml_dump import dump_yaml

    if len(record.nodes) > MOST_SHOWN:
        return f"# {len(record.nodes):,} nodes: see 'graph' in run.json"
    return dump_yaml(record.graph).rstrip()

"""What a page shows, as plain data: made from records and the cache, drawn by the templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from flowsynth.drawing.geometry import Geometry

Kind = Literal["video", "image", "audio", "file", "value"]


@dataclass(frozen=True, slots=True)
class Media:
    """Something to look at or to hear.

    Attributes:
        name: which output it is.
        kind: how it is shown.
        source: an address: data in the page itself, or a path relative to the page.
        file: the file's name; empty for what is in no file.
        nbytes: bytes of it.
        text: a value that is in no file.
    """

    name: str
    kind: Kind
    source: str = ""
    file: str = ""
    nbytes: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class StripView:
    """Small pictures of a clip, side by side in one image.

    Attributes:
        source: address of the image.
        tiles: pictures in it.
        tile_width: of one, in pixels.
        tile_height: of one, in pixels.
        total: frames of the clip.
        width: of its frames, in pixels.
        height: of its frames, in pixels.
    """

    source: str
    tiles: int
    tile_width: int
    tile_height: int
    total: int
    width: int
    height: int


@dataclass(slots=True)
class NodeView:
    """One node.

    Attributes:
        number: place in the graph's order; part of its anchor.
        params: (name, value, whether it was set in the graph).
        parts: (part of its key, value), as far as the cache remembers.
        strips: output port -> small pictures.
        missing: why there are none, where there could be.
    """

    number: int
    name: str
    op: str
    status: str
    device: str
    seconds: float
    wait: float
    saved: float
    peak_bytes: int
    nbytes: int
    hits: int
    computed: int
    jobs: int
    key: str
    started: float | None
    ended: float | None
    error: str
    inputs: list[tuple[str, str]] = field(default_factory=list)
    params: list[tuple[str, str, bool]] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    parts: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dtypes: dict[str, str] = field(default_factory=dict)
    strips: dict[str, StripView] = field(default_factory=dict)
    missing: str = ""


@dataclass(frozen=True, slots=True)
class GraphView:
    """The drawing of a graph.

    Attributes:
        geometry: where boxes and curves go.
        states: box -> status of its node, or of the worst of several.
        links: box -> number of its node; none for boxes that stand for several.
        counts: box -> nodes that it stands for.
        note: what the drawing leaves out.
    """

    geometry: Geometry
    states: Mapping[str, str]
    links: Mapping[str, int]
    counts: Mapping[str, int]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Bar:
    """A row of the timeline: a node on a device.

    Attributes:
        spans: (from, length) of stretches of work, in thousandths of the run.
    """

    node: NodeView
    device: str
    spans: list[tuple[float, float]]


#: What a row of the table says of a node, in the order of the columns.
ROW = (
    *("name", "op", "status", "device", "seconds", "wait", "saved"),
    *("peak_bytes", "nbytes", "hits", "computed"),
)


@dataclass(slots=True)
class RunPage:
    """A run."""

    title: str
    status: str
    facts: list[tuple[str, str]]
    counts: dict[str, int]
    seconds: float
    saved: float
    started: str
    commands: list[tuple[str, str]]
    media: list[Media]
    nodes: list[NodeView]
    shown: list[NodeView]
    graph: GraphView | None
    bars: list[Bar]
    ticks: list[tuple[float, str]]
    bars_left: int
    versions: dict[str, str]
    models: list[dict[str, str]]
    yaml: str
    notes: list[str]
    errors: list[str]
    peak_rss_bytes: int
    left_out: list[str] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """What the page's program gets: all nodes, small."""
        rows = [[getattr(node, name) for name in ROW] for node in self.nodes]
        return {"kind": "run", "nodes": rows, "shown": [node.number for node in self.shown]}


@dataclass(slots=True)
class JobView:
    """One job of a sweep."""

    job: int
    status: str
    overrides: list[str]
    values: list[str]
    metrics: dict[str, float]
    seconds: float
    compute: float
    nodes: int
    shared: int
    hits: int
    computed: int
    folder: str
    report: str
    media: Media | None
    values_out: list[tuple[str, str]]
    errors: list[str]


@dataclass(slots=True)
class SweepPage:
    """A sweep: axes and jobs.

    Attributes:
        axes: (keys that change together, short name, values as written).
        metrics: (full name, short name).
        grid: rows of cells of the first sheet, for whoever reads without the page's program.
    """

    title: str
    axes: list[tuple[str, str, list[str]]]
    jobs: list[JobView]
    metrics: list[tuple[str, str]]
    grid: list[list[JobView | None]]
    sheet: str
    counts: dict[str, int]
    seconds: float
    compute: float
    commands: list[tuple[str, str]]
    csv: str
    left_out: list[str] = field(default_factory=list)

    def data(self) -> dict[str, Any]:
        """What the page's program gets."""
        jobs = [
            {
                "job": job.job,
                "status": job.status,
                "overrides": " ".join(job.overrides),
                "at": [axis[2].index(value) for axis, value in zip(self.axes, job.values, strict=True)],
                "metrics": job.metrics,
                "seconds": job.seconds,
                "compute": job.compute,
                "nodes": job.nodes,
                "shared": job.shared,
                "hits": job.hits,
                "computed": job.computed,
                "error": job.errors[0] if job.errors else "",
                "report": job.report,
            }
            for job in self.jobs
        ]
        axes = [{"key": key, "name": name, "values": values} for key, name, values in self.axes]
        return {"kind": "sweep", "axes": axes, "metrics": self.metrics, "jobs": jobs}

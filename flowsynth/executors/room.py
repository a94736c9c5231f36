"""The disk that a run will need, as far as lengths and sizes of its frames are known before it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, RequestError, listing
from flowsynth.core.ports import Port
from flowsynth.core.refs import StreamRef, ref_bytes
from flowsynth.core.sizes import Size, Sized, Sizes, Upstream
from flowsynth.core.streams import Source, StreamInfo, Whole
from flowsynth.executors.expand import Expander
from flowsynth.executors.passes import first_runs
from flowsynth.executors.tasks import StepRun
from flowsynth.planning.plan import Plan

#: Bytes of a pixel that the cache keeps, before they are coded.
_PIXEL = 3
#: What coded frames take of raw ones at least: drawn ones took .26, decoded ones .28 and more.
SMALLEST = 0.25


class _Known(NamedTuple):
    """A source whose size its file has told."""

    size: Size | None

    def frame_size(self, sizes: Sizes, /) -> Size | None:
        """That size."""
        del sizes
        return self.size


class Contexts(Protocol):
    """Who makes contexts for operators that look into files."""

    def context(self, node: str, device: str) -> RunContext:
        """A context for an operator."""
        ...


def needs(runs: Mapping[str, StepRun], host: Contexts, *, guess: bool = False) -> dict[str, int | None]:
    """Raw bytes of the frames that each step gives that is not over; None where only a run shows them.

    Args:
        runs: the steps upstream first, expanded as far as lengths are known.
        host: makes contexts for sources, which look into their files.
        guess: what has no length yet counts as long as the longest that it is made from.
    """
    sizes: dict[str, Size | None] = {}
    lengths: dict[str, int | None] = {}
    found: dict[str, int | None] = {}
    for name, run in runs.items():
        lengths[name] = length = _length(run, lengths, guess)
        if not any(_is_frames(port) for port in run.step.ports.outputs.values()):
            continue
        sizes[name] = size = _size(run, sizes, host)
        if run.settled:
            continue
        if run.step.outputs:
            found[name] = sum(map(ref_bytes, run.step.outputs.values()))
        else:
            found[name] = None if size is None or length is None else length * size[0] * size[1] * _PIXEL
    return found


def _length(run: StepRun, lengths: Mapping[str, int | None], guess: bool) -> int | None:
    if run.info is not None:
        return run.info.length
    known = [ref.length for ref in (run.outputs or {}).values() if isinstance(ref, StreamRef)]
    if not known and guess:
        known = [count for other in run.sources() if (count := lengths[other.name]) is not None]
    return max(known, default=None)


def _size(run: StepRun, sizes: Mapping[str, Size | None], host: Contexts) -> Size | None:
    """Width and height of a step's frames, from its file or from the sizes of those above it."""
    step = run.step
    try:
        if isinstance(step.kind, Source):
            return step.operator.probe_size(host.context(step.name, step.device))
        return step.operator.frame_size(Sizes(_upstream(run, sizes)))
    except Exception:  # somebody else's code, or a file at fault: its own node says so
        return None


def _upstream(run: StepRun, sizes: Mapping[str, Size | None]) -> Upstream:
    def find(port: str) -> tuple[Sized, Upstream] | None:
        edges = next((given.edges for given in run.step.inputs if given.port == port), ())
        return (_Known(sizes.get(edges[0].node)), find) if edges else None

    return find


def foreseen(plan: Plan, host: Contexts, chunk: int) -> dict[str, int | None]:
    """The same for a plan: its files are looked into for it, nothing is decoded or written."""
    runs = first_runs(plan)

    def probe(run: StepRun) -> StreamInfo:
        return run.step.operator.probe(host.context(run.name, run.step.device))

    expander = Expander(runs, chunk, probe)
    for run in runs.values():
        _expand(run, expander)
    return needs(runs, host, guess=True)


def _expand(run: StepRun, expander: Expander) -> None:
    try:
        if not run.settled:
            expander.expand(run)
    except FlowsynthError:
        run.info = None


def require_room(runs: Mapping[str, StepRun], host: Contexts, folder: Path) -> None:
    """See that what has to wait on the disk has room there.

    Raises:
        RequestError: it has not, however well it could be coded.
    """
    waiting = [name for name, run in runs.items() if _waits(run)]
    if not waiting:
        return
    known = needs(runs, host)
    held = {name: known.get(name) or 0 for name in waiting}
    needed = int(SMALLEST * sum(held.values()))
    free = free_disk(folder)
    if needed > free:
        largest = sorted((name for name in held if held[name]), key=lambda name: -held[name])
        raise RequestError(
            f"cache.dir: expected {_text(needed)} of free disk at least, for the frames of "
            f"{listing(largest)}, which must all wait; given {_text(free)} in {folder}: choose another "
            "folder, or fewer or smaller frames"
        )


def _is_frames(port: Port) -> bool:
    return getattr(port.type, "codec_name", "") == "frames"


def free_disk(folder: Path) -> int:
    """Free bytes on the disk of a folder, which may be yet to be made."""
    there = next(place for place in (folder, *folder.parents) if place.exists())
    return shutil.disk_usage(there).free


def _waits(run: StepRun) -> bool:
    """Whether all frames of a step lie on the disk at once: the run delivers them, or they are read later."""
    if run.settled or not run.chunked:
        return False
    if any(_is_frames(run.step.ports.outputs[port]) for port in run.step.wanted):
        return True
    return any(
        isinstance(reader.step.kind, Whole) or reader.reads_whole(run) or reader.comes_late_for(run)
        for reader in run.readers()
    )


def _text(count: float) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"

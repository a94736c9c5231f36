"""The provenance of a run's outputs: nearly all of it is the same for each, and made once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from flowsynth._version import __version__
from flowsynth.core.canonical import json_text
from flowsynth.core.record import Provenance, RunRecord


class Provenances:
    """Makes the text that goes into each output file of a run.

    Args:
        record: what became of the run.
    """

    def __init__(self, record: RunRecord) -> None:
        self._record = record

    def text(self, output: str, content: str) -> str:
        """What goes into one file.

        Args:
            output: which output it is, as ``node`` or ``node.port``.
            content: hash of the value.
        """
        return f"{_head(output, content)}{self._rest}"

    def timeless(self, output: str, content: str) -> str:
        """The same without when the run began and ended: whose files are alike."""
        return f"{_head(output, content)}{self._timeless}"

    @cached_property
    def _timeless(self) -> str:
        times = ("started", self._record.started), ("ended", self._record.ended)
        text = self._rest
        for name, value in times:
            text = text.replace(f"{json_text(name)}:{json_text(value)}", "")
        return text

    @cached_property
    def _rest(self) -> str:
        """The text after what differs between outputs, which comes first."""
        record, nodes = self._record, self._record.nodes
        shared = Provenance(
            flowsynth=__version__,
            output="",
            object="",
            graph=record.graph,
            keys={name: node.key for name, node in nodes.items()},
            objects={f"{n}.{p}": h for n, node in nodes.items() for p, h in node.objects.items()},
            versions=record.versions,
            models=record.models,
            params={name: node.params for name, node in nodes.items()},
            request=record.request,
            started=record.started,
            ended=record.ended,
            folder=str(Path.cwd()),
        )
        return shared.to_json().removeprefix(_head("", ""))


def _head(output: str, content: str) -> str:
    parts = {"flowsynth": __version__, "output": output, "object": content}
    return "{" + ",".join(f"{json_text(name)}:{json_text(value)}" for name, value in parts.items())

"""Runs and sweeps for pages, and pages read as a browser that runs no program reads them."""

from __future__ import annotations

from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, ClassVar

import torch

import flowsynth as fs
from flowsynth.core.record import NodeRecord, Request, RunRecord
from flowsynth.values import Frames

EVIL = "</script><script>window.bad = 1</script><img src=x onerror='window.bad = 1'>\"'&{{ 7 * 7 }}"


class Scene(fs.Operator):
    """A moving gradient, with a prompt that nothing reads."""

    op: ClassVar[str] = "report_scene"
    version: ClassVar[int] = 1
    prompt: str = ""
    shade: float = 0.5
    count: int = 12
    fail: bool = False

    def run(self, ctx: fs.RunContext, /) -> Frames:
        if self.fail:
            raise ValueError(f"no scene for {self.prompt}")
        across = torch.linspace(0, 1, 96).expand(1, 64, 96)
        rows = [
            torch.stack([across.roll(4 * i, -1)[0] * self.shade, across[0], across[0] * 0.3])
            for i in range(self.count)
        ]
        return Frames((torch.stack(rows) * 255).to(torch.uint8), Fraction(12))


class Grey(fs.Operator):
    """Without colours."""

    op: ClassVar[str] = "report_grey"
    version: ClassVar[int] = 1
    note: str = ""

    def run(self, ctx: fs.RunContext, /, *, frames: Frames) -> Frames:
        data = frames.tensor.float().mean(1, keepdim=True).expand(-1, 3, -1, -1)
        return frames.with_data(data.to(torch.uint8).contiguous())


def scene_graph(prompt: str = EVIL, shade: float = 0.5, name: str = "pages") -> fs.Graph:
    graph = fs.Graph(name)
    scene = graph.add("scene", Scene(prompt=prompt, shade=shade))
    grey = graph.add("look/grey", Grey(note=prompt), frames=scene)
    graph.add("video", "encode_video", frames=grey)
    return graph


def large_record(count: int, kinds: int = 9) -> RunRecord:
    """The record of a run of many nodes, each of which reads the one before."""
    nodes: dict[str, NodeRecord] = {}
    specs: dict[str, Any] = {}
    for i in range(count):
        status = "failed" if i == count // 2 else "hit" if i % 3 else "computed"
        name, before = f"part{i % 4}/n{i}", f"part{(i - 1) % 4}/n{i - 1}"
        took = {"seconds": 0.5, "saved": 1.0 if i % 3 else 0.0, "busy": {"cpu": [(i * 0.1, i * 0.1 + 0.5)]}}
        said = {"op": f"kind{i % kinds}", "params": {"value": i}, "status": status, "device": "cpu"}
        nodes[name] = NodeRecord.model_validate({**said, **took, "key": f"{i:040x}"})
        specs[name] = {"op": f"kind{i % kinds}", "inputs": {"x": before} if i else {}}
    graph: dict[str, Any] = {"name": "large", "nodes": specs}
    request = Request(command=["flowsynth", "run", "graph=large"])
    return RunRecord(status="failed", graph=graph, nodes=nodes, seconds=count * 0.1, request=request)


class Page(HTMLParser):
    """What is in a page: elements with their attributes, and all text that a reader sees."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.blocks: dict[str, list[str]] = {"script": [], "style": []}
        self._open: list[str] = []
        self.feed(self.source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in self.blocks:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1:] == [tag]:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open:
            self.blocks[self._open[-1]].append(data)
        else:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]

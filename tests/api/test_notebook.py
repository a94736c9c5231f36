"""What notebooks show of graphs, runs and values, and a run's progress in a real kernel."""

from __future__ import annotations

import io
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.api.notebook import NotebookProgress, usual_observer
from flowsynth.core.events import NodeOutline, Observer
from flowsynth.core.record import RunRecord
from flowsynth.values import FileSet, Frames, Mask, Video


def picture(data: bytes | None) -> Any:
    """The pixels of a PNG: H, W, 3."""
    import numpy as np
    from PIL import Image

    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def shown(title: str = "shown") -> fs.Graph:
    graph = fs.Graph(title)
    frames = graph.add(
        "picture", "read_image", path="picture:astronaut", width=32, height=16, copies=3, fps=8
    )
    film = graph.add("film", "encode_video", frames=frames)
    images = graph.add("images", "save_images", frames=frames)
    graph.outputs = [frames, film, images]
    return graph


def test_the_names_of_the_package_are_listed_before_they_are_imported() -> None:
    assert {"Graph", "Session", "compose", "Frames"} <= set(dir(fs))
    assert all(hasattr(fs, name) for name in dir(fs))


def test_a_picture_is_shown_as_it_is() -> None:
    data = torch.randint(0, 256, (1, 3, 5, 7), dtype=torch.uint8)
    assert (picture(Frames(data)._repr_png_()) == data[0].permute(1, 2, 0).numpy()).all()
    floats = Frames(data.float() / 255)
    assert (picture(floats._repr_png_()) == data[0].permute(1, 2, 0).numpy()).all()
    assert picture(Frames(data[:, :1])._repr_png_()).shape == (5, 7, 3)
    assert picture(Mask(torch.ones(1, 1, 4, 4))._repr_png_()).min() == 255
    clear = torch.cat([data, torch.zeros(1, 1, 5, 7, dtype=torch.uint8)], dim=1)
    assert picture(Frames(clear)._repr_png_()).min() == 255, "alpha lies over white"


@pytest.mark.parametrize(
    ("count", "seen"), [(2, [0, 1]), (8, [*range(8)]), (50, [0, 7, 14, 21, 28, 35, 42, 49])]
)
def test_a_clip_is_a_strip_of_its_frames(count: int, seen: list[int]) -> None:
    data = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(count, 3, 4, 6).contiguous()
    strip = picture(Frames(data, fps=8)._repr_png_())
    assert strip.shape == (4, 6 * len(seen) + 4 * (len(seen) - 1), 3)
    assert strip[0, ::10, 0].tolist() == seen


def test_large_frames_are_made_small_and_none_are_nothing() -> None:
    assert picture(Frames(torch.zeros(1, 3, 2048, 512))._repr_png_()).shape == (1024, 256, 3)
    assert picture(Frames(torch.zeros(2, 3, 300, 600))._repr_png_()).shape == (128, 516, 3)
    assert Frames(torch.zeros(0, 3, 4, 4))._repr_png_() is None


def test_files_are_shown_where_a_browser_can() -> None:
    assert "<video controls" in Video(b"0", ".mp4", {"width": 3})._repr_html_()
    assert Video(b"0", ".gif")._repr_html_().startswith("<img")
    assert "not played by browsers" in Video(b"0", ".mkv", {"codec": "<b>"})._repr_html_()
    assert "<b>" not in Video(b"0", ".mkv", {"codec": "<b>"})._repr_html_()
    many = FileSet({f"{k:02d}.png": b"0" for k in range(10)} | {'<s>".txt': b"0"})._repr_html_()
    assert many.count("<img") == 8
    assert "<s>" not in many
    large = Video(bytes(26 * 2**20), ".mp4")._repr_html_()
    assert "too large" in large
    assert len(large) < 1000


def test_a_graph_is_drawn_and_a_run_says_what_it_made(tmp_path: Path) -> None:
    graph = shown("<script>")
    ET.fromstring(graph._repr_svg_())
    page = graph.run(cache_dir=tmp_path)._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;</b>: done in " in page
    assert page.count("<video") == 1
    assert page.count("<img") == 4, "a strip of three frames, and three files"
    assert "3 computed" in page
    assert "3 from the cache" in graph.run(cache_dir=tmp_path)._repr_html_()


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    graph = fs.Graph("fails")
    graph.add("broken", "read_image", path=str(tmp_path / "a.png"), width=4, height=4)
    page = graph.run(cache_dir=tmp_path / "cache", check=False)._repr_html_()
    assert "failed" in page
    assert "a.png" in page


def test_nobody_hears_of_a_run_outside_of_a_notebook() -> None:
    assert type(usual_observer()) is Observer


class Handle:
    """A place under a cell."""

    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, page: Any) -> None:
        self.pages.append(page.data)


class Html:
    def __init__(self, data: str) -> None:
        self.data = data


def test_bars_say_what_runs_and_a_line_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a stand-in for IPython, of which only `display` and `HTML` are used."""
    import types

    handle, module = Handle(), types.ModuleType("IPython.display")

    def display(page: Html, display_id: bool) -> Handle:
        assert display_id
        handle.update(page)
        return handle

    vars(module).update(HTML=Html, display=display)
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    monkeypatch.setattr("flowsynth.api.notebook._PAUSE", 0)
    seen = NotebookProgress()
    seen.run_started("g", [NodeOutline("a", "op", "hit")])
    seen.run_finished(RunRecord(status="done", graph={"name": "g"}, outputs={}, nodes={}))
    assert handle.pages == [], "hits alone draw nothing"
    seen.run_started("g", [NodeOutline("a<", "op", "run", tasks=4), NodeOutline("b", "op", "hit")])
    seen.node_started("a<", "cpu")
    seen.task_finished("a<", "computed", 1, 4)
    seen.node_progress("a<", 1, 2)
    assert 'value="0.375"' in handle.pages[-1]
    assert "<td>a&lt;</td>" in handle.pages[-1]
    assert "<td>b</td>" not in handle.pages[-1]
    seen.note("a<", "weights fetched")
    seen.node_finished("a<", "computed", 1.5)
    assert "computed in 1.5 s" in handle.pages[-1]
    seen.run_finished(RunRecord(status="done", graph={"name": "g"}, outputs={}, nodes={}))
    assert handle.pages[-1] == "<div>g: done in 0.0 s</div><div>a&lt;: weights fetched</div>"


CELLS = [
    """
import flowsynth as fs
graph = fs.Graph("note")
frames = graph.add("picture", "read_image", path="picture:astronaut", width=32, height=16, copies=3, fps=8)
film = graph.add("film", "encode_video", frames=frames)
graph
""",
    "run = graph.run(cache_dir='cache', outputs=[frames, film])\nrun",
    "run[frames]",
    "run[film]",
    "graph.run(cache_dir='cache', outputs=[frames, film])\nNone",
]


def test_a_real_kernel_shows_it_all(tmp_path: Path) -> None:
    """IPython's own display of graphs, runs and values, and the progress, by a kernel in a process."""
    why = "no notebook was run: pip install ipykernel nbclient"
    nbformat = pytest.importorskip("nbformat", reason=why)
    nbclient = pytest.importorskip("nbclient", reason=why)
    pytest.importorskip("ipykernel", reason=why)
    note = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbclient.NotebookClient(note, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()

    def outputs(cell: int, kind: str) -> list[str]:
        found = [output.get("data", {}) for output in note.cells[cell].outputs]
        return [data[kind] for data in found if kind in data]

    assert outputs(0, "image/svg+xml")[0].startswith("<svg")
    progress, result = outputs(1, "text/html")
    assert progress.startswith("<div>note: done in ")
    assert "<video controls" in result
    assert len(outputs(2, "image/png")) == 1
    assert "<video controls" in outputs(3, "text/html")[0]
    assert note.cells[4].outputs == [], "a run of hits says nothing"

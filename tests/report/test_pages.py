"""Pages of runs and sweeps, read without running their programs."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest

import flowsynth
import flowsynth as fs
from flowsynth.cache import Cache
from flowsynth.core.errors import RequestError
from flowsynth.core.record import RunRecord
from flowsynth.report.media import Shelf
from flowsynth.report.write import NAME, page_of, write_report
from tests.report.making import EVIL, Page, Scene, large_record, scene_graph


@pytest.fixture(scope="module")
def run_page(run_folder: Path) -> Page:
    return Page(run_folder / NAME)


@pytest.fixture(scope="module")
def sweep_page(sweep_folder: Path) -> Page:
    return Page(sweep_folder / NAME)


def test_a_run_is_readable_without_a_program(run_page: Page) -> None:
    for text in (
        "pages",
        "done",
        "saved by hits",
        "scene",
        "look/grey",
        "report_scene",
        EVIL,
        "encode_video",
    ):
        assert " ".join(text.split()) in run_page.text, text
    assert "flowsynth reproduce" in run_page.text
    assert "Changed since the last run" in run_page.text
    (video,) = run_page.all("video")
    source = str(video["src"])
    assert source.startswith("data:video/mp4;base64,")
    assert base64.b64decode(source.partition(",")[2])[4:8] == b"ftyp"
    strips = [image for image in run_page.all("img") if image.get("data-strip")]
    assert len(strips) == 2
    assert all(str(strip["alt"]).startswith("8 of 12 frames") for strip in strips)
    links = {str(link["href"]) for link in run_page.all("a") if str(link.get("href")).startswith("#node-")}
    assert links <= {f"#{one['id']}" for one in run_page.all("details") if one.get("id")}


def test_a_sweep_is_readable_without_a_program(sweep_page: Page) -> None:
    for text in ("16 jobs", "15 done", "1 failed", "shade = 0.2", "seed = 2", "no room", "job 6 failed"):
        assert text in sweep_page.text, text
    assert len(sweep_page.all("video")) == 15
    saved = next(str(link["href"]) for link in sweep_page.all("a") if link.get("download"))
    table = base64.b64decode(saved.partition(",")[2]).decode()
    assert table.startswith("job,graph.nodes.scene.params.shade,seed,figures.psnr")
    assert table.count("\n") >= 17


@pytest.mark.parametrize("name", ["run_page", "sweep_page"])
def test_nothing_but_ours_may_run_and_nothing_is_asked_for(name: str, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(name)
    policy = next(str(m["content"]) for m in page.all("meta") if m.get("http-equiv"))
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    blocks = ["".join(page.blocks["style"]), page.source.rpartition("<script>")[2].partition("</script>")[0]]
    assert allowed == {base64.b64encode(hashlib.sha256(b.encode()).digest()).decode() for b in blocks}
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert len(page.all("script")) == 2
    for tag, attrs in page.elements:
        assert not any(attr.startswith("on") for attr in attrs), (tag, attrs)
        assert "style" not in attrs, (tag, attrs)
        for attr in ("src", "href"):
            assert str(attrs.get(attr, "#")).startswith(("#", "data:")), (tag, attrs)
    assert all("http" not in str(image.get("src"))[:8] for image in page.all("img"))
    data = json.loads(page.blocks["script"][0])
    assert data["kind"] == "run" or EVIL in data["axes"][1]["values"]
    assert "{{ 7 * 7 }}" in page.text


def test_no_torch_is_needed(run_folder: Path) -> None:
    code = (
        "import sys; from flowsynth.cli import main;"
        f"code = main(['report', {str(run_folder)!r}, 'cache.dir=' + {str(run_folder.parent / 'c')!r}]);"
        "print(code, sorted({'torch', 'diffusers', 'transformers', 'hydra'} & set(sys.modules)))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(flowsynth.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert done.stdout.strip().endswith("0 []"), done


def test_pictures_are_made_of_what_the_cache_holds(tmp_path: Path) -> None:
    scene_graph().run(cache_dir=tmp_path / "c", output_dir=tmp_path / "run", keep="all", previews=False)
    with Cache(tmp_path / "c") as cache:
        page = Page(write_report(tmp_path / "run", cache))
        assert sum("data-strip" in image for image in page.all("img")) == 2
        cache.release()
        cache.prune(0)
        again = Page(write_report(tmp_path / "run", cache))
        assert sum("data-strip" in image for image in again.all("img")) == 2
        cache.previews.prune(0)
        gone = Page(write_report(tmp_path / "run", cache))
    assert not any("data-strip" in image for image in gone.all("img"))
    assert "have no picture left" in gone.text
    assert "the cache of this run is not here" in Page(write_report(tmp_path / "run", None)).text


def test_every_picture_of_a_set_is_shown_and_the_first_can_be_made_again(tmp_path: Path) -> None:
    graph = fs.Graph("set")
    scene = graph.add("scene", Scene(count=3))
    graph.add("pictures", "save_images", frames=scene)
    graph.run(outputs=["pictures"], cache_dir=tmp_path / "cache", output_dir=tmp_path / "out")
    (tmp_path / "out" / "pictures" / "mine.png").write_bytes(b"somebody else's")
    page = Page(write_report(tmp_path / "out", None))
    assert len([one for one in page.all("img") if not one.get("data-strip")]) == 3
    (line,) = re.findall(r"flowsynth reproduce (\S+)", page.text)
    assert Path(line) == tmp_path / "out" / "pictures" / "000000.png"
    assert Path(line).is_file()


@pytest.mark.parametrize("target", ["page.html", "far/page.html", "page.zip"])
def test_large_files_lie_beside_the_page(
    target: str, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Shelf.__init__, "__defaults__", (0, *(Shelf.__init__.__defaults__ or ())[1:]))
    written = write_report(run_folder, None, tmp_path / target)
    if target.endswith(".zip"):
        with zipfile.ZipFile(written) as archive:
            archive.extractall(tmp_path / "unpacked")
        written = tmp_path / "unpacked" / "page.html"
    page = Page(written)
    (video,) = page.all("video")
    source = written.parent / str(video["src"])
    assert source.read_bytes() == (run_folder / "video.mp4").read_bytes()
    assert written.stat().st_size < 300_000


def test_ten_thousand_nodes_are_put_together(tmp_path: Path) -> None:
    record = large_record(10_000)
    page_of(record, tmp_path, None, tmp_path / "warm.html")
    began = time.process_time()
    page = Page(page_of(record, tmp_path, None, tmp_path / NAME))
    spent = time.process_time() - began
    assert spent < 30, "0.3 s a hundred nodes"
    assert len(page.source) < 4 << 20
    boxes = [link for link in page.all("a") if link.get("data-group") or "class" in link]
    assert 9 <= len([link for link in boxes if link.get("data-group")]) <= 150
    assert "10,000 nodes, put together by stage and operator" in page.text
    assert len(json.loads(page.blocks["script"][0])["nodes"]) == 10_000


@pytest.mark.parametrize("kinds", [200, 5000])
def test_graphs_of_many_kinds_are_told_of(kinds: int, tmp_path: Path) -> None:
    page = Page(page_of(large_record(5000, kinds), tmp_path, None, tmp_path / NAME))
    assert "of too many kinds to be drawn" in page.text


def test_an_empty_run_has_a_page(tmp_path: Path) -> None:
    page = Page(page_of(RunRecord(status="done", graph={}, nodes={}), tmp_path, None, tmp_path / NAME))
    assert "Nothing was delivered." in page.text


def test_a_record_names_no_file_outside_of_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"secret")
    record = RunRecord(status="done", graph={}, nodes={}, outputs={"a": "../secret.png", "b": "/etc/passwd"})
    page = Page(page_of(record, tmp_path / "run", None, tmp_path / NAME))
    assert not page.all("img")
    assert "../secret.png" in page.text


def test_wrong_requests_are_named(run_folder: Path, tmp_path: Path) -> None:
    for given, target, said in (
        (tmp_path, None, "run.json or sweep.json"),
        (tmp_path / "nothing", None, "expected the folder"),
        (run_folder, tmp_path / "page.pdf", r"\*\.html or \*\.zip"),
        (run_folder / "video.mp4", None, "expected the folder"),
    ):
        with pytest.raises(RequestError, match=said):
            write_report(given, None, target)


def test_a_page_costs_little(run_folder: Path, tmp_path: Path) -> None:
    write_report(run_folder, None, tmp_path / "warm.html")
    record = large_record(100)
    began = time.process_time()
    for _ in range(3):
        page_of(record, run_folder, None, run_folder / "hundred.html")
    assert time.process_time() - began < 3 * 0.3
    (run_folder / "hundred.html").unlink()
    assert "jinja2" in sys.modules

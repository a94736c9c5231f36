"""Pages of runs and sweeps as people meet them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsynth.report.write import NAME, page_of
from tests.report.browsing import Seen, browser
from tests.report.making import EVIL, large_record


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser() as opened:
        yield opened


def plays(seen: Seen, films: str) -> bool:
    """Whether all of some films move."""
    code = f"async () => {{ const films = [...document.querySelectorAll({films!r})];" + (
        "for (const film of films) { film.muted = true; film.loop = true; await film.play(); }"
        "await new Promise((done) => setTimeout(done, 500));"
        "return films.length > 0 && films.every((film) => film.currentTime > 0 && film.videoWidth > 0); }"
    )
    return bool(seen.page.evaluate(code))


def test_a_run_in_a_browser(chromium: Any, run_folder: Path) -> None:
    seen = Seen(chromium, (run_folder / NAME).as_uri())
    page = seen.page
    assert plays(seen, ".media video")
    assert page.evaluate("window.bad") is None
    page.focus(".graph a[data-node='0']")
    page.keyboard.press("Enter")
    assert EVIL in page.inner_text("#inspector")
    assert page.locator("#inspector img").count() == 1
    page.keyboard.press("Escape")
    assert page.is_hidden("#inspector")
    page.fill("#node-filter", "grey")
    assert page.locator("#node-table tbody tr").count() == 1
    page.fill("#node-filter", "")
    page.click("#node-table th:nth-child(5) button")
    assert page.get_attribute("#node-table th:nth-child(5)", "aria-sort") == "descending"
    before = page.get_attribute("#canvas", "data-drawn")
    page.focus("#pick-divide")
    page.keyboard.press("ArrowRight")
    page.wait_for_function("before => document.getElementById('canvas').dataset.drawn !== before", arg=before)
    assert seen.said == []
    assert seen.other_requests() == []
    pen = "document.getElementById('canvas').getContext('2d')"
    left, right = (page.evaluate(f"[...{pen}.getImageData({x}, 300, 1, 1).data]") for x in (420, 990))
    assert max(left[:3]) - min(left[:3]) > 20, "A is in colours"
    assert max(right[:3]) - min(right[:3]) < 12, "B is grey"


def test_a_sweep_in_a_browser(chromium: Any, sweep_folder: Path) -> None:
    seen = Seen(chromium, (sweep_folder / NAME).as_uri())
    page = seen.page
    assert page.locator("#grid .cell").count() == 16
    assert page.locator("#grid .cell.failed").count() == 1
    assert plays(seen, "#grid video")
    page.click("#play")
    page.wait_for_timeout(700)
    times = page.evaluate("[...document.querySelectorAll('#grid video')].map((film) => film.currentTime)")
    assert max(times) - min(times) < 0.3
    page.click("#play")
    for job in (0, 15):
        page.focus(f"#grid [data-job='{job}']")
        page.keyboard.press("Enter")
    page.click("#open-compare")
    assert "shade: 0.2 | 1.0" in page.inner_text("#differs")
    page.focus("#divide")
    page.keyboard.press("ArrowLeft")
    assert "49%" in page.evaluate("document.querySelector('#slider .over').style.clipPath")
    page.focus("#zoom")
    page.keyboard.press("End")
    zooms = page.evaluate("[...document.querySelectorAll('#grid video')].map((film) => film.style.transform)")
    assert len(set(zooms)) == 1
    assert "scale(6)" in zooms[0]
    page.select_option("#columns", "0")
    page.select_option("#rows", "-1")
    assert page.locator("#grid .cell").count() == 4
    assert page.locator("#others select").count() == 1
    page.fill("#job-filter", "failed")
    assert page.locator("#job-table tbody tr").count() == 1
    assert page.locator("#scatter circle").count() == 15
    assert page.locator("#parallel path").count() == 15
    with page.expect_download() as saved:
        page.click("text=Save as CSV")
    assert Path(saved.value.path()).read_text().startswith("job,")
    assert page.evaluate("window.bad") is None
    assert seen.said == []
    assert seen.other_requests() == []


@pytest.mark.parametrize("kind", ["run", "sweep"])
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_pages_fit_small_windows(
    kind: str, scheme: str, chromium: Any, run_folder: Path, sweep_folder: Path
) -> None:
    folder = run_folder if kind == "run" else sweep_folder
    how = {"viewport": {"width": 400, "height": 800}, "color_scheme": scheme}
    seen = Seen(chromium, (folder / NAME).as_uri(), **how)
    for place in seen.page.query_selector_all("details"):
        place.evaluate("(place) => (place.open = true)")
    assert seen.overflow() <= 0
    light = seen.page.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]"
    )
    assert (light > 128) == (scheme == "light")


def test_without_a_program_everything_is_there(chromium: Any, run_folder: Path, sweep_folder: Path) -> None:
    how = {"java_script_enabled": False}
    seen = Seen(chromium, (run_folder / NAME).as_uri(), **how)
    assert seen.page.is_visible("#node-table")
    assert seen.page.is_visible(".graph svg")
    assert seen.page.is_hidden("#node-filter")
    seen.page.click("#details details:first-of-type summary")
    assert seen.page.is_visible("#details details[open] img")
    seen = Seen(chromium, (sweep_folder / NAME).as_uri(), **how)
    assert seen.page.is_visible("#plain-grid")
    assert seen.page.is_hidden("#play")


def test_every_control_is_reached_by_the_keyboard(chromium: Any, run_folder: Path) -> None:
    page = Seen(chromium, (run_folder / NAME).as_uri()).page
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {
        "pick-a",
        "pick-b",
        "pick-tile",
        "pick-divide",
        "node-filter",
        "BUTTON",
        "VIDEO",
        "SUMMARY",
    } <= reached


def test_ten_thousand_nodes_open_quickly(chromium: Any, tmp_path: Path) -> None:
    written = page_of(large_record(10_000), tmp_path, None, tmp_path / NAME)
    began = time.perf_counter()
    seen = Seen(chromium, written.as_uri())
    seen.page.wait_for_function("() => document.querySelectorAll('#node-table tbody tr').length >= 200")
    assert time.perf_counter() - began < 10, "goal: 3 s on a quiet machine"
    spent = seen.page.evaluate("performance.getEntriesByType('navigation')[0].domComplete")
    assert spent < 9000
    seen.page.fill("#node-filter", "failed")
    assert seen.page.locator("#node-table tbody tr").count() == 1
    assert seen.said == []


def test_linked_films_play(
    chromium: Any, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from flowsynth.report.media import Shelf
    from flowsynth.report.write import write_report

    monkeypatch.setattr(Shelf.__init__, "__defaults__", (0, *(Shelf.__init__.__defaults__ or ())[1:]))
    seen = Seen(chromium, write_report(run_folder, None, tmp_path / "linked.html").as_uri())
    assert plays(seen, ".media video")
    assert seen.said == []

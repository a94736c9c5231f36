import io
import os
import threading
from collections.abc import Callable
from typing import TextIO

import pytest

from flowsynth.cli.live import LiveTable, progress_text
from flowsynth.cli.progress import PlainLines, finished_text
from flowsynth.cli.watch import watching
from flowsynth.core.events import NodeOutline
from flowsynth.core.readable import bytes_text, seconds_text
from flowsynth.core.record import NodeRecord, RunRecord
from flowsynth.core.tracking import Row, Tracker

NODES = [
    NodeOutline("clip", "read_video", "hit"),
    NodeOutline("lines", "annotate", "run", "cpu", tasks=3),
    NodeOutline("video", "encode_video", "unknown", "cpu", tasks=None),
]
RECORD = RunRecord(
    status="failed",
    graph={},
    seconds=3.25,
    nodes={
        "clip": NodeRecord(op="read_video", status="hit"),
        "lines": NodeRecord(op="annotate", status="computed"),
        "video": NodeRecord(op="encode_video", status="failed"),
    },
)


def play(observer: PlainLines | LiveTable) -> None:
    observer.run_started("toon", NODES)
    observer.node_finished("clip", "hit", 0.0)
    observer.node_started("lines", "cpu")
    for done in (1, 2, 3):
        observer.node_progress("lines", 1, 2)
        observer.task_finished("lines", "computed", done, 3)
    observer.node_finished("lines", "computed", 1.5)
    observer.node_started("video", "cpu")
    observer.note("video", "the [red] clip is short")
    observer.node_finished("video", "failed", 0.1, "disk full")
    observer.run_finished(RECORD)


def test_plain_lines_name_what_is_computed_and_count_hits() -> None:
    stream = io.StringIO()
    play(PlainLines(stream))
    lines = stream.getvalue().splitlines()
    assert lines[0] == "toon: 3 nodes, 1 from the cache"
    assert "  lines: annotate on cpu" in lines
    assert "  lines: done in 1.5s, 3 chunks" in lines
    assert "  video: FAILED: disk full" in lines
    assert "  video: note: the [red] clip is short" in lines
    assert lines[-1] == "failed in 3.2s: 1 computed, 1 from the cache, 1 failed"
    assert not any("clip:" in line for line in lines)


def on_terminal(act: Callable[[TextIO], None]) -> str:
    """What `act` writes to a real pseudo-terminal of 24 lines."""
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    chunks = []

    def read() -> None:
        while True:
            try:
                data = os.read(leader, 4096)
            except OSError:
                return
            if not data:
                return
            chunks.append(data)

    reader = threading.Thread(target=read)
    reader.start()
    with os.fdopen(follower, "w") as stream:
        act(stream)
    reader.join(10)
    os.close(leader)
    return b"".join(chunks).decode()


def test_a_terminal_gets_a_table_with_chunks_and_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "24")

    def act(stream: TextIO) -> None:
        with watching(stream=stream) as observer:
            assert isinstance(observer, LiveTable)
            play(observer)

    text = on_terminal(act)
    assert "annotate" in text
    assert "3/3" in text
    assert "disk full" in text
    assert "note: video: the [red] clip is short" in text
    assert "failed in 3.2s" in text
    assert "\x1b[?25h" in text, "the cursor is shown again"


def test_a_narrow_terminal_cuts_the_error_and_not_the_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "24")

    def act(stream: TextIO) -> None:
        with watching(stream=stream) as observer:
            observer.run_started("toon", NODES)
            observer.node_finished("video", "failed", 0.1, "no room on the disk: " + "x" * 200)
            observer.run_finished(RECORD)

    text = on_terminal(act)
    assert "encode_video" in text
    assert "no room" in text
    assert "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx" not in text


def test_a_run_of_hits_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    def act(stream: TextIO) -> None:
        observer = LiveTable(stream)
        observer.run_started("toon", [NODES[0]])
        observer.close()

    assert on_terminal(act).strip() == "toon: all 1 nodes from the cache"


def test_a_graph_larger_than_the_terminal_shows_what_runs() -> None:
    observer = LiveTable(io.StringIO())
    nodes = [NodeOutline(f"n{i}", "step", "run") for i in range(1000)]
    observer.run_started("big", [])
    super(LiveTable, observer).run_started("big", nodes)
    observer.node_started("n700", "cpu")
    rows, hidden = observer._visible()
    assert "n700" in [row.outline.name for row in rows]
    assert len(rows) + hidden == 1000
    assert len(rows) < 24


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (Row(NODES[0], "running", total=1, step=5, steps=10), "━━━━━━╌╌╌╌╌╌ step 5/10"),
        (Row(NODES[0], "running", total=4, done=1), "━━━╌╌╌╌╌╌╌╌╌ 1/4"),
        (Row(NODES[0], "running", total=None, done=7), "7/?"),
        (Row(NODES[0], "computed", total=4, done=4), "4/4"),
        (Row(NODES[0], "computed", total=1, done=1), ""),
    ],
)
def test_progress_in_words(row: Row, text: str) -> None:
    assert progress_text(row) == text


def test_numbers_in_words() -> None:
    assert [seconds_text(s) for s in (0, 0.123, 3.21, 42.4, 185, 7800)] == [
        "0.00s",
        "0.12s",
        "3.2s",
        "42s",
        "3m05s",
        "2h10m",
    ]
    assert [bytes_text(n) for n in (0, 1023, 1536, 5 * 2**30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]


def test_a_run_of_nothing_says_so() -> None:
    assert finished_text(RunRecord(status="done", graph={}, nodes={})) == "done in 0.00s: nothing to do"


def test_what_is_left_and_what_hits_saved_is_told() -> None:
    tracker = Tracker()
    nodes = [NodeOutline("a", "x", "hit", "", 1, 5.0), NodeOutline("b", "x", "run", "cpu", 4, 8.0)]
    tracker.run_started("g", [*nodes, NodeOutline("c", "x", "run", "cpu", 1, None)])
    tracker.node_finished("a", "hit", 0.0)
    assert tracker.left() is None, "nobody knows about c"
    tracker.node_finished("c", "computed", 1.0)
    assert tracker.left() == 8.0
    tracker.node_started("b", "cpu")
    tracker.task_finished("b", "computed", 1, 4)
    assert tracker.left() == 6.0
    assert tracker.saved() == 5.0
    saved = RunRecord(status="done", graph={}, nodes={}, seconds=1, saved=75)
    assert finished_text(saved) == "done in 1.0s: nothing to do (saved 1m15s)"

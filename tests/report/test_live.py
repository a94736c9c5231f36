"""A run that is watched: what its page gets, who may ask, and how it ends."""

from __future__ import annotations

import http.client
import io
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import torch

from flowsynth.core.events import NodeOutline
from flowsynth.core.record import NodeRecord, RunRecord
from flowsynth.models.latent_rgb import FILE, coloured, fits
from flowsynth.report.live import LiveRun
from flowsynth.report.server import serving
from tests.report.browsing import Seen, browser

SPACE = "sd/f4c8x1"


def begun() -> LiveRun:
    live = LiveRun()
    nodes = [NodeOutline("a", "op_a", "hit", "", 1, 4.0), NodeOutline("b/c", "op_b", "run", "cpu", 1, 8.0)]
    live.run_started("slow", nodes)
    live.node_finished("a", "hit", 0.0)
    live.node_started("b/c", "cpu")
    live.node_progress("b/c", 1, 4)
    return live


def ask(address: str, place: str = "", method: str = "GET", **headers: str) -> tuple[int, bytes]:
    parts = urlsplit(address)
    with closing(http.client.HTTPConnection(parts.netloc, timeout=5)) as connection:
        connection.request(method, parts.path + place, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()


@pytest.fixture
def served() -> Iterator[tuple[LiveRun, str, threading.Event]]:
    live, stopped = begun(), threading.Event()
    with serving(live, stopped.set) as address:
        yield live, address, stopped


def test_the_page_is_told_how_far_a_run_is(served: tuple[LiveRun, str, threading.Event]) -> None:
    live, address, _ = served
    state = json.loads(ask(address, "state")[1])
    assert (state["graph"], state["status"], state["saved"]) == ("slow", "running", 4.0)
    assert state["left"] == pytest.approx(6.0, abs=0.1)
    assert [row["state"] for row in state["nodes"]] == ["hit", "running"]
    assert state["nodes"][1]["share"] == 0.25
    live.node_latents("b/c", SPACE, lambda: torch.zeros(16, 8, 4, 6))
    assert json.loads(ask(address, "state")[1])["nodes"][1]["look"] == 1
    status, picture = ask(address, "look/b%2Fc")
    assert status == 200
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (8 * 6 * 42, 4 * 42)


def test_who_does_not_know_the_address_gets_nothing(served: tuple[LiveRun, str, threading.Event]) -> None:
    _, address, stopped = served
    parts = urlsplit(address)
    base = f"http://{parts.netloc}"
    assert ask(address)[0] == 200
    for place in ("/", "/state", f"/{'x' * 32}/", f"{parts.path[:-2]}/state", "/../", "//"):
        assert ask(base + place)[0] == 403, place
    assert ask(address, Host="evil.example")[0] == 403
    assert ask(address, "stop", "POST", Origin="http://evil.example")[0] == 403
    assert ask(base + "/x/stop", method="POST")[0] == 403
    assert ask(address, "nothing")[0] == 404
    assert not stopped.is_set()
    assert ask(address, "stop", "POST", Origin=base)[0] == 200
    assert stopped.wait(2)


def test_nothing_listens_beyond_this_machine(served: tuple[LiveRun, str, threading.Event]) -> None:
    port = urlsplit(served[1]).port
    found = [one for one in psutil.Process().net_connections("inet") if one.status == psutil.CONN_LISTEN]
    assert [one.laddr.ip for one in found if one.laddr.port == port] == ["127.0.0.1"]


def test_the_server_ends_with_the_run_once_the_end_was_heard() -> None:
    live = begun()
    with serving(live, lambda: None) as address:
        ask(address, "state")
        record = RunRecord(status="done", graph={}, nodes={"a": NodeRecord(op="x", status="hit")}, seconds=3)
        live.run_finished(record)
        waiter = threading.Timer(0.3, ask, (address, "state"))
        waiter.start()
        began = time.monotonic()
    assert time.monotonic() - began < 1.4
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", urlsplit(address).port or 0))


def test_looks_are_only_taken_where_somebody_watches() -> None:
    live = begun()
    live.node_latents("b/c", SPACE, lambda: pytest.fail("nobody watches"))
    live.state()
    live.node_latents("b/c", "another/space", lambda: torch.zeros(1, 4, 2, 2))
    assert live.look("b/c") is None


def test_the_fit_of_the_shipped_model_shows_its_colours() -> None:
    fit = fits()[SPACE]
    assert fit.r2 > 0.95
    shown = coloured(torch.zeros(2, 8, 3, 5), SPACE)
    assert shown is not None
    assert shown.shape == (2, 3, 3, 5)
    assert coloured(torch.zeros(2, 4, 3, 5), SPACE) is None


@pytest.mark.slow
def test_the_fit_is_the_one_that_is_measured() -> None:
    from diffusers import AutoencoderKL

    from flowsynth.training.latent_rgb import fit as measured

    fit = fits()[SPACE]
    factors, bias, r2 = measured(AutoencoderKL.from_pretrained(FILE.parent / "pocket" / "vae"))
    assert r2 == pytest.approx(fit.r2, abs=0.01)
    torch.testing.assert_close(
        torch.tensor([*factors, bias]), torch.tensor([*fit.factors, fit.bias]), atol=0.02, rtol=0
    )


SLOW = '''
import time
import flowsynth as fs

class Slow(fs.Operator):
    """Steps."""

    op = "live_slow"
    version = 1
    steps: int = 400

    def run(self, ctx: fs.RunContext, /) -> int:
        for i in range(self.steps):
            time.sleep(0.05)
            ctx.progress(i + 1, self.steps)
        return self.steps
'''


@pytest.mark.parametrize("background", [True, False])
def test_stop_ends_a_run_cleanly(background: bool, tmp_path: Path) -> None:
    (tmp_path / "slow_ops.py").write_text(SLOW)
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "slow.yaml").write_text("nodes: {a: {op: live_slow}}\noutputs: [a]\n")
    given = ["--operators", "slow_ops.py", "run", "--watch", "graph=slow", "cache.dir=c", "output_dir=out"]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    # A shell has programs that it starts with & ignore interrupts.
    line = "trap '' INT; exec \"$@\"" if background else 'exec "$@"'
    with subprocess.Popen(
        ["sh", "-c", line, "sh", sys.executable, "-m", "flowsynth", *given],
        cwd=tmp_path,
        env=env,
        text=True,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stderr is not None
        line = next(text for text in child.stderr if text.startswith("watch: "))
        address = line.split()[1]
        until = time.monotonic() + 20
        while not any(row["state"] == "running" for row in json.loads(ask(address, "state")[1])["nodes"]):
            assert time.monotonic() < until
            time.sleep(0.05)
        ask(address, "stop", "POST")
        said = child.stderr.read()
        assert child.wait(20) == 130, said
    assert "stopped; what was finished is kept" in said
    with pytest.raises(OSError, match="refused"):
        ask(address)


def test_the_live_page_in_a_browser(served: tuple[LiveRun, str, threading.Event]) -> None:
    live, address, stopped = served
    with browser() as opened:
        first, second = Seen(opened, address), Seen(opened, address)
        for seen in (first, second):
            seen.page.wait_for_function("() => document.getElementById('over').textContent === '1 of 2'")
        live.node_latents("b/c", SPACE, lambda: torch.rand(8, 8, 4, 6))
        first.page.wait_for_selector("#looks img")
        first.page.wait_for_function("() => document.querySelector('#looks img').naturalWidth > 0")
        assert all(url.startswith(address) for url in first.other_requests())
        second.page.click("#stop")
        assert stopped.wait(5)
        live.status = "stopped"
        first.page.wait_for_function("() => document.getElementById('gone').textContent.includes('stopped')")
        assert first.said == []
        assert first.overflow() <= 0


def test_nobody_watches_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from flowsynth.cli import main

    monkeypatch.chdir(tmp_path)
    assert main(["run", "--multirun", "--watch", "seed=1,2"]) == 2
    assert "--watch: not used by a sweep" in capsys.readouterr().err

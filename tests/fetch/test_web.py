import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flowsynth.fetch import web
from flowsynth.fetch.archive import Archive
from flowsynth.fetch.errors import FetchError, OfflineError

CONTENT = bytes(range(256)) * 20_000
NAME = "thing-1.0-py3-none-any.whl"


class Server(ThreadingHTTPServer):
    """Gives a package; breaks off after `breaks_after` bytes as often as it is told to."""

    breaks, ranges = 1, True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        if self.path == "/simple/thing/" and "json" in self.headers["Accept"]:
            address = f"http://127.0.0.1:{self.server.server_port}/{NAME}"
            return self._send(200, json.dumps({"files": [{"filename": NAME, "url": address}]}).encode())
        if self.path == "/mirror/thing/":
            return self._send(200, f'<a href="../../{NAME}#sha256=0" data-x="1">{NAME}</a>'.encode())
        if self.path != f"/{NAME}":
            return self._send(404, b"")
        self.server.asked.append(self.headers["Range"])
        start = int(self.headers["Range"][6:-1]) if self.headers["Range"] and self.server.ranges else 0
        body = CONTENT[start:]
        if self.server.breaks:
            self.server.breaks -= 1
            return self._send(206 if start else 200, body, 3_000_000)
        return self._send(206 if start else 200, body)

    def _send(self, status: int, body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    with Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        monkeypatch.setattr(web, "_PYPI", f"http://127.0.0.1:{made.server_port}/simple")
        monkeypatch.setattr(web, "_SCHEME", "http://")
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def archive(name: str = NAME) -> Archive:
    return Archive("thing", "1.0", name, hashlib.sha256(CONTENT).hexdigest())


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_is_gone_on_with(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    told: list[tuple[int, int]] = []
    folder = tmp_path / "d"
    folder.mkdir()
    with pytest.raises(OfflineError, match="broke after 3,000,000 of 5,120,000 bytes"):
        web.download_by_hand(archive(), folder, "x", None)
    assert list(folder.iterdir()) == []
    web.download_by_hand(archive(), folder, "x", lambda done, total: told.append((done, total)))
    assert (folder / NAME).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=3000000-"]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".part"] == []


def test_a_missing_file_and_other_schemes_are_named(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FetchError, match=r"x: expected other\.whl in thing==1\.0, found no such file"):
        web.download_by_hand(archive("other.whl"), tmp_path, "x", None)
    monkeypatch.setattr(web, "_SCHEME", "https://")
    with pytest.raises(FetchError, match="does not begin with https"):
        web.download_by_hand(archive(), tmp_path, "x", None)


def test_no_server_is_being_offline(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "_PYPI", "http://127.0.0.1:1/simple")
    with pytest.raises(OfflineError, match=r"thing==1\.0 from .*no answer"):
        web.download_by_hand(archive(), tmp_path, "x", None)


@pytest.mark.parametrize("path", [NAME, "gone.whl"])
def test_an_address_of_its_own_comes_before_the_index(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    server.breaks = 0
    if path == NAME:
        monkeypatch.setattr(web, "_PYPI", "http://127.0.0.1:1/simple")
    made = replace(archive(), url=f"http://127.0.0.1:{server.server_port}/{path}")
    (tmp_path / "d").mkdir()
    web.download_by_hand(made, tmp_path / "d", "x", None)
    assert (tmp_path / "d" / NAME).read_bytes() == CONTENT


def test_the_configured_index_comes_before_pypi(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.breaks = 0
    monkeypatch.setattr(web, "_PYPI", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/mirror/")
    (tmp_path / "d").mkdir()
    web.download_by_hand(archive(), tmp_path / "d", "x", None)
    assert (tmp_path / "d" / NAME).read_bytes() == CONTENT


def test_tags_say_for_which_platform_a_wheel_is() -> None:
    made = archive("a_b-2.0.0-cp311-none-manylinux1_x86_64.whl")
    assert made.tags == ("cp311", "none", "manylinux1_x86_64")
    assert made.requirement == "thing==1.0"


def test_pip_is_told_every_platform_that_a_wheel_names() -> None:
    from flowsynth.fetch.pip import _options

    made = archive("a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    options = _options(made)
    given = [options[i + 1] for i, option in enumerate(options) if option == "--platform"]
    assert given == ["manylinux_2_17_x86_64", "manylinux2014_x86_64"]
    assert options[options.index("--python-version") + 1] == "311"

"""The live page's server: on this machine only, for whoever knows the address, as long as the run goes."""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from flowsynth.report.live import LiveRun
from flowsynth.report.render import environment, head

LOOPBACK = "127.0.0.1"


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, run: LiveRun, stop: Callable[[], None]) -> None:
        super().__init__((LOOPBACK, 0), _Handler)
        self.run, self.stop = run, stop
        self.token = secrets.token_urlsafe(24)
        self.host = f"{LOOPBACK}:{self.server_address[1]}"
        self.address = f"http://{self.host}/{self.token}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that went away is nobody's fault."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "flowsynth", ""
    #: What answers may be used for: by the page itself alone.
    safe: ClassVar[dict[str, str]] = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
    }

    def do_GET(self) -> None:
        """The page, what it asks for, or nothing."""
        place = self._place()
        if place == "":
            self._send(_page(self.server).encode("utf-8", "replace"), "text/html; charset=utf-8")
        elif place == "state":
            self._send(json.dumps(self.server.run.state()).encode(), "application/json")
        elif place is not None and place.startswith("look/"):
            found = self.server.run.look(unquote(place.removeprefix("look/")))
            if found is None:
                self._refuse(HTTPStatus.NOT_FOUND)
            else:
                self._send(found, "image/png")
        else:
            self._refuse(HTTPStatus.FORBIDDEN if place is None else HTTPStatus.NOT_FOUND)

    def do_POST(self) -> None:
        """End the run."""
        place = self._place()
        if place != "stop" or self.headers.get("Origin") not in (None, f"http://{self.server.host}"):
            self._refuse(HTTPStatus.FORBIDDEN if place in (None, "stop") else HTTPStatus.NOT_FOUND)
            return
        self._send(b"{}", "application/json")
        self.server.stop()

    def _place(self) -> str | None:
        """What is asked for; None for who does not know the token, or came by another name of this host."""
        token, _, place = urlsplit(self.path).path.removeprefix("/").partition("/")
        known = hmac.compare_digest(token.encode(), self.server.token.encode())
        return place if known and self.headers.get("Host") == self.server.host else None

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        for name, value in {**self.safe, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: the terminal is the run's."""


def _page(server: _Server) -> str:
    data = {**server.run.state(), "kind": "live"}
    return (
        environment()
        .get_template("live.html.j2")
        .render(data_now=data, **head("live", data, origin=f"http://{server.host}"))
    )


@contextmanager
def serving(run: LiveRun, stop: Callable[[], None]) -> Iterator[str]:
    """Serve the live page of a run until the block ends.

    Args:
        run: the run.
        stop: ends it.

    Yields:
        The page's address.
    """
    server = _Server(run, stop)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="flowsynth-live", daemon=True)
    thread.start()
    stopped = True
    try:
        yield server.address
        stopped = False
    finally:
        run.part(stopped)
        server.shutdown()
        server.server_close()
        thread.join()

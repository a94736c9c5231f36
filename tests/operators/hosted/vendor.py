"""A server that plays a vendor: it answers as OpenAI's and Google's do, and fails as they do."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

KEY = "sk-test-31415926535"


@dataclass
class Answer:
    """What is answered."""

    body: bytes
    status: int = 200
    kind: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    wait: float = 0.0
    cut: bool = False


@dataclass
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


def png(colour: tuple[int, int, int] = (200, 30, 60), size: tuple[int, int] = (16, 12)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def picture(vendor: str, data: bytes | None = None, mime: str = "image/png") -> Answer:
    text = base64.b64encode(png() if data is None else data).decode()
    if vendor == "openai":
        return reply({"created": 1, "data": [{"b64_json": text}]})
    return reply(candidate({"inlineData": {"mimeType": mime, "data": text}}))


def candidate(*parts: dict[str, Any], ended: str = "STOP") -> dict[str, Any]:
    return {"candidates": [{"content": {"role": "model", "parts": list(parts)}, "finishReason": ended}]}


def words(vendor: str, text: str, ended: str | None = None) -> Answer:
    if vendor == "google":
        return reply(candidate({"text": text}, ended=ended or "STOP"))
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": ended or "stop"}
    return reply({"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]})


def reply(body: Any, status: int = 200, **more: Any) -> Answer:
    return Answer(json.dumps(body).encode(), status, **more)


def refusal(vendor: str, status: int, message: str, code: str = "", **more: Any) -> Answer:
    if vendor == "openai":
        error: dict[str, Any] = {"message": message, "type": "error", "code": code or None}
    else:
        error = {"code": status, "message": message, "status": code or "FAILED"}
    return reply({"error": error}, status, **more)


class Vendor(ThreadingHTTPServer):
    """Answers one after the other; the last one again and again. None plays dead."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Answer | Callable[[Request], Answer]] = []
        self.asked: list[Request] = []
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next(self, request: Request) -> Answer:
        with self._lock:
            self.asked.append(request)
            answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        return answer(request) if callable(answer) else answer

    def handle_error(self, *_: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Vendor

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.next(Request(self.path, dict(self.headers), body))
        time.sleep(answer.wait)
        self.send_response(answer.status)
        for name, value in {"Content-Type": answer.kind, **answer.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if answer.cut else answer.body)

    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving() -> Iterator[Vendor]:
    with Vendor() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()

"""A server that speaks S3: moto's, in a process of its own, so that it can be killed."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SECRET = "geheim/of+the/tests"
BUCKET = "shared-bucket"
GOOGLE_BUCKET = "sharedbucket"  # moto takes no escaped characters in a bucket's name


class Server:
    """The server, once it answers; empty but for two buckets, or one that checks keys."""

    def __init__(self, checks_keys: bool = False) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        # From the second request on it asks who it is.
        env = {**os.environ, **({"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if checks_keys else {})}
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(
            command, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        )
        for _ in range(600):
            try:
                self._request("PUT", f"/{BUCKET}")
                if not checks_keys:
                    self._request("PUT", f"/{GOOGLE_BUCKET}")
                return
            except OSError:
                assert self.process.poll() is None, "moto's server ended"
                time.sleep(0.1)
        raise TimeoutError("moto's server does not answer")

    def _request(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
            found: bytes = answer.read()
            return found

    def kill(self) -> None:
        """End it as a power cut does."""
        self.process.kill()
        self.process.wait()

    @property
    def environment(self) -> Mapping[str, str]:
        """What programs need to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "AKIDOFTHETESTS",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    @property
    def google_environment(self) -> Mapping[str, str]:
        """The same by Google's names: its XML API is S3's but for who asks, which a signed token says."""
        account = {"client_email": "me@tests", "private_key": _key(), "private_key_id": "1"}
        return {
            "GOOGLE_BASE_URL": self.url,
            "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(account),
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }


def _key() -> str:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    made = generate_private_key(public_exponent=65537, key_size=2048)
    return str(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "ascii")


@contextmanager
def serving(checks_keys: bool = False) -> Iterator[Server]:
    """A server for a while."""
    server = Server(checks_keys)
    try:
        yield server
    finally:
        server.kill()

"""A bucket of an object store as a place: ``s3://`` and ``gs://``, by obstore.

Credentials, region and endpoint come from the environment, by the names that the vendors' own programs use
(``AWS_ACCESS_KEY_ID``, ``AWS_REGION``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, ...; for
Google's endpoint obstore's own ``GOOGLE_BASE_URL``), or from the machine that runs in the cloud:
https://developmentseed.org/obstore/latest/authentication/
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from flowsynth.cache.remote.place import (
    NO_CREDENTIALS,
    PART,
    REFUSALS,
    DeniedError,
    GoneError,
    Got,
    settings_refused,
)
from flowsynth.core.errors import RequestError

#: How long a server may be silent. Parts of what is put are 5 MB, so that slow lines get there.
_SILENCE = timedelta(seconds=30)
_CONNECT = timedelta(seconds=5)
_WHOLE = timedelta(hours=2)
_RETRIES = 2
_RETRY = timedelta(seconds=10)
#: What an answer says of why: S3's XML, else the status.
_CODE = re.compile(r"<Code>(\w{3,60})</Code>")
_STATUS = re.compile(r"status code: (\d{3}(?: [A-Z][\w -]{2,40})?)")
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "gs": ("GOOGLE_BASE_URL",),
}
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]+(/[\w./~-]*)?")
_REFUSALS = REFUSALS | {"PermanentRedirect", NO_CREDENTIALS}


class BucketPlace:
    """A folder of a bucket as a place.

    Args:
        address: ``s3://BUCKET/FOLDER`` or ``gs://BUCKET/FOLDER``.

    Raises:
        RequestError: the environment holds settings that it cannot use.
    """

    def __init__(self, address: str) -> None:
        scheme = address.partition("://")[0]
        import obstore
        from obstore.store import GCSStore, S3Store

        self._api: Any = obstore
        make: Callable[..., Any] = (S3Store if scheme == "s3" else GCSStore).from_url
        options = _client_options(scheme)
        try:
            self._store = make(address, client_options=options, retry_config=_retries())
        except Exception as error:  # obstore's own, or ValueError
            raise settings_refused(address, error) from None

    def get(self, name: str) -> Got | None:
        """What lies under a name, or None."""
        with _told():
            found = self._quiet(lambda: self._api.get(self._store, name))
            return None if found is None else Got(found.meta["size"], _parts(found))

    def size(self, name: str) -> int | None:
        """How many bytes lie under a name, or None."""
        with _told():
            found = self._quiet(lambda: self._api.head(self._store, name))
            return None if found is None else int(found["size"])

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Put bytes under a name; large ones go in parts and appear when all have come."""
        with _told():
            self._api.put(self._store, name, data, max_concurrency=4)

    def _quiet(self, ask: Callable[[], Any]) -> Any:
        """What is there, or None where nothing is; a missing bucket is no missing name."""
        try:
            return ask()
        except FileNotFoundError as error:
            if _reason(error) in _REFUSALS:
                raise
            return None


def _client_options(store: str) -> dict[str, Any]:
    """How long to wait; plain HTTP only to an endpoint that says so.

    Raises:
        RequestError: the endpoint is no address (obstore would not survive it).
    """
    variable = next((name for name in _ENDPOINTS[store] if os.environ.get(name)), "")
    scheme, _, host = os.environ.get(variable, "https://store").partition("://")
    if scheme not in ("http", "https") or not _HOST.fullmatch(host):
        raise RequestError(f"cache.remote: {variable}: expected the address of a server, as http://HOST:PORT")
    plain = {"allow_http": True} if scheme == "http" else {}
    return {"connect_timeout": _CONNECT, "read_timeout": _SILENCE, "timeout": _WHOLE, **plain}


def _retries() -> dict[str, Any]:
    wait = {"init_backoff": timedelta(seconds=0.2), "max_backoff": timedelta(seconds=2), "base": 2}
    return {"max_retries": _RETRIES, "retry_timeout": _RETRY, "backoff": wait}


def _parts(found: Any) -> Iterator[bytes]:
    with _told():
        for part in found.stream(min_chunk_size=PART):
            yield bytes(part)


@contextmanager
def _told() -> Iterator[None]:
    """What obstore raises, as errors of a place; of its texts, which hold addresses, only the reason stays.

    Raises:
        DeniedError: the store refuses.
        GoneError: anything else.
    """
    try:
        yield
    except (GoneError, DeniedError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:  # a panic inside obstore is no Exception
        reason = _reason(error)
        refused = type(error).__name__ in ("PermissionDeniedError", "UnauthenticatedError")
        kind = DeniedError if refused or reason in _REFUSALS else GoneError
        raise kind(reason) from None


def _reason(error: BaseException) -> str:
    """Why, in a few words that hold no address and no part of a request."""
    text = str(error)
    if "169.254.169.254" in text or "metadata.google" in text:  # where machines of a cloud ask who they are
        return NO_CREDENTIALS
    if found := _CODE.search(text) or _STATUS.search(text):
        return found[1]
    silent = any(sign in text for sign in ("error sending request", "timed out", "HTTP error"))
    return "it does not answer" if silent else type(error).__name__.removesuffix("Error")

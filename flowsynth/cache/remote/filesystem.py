"""A folder of an object store as a place, by fsspec: where obstore is not installed, or not to be had.

Credentials and endpoint are those of fsspec's own clients (s3fs: ``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``;
gcsfs: ``GOOGLE_APPLICATION_CREDENTIALS``): https://filesystem-spec.readthedocs.io
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
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

#: Scheme -> the package with fsspec's client.
CLIENTS = {"s3": "s3fs", "gs": "gcsfs"}
_REFUSALS = REFUSALS | {"NoCredentialsError"}


class FilesystemPlace:
    """A folder of a bucket as a place.

    Args:
        address: ``s3://BUCKET/FOLDER`` or ``gs://BUCKET/FOLDER``.

    Raises:
        RequestError: the environment holds settings that it cannot use.
    """

    def __init__(self, address: str) -> None:
        import fsspec

        try:
            # Other machines write there, too: what was listed or asked once is not known for good.
            self._fs, self._root = fsspec.url_to_fs(
                address, use_listings_cache=False, skip_instance_cache=True
            )
        except Exception as error:
            raise settings_refused(address, error) from None
        self._there = False

    def get(self, name: str) -> Got | None:
        """What lies under a name, or None."""
        with _told():
            try:
                file = self._fs.open(self._path(name), "rb", block_size=PART, cache_type="readahead")
            except FileNotFoundError:
                self._require_bucket()
                return None
            self._there = True
            return Got(int(file.size), _parts(file))

    def size(self, name: str) -> int | None:
        """How many bytes lie under a name, or None."""
        with _told():
            try:
                found = self._fs.info(self._path(name))
            except FileNotFoundError:
                self._require_bucket()
                return None
            self._there = True
            return int(found["size"]) if found["type"] == "file" else None

    def put(self, name: str, data: bytes | memoryview) -> None:
        """Put bytes under a name; large ones go in parts and appear when all have come."""
        with _told():
            self._fs.pipe_file(self._path(name), bytes(data))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _require_bucket(self) -> None:
        """Tell a name that is not there from a bucket that is not.

        Raises:
            DeniedError: there is no such bucket.
        """
        if self._there:
            return
        bucket = self._root.partition("/")[0]
        try:
            self._fs.ls(bucket)
        except FileNotFoundError:
            raise DeniedError("NoSuchBucket") from None
        self._there = True


def _parts(file: Any) -> Iterator[bytes]:
    with _told(), file:
        while part := file.read(PART):
            yield part


@contextmanager
def _told() -> Iterator[None]:
    """What a client raises, as errors of a place; of its texts, which hold addresses, nothing stays.

    Raises:
        DeniedError: the store refuses.
        GoneError: anything else.
    """
    try:
        yield
    except (GoneError, DeniedError):
        raise
    except Exception as error:
        names = [type(error).__name__, type(error.__cause__).__name__, _code(error), _code(error.__cause__)]
        refusal = next((name for name in names if name in _REFUSALS), "")
        if isinstance(error, PermissionError) or refusal:
            raise DeniedError(_told_as(refusal) or _code(error.__cause__) or "AccessDenied") from None
        silent = isinstance(error, ConnectionError | TimeoutError) or "Connect" in "".join(names)
        raise GoneError(
            "it does not answer" if silent else type(error).__name__.removesuffix("Error")
        ) from None


def _code(error: BaseException | None) -> str:
    """What S3 says of why, as botocore keeps it."""
    answer = getattr(error, "response", None)
    found = answer.get("Error", {}).get("Code") if isinstance(answer, dict) else None
    return found if isinstance(found, str) and found.isalnum() else ""


def _told_as(name: str) -> str:
    return NO_CREDENTIALS if name == "NoCredentialsError" else name

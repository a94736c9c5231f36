"""Addresses of places that hold a cache for several machines: what one may look like."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from flowsynth.core.errors import did_you_mean

#: The kinds of places, by the scheme of their addresses.
SCHEMES = ("s3", "gs", "file")
_FORMS = "s3://BUCKET/FOLDER, gs://BUCKET/FOLDER or file:///FOLDER"
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,221}")
_SECRET = re.compile(r"(?<=://)[^/\s]*(?=@)")


def parse_remote(value: Any) -> Any:
    """The address of a shared cache as it is used; values that are no text as they are.

    Raises:
        ValueError: a text that is no such address.
    """
    if not isinstance(value, str):
        return value
    scheme, mark, rest = value.strip().partition("://")
    if not mark or scheme not in SCHEMES:
        raise ValueError(f"expected {_FORMS}{did_you_mean(scheme, SCHEMES)}")
    if "@" in rest.partition("/")[0]:
        raise ValueError("expected no name and no password in it: credentials come from the environment")
    if scheme == "file":
        return f"file://{_folder(rest)}"
    bucket, _, path = rest.partition("/")
    parts = path.strip("/").split("/") if path.strip("/") else []
    if not _BUCKET.fullmatch(bucket) or not all(_is_name(part) for part in parts):
        raise ValueError(f"expected {_FORMS}")
    return "/".join([f"{scheme}://{bucket}", *parts])


def _folder(rest: str) -> str:
    folder = unquote(rest)
    if not folder.startswith("/") or "\0" in folder or urlsplit(f"file://{rest}").query:
        raise ValueError("expected the whole path of a folder, as in file:///mnt/share/cache")
    return folder.rstrip("/") or "/"


def _is_name(part: str) -> bool:
    return part not in ("", ".", "..") and part.isprintable() and not set(part) & set("?#%\\")


def without_password(text: str) -> str:
    """A text without the names and passwords that stand in the addresses in it."""
    return _SECRET.sub("...", text)

"""Readers for the two archive formats that clean-licence pictures come in.

Both are parsed here, so that the data can be rebuilt on any system: a Debian package is an ``ar``
archive around a tar file (deb(5)), and an ``.rcc`` file is Qt's binary resource format.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60
_RCC_COMPRESSED, _RCC_FOLDER = 1, 2


def deb_members(package: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields (path, content) of every regular file in a Debian package.

    Args:
        package: The bytes of a ``.deb`` file.

    Raises:
        ValueError: If it is not a Debian package.
    """
    if not package.startswith(_AR_MAGIC):
        raise ValueError("not a Debian package: the ar signature is missing")
    at = len(_AR_MAGIC)
    while at < len(package):
        name = package[at : at + 16].decode("ascii").strip().rstrip("/")
        size = int(package[at + 48 : at + 58])
        start = at + _AR_HEADER
        if name.startswith("data.tar"):
            yield from _tar_members(package[start : start + size])
            return
        at = start + size + size % 2  # members start at even offsets
    raise ValueError("not a Debian package: it holds no data.tar")


def _tar_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:*") as archive:
        for entry in archive:
            handle = archive.extractfile(entry) if entry.isfile() else None
            if handle is not None:
                yield entry.name.removeprefix("./"), handle.read()


def rcc_members(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields (path, content) of every file in a Qt resource file.

    Entries compressed otherwise than with zlib are left out.

    Args:
        data: The bytes of an ``.rcc`` file.

    Raises:
        ValueError: If the signature is missing.
    """
    magic, version, tree, body, names = struct.unpack_from(">4sIIII", data)
    if magic != b"qres":
        raise ValueError("not a Qt resource file: the signature is missing")
    node_size = 14 if version < 2 else 22  # version 2 added a time stamp to each node
    todo = [(0, "")]
    while todo:
        index, folder = todo.pop()
        node = tree + index * node_size
        name_at, flags = struct.unpack_from(">IH", data, node)
        path = f"{folder}/{_rcc_name(data, names + name_at)}".lstrip("/") if index else ""
        if flags & _RCC_FOLDER:
            count, first = struct.unpack_from(">II", data, node + 6)
            todo += [(child, path) for child in range(first, first + count)]
        elif flags <= _RCC_COMPRESSED:
            yield path, _rcc_content(data, body + struct.unpack_from(">I", data, node + 10)[0], flags)


def _rcc_name(data: bytes, at: int) -> str:
    length = struct.unpack_from(">H", data, at)[0]
    return data[at + 6 : at + 6 + 2 * length].decode("utf-16-be")


def _rcc_content(data: bytes, at: int, flags: int) -> bytes:
    length = struct.unpack_from(">I", data, at)[0]
    raw = data[at + 4 : at + 4 + length]
    return zlib.decompress(raw[4:]) if flags & _RCC_COMPRESSED else raw

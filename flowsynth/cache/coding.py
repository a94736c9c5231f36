"""Lossless coding of large tensors on disk, one packet a row (a frame), so that a few can be read alone.

What is read back is compared with what was written, row by row: a decoder that some day decodes otherwise
makes a miss, never another picture. Tensors that no method fits, and those that are hardly made smaller, lie
there raw and are mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from xxhash import xxh3_64_hexdigest

from flowsynth.cache.coding_frames import UtVideo
from flowsynth.cache.coding_rows import Kind, Method, Parted
from flowsynth.cache.errors import FormatError
from flowsynth.core.canonical import Json
from flowsynth.core.codec import Buffer, Encoded

#: Tensors in a file begin at multiples of so many bytes.
ALIGN = 64
#: Bytes that are coded and decoded again in a second, by measurement of frames (350 MB/s each way).
BYTES_PER_SECOND = 170e6
#: Making a value must take so many times what coding it and reading it back take.
TIMES = 10
#: A tensor of fewer bytes is as quickly read raw, and saves little.
LEAST_BYTES = 1 << 18
#: What a coded tensor may take of the raw one; else it stays raw.
MOST = 0.9
_LARGEST_ROW = 1 << 30


class Coding(NamedTuple):
    """How a tensor is coded, as its file's header says.

    Attributes:
        method: name of the way.
        kind: of the raw tensor.
        common: what all packets share.
        sizes: bytes of each packet.
        digests: xxh3-64 of each raw row.
    """

    method: str
    kind: Kind
    common: str
    sizes: tuple[int, ...]
    digests: tuple[str, ...]

    def to_json(self) -> Json:
        """It as JSON."""
        dtype, shape = self.kind
        return [self.method, dtype, [*shape], self.common, [*self.sizes], [*self.digests]]

    @classmethod
    def from_json(cls, data: Any, nbytes: int) -> Coding:
        """It back, checked against the bytes that the packets take together.

        Raises:
            FormatError: anything that a file of ours would not say.
        """
        method, dtype, shape, common, sizes, digests = data
        kind = Kind(dtype, tuple(shape))
        made = cls(method, kind, common, tuple(sizes), tuple(digests))
        counts = (*kind.shape, *made.sizes)
        if not kind.shape or not all(type(n) is int and n > 0 for n in counts) or sum(made.sizes) != nbytes:
            raise FormatError("the sizes of its packets make no sense")
        rows = {kind.shape[0], len(made.sizes), len(made.digests)}
        if len(rows) != 1 or kind.row_bytes > _LARGEST_ROW or not all(type(d) is str for d in made.digests):
            raise FormatError("the rows in its header do not fit together")
        if made.method not in METHODS or type(common) is not str or not made.way.fits(kind):
            raise FormatError(f"its coding is not known ({str(method)[:40]})")
        return made

    @property
    def way(self) -> Method:
        """The method."""
        return METHODS[self.method]


def pays(seconds: float, nbytes: int) -> bool:
    """Whether a value took so long to make that coding it is no matter."""
    return nbytes >= LEAST_BYTES and seconds * BYTES_PER_SECOND >= TIMES * nbytes


def pack(encoded: Encoded) -> tuple[Encoded, dict[str, Coding]]:
    """A value with those tensors coded that become smaller by it, flat and of bytes, and how they are."""
    tensors: dict[str, Buffer] = dict(encoded.tensors)
    codings: dict[str, Coding] = {}
    for name, buffer in encoded.tensors.items():
        found = _coded(buffer)
        if found is not None:
            codings[name], data = found
            tensors[name] = Buffer("U8", (len(data),), memoryview(data))
    return Encoded(encoded.meta, tensors), codings


def _coded(buffer: Buffer) -> tuple[Coding, bytes] | None:
    kind = Kind(buffer.dtype, buffer.shape)
    nbytes = buffer.data.nbytes
    if nbytes < LEAST_BYTES or len(kind.shape) < 2 or kind.row_bytes > _LARGEST_ROW:
        return None
    found = next((name for name, way in METHODS.items() if way.fits(kind)), None)
    if found is None:
        return None
    rows = [buffer.data[at : at + kind.row_bytes] for at in range(0, nbytes, kind.row_bytes)]
    try:
        common, packets = METHODS[found].pack(rows, kind)
    except ValueError:
        return None
    sizes = tuple(map(len, packets))
    if sum(sizes) > MOST * nbytes:
        return None
    return Coding(found, kind, common, sizes, tuple(map(xxh3_64_hexdigest, rows))), b"".join(packets)


def unpack(coding: Coding, data: memoryview, start: int, stop: int) -> Buffer:
    """Rows ``start`` to ``stop`` of a coded tensor, as they were.

    Raises:
        FormatError: they are not what was written.
    """
    kind, size = coding.kind, coding.kind.row_bytes
    offset = sum(coding.sizes[:start])
    packets: list[memoryview] = []
    for length in coding.sizes[start:stop]:
        packets.append(data[offset : offset + length])
        offset += length
    try:
        out = _room(size * (stop - start), size * start)
        rows = (out[at : at + size] for at in range(0, out.nbytes, size))
        writes = coding.way.unpack(packets, coding.common, kind)
        for write, row, digest in zip(writes, rows, coding.digests[start:stop], strict=True):
            write(row)
            if xxh3_64_hexdigest(row) != digest:
                raise FormatError("what it decodes to is not what was written")
    except (ValueError, MemoryError, OverflowError) as error:
        raise FormatError(f"it cannot be decoded ({error})") from None
    return Buffer(kind.dtype, (stop - start, *kind.shape[1:]), out)


def _room(nbytes: int, offset: int) -> memoryview:
    """Memory that lies as a mapped file's does from an offset on: kernels choose their code by alignment."""
    import numpy as np

    memory = np.empty(nbytes + ALIGN, np.uint8)
    skip = (offset - memory.ctypes.data) % ALIGN
    return memory.data[skip : skip + nbytes]


#: By name, in the order in which they are tried.
METHODS: Mapping[str, Method] = {"utvideo": UtVideo(), "parted": Parted()}

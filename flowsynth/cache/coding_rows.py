"""What a coding of rows is, and the plainest one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from flowsynth.core.codec import tensor_bytes


class Kind(NamedTuple):
    """Dtype and shape of a raw tensor, rows first."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return tensor_bytes(self.dtype, self.shape[1:])


class Method(Protocol):
    """One way to code rows."""

    def fits(self, kind: Kind) -> bool:
        """Whether it can code such a tensor."""
        ...

    def pack(self, rows: Iterable[memoryview], kind: Kind) -> tuple[str, list[bytes]]:
        """What all rows share, as text, and a packet for each row.

        Raises:
            ValueError: it can't code these after all.
        """
        ...

    def unpack(
        self, packets: Iterable[memoryview], common: str, kind: Kind
    ) -> Iterable[Callable[[memoryview], None]]:
        """For each packet, what writes its row into a buffer.

        Raises:
            ValueError: they are no packets of such rows.
        """
        ...


class Parted:
    """Tensors of 16-bit floats: bytes with exponents are alike, hence Huffman-coded; the others stay."""

    def fits(self, kind: Kind) -> bool:
        """Any of some rows."""
        return kind.dtype in ("BF16", "F16")

    def pack(self, rows: Iterable[memoryview], kind: Kind) -> tuple[str, list[bytes]]:
        """The low bytes of each row, then its high bytes coded."""
        del kind
        return "", [_part(row) for row in rows]

    def unpack(
        self, packets: Iterable[memoryview], common: str, kind: Kind
    ) -> Iterable[Callable[[memoryview], None]]:
        """Each row's two halves joined."""
        if common:
            raise ValueError("nothing is common to such rows")
        half = kind.row_bytes // 2
        return (_join(packet, half) for packet in packets)


def _part(row: memoryview) -> bytes:
    import zlib

    import numpy as np

    pairs = np.frombuffer(row, np.uint8).reshape(-1, 2)
    press = zlib.compressobj(1, zlib.DEFLATED, -15, 9, zlib.Z_HUFFMAN_ONLY)
    return pairs[:, 0].tobytes() + press.compress(pairs[:, 1].tobytes()) + press.flush()


def _join(packet: memoryview, half: int) -> Callable[[memoryview], None]:
    def write(row: memoryview) -> None:
        import zlib

        import numpy as np

        try:
            high = zlib.decompressobj(-15).decompress(packet[half:], half)
        except zlib.error as error:
            raise ValueError(str(error)) from None
        if len(packet) < half or len(high) != half:
            raise ValueError("a row is too short")
        pairs = np.frombuffer(row, np.uint8).reshape(-1, 2)
        pairs[:, 0], pairs[:, 1] = np.frombuffer(packet[:half], np.uint8), np.frombuffer(high, np.uint8)

    return write

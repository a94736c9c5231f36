"""What lossless compression of frames would give, beside the cache's raw objects.

Run::

    pip install lz4 zstandard
    python benchmarks/frame_compression.py [--frames 16] [--repetitions 5] [--clip PATH] [--out FILE.md]

One chunk of decoded frames (TCHW, uint8 or float16) is filtered, compressed, written, read and restored, in
one thread. Bytes of frames are predicted by a neighbour, as PNG does (`left`: the pixel to the left,
`before`: the same pixel of the frame before); of float16 the high and low bytes are parted (`shuffle`). CPU
time, medians; the methods take turns. Every restored chunk is compared with the original.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import lz4.frame
import numpy as np
import torch
import zstandard
from numpy.typing import NDArray
from report import machine, publish
from xxhash import xxh3_64

from flowsynth.cache.coding import Coding, pack, unpack
from flowsynth.core.codec import Buffer, Encoded
from flowsynth.core.context import RunContext
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.picture.stylize import Stylize

Bytes = NDArray[np.uint8]


def same(data: Bytes) -> Bytes:
    """No filter."""
    return data


def difference(axis: int) -> Callable[[Bytes], Bytes]:
    """Differences along an axis, modulo 256."""
    return lambda data: np.diff(data, axis=axis, prepend=np.uint8(0))


def total(axis: int) -> Callable[[Bytes], Bytes]:
    """Their sums, which restore the data."""
    return lambda data: np.add.accumulate(data, axis=axis, dtype=np.uint8)


def shuffle(data: Bytes) -> Bytes:
    """All low bytes, then all high bytes."""
    return np.ascontiguousarray(data.reshape(-1, 2).T)


def unshuffle(data: Bytes) -> Bytes:
    """The bytes in pairs again."""
    return np.ascontiguousarray(data.reshape(2, -1).T)


FILTERS = {
    "none": (same, same),
    "left": (difference(-1), total(-1)),
    "before": (difference(0), total(0)),
    "shuffle": (shuffle, unshuffle),
}
CODECS: dict[str, tuple[Callable[[Bytes], bytes], Callable[[bytes], bytes]]] = {
    "lz4": (lz4.frame.compress, lz4.frame.decompress),
    "zstd 1": (zstandard.ZstdCompressor(1).compress, zstandard.ZstdDecompressor().decompress),
    "zstd 3": (zstandard.ZstdCompressor(3).compress, zstandard.ZstdDecompressor().decompress),
}


class Method(NamedTuple):
    """How a chunk becomes a file's bytes and comes back."""

    write: Callable[[Path], None]
    read: Callable[[Path], Bytes]


def raw(data: Bytes) -> Method:
    """As the cache does: a checksum over the bytes, and a map on reading (checked, as on a first open)."""

    def write(path: Path) -> None:
        xxh3_64(data.data).digest()
        path.write_bytes(data.data.cast("B"))

    def read(path: Path) -> Bytes:
        found = np.memmap(path, np.uint8, "r", shape=data.shape)
        xxh3_64(found.data).digest()
        return found

    return Method(write, read)


def packed(data: Bytes, filter_: str, codec: str) -> Method:
    """Filtered and compressed, with a checksum over what is stored."""
    (apply, undo), (press, unpress) = FILTERS[filter_], CODECS[codec]

    def write(path: Path) -> None:
        text = press(np.ascontiguousarray(apply(data)))
        xxh3_64(text).digest()
        path.write_bytes(text)

    def read(path: Path) -> Bytes:
        text = path.read_bytes()
        xxh3_64(text).digest()
        return undo(np.frombuffer(unpress(text), np.uint8).reshape(data.shape)).reshape(data.shape)

    return Method(write, read)


def coded(data: Bytes) -> Method:
    """As the cache does with what took long to make: Ut Video, of float16 Huffman over the high bytes."""
    half = data.shape[-1] == 2
    shape, dtype = (data.shape[:-1], "F16") if half else (data.shape, "U8")
    value = Encoded({}, {"x": Buffer(dtype, shape, data.data.cast("B"))})
    found: dict[str, Coding] = {}

    def write(path: Path) -> None:
        packed, codings = pack(value)
        found.update(codings)
        path.write_bytes(packed.tensors["x"].data)

    def read(path: Path) -> Bytes:
        row = unpack(found["x"], memoryview(path.read_bytes()), 0, shape[0])
        return np.frombuffer(row.data, np.uint8).reshape(data.shape)

    return Method(write, read)


def timed(act: Callable[[Path], object], path: Path) -> float:
    """CPU seconds."""
    start = time.process_time()
    act(path)
    return time.process_time() - start


def rows(name: str, data: Bytes, repetitions: int, folder: Path) -> list[str]:
    """A row of the table a method."""
    filters = ["none", "shuffle"] if data.shape[-1] == 2 else ["none", "left", "before"]
    methods = {"raw, mapped": raw(data), "the cache's coding": coded(data)}
    methods |= {f"{codec}, {f}": packed(data, f, codec) for f in filters for codec in CODECS}
    spent: dict[str, list[tuple[float, float]]] = {method: [] for method in methods}
    for _ in range(repetitions):
        for method, (write, read) in methods.items():
            path = folder / method.replace(" ", "")
            path.unlink(missing_ok=True)
            spent[method].append((timed(write, path), timed(read, path)))
            assert np.array_equal(read(path), data), method
    mega = data.nbytes / 1e6
    lines = []
    for method, pairs in spent.items():
        writing, reading = (statistics.median(column) for column in zip(*pairs, strict=True))
        ratio = data.nbytes / (folder / method.replace(" ", "")).stat().st_size
        lines.append(f"| {name} | {method} | {ratio:.2f} | {mega / writing:,.0f} | {mega / reading:,.0f} |")
    return lines


def chunks(clip: str, count: int) -> dict[str, Bytes]:
    """Frames to try, as bytes; float16 with its two bytes last."""
    found: dict[str, Bytes] = {}
    for width, height in ((336, 192), (1280, 720)):
        size = f"{width}x{height}"
        read = ReadVideo(path=clip, start=1, max_frames=count, width=width, height=height)
        frames = read.run(RunContext())
        found[f"decoded, {size}"] = frames.tensor.numpy()
        if height < 720:
            found[f"toon, {size}"] = Stylize().run(RunContext(), frames=frames).tensor.numpy()
            half = frames.to_float().to(torch.float16).contiguous()
            found[f"decoded, float16, {size}"] = half.numpy().view(np.uint8).reshape(*half.shape, 2)
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--clip", default="clip:bigbuckbunny")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = ["| frames | method | ratio | write MB/s | read MB/s |", "|---|---|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder:
        for name, data in chunks(args.clip, args.frames).items():
            lines += rows(name, np.ascontiguousarray(data), args.repetitions, Path(folder))
    lines += [
        "",
        machine("lz4", "zstandard", "numpy"),
        f"- medians of {args.repetitions}, {args.frames} frames",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()

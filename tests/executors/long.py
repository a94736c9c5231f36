"""A long video through the real operators, in a process of its own that says what it took."""

from __future__ import annotations

import json
import resource
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import flowsynth as fs
from flowsynth.core.registry import operator_class
from flowsynth.operators.files.read_video import ReadVideo
from tests.processes import Child


def write_clip(path: Path, count: int, size: tuple[int, int]) -> Path:
    """Motion JPEG in Matroska: every frame by itself, so a longer clip begins with a shorter one's bytes.

    No chunk of it comes again: what is equal would be computed once.
    """
    import av
    import numpy as np

    width, height = size
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    texture = texture.repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as output:
        stream = output.add_stream("mjpeg", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuvj420p"
        for index in range(count):
            picture = np.roll(texture, (index, 3 * index), (0, 1)).copy()
            picture[:, :, index % 3] //= 1 + index % 5
            picture[:8, :8] = (index % 256, index // 256 * 50, 0)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = index, Fraction(1, 24)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


Node = tuple[str, str, dict[str, Any]]
_LAST: list[Node] = [
    ("interpolate", "interpolate", {"factor": 2}),
    ("video", "encode_video", {"preset": "ultrafast"}),
]
#: What lies between reading and writing: name, operator, params.
CHAINS: dict[str, list[Node]] = {
    "plain": [
        ("annotate", "annotate", {"detector": "canny"}),
        ("smooth", "temporal_smooth", {"radius": 2}),
        ("upscale", "upscale", {"factor": 1.25}),
        *_LAST,
    ],
    # The quickest search there is: what counts here is memory.
    "fastblend": [
        ("smooth", "temporal_smooth", {"method": "fastblend", "radius": 1, "patch": 3, "iterations": 1}),
        ("upscale", "upscale", {"factor": 2}),
        *_LAST,
    ],
}


def long_graph(clip: Path, chain: str) -> fs.Graph:
    """Read, the operators of a chain, and encode."""
    g = fs.Graph("long")
    frames = g.add("read", ReadVideo(path=str(clip)))
    for name, op, params in CHAINS[chain]:
        frames = g.add(name, operator_class(op)(**params), frames=frames)
    return g


def main() -> None:
    """Run the graph on a clip with a cache, and print what that took."""
    clip, cache, executor, chain = sys.argv[1:5]
    import torch

    torch.set_num_threads(1)
    run = long_graph(Path(clip), chain).run(cache_dir=cache, executor=executor)
    answer = {
        "video": bytes(run["video"].data).hex()[-64:],
        "frames": run["video"].info["num_frames"],
        "object": run.record.nodes["video"].objects["out"],
        "computed": {name: node.tasks.computed for name, node in run.record.nodes.items()},
        "hit": {name: node.tasks.hit for name, node in run.record.nodes.items()},
        "alive": run.peak_alive,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "seconds": run.record.seconds,
    }
    print(json.dumps(answer))


def begin(clip: Path, cache: Path, executor: str = "serial", chain: str = "plain") -> Child:
    """Start such a process."""
    return Child("-m", __name__, str(clip), str(cache), executor, chain)


def finish(
    clip: Path, cache: Path, executor: str = "serial", chain: str = "plain", timeout: float = 900
) -> dict[str, Any]:
    """Run one to its end; what it says."""
    process = begin(clip, cache, executor, chain)
    out, err = process.communicate(timeout=timeout)
    assert process.returncode == 0, err
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    return answer


if __name__ == "__main__":
    main()

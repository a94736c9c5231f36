"""Clips end to end, under the engine with clips of different lengths on one fan-in port."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RequestError
from flowsynth.core.streams import Reads, StreamInfo
from flowsynth.operators.size.resize import Resize
from flowsynth.operators.timing.concat import Concat
from flowsynth.values import Frames
from tests.operators.conftest import moving_clip
from tests.streams import Counter, Invert, Reverse, write_source


def sources(folder: Path, lengths: list[int]) -> list[Path]:
    return [write_source(folder / f"{i}.txt", range(100 * i, 100 * i + n)) for i, n in enumerate(lengths)]


def joined(paths: list[Path]) -> fs.Graph:
    g = fs.Graph("joined")
    clips = [g.add(f"clip{i}", Counter(path=path)) for i, path in enumerate(paths)]
    g.add("joined", Concat(), frames=clips)
    return g


def by_hand(paths: list[Path]) -> torch.Tensor:
    return torch.cat([Counter(path=path).run(RunContext()).tensor for path in paths])


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize("lengths", [[5], [5, 3], [16, 16], [1, 40, 2, 17], [3, 1, 1, 1, 30]])
def test_chunks_equal_the_whole(tmp_path: Path, executor: str, lengths: list[int]) -> None:
    paths = sources(tmp_path, lengths)
    run = joined(paths).run(cache_dir=tmp_path / "cache", executor=executor)
    assert torch.equal(run["joined"].tensor, by_hand(paths))
    assert run["joined"].fps == 12
    again = joined(paths).run(cache_dir=tmp_path / "cache", executor=executor)
    assert {node.status for node in again.record.nodes.values()} == {"hit"}


@pytest.mark.parametrize("chunk", [1, 3, 64])
def test_the_chunk_length_does_not_matter(tmp_path: Path, chunk: int) -> None:
    paths = sources(tmp_path, [7, 1, 12])
    run = joined(paths).run(cache_dir=tmp_path / "cache", chunk=chunk)
    assert torch.equal(run["joined"].tensor, by_hand(paths))


def test_streams_whole_values_and_the_same_clip_twice(tmp_path: Path) -> None:
    (path,) = sources(tmp_path, [37])
    g = fs.Graph("loop")
    clip = g.add("clip", Counter(path=path))
    back = g.add("back", Reverse(), frames=clip)  # a whole value, not a stream
    there = g.add("joined", Concat(), frames=[clip, back, clip])
    g.add("negative", Invert(), frames=there)
    run = g.run(cache_dir=tmp_path / "cache", executor="threads")
    frames = Counter(path=path).run(RunContext()).tensor
    assert torch.equal(run["negative"].tensor, 255 - torch.cat([frames, frames.flip(0), frames]))


def test_a_change_in_one_clip_leaves_the_chunks_of_the_others(tmp_path: Path) -> None:
    paths = sources(tmp_path, [32, 32])
    g = joined(paths)
    g.run(cache_dir=tmp_path / "cache")
    write_source(paths[1], [*range(100, 116), *range(500, 516)])
    run = g.run(cache_dir=tmp_path / "cache")
    assert run.record.nodes["joined"].tasks.model_dump() == {"hit": 3, "computed": 1}


def test_lost_objects_of_one_clip_run_again(tmp_path: Path) -> None:
    paths, cache = sources(tmp_path, [40, 20]), tmp_path / "cache"
    g = fs.Graph("lost")
    clips = [
        g.add(f"neg{i}", Invert(), frames=g.add(f"clip{i}", Counter(path=p)), cache="always")
        for i, p in enumerate(paths)
    ]
    g.run(cache_dir=cache)
    for path in (cache / "objects").rglob("*"):
        if path.is_file():
            path.unlink()
    g.add("joined", Concat(), frames=clips)
    run = g.run(cache_dir=cache)
    assert torch.equal(run["joined"].tensor, 255 - by_hand(paths))


def test_memory_holds_few_chunks_however_many_clips(tmp_path: Path) -> None:
    peaks = []
    for count in (2, 6):
        folder = tmp_path / str(count)
        folder.mkdir()
        g = fs.Graph("many")
        clips = [g.add(f"clip{i}", Counter(path=p)) for i, p in enumerate(sources(folder, [32] * count))]
        g.add("end", Invert(), frames=g.add("joined", Concat(), frames=clips))
        peaks.append(g.run(cache_dir=folder / "cache", executor="serial").peak_alive)
    assert peaks[1] == peaks[0]


def test_no_clip_is_opened_before_its_turn() -> None:
    infos = {f"frames[{i}]": StreamInfo(n, Fraction(12)) for i, n in enumerate([16, 0, 20])}
    assert Concat().output_info(infos).length == 36
    assert Concat().reads(0, 16, infos).ports == {"frames[0]": (0, 16)}
    seam = Concat().reads(16, 32, infos)
    assert seam.ports == {"frames[0]": (15, 16), "frames[2]": (0, 16)}
    assert seam.geometry is True
    assert Concat().reads(32, 36, infos) == Reads({"frames[2]": (16, 20)}, False)


def test_clips_that_differ_get_one_message(tmp_path: Path) -> None:
    paths = sources(tmp_path, [16, 16])
    g = fs.Graph("sizes")
    first, second = (g.add(f"clip{i}", Counter(path=path)) for i, path in enumerate(paths))
    small = g.add("small", Resize(width=4), frames=second)
    g.add("joined", Concat(), frames=[first, small])
    run = g.run(cache_dir=tmp_path / "cache", check=False)
    (error,) = run.record.errors
    assert "expected clips of one rate, size, dtype and kind, given 8x8, 3 channels" in error
    assert "then 4x4" in error
    clips = [moving_clip(2), Frames(moving_clip(2).tensor, fps=Fraction(12))]
    with pytest.raises(RequestError, match=r"24 fps then .* 12 fps"):
        Concat().run(RunContext(), frames=clips)
    infos = {"frames[0]": StreamInfo(2, Fraction(24)), "frames[1]": StreamInfo(1)}
    with pytest.raises(RequestError, match="given 24 fps then pictures without a rate"):
        Concat().output_info(infos)

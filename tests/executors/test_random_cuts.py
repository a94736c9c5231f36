"""Random graphs of clips, cut, turned and joined: whatever is lost, they give what plain calls give."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.operators.timing.concat import Concat
from flowsynth.operators.timing.reverse import Reverse
from flowsynth.operators.timing.trim import Trim
from flowsynth.values import Frames
from tests.executors.dags import Blend, Builder
from tests.executors.lives import identity
from tests.streams import Counter, Invert, Mean, Smooth, Sum, write_source


class Cutter(Builder):
    """Grows a graph mostly of operators with index maps of their own."""

    def grow(self) -> None:
        """Add one random node."""
        rng, frames = self.rng, self.pick(Frames)
        length = self.values[frames].num_frames
        first = rng.randrange(length)
        part = Trim(start=first, stop=rng.randint(first + 1, length))
        choices: list[tuple[fs.Operator, dict[str, str | list[str]]]] = [
            (part, {"frames": frames}),
            (Reverse(), {"frames": frames}),
            (Invert(strength=rng.choice([255, 200])), {"frames": frames}),
            (Mean(radius=rng.randint(0, 3)), {"frames": frames}),
            (Smooth(), {"frames": frames}),
            (Sum(), {"frames": frames}),
            (Blend(), {"clips": rng.choices(self.alike(frames), k=2)}),
        ]
        clips = [name for name, value in self.values.items() if isinstance(value, Frames)]
        joined = Concat(), {"frames": rng.choices(clips, k=rng.randint(1, 4))}
        short = sum(self.values[name].num_frames for name in joined[1]["frames"]) <= 150
        operator, inputs = joined if short and rng.random() < 0.4 else rng.choice(choices)
        self.add(operator, **inputs)


@pytest.mark.seeds(3, 40)
def test_they_give_what_plain_calls_give(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    builder = Cutter(rng)
    for i in range(2):
        length = rng.choice([1, 5, 16, 17, 33])
        builder.add(Counter(path=write_source(tmp_path / f"{i}.txt", range(50 * i, 50 * i + length))))
    for _ in range(rng.randint(6, 14)):
        builder.grow()
    names = list(builder.values)
    outputs = sorted({names[-1], *rng.sample(names, k=3)})
    for executor in ("serial", "threads", "serial"):
        run = builder.graph.run(
            cache_dir=tmp_path / "cache",
            executor=executor,
            outputs=outputs,
            chunk=rng.choice([1, 3, 8, 16, 64]),
        )
        for name in outputs:
            assert identity(run[name]) == identity(builder.values[name]), name
        objects = sorted(path for path in (tmp_path / "cache" / "objects").rglob("*") if path.is_file())
        for path in rng.sample(objects, k=len(objects) // 2):
            path.unlink()

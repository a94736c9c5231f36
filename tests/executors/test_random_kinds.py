"""Random graphs of all kinds of operators: whatever the chunks, the budget, what was lost: one result."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.executors.kinds import Kinds, grown
from tests.executors.lives import identity

#: Bytes of the cache; a chunk of one frame takes 600, so some hold one and some nothing at all.
BUDGETS = [None, None, 500, 3_000, 20_000]


def lose(builder: Kinds, cache: Path) -> None:
    """Delete half of what the cache holds, or do it harm."""
    rng = builder.rng
    paths = sorted(path for path in (cache / "objects").rglob("*") if path.is_file())
    for path in rng.sample(paths, k=len(paths) // 2):
        if rng.random() < 0.8:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.seeds(4, 700)
def test_all_kinds_give_what_plain_calls_give(seed: int, tmp_path: Path) -> None:
    builder = grown(seed, tmp_path)
    rng, values, cache = builder.rng, builder.values, tmp_path / "cache"
    expected = {name: identity(value) for name, value in values.items()}
    for _ in range(3):
        names = sorted({list(values)[-1], *rng.sample(list(values), k=min(3, len(values)))})
        run = builder.graph.run(
            cache_dir=cache,
            outputs=names,
            chunk=rng.randint(1, 64),
            executor=rng.choice(["serial", "threads"]),
            workers=rng.choice([None, 3]),
            max_bytes=rng.choice(BUDGETS),
        )
        for name in names:
            assert identity(run[name]) == expected[name], name
        for name, node in run.record.nodes.items():
            for port, found in node.objects.items():
                assert found == expected[f"{name}.{port}"], f"{name}.{port}"
        lose(builder, cache)
    del run
    assert not list((cache / "tmp").iterdir()), "what waited in files is gone"

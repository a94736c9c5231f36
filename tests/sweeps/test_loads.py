"""A sweep loads each part of a model once, however many jobs use it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsynth.cli import main
from flowsynth.models.manager import ModelManager

SMALL = ("frames=2", "short_side=96", "smooth=0", "graph.nodes.denoise.params.num_inference_steps=2")


@pytest.mark.slow
def test_each_part_is_loaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: Counter[str] = Counter()
    real = ModelManager.part

    def part(self: ModelManager, key: str, load: Callable[[], Any], nbytes: Any = None) -> Any:
        def counted() -> Any:
            loads[key] += 1
            return load()

        return real(self, key, counted, nbytes)

    monkeypatch.setattr(ModelManager, "part", part)
    monkeypatch.chdir(tmp_path)
    assert (
        main(["run", "--multirun", *SMALL, "guidance_scale=2,3,4", "cache.dir=c", "output_dir=o", "-q"]) == 0
    )
    assert len(loads) > 3
    assert set(loads.values()) == {1}

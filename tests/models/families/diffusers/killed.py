"""A process that denoises in children of its own, kills them in the midst, and takes their work up again."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import time
from pathlib import Path
from typing import Any

import torch

from flowsynth.models.diffusion import passes
from tests.models.families.diffusers.call import build, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case

__all__ = ["clips", "pictures"]
STEPS = 5


class Slow:
    """Makes every pass of a class of networks take a moment, and counts them in a file."""

    def __init__(self, cls: type[Any], counter: Path) -> None:
        real = cls.forward

        def forward(net: Any, *args: Any, **kwargs: Any) -> Any:
            with counter.open("ab") as file:
                file.write(b".")
            time.sleep(0.03)
            return real(net, *args, **kwargs)

        cls.forward = forward


def denoise(case: Case, folder: Path, cache: Path, answer: Path) -> None:
    settings = {"num_inference_steps": STEPS}
    made = graph_of(case, folder, settings=settings).run(cache_dir=cache, outputs=["denoise"])["denoise"]
    answer.write_text(hashlib.blake2b(made.tensor.float().numpy().tobytes()).hexdigest())


def child(work: Any, *args: Any) -> int:
    """Begin some work in a process that shares what is imported; its number."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            work(*args)
            code = 0
        finally:
            os._exit(code)
    return number


def main(name: str, folder: Path, trials: int) -> None:
    torch.set_num_threads(1)
    passes.SLOW_SECONDS = passes.EVERY_SECONDS = 0.0
    case, counter = CASES[name], folder / "passes"
    build(case, folder / "model")
    net = next(
        part for key in ("transformer", "unet") if (part := getattr(case.build(), key, None)) is not None
    )
    Slow(type(net), counter)
    number = child(denoise, case, folder / "model", folder / "whole", folder / "expected")
    assert os.waitpid(number, 0)[1] == 0
    total = counter.stat().st_size
    found: dict[str, Any] = {"total": total, "trials": []}
    rng = random.Random(7)
    for i in range(trials):
        cache, answer = folder / f"cache{i}", folder / f"answer{i}"
        counter.write_bytes(b"")
        number, after = child(denoise, case, folder / "model", cache, answer), rng.randrange(1, total)
        while counter.stat().st_size < after:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.03)
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        before = counter.stat().st_size
        number = child(denoise, case, folder / "model", cache, answer)
        assert os.waitpid(number, 0)[1] == 0
        again = counter.stat().st_size - before
        equal = answer.read_text() == (folder / "expected").read_text()
        found["trials"].append([before, again, equal])
    (folder / "found.json").write_text(json.dumps(found))

"""What only a GPU can show of family ``diffusers``, in a quarter of an hour, as JSON.

Run::

    python benchmarks/gpu_pipelines.py [--device cuda:0] [--minutes 15] [--only CLASS ...] [--out FILE.json]

1. Equality: eight classes, tiny, in float16 and bfloat16: graphs give the bits of the pipeline's own call.
2. Memory: SDXL, Flux and Wan 1.3B in published sizes with random weights in bfloat16: what each step adds on
   the device, beside what a plan says that it holds.
3. Time: the same at 1024 x 1024 and 480 x 832 x 33: a step by hand and by graph, in turn, with all weights
   loaded; the aim is at most 2 % more.

A subject that would begin after the time is up is left out, and said so. Flux needs 80 GB of memory and 30 GB
of disk. ``--device cpu --tiny`` tries all of it in a minute; a test does.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pipeline_models import REAL, TINY, Subject
from report import machine

from flowsynth.api import Session
from flowsynth.models.families.diffusers.family import Diffusers
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.parse import parse_model
from tests.models.families.diffusers.call import build, by_hand, decoded_by, graph_of, pixels_of
from tests.models.families.diffusers.zoo.case import CASES

CLASSES = (
    "StableDiffusionPipeline",
    "StableDiffusionXLPipeline",
    "StableDiffusion3Pipeline",
    "FluxPipeline",
    "QwenImagePipeline",
    "WanPipeline",
    "CogVideoXPipeline",
    "LTXPipeline",
)
#: Nodes of a graph -> the parts of a model that they hold.
PARTS = {"text": ("text",), "denoise": ("denoiser",), "frames": ("vae",)}
Row = dict[str, Any]


def equality(name: str, device: str) -> dict[str, list[Row]]:
    """A class in both kinds of half precision."""
    return {"equality": [_equal(name, dtype, device) for dtype in ("float16", "bfloat16")]}


def _equal(name: str, dtype: str, device: str) -> Row:
    case, row = CASES[name], {"class": name, "dtype": dtype}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        cls = build(case, folder)
        load = {"torch_dtype": getattr(torch, dtype)}
        try:
            own = by_hand(cls, case, folder, change=lambda pipe: pipe.to(device), load=load).float()
        except RuntimeError as error:  # the class itself cannot: some mix dtypes
            return {**row, "equal": None, "by hand": str(error).partition("\n")[0]}
        with Session(Path(place) / "cache", device=device) as session:
            graph = graph_of(case, folder, dtype=dtype)
            made = graph.run(session=session, outputs=["frames"])["frames"].tensor.float().cpu()
    return {**row, "equal": torch.equal(made, own), "difference": float((made - own).abs().max())}


class Loaded:
    """A subject on the disk, and a session that runs it."""

    def __init__(self, subject: Subject, device: str, place: Path) -> None:
        self.subject, self.device, self.folder = subject, device, place / "model"
        subject.save(self.folder, torch.bfloat16, device)
        self.session = Session(place / "cache", device=device)

    def run(self, output: str) -> None:
        """Have a node run."""
        graph = self.subject.graph(self.folder, "a red cat", 0, dtype="bfloat16")
        graph.run(session=self.session, outputs=[output])

    def held(self) -> int:
        """Bytes of all that is loaded on the device."""
        if self.device.startswith("cuda"):
            return torch.cuda.memory_allocated(self.device)
        return sum(manager.resident_bytes for manager in self.session._managers.values())


def memory(loaded: Loaded) -> list[Row]:
    """What each step adds to what the device holds, beside a plan's word."""
    spec = parse_model("m", {"family": "diffusers", "source": str(loaded.folder), "dtype": "bfloat16"})
    assert isinstance(spec, DiffusersSpec)
    rows, before = [], loaded.held()
    for node, parts in PARTS.items():
        _reset_peak(loaded.device)
        loaded.run(node)
        after = loaded.held()
        planned = Diffusers().weight_bytes(spec, parts) or 0
        row = {"class": loaded.subject.name, "node": node, "added": after - before, "planned": planned}
        rows.append({**row, "peak": _peak(loaded.device)})
        before = after
    return rows


def steps(loaded: Loaded, repetitions: int = 2) -> list[Row]:
    """Seconds of a call by hand and by graph, in turn; their pictures compared."""
    import diffusers

    subject, device = loaded.subject, loaded.device
    cls: Any = getattr(diffusers, subject.name)
    pipe = cls.from_pretrained(loaded.folder, torch_dtype=torch.bfloat16).to(device)
    pipe.set_progress_bar_config(disable=True)
    given = decoded_by(pipe.vae)

    def hand(seed: int) -> torch.Tensor:
        pipe(**subject.arguments(f"a red cat {seed}", seed), output_type="np")
        return pixels_of(given.pop())

    def engine(seed: int) -> torch.Tensor:
        graph = subject.graph(loaded.folder, f"a red cat {seed}", seed, dtype="bfloat16")
        found: torch.Tensor = graph.run(session=loaded.session, outputs=["frames"])["frames"].tensor
        return found

    taken: dict[str, list[float]] = {"hand": [], "engine": []}
    equal = True
    for seed in range(repetitions + 1):
        made = {}
        for name, job in sorted({"hand": hand, "engine": engine}.items(), reverse=bool(seed % 2)):
            seconds, made[name] = _timed(job, seed, device)
            if seed:  # the first warms up
                taken[name].append(seconds)
        equal &= torch.equal(made["hand"].float(), made["engine"].float().cpu())
    ratios = [e / h for e, h in zip(taken["engine"], taken["hand"], strict=True)]
    found = {name: statistics.median(values) / subject.steps for name, values in taken.items()}
    return [
        {"class": subject.name, "seconds a step": found, "ratio": statistics.median(ratios), "equal": equal}
    ]


def _timed(job: Callable[[int], torch.Tensor], seed: int, device: str) -> tuple[float, torch.Tensor]:
    _wait(device)
    start = time.perf_counter()
    made = job(seed)
    _wait(device)
    return time.perf_counter() - start, made


def _wait(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


def _reset_peak(device: str) -> None:
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)


def _peak(device: str) -> int | None:
    return torch.cuda.max_memory_allocated(device) if device.startswith("cuda") else None


def sized(subject: Subject, device: str) -> dict[str, list[Row]]:
    """A subject's memory, then its time."""
    with tempfile.TemporaryDirectory() as place:
        loaded = Loaded(subject, device, Path(place))
        try:
            return {"memory": memory(loaded), "steps": steps(loaded)}
        finally:
            loaded.session.close()


def main() -> None:
    """Measure until the time is up, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--tiny", action="store_true", help="subjects of the tests' sizes")
    parser.add_argument("--minutes", type=float, default=15)
    parser.add_argument("--only", nargs="+", help="names of classes")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    start, device = time.monotonic(), "cpu" if args.device == "cpu" else args.device
    found: dict[str, Any] = {"device": device, "equality": [], "memory": [], "steps": [], "left out": []}
    if device.startswith("cuda"):
        found["card"] = torch.cuda.get_device_name(device)
    subjects = TINY if args.tiny else REAL
    # The aim first: a step's time, then equality on tiny classes, which takes seconds.
    large = [(subject.name, partial(sized, subject, device)) for subject in subjects]
    small = [(f"{name}, equality", partial(equality, name, device)) for name in CLASSES]
    for name, job in (*large[:1], *small, *large[1:]):
        if args.only and name.partition(",")[0] not in args.only:
            continue
        if time.monotonic() - start > 60 * args.minutes:
            found["left out"].append(name)
            continue
        for section, rows in job().items():
            found[section] += rows
        if args.out:
            args.out.write_text(json.dumps(found, indent=1))
    found |= {"seconds": time.monotonic() - start, "machine": machine("torch", "diffusers", "transformers")}
    text = json.dumps(found, indent=1)
    print(text)
    if args.out:
        args.out.write_text(text)


if __name__ == "__main__":
    main()

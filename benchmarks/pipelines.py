"""What family ``diffusers`` costs beside the library's own pipelines: CPU time, skeletons, memory, DeepCache.

Run::

    python benchmarks/pipelines.py [--repetitions 5] [--out benchmarks/results/diffusers.md]

Real classes with random weights in float32 on one thread. Both sides of a comparison run in one process, in
turn (A B B A), with weights loaded already, a prompt and a seed of its own each time, so that the engine
finds nothing in its cache and writes everything into it; their pictures must be equal. Memory is the peak of
a process of its own above what it held before, read from the kernel after every step.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from pipeline_models import MIDDLING, Subject, stable_diffusion_unet, wan
from report import machine, publish

from flowsynth.api import Session

MB = 1 << 20


def by_hand(subject: Subject, folder: Path) -> Callable[[int], torch.Tensor]:
    """The library's own call, by seed."""
    import diffusers
    import numpy as np

    pipe = getattr(diffusers, subject.name).from_pretrained(folder, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)

    def job(seed: int) -> torch.Tensor:
        made = pipe(**subject.arguments(f"a red cat {seed}", seed), output_type="np")[0]
        frames = torch.as_tensor(np.asarray(made))
        return (frames[0] if frames.ndim == 5 else frames).movedim(-1, 1)

    return job


def by_engine(subject: Subject, folder: Path, session: Session) -> Callable[[int], torch.Tensor]:
    """The same through graphs."""

    def job(seed: int) -> torch.Tensor:
        graph = subject.graph(folder, f"a red cat {seed}", seed)
        found: torch.Tensor = graph.run(session=session, outputs=["frames"])["frames"].tensor
        return found

    return job


def overhead(subject: Subject, repetitions: int) -> str:
    """A row: CPU seconds of both, and the median of the ratios of neighbours."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        subject.save(folder, torch.float32)
        with Session(Path(place) / "cache") as session:
            jobs = {"hand": by_hand(subject, folder), "engine": by_engine(subject, folder, session)}
            for job in jobs.values():
                job(1000)
            taken: dict[str, list[float]] = {name: [] for name in jobs}
            for seed in range(repetitions):
                made = {}
                for name in sorted(jobs, reverse=bool(seed % 2)):
                    start = time.process_time()
                    made[name] = jobs[name](seed)
                    taken[name].append(time.process_time() - start)
                assert torch.equal(made["hand"], made["engine"]), subject.name
    ratios = [e / h for e, h in zip(taken["engine"], taken["hand"], strict=True)]
    hand, engine = (statistics.median(taken[name]) for name in jobs)
    row = [subject.name, f"{hand:.3f}", f"{engine:.3f}", f"**{statistics.median(ratios):.3f}**"]
    return "| " + " | ".join([*row, f"{min(ratios):.3f} to {max(ratios):.3f}"]) + " |"


def skeletons() -> Iterator[str]:
    """Rows: CPU seconds to build networks of published sizes without weights."""
    import diffusers as d
    from transformers import T5Config, T5EncoderModel

    from flowsynth.models.families.diffusers.lazy import skeleton

    t5 = T5Config(d_model=4096, d_kv=64, d_ff=10240, num_layers=24, num_heads=64)
    built: dict[str, Callable[[], Any]] = {
        "Flux.1 dev": d.FluxTransformer2DModel,
        "Wan 14B": d.WanTransformer3DModel,
        "Qwen-Image 20B": d.QwenImageTransformer2DModel,
        "Stable Diffusion 1.5": stable_diffusion_unet,
        "T5-XXL": lambda: T5EncoderModel._from_config(t5),
    }
    for name, build in built.items():
        taken = []
        for _ in range(3):
            start = time.process_time()
            net = skeleton(build, torch.bfloat16, "cpu")
            taken.append(time.process_time() - start)
        count = sum(parameter.numel() for parameter in net.parameters())
        yield f"| {name} | {count / 1e9:.1f} | {min(taken):.2f} |"


def large_text() -> Subject:
    """Wan with a text encoder that is the larger part of it."""
    from transformers import T5Config, T5EncoderModel

    t5 = T5Config(vocab_size=256, d_model=1024, d_kv=64, d_ff=2816, num_layers=10, num_heads=16)
    return Subject(
        "WanPipeline",
        lambda: wan(6, 6, 128, 3072, 1024, T5EncoderModel(t5)),
        {"height": 64, "width": 64, "num_frames": 9},
        2,
        5.0,
    )


def peak() -> int:
    """The most memory that this process held since `forget`, bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith("VmHWM")))


def forget() -> None:
    """Begin to look for the most memory anew."""
    Path("/proc/self/clear_refs").write_text("5")


def measured(side: str, folder: Path) -> dict[str, int]:
    """In a process of its own: bytes above what it held before, at the peak of every step."""
    subject, found = large_text(), {}
    forget()
    before = peak()
    if side == "hand":
        by_hand(subject, folder)(0)
        return {"one call": peak() - before}
    sizes = {name: _bytes(folder / name) for name in ("text_encoder", "transformer", "vae")}
    tight = sizes["transformer"] + sizes["vae"] + 8 * MB if side == "tight" else None
    with tempfile.TemporaryDirectory() as cache, Session(cache, model_bytes=tight) as session:
        for step in ("text", "denoise", "frames"):
            subject.graph(folder, "a red cat", 0).run(session=session, outputs=[step])
            found[step] = peak() - before
            forget()
    return found


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def memory() -> Iterator[str]:
    """Rows: what each part weighs, and what the sides hold at their steps."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        large_text().save(folder, torch.float32)
        sizes = {name: _bytes(folder / name) for name in ("text_encoder", "transformer", "vae")}
        yield "Weights: " + ", ".join(f"{name} {size // MB} MB" for name, size in sizes.items()) + "."
        yield ""
        yield "| | text | denoise | decode |"
        yield "|---|---:|---:|---:|"
        env = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(MB)}  # what is freed goes back to the system
        for side, label in (
            ("hand", "diffusers, one call"),
            ("free", "flowsynth, memory for all"),
            ("tight", "flowsynth, `models.bytes` for the denoiser and the VAE"),
        ):
            command = [sys.executable, __file__, "--measure", side, str(folder)]
            done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
            held = json.loads(done.stdout.splitlines()[-1])
            steps = [held.get(name, held.get("one call", 0)) for name in ("text", "denoise", "frames")]
            yield f"| {label} | " + " | ".join(f"{size // MB} MB" for size in steps) + " |"


def deep_cache(steps: int = 6, rows: int = 24, columns: int = 42) -> Iterator[str]:
    """Rows: CPU seconds of a UNet's passes with its deep blocks left out."""
    from flowsynth.models.diffusion.deep_cache import put_deep_cache
    from flowsynth.models.diffusion.sharing import sharing_copy

    torch.manual_seed(0)
    base = stable_diffusion_unet().eval()
    sample, text = torch.randn(2, 4, rows, columns), torch.randn(2, 77, 768)
    plain = 0.0
    for interval in (1, 2, 3, 5):
        net = sharing_copy(base)
        put_deep_cache(net, interval)
        with torch.no_grad():
            if interval == 1:
                net(sample, 1000, text)  # warms up
            start = time.process_time()
            for step in range(steps):
                net(sample, 999 - step, text)
            taken = (time.process_time() - start) / steps
        plain = plain or taken
        yield f"| {interval} | {taken:.2f} | {plain / taken:.2f} x |"
        del net


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.measure:
        print(json.dumps(measured(args.measure[0], Path(args.measure[1]))))
        return
    lines = [
        "# Family diffusers beside the library's own pipelines",
        "",
        "Real classes, random weights, float32, one thread; both sides give the same bits.",
        "",
        "| class | by hand, CPU s | by graph, CPU s | ratio | of single pairs |",
        "|---|---:|---:|---:|---:|",
        *(overhead(subject, args.repetitions) for subject in MIDDLING),
        "",
        "Networks of published sizes without weights, as every step builds them of its pipeline:",
        "",
        "| | parameters, 1e9 | CPU s |",
        "|---|---:|---:|",
        *skeletons(),
        "",
        "Memory above that of the process before, at the peak of each step:",
        "",
        *memory(),
        "",
        "DeepCache on Stable Diffusion 1.5's UNet, two pictures of 192 x 336 at once (24 x 42 latents):",
        "",
        "| interval | CPU s a step | |",
        "|---:|---:|---:|",
        *deep_cache(),
        "",
        machine("torch", "diffusers", "transformers"),
        f"- medians of {args.repetitions}; `python benchmarks/pipelines.py --repetitions {args.repetitions}`",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()

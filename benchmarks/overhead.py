"""What running through the engine adds to a diffusion job, beside diffusers' own pipeline on the same work.

Run::

    python benchmarks/overhead.py [--steps 40] [--size 256] [--repetitions 7] [--out FILE.md]

Both sides run in one process, in turn, on the same tiny random Stable Diffusion model that is loaded
already, with the same prompt, size, steps and seeds; each repetition has a seed of its own, so the engine
finds nothing in its cache and writes everything into it. The pictures must be equal.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from report import machine, publish

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from flowsynth.api import Graph, Session
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from tests.tiny import tiny_sd

PROMPT = "a red house, the sky"


def engine_job(session: Session, model: Path, size: int, steps: int) -> Callable[[int], torch.Tensor]:
    """A picture through the engine, by seed."""

    def job(seed: int) -> torch.Tensor:
        graph = Graph("overhead")
        base = graph.model("base", {"family": "sd", "source": str(model), "dtype": "float32"})
        prompt = graph.add("prompt", TextEncode(prompt=PROMPT), model=base)
        empty = graph.add("empty", EmptyLatents(height=size, width=size), model=base)
        denoised = graph.add(
            "denoise",
            Denoise(num_inference_steps=steps, seed=seed),
            model=base,
            latents=empty,
            conditioning=prompt,
        )
        graph.add("decode", VaeDecode(dtype="float32"), latents=denoised, model=base)
        run = graph.run(session=session)
        picture: torch.Tensor = run["decode"].tensor
        return picture

    return job


def hand_job(model: Path, size: int, steps: int) -> Callable[[int], torch.Tensor]:
    """The same picture by diffusers' pipeline, by seed."""
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(model, local_files_only=True)
    pipe.set_progress_bar_config(disable=True)

    def job(seed: int) -> torch.Tensor:
        made = pipe(
            PROMPT,
            height=size,
            width=size,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(seed),
            output_type="pt",
        )
        picture: torch.Tensor = made.images
        return picture

    return job


def timed(job: Callable[[int], torch.Tensor], seed: int) -> tuple[float, float, torch.Tensor]:
    """CPU seconds, wall seconds and the picture."""
    cpu, wall = time.process_time(), time.perf_counter()
    picture = job(seed)
    return time.process_time() - cpu, time.perf_counter() - wall, picture


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    base = tiny_sd() / "base"
    folder = tempfile.TemporaryDirectory()
    found: dict[str, list[tuple[float, float]]] = {"diffusers": [], "flowsynth": []}
    with Session(folder.name) as session:
        jobs = {
            "diffusers": hand_job(base, args.size, args.steps),
            "flowsynth": engine_job(session, base, args.size, args.steps),
        }
        for job in jobs.values():
            job(10_000)  # loads and warms up
        for seed in range(args.repetitions):
            pictures = {}
            for name in list(jobs)[:: 1 if seed % 2 else -1]:
                cpu, wall, pictures[name] = timed(jobs[name], seed)
                found[name].append((cpu, wall))
            difference = (pictures["diffusers"] - pictures["flowsynth"]).abs().max().item()
            assert difference < 1e-6, difference
    cpus = {name: statistics.median(c for c, _ in values) for name, values in found.items()}
    walls = {name: statistics.median(w for _, w in values) for name, values in found.items()}
    ratios = [f[0] / d[0] for f, d in zip(found["flowsynth"], found["diffusers"], strict=True)]
    lines = [
        "# What the engine adds to a diffusion job",
        "",
        f"Text to image, {args.size} px, {args.steps} steps with guidance, float32, one thread;",
        "both give the same picture.",
        "",
        "| | CPU s | wall s |",
        "|---|---:|---:|",
        *(f"| {name} | {cpus[name]:.3f} | {walls[name]:.3f} |" for name in found),
        "",
        f"Ratio of CPU seconds, flowsynth to diffusers, median of pairs: **{statistics.median(ratios):.3f}** "
        f"(from {min(ratios):.3f} to {max(ratios):.3f}).",
        "",
        machine("torch", "diffusers"),
        f"- medians of {args.repetitions}; `python benchmarks/overhead.py --steps {args.steps} "
        f"--size {args.size} --repetitions {args.repetitions}`",
    ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()

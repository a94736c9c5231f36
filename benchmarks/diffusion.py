"""What our denoising loop and the engine cost over a hand-written diffusers loop on the same work.

Run::

    python benchmarks/diffusion.py [--repetitions 9] [--out benchmarks/results/diffusion.md]

A model of Stable Diffusion's architecture (17 M parameters, random weights) makes a picture of 256 x 256 in
20 steps under guidance: prompt, denoising, decoding. Three ways, interleaved, models loaded before:

- *by hand*: ``encode_prompt``, the loop written out over UNet and scheduler, ``vae.decode``, to uint8;
- *operators*: ``text_encode``, ``denoise``, ``vae_decode`` called plainly;
- *engine*: a graph of those operators through ``Graph.run``: plan, keys, leases, cache writes included.

The figure is process CPU time; medians over the repetitions. All three give the same bytes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.models import Model, ModelManager, parse_model
from flowsynth.operators.denoise import Denoise
from flowsynth.operators.empty_latents import EmptyLatents
from flowsynth.operators.text_encode import TextEncode
from flowsynth.operators.vae_decode import VaeDecode

PROMPT, NEGATIVE, STEPS, SIZE, GUIDANCE = "a cat", "a", 20, 256, 7.5


def build(folder: Path) -> Path:
    """Save a model of the architecture with random weights."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={w: i for i, w in enumerate(words)}, merges=[], model_max_length=77)
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=128, intermediate_size=256, num_hidden_layers=4,
        num_attention_heads=4, bos_token_id=52, eos_token_id=53, pad_token_id=53,
    )  # fmt: skip
    unet = UNet2DConditionModel(
        sample_size=32, layers_per_block=1, block_out_channels=(64, 128, 256), cross_attention_dim=128,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"), attention_head_dim=8,
    )  # fmt: skip
    vae = AutoencoderKL(
        block_out_channels=(32, 32, 64, 64), layers_per_block=1, norm_num_groups=16, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
    )  # fmt: skip
    scheduler = DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
    StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    ).save_pretrained(folder)  # fmt: skip
    return folder


def by_hand(folder: Path) -> Callable[[int], torch.Tensor]:
    """The loop as a diffusers user writes it."""
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    pipe: Any = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True)

    @torch.no_grad()
    def run(seed: int) -> torch.Tensor:
        prompt, negative = pipe.encode_prompt(PROMPT, "cpu", 1, True, NEGATIVE)
        states = torch.cat([negative, prompt])
        scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
        scheduler.set_timesteps(STEPS)
        generator = torch.Generator().manual_seed(seed)
        latents = torch.randn(1, 4, SIZE // 8, SIZE // 8, generator=generator) * scheduler.init_noise_sigma
        for t in scheduler.timesteps:
            sample = scheduler.scale_model_input(torch.cat([latents] * 2), t)
            uncond, text = pipe.unet(sample, t, encoder_hidden_states=states).sample.chunk(2)
            latents = scheduler.step(uncond + GUIDANCE * (text - uncond), t, latents).prev_sample
        pixels = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        result: torch.Tensor = (pixels / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
        return result

    return run


def by_operators(folder: Path) -> Callable[[int], torch.Tensor]:
    """The same through plain calls of the operators."""
    ctx = RunContext(models=ModelManager())
    model = Model(parse_model("base", {"family": "sd", "source": str(folder)}))

    def run(seed: int) -> torch.Tensor:
        states = TextEncode(prompt=PROMPT, negative_prompt=NEGATIVE).run(ctx, model=model)
        latents = EmptyLatents(height=SIZE, width=SIZE).run(ctx, model=model)
        operator = Denoise(num_inference_steps=STEPS, guidance_scale=GUIDANCE, seed=seed)
        done = operator.run(ctx, model=model, latents=latents, conditioning=states)
        return VaeDecode().run(ctx, latents=done, model=model).tensor

    return run


def by_engine(folder: Path, cache: Path) -> Callable[[int], torch.Tensor]:
    """The same as a graph; every seed is new, so everything that depends on it is computed."""
    session = fs.Session(cache)

    def run(seed: int) -> torch.Tensor:
        graph = fs.Graph("picture")
        base = graph.model("base", {"family": "sd", "source": str(folder)})
        # A prompt of its own for every run, so that the text is encoded too.
        encode = TextEncode(prompt=PROMPT, negative_prompt=NEGATIVE + " " * seed)
        states = graph.add("prompt", encode, model=base)
        latents = graph.add("latents", EmptyLatents(height=SIZE, width=SIZE), model=base)
        operator = Denoise(num_inference_steps=STEPS, guidance_scale=GUIDANCE, seed=seed)
        done = graph.add("denoise", operator, model=base, latents=latents, conditioning=states)
        graph.add("frames", VaeDecode(), latents=done, model=base)
        result: torch.Tensor = graph.run(session=session, executor="serial", outputs=["frames"])[
            "frames"
        ].tensor
        return result

    return run


def measure(repetitions: int) -> dict[str, list[float]]:
    """CPU seconds of every way, interleaved; the first round is not counted."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = build(Path(temporary) / "model")
        ways = {
            "by hand": by_hand(folder),
            "operators": by_operators(folder),
            "engine": by_engine(folder, Path(temporary) / "cache"),
        }
        spent: dict[str, list[float]] = {name: [] for name in ways}
        for seed in range(repetitions + 1):
            results = []
            for name, way in ways.items():
                start = time.process_time()
                results.append(way(seed))
                spent[name].append(time.process_time() - start)
            assert all(torch.equal(results[0], other) for other in results[1:]), "the ways disagree"
    return {name: times[1:] for name, times in spent.items()}


def report(spent: dict[str, list[float]]) -> str:
    """A table in Markdown."""
    base = statistics.median(spent["by hand"])
    lines = ["| way | CPU s, median | fastest | over by hand |", "|---|---|---|---|"]
    for name, times in spent.items():
        median = statistics.median(times)
        lines.append(f"| {name} | {median:.3f} | {min(times):.3f} | {100 * (median / base - 1):+.2f} % |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print, or write, the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=9)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    table = report(measure(args.repetitions))
    print(table)
    if args.out:
        title = "# Diffusion: operators and engine over a hand-written loop"
        text = f"{title}\n\ntorch {torch.__version__}, one CPU thread\n\n"
        args.out.write_text(text + table + "\n")


if __name__ == "__main__":
    main()

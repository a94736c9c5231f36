"""What OpenVINO would give in torch's place on a CPU: CPU time side by side, and likeness to float32.

Run, in an environment with ``pip install openvino nncf``::

    python benchmarks/backends.py [--out benchmarks/results/backends.md] [--rounds 7] [--only NAME]

One thread each, real weights, the sizes of the default graph. All ways of a network are called in turn, so
that what else the machine does falls on all of them alike; CPU seconds are medians, with the least in
brackets. dB is the peak signal-to-noise ratio to torch's float32, by the span of that. int8 is NNCF's
calibration on 24 frames of other films, for the compact upscaler alone; LPIPS of its picture is to the one in
float32, and of both to the truth where frames were reduced to a quarter first.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from report import machine, publish
from torch import Tensor, nn

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.models import ModelManager, parse_model
from flowsynth.models.families.sd.model import SdModel
from flowsynth.models.networks import load_network
from flowsynth.nets.roles import INTERPOLATION, LIKENESS, UPSCALING
from flowsynth.operators.files.read_video import ReadVideo

CONTEXT = RunContext(cache_dir=default_cache_dir())
CLIP = "clip:bikes#5.5"
COMPACT = "realesr-animevideo"
CALIBRATION = ("clip:bigbuckbunny", "clip:carphone")
JUDGED = ("clip:bikes", "clip:bikes#5.5", "clip:carphone#3")
Call = Callable[[], Tensor]


class Case(NamedTuple):
    """A network in two precisions, and what it is called with."""

    name: str
    full: nn.Module
    half: nn.Module
    inputs: tuple[Tensor, ...]


class Only(nn.Module):
    """A network that gives one tensor, for the converter."""

    def __init__(self, network: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.network, self.call = network, call

    def forward(self, *inputs: Tensor) -> Tensor:
        """Call it."""
        return cast("Tensor", self.call(self.network, *inputs))


def frames(count: int, short_side: int) -> Tensor:
    """Frames of a film, float32 in [0, 1], with sides that are multiples of 64."""
    clip = ReadVideo(path=CLIP, max_frames=count, short_side=short_side, dtype="float32")
    data = clip.run(CONTEXT).tensor
    return data[..., : data.shape[-2] // 64 * 64, : data.shape[-1] // 64 * 64].contiguous()


def pocket(dtype: str) -> SdModel:
    """The shipped model."""
    entry = {"family": "sd", "source": "shipped:pocket", "dtype": dtype}
    return cast("SdModel", ModelManager().load(parse_model("base", entry)))


def cases() -> Iterator[Case]:
    """The networks that take most of the default run."""
    small, large = frames(2, 192), frames(2, 384)
    full, half = pocket("float32"), pocket("bfloat16")
    draw = torch.Generator().manual_seed(0)
    height, width = (side // 4 for side in small.shape[-2:])
    latents = torch.randn(4, 8, height, width, generator=draw)
    text, moment = torch.randn(4, 77, 96, generator=draw), torch.tensor(199)

    def denoiser(net: Any, x: Tensor, words: Tensor) -> Any:
        return net(x, moment, words, return_dict=False)[0]

    def decoder(net: Any, x: Tensor) -> Any:
        return net.decode(x, return_dict=False)[0]

    yield Case("UNet, 4 frames", Only(full.unet, denoiser), Only(half.unet, denoiser), (latents, text))
    yield Case("VAE, decoder", Only(full.vae, decoder), Only(half.vae, decoder), (latents[:1],))
    two = [load_network(CONTEXT, UPSCALING, COMPACT, d) for d in ("float32", "bfloat16")]
    yield Case(COMPACT, two[0], two[1], (small[:1],))
    rife = [load_network(CONTEXT, INTERPOLATION, "rife-v4", d, refine=False) for d in ("float32", "bfloat16")]
    between = torch.full((1, 1, 1, 1), 0.5)
    yield Case("RIFE", rife[0], rife[1], (large[:1], large[1:], between))


def compiled(model: Any, precision: str) -> Callable[..., Tensor]:
    """A model of OpenVINO's on one thread."""
    import openvino as ov

    options = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = ov.Core().compile_model(model, "CPU", options).create_infer_request()

    def call(*inputs: Tensor) -> Tensor:
        made = request.infer([x.numpy() for x in inputs], share_inputs=True, share_outputs=True)
        return torch.from_numpy(made[0].copy())

    return call


def converted(case: Case) -> Any:
    """The network as OpenVINO has it, in float32."""
    import openvino as ov

    return ov.convert_model(case.full.eval(), example_input=case.inputs)


def ways(case: Case) -> dict[str, Call]:
    """Ways to call one network, by name."""
    # RIFE's motion and mix stay in float32; it brings its layers' inputs to their dtype itself.
    near = case.inputs if case.name == "RIFE" else tuple(x.bfloat16() for x in case.inputs)
    model = converted(case)
    found: dict[str, Call] = {
        "torch float32": lambda: case.full(*case.inputs),
        "torch bfloat16": lambda: case.half(*near),
    }
    for precision in ("f32", "bf16"):
        run = compiled(model, precision)
        found[f"OpenVINO {precision}"] = lambda run=run: run(*case.inputs)  # type: ignore[misc]
    if case.name == COMPACT:
        found |= integers(model, case)
    return found


def integers(model: Any, case: Case) -> dict[str, Call]:
    """The same with int8 convolutions, calibrated on other frames; nothing where NNCF is missing."""
    try:
        import nncf
    except ImportError:
        return {}
    pictures = [x[None].numpy() for clip in CALIBRATION for x in films(clip, 12)]
    # Sizes follow the input: calibration and use may differ in them.
    small = nncf.quantize(
        model,
        nncf.Dataset(pictures),
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(pictures),
        fast_bias_correction=False,
    )
    run = compiled(small, "bf16")
    judged({"float32": case.full, "OpenVINO int8": run})
    return {"OpenVINO int8": lambda: run(*case.inputs)}


def films(clip: str, count: int) -> Tensor:
    """Frames spread over a clip, float32 in [0, 1], at 192 lines."""
    read = ReadVideo(path=clip, max_frames=8 * count, short_side=192, dtype="float32")
    return read.run(CONTEXT).tensor[::8]


def judged(ways_: dict[str, Callable[..., Tensor]]) -> None:
    """Print how near each way comes to the truth: frames reduced to a quarter, enlarged again; LPIPS."""
    for clip in JUDGED:
        truth = films(clip, 6)
        truth = truth[..., : truth.shape[-2] // 64 * 64, : truth.shape[-1] // 64 * 64]
        small = nn.functional.avg_pool2d(truth, 4)
        found = {
            name: statistics.mean(lpips(t[None], call(x[None])) for t, x in zip(truth, small, strict=True))
            for name, call in ways_.items()
        }
        said = ", ".join(f"{name} {value:.4f}" for name, value in found.items())
        print(f"- {clip}, LPIPS to the truth: {said}", flush=True)


def measured(case: Case, rounds: int) -> list[str]:
    """A row for each way."""
    calls = ways(case)
    made = {name: call().float() for name, call in calls.items()}
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            call()
            spent[name].append(time.process_time() - start)
    exact, base = made["torch float32"], statistics.median(spent["torch bfloat16"])
    rows = []
    for name, times in spent.items():
        middle = statistics.median(times)
        likeness = "" if name == "torch float32" else f"{decibels(exact, made[name]):.1f}"
        if case.name == COMPACT and likeness:
            likeness += f", LPIPS {lpips(exact, made[name]):.4f}"
        rows.append(
            f"| {case.name} | {name} | {middle:.4f} ({min(times):.4f}) | {middle / base:.2f} | {likeness} |"
        )
        print(rows[-1], flush=True)
    return rows


def decibels(exact: Tensor, near: Tensor) -> float:
    """Signal to noise, by the span of the exact one."""
    span = float(exact.max() - exact.min())
    return float(20 * torch.log10(span / (exact - near).square().mean().sqrt()))


def lpips(exact: Tensor, near: Tensor) -> float:
    """How unlike two pictures look."""
    network = load_network(CONTEXT, LIKENESS, "lpips-alex")
    return float(network(exact.clamp(0, 1), near.clamp(0, 1)).mean())


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        rows = [row for case in cases() if args.only in case.name for row in measured(case, args.rounds)]
    head = [
        "# OpenVINO in torch's place",
        "",
        "| network | way | CPU s, median (least) | to torch bfloat16 | dB to float32 |",
        "|---|---|---:|---:|---:|",
    ]
    foot = ["", machine("torch", "openvino"), f"- `python benchmarks/backends.py --rounds {args.rounds}`"]
    publish([*head, *rows, *foot], args.out)


if __name__ == "__main__":
    main()

"""Quality and CPU time of the networks with published weights, on real footage.

python benchmarks/networks.py > benchmarks/results/networks.md    (some five minutes on one thread)

Clips and weights are fetched at first use. PSNR in dB, higher is better; LPIPS with AlexNet, lower is better.
"""

from __future__ import annotations

import copy
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import torch
from PIL import Image
from skimage import data
from torch import Tensor
from torch.nn import functional as F

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.functional.picture.resize import bicubic
from flowsynth.media.clips import fetch_clip
from flowsynth.media.reader import VideoReader
from flowsynth.models.networks import load_network
from flowsynth.nets.interpolation.ifnet import SCALES, IFNet
from flowsynth.nets.layers import backward_warp
from flowsynth.nets.likeness.lpips import Lpips
from flowsynth.nets.lineart.drawings import DrawingGenerator
from flowsynth.nets.roles import INTERPOLATION, LIKENESS, UPSCALING
from flowsynth.nets.upscaling.rrdbnet import RRDBNet
from flowsynth.nets.upscaling.srvgg import SRVGG
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.size._super import enlarge
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames

CONTEXT = RunContext(cache_dir=default_cache_dir())
FIDELITY = Upscale().fidelity
CLIPS = ("bikes", "bigbuckbunny", "carphone")


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * torch.log10((a - b).square().mean()))


def read(name: str, start: int, stop: int, width: int | None = None) -> Tensor:
    """Frames of a clip, T, C, H, W, uint8."""
    pictures = VideoReader(fetch_clip(name, default_cache_dir()), width=width).read(start, stop)
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()


def row(*cells: object) -> None:
    print("| " + " | ".join(f"{c:.4g}" if isinstance(c, float) else str(c) for c in cells) + " |", flush=True)


def head(title: str, *columns: str) -> None:
    print(f"\n## {title}\n")
    row(*columns)
    row(*["---"] * len(columns))


def between(frames: Tensor, method: str) -> Tensor:
    operator = Interpolate(method=method, cut=0 if method == "blend" else 0.5)
    made = operator.run(CONTEXT, frames=Frames(frames, fps=12))
    return made.tensor[1:2].float() / 255


def shifts() -> None:
    head("Interpolation: astronaut shifted sideways, 384x384", "pixels", "rife, dB", "blend, dB")
    picture = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None]
    for shift in (4, 8, 16):
        views = [picture[..., 64:448, 64 + x : 448 + x] for x in (-shift, 0, shift)]
        pair, truth = torch.cat((views[0], views[2])), views[1].float() / 255
        row(f"+-{shift}", *(psnr(between(pair, method), truth) for method in ("rife", "blend")))


def dropped(lpips: Lpips, pairs: int = 20) -> None:
    head(
        "Interpolation: every second frame dropped and made again",
        *("clip", "size", "rife, LPIPS", "blend, LPIPS", "rife, dB", "blend, dB"),
    )
    for name in CLIPS:
        length = len(VideoReader(fetch_clip(name, default_cache_dir())))
        scores: dict[str, list[tuple[float, float]]] = {"rife": [], "blend": []}
        for start in range(0, length - 3, (length - 3) // pairs):
            frames = read(name, start, start + 3, 640 if name == "bigbuckbunny" else None)
            truth = frames[1:2].float() / 255
            for method, found in scores.items():
                made = between(frames[::2].contiguous(), method)
                found.append((float(lpips(made, truth)), psnr(made, truth)))
        means = {m: [sum(v) / len(v) for v in zip(*found, strict=True)] for m, found in scores.items()}
        size = f"{frames.shape[-1]}x{frames.shape[-2]}"
        row(name, size, means["rife"][0], means["blend"][0], means["rife"][1], means["blend"][1])


def enlarged(lpips: Lpips) -> None:
    names = ("bicubic", "compact, fidelity 0", "compact", "of bicubic's", "x4plus-anime", "x4plus")
    head("Upscaling: pictures reduced by bicubic, then enlarged; LPIPS / dB", "picture", "factor", *names)
    photo = torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None]
    pictures = {
        "astronaut, 256x256": bicubic(photo.float() / 255, (256, 256)).clamp(0, 1),
        "astronaut, 512x512": photo.float() / 255,
        "chelsea": torch.from_numpy(data.chelsea()).permute(2, 0, 1)[None] / 255,
        "coffee": torch.from_numpy(data.coffee()).permute(2, 0, 1)[None] / 255,
        "bikes 60": read("bikes", 60, 61) / 255,
        "bikes 150": read("bikes", 150, 151) / 255,
        "bigbuckbunny 60": read("bigbuckbunny", 60, 61, 640) / 255,
        "bigbuckbunny 110": read("bigbuckbunny", 110, 111, 640) / 255,
    }
    for name, picture in pictures.items():
        for factor in (2, 4):
            height, width = (side // factor * factor for side in picture.shape[-2:])
            truth = picture[..., :height, :width]
            row(name, f"x{factor}", *_enlarged(lpips, truth, factor))


def _enlarged(lpips: Lpips, truth: Tensor, factor: int) -> list[str]:
    height, width = truth.shape[-2:]
    small = bicubic(truth, (height // factor, width // factor)).clamp(0, 1).mul(255).round().to(torch.uint8)
    cells, found = [], []
    for method, fidelity in (
        *(("bicubic", 0), ("realesr-animevideo", 0), ("realesr-animevideo", FIDELITY)),
        *(("x4plus-anime", FIDELITY), ("realesrgan-x4plus", FIDELITY)),
    ):
        if "x4plus" in method and factor == 2:
            cells.append("")  # as good as at x4, and four times as slow
            continue
        operator = Upscale(method=method, height=height, width=width, fidelity=fidelity)
        made = operator.run(CONTEXT, frames=Frames(small, fps=None)).to_float()
        found.append(float(lpips(made, truth)))
        cells.append(f"{found[-1]:.4f} / {psnr(made, truth):.2f}")
        if len(found) == 3:
            cells.append(f"{found[2] / found[0]:.2f}")
    return cells


def fidelities(lpips: Lpips) -> None:
    head(
        "Fidelity of the compact network at x2, on clean sources and on JPEG files of quality 50; LPIPS",
        *("picture", "source", "bicubic", *(str(steps) for steps in range(4))),
    )
    for name in ("astronaut", "chelsea", "coffee"):
        truth = torch.from_numpy(getattr(data, name)()).permute(2, 0, 1)[None] / 255
        truth = truth[..., : truth.shape[-2] // 2 * 2, : truth.shape[-1] // 2 * 2]
        size = truth.shape[-2] // 2, truth.shape[-1] // 2
        small = bicubic(truth, size).clamp(0, 1).mul(255).round().to(torch.uint8)
        for source, given in (("clean", small), ("JPEG", jpeg(small))):
            cells = []
            for method, steps in (("bicubic", 0), *(("realesr-animevideo", steps) for steps in range(4))):
                operator = Upscale(method=method, fidelity=steps)
                made = operator.run(CONTEXT, frames=Frames(given, fps=None)).to_float()
                cells.append(f"{float(lpips(made, truth)):.4f}")
            row(name, source, *cells)


def jpeg(frames: Tensor, quality: int = 50) -> Tensor:
    file = io.BytesIO()
    Image.fromarray(frames[0].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None]


def fastest(call: Callable[[], object], times: int = 4) -> float:
    found = []
    for _ in range(times + 1):
        start = time.process_time()
        call()
        found.append(time.process_time() - start)
    return min(found[1:])


def plain_rrdb(net: RRDBNet, x: Tensor) -> Tensor:
    """The published network in the plainest form."""

    def dense(block: torch.nn.Module, x: Tensor) -> Tensor:
        known = [x]
        for unit in range(1, 5):
            found = block.get_submodule(f"conv{unit}")(torch.cat(known, 1))
            known.append(F.leaky_relu(found, 0.2))
        made: Tensor = block.get_submodule("conv5")(torch.cat(known, 1)) * 0.2 + x
        return made

    first = net.conv_first(x)
    deep = first
    for block in net.body:
        inner = deep
        for name in ("rdb1", "rdb2", "rdb3"):
            inner = dense(block.get_submodule(name), inner)
        deep = inner * 0.2 + deep
    deep = first + net.conv_body(deep)
    for name in ("conv_up1", "conv_up2"):
        wide = F.interpolate(deep, scale_factor=2, mode="nearest")
        deep = F.leaky_relu(net.get_submodule(name)(wide), 0.2)
    made: Tensor = net.conv_last(F.leaky_relu(net.conv_hr(deep), 0.2))
    return made


def plain_srvgg(net: SRVGG, x: Tensor) -> Tensor:
    return F.pixel_shuffle(net.body(x), 4) + F.interpolate(x, scale_factor=4, mode="nearest")


def plain_rife(net: IFNet, first: Tensor, second: Tensor, moment: Tensor) -> Tensor:
    """The network written down: whole frames, block after block, without a search for fast motion."""
    flow = mask = None
    seen = torch.cat((first, second, moment.expand_as(first[:, :1])), 1)
    for index, scale in enumerate(SCALES):
        block = getattr(net, f"block{index}")
        x = F.interpolate(seen, scale_factor=1 / scale, mode="bilinear")
        if flow is not None:
            x = torch.cat((x, F.interpolate(flow, scale_factor=1 / scale, mode="bilinear") / scale), 1)
        x = block.conv0(x)
        x = block.lastconv(block.convblock(x) + x)
        x = F.interpolate(x, scale_factor=2 * scale, mode="bilinear")
        change = x[:, :4] * (2 * scale)
        flow = change if flow is None else flow + change
        mask = x[:, 4:] if mask is None else mask + x[:, 4:]
        ahead, behind = backward_warp(first, flow[:, :2]), backward_warp(second, flow[:, 2:])
        seen = torch.cat((ahead, behind, moment.expand_as(mask), mask), 1)
    assert mask is not None
    share = mask.sigmoid()
    return ahead * share + behind * (1 - share)


def speed() -> None:
    head(
        "CPU seconds on one thread, and tiles against whole frames",
        *(
            "network",
            "input",
            "plain torch",
            "as by default",
            "of plain",
            "tiles of 128",
            "largest difference of tiles",
        ),
    )
    for weights, size, plain in (
        ("realesr-animevideo", (272, 480), plain_srvgg),
        ("realesrgan-x4plus-anime", (160, 270), plain_rrdb),
        ("realesrgan-x4plus", (96, 160), plain_rrdb),
    ):
        net = load_network(CONTEXT, UPSCALING, weights)
        x = read("bikes", 60, 61)[..., : size[0], : size[1]] / 255
        target = (size[0] * 4, size[1] * 4)
        ours = fastest(lambda: enlarge(x, net, None, target))  # noqa: B023  called at once
        tiles = fastest(lambda: enlarge(x, net, 128, target))  # noqa: B023
        gap = float((enlarge(x, net, 0, target) - enlarge(x, net, 96, target)).abs().max())
        net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]  # not in its types
        slow = fastest(lambda: plain(net, x))  # type: ignore[arg-type]  # noqa: B023
        net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        row(weights, f"{size[1]}x{size[0]}", slow, ours, ours / slow, tiles, gap)
    rife = load_network(CONTEXT, INTERPOLATION, "rife-v4")
    first, second = (frame / 255 for frame in read("bikes", 60, 62)[..., :256, :].split(1))
    half = torch.full((1, 1, 1, 1), 0.5)
    slow_net = copy.deepcopy(rife)
    slow_net.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    ours = slow = float("inf")
    for _ in range(5):  # in turns: so short a time varies by more than they differ
        ours = min(ours, fastest(lambda: rife(first, second, half)))
        slow = min(slow, fastest(lambda: plain_rife(slow_net, first, second, half)))
    torch.testing.assert_close(
        rife(first, second, half), plain_rife(slow_net, first, second, half), rtol=0, atol=1e-4
    )
    row("rife-v4", "640x256", slow, ours, ours / slow, "", "")


def detectors(folder: Path) -> None:
    head(
        "Detectors: CPU seconds a frame of 512x512 (astronaut), one thread", "detector", "weights", "seconds"
    )
    frame = Frames(torch.from_numpy(data.astronaut()).permute(2, 0, 1)[None], fps=None)
    own = {"lineart": _random_drawings(folder), "depth": _random_depth(folder)}
    for name in get_args(Annotate.model_fields["detector"].annotation):
        operator = Annotate(detector=name, weights=own.get(name))
        used = "random, of the published size" if name in own else operator._weights or ""
        row(name, used, fastest(lambda: operator.run(CONTEXT, frames=frame), 3))  # noqa: B023  called at once


def _random_drawings(folder: Path) -> str:
    """Informative Drawings as published, but untrained: no package holds its weights."""
    torch.save(DrawingGenerator().state_dict(), folder / "drawings.pth")
    return str(folder / "drawings.pth")


def _random_depth(folder: Path) -> str:
    """Depth Anything's small network, but untrained."""
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation

    DepthAnythingForDepthEstimation(DepthAnythingConfig()).save_pretrained(folder)
    size = {"height": 518, "width": 518}
    config = {"size": size, "keep_aspect_ratio": True, "ensure_multiple_of": 14, "resample": 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))
    return str(folder)


def main() -> None:
    torch.set_num_threads(1)
    with torch.inference_mode():
        lpips = load_network(CONTEXT, LIKENESS, "lpips-alex")
        print(
            f"# Networks with published weights\n\ntorch {torch.__version__}, "
            "one CPU thread of a shared machine"
        )
        shifts()
        dropped(lpips)
        enlarged(lpips)
        fidelities(lpips)
        speed()
        with TemporaryDirectory() as folder:
            detectors(Path(folder))


if __name__ == "__main__":
    main()

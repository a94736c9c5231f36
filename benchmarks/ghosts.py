"""Ghosts, counted in what operators render across cuts and along fast pans; rows of `cuts.py`'s report.

At each of 30 cuts, six frames of the film or of bikes with the cut in the middle are rendered; at each of 20
pans, six frames of a picture that moves by 24 or 48 of 320 pixels a frame. A rendered frame is regressed, in
least squares, on what it may show: at a cut its own frame and the nearest one beyond the cut; along a pan its
own frame and both neighbours, and for a made frame between two also the picture half way, which is known. A
ghost is a frame of which the second of these makes up more than `SHARE`. A frame that shows one of them
alone is none, whichever it is. What draws anew is regressed on the frames that it drew each by itself: on the
source's, oil alone, which cannot ghost, would come to .1 along pans.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import av
import torch
from torch import Tensor
from torch.nn import functional as F

import flowsynth as fs
from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames

SHARE = 0.05
HALF = 3  # frames on either side of a cut
SPEEDS = (24, 48)  # pixels a frame, of pictures 320 wide

#: Makes frames, and says which ones they may show.
Render = Callable[[Frames], tuple[Frames, Frames]]


class Scene(NamedTuple):
    """Frames, the first one after a cut (0: none), and what lies half way between them where it is known."""

    name: str
    frames: Tensor
    cut: int
    between: Tensor | None


def smoothed(**params: object) -> Render:
    """Rendering by `temporal_smooth`."""
    return lambda clip: (TemporalSmooth.model_validate(params).run(RunContext(), frames=clip), clip)


def interpolated(method: str) -> Render:
    """Rendering at twice the rate."""
    context = RunContext(cache_dir=default_cache_dir())
    return lambda clip: (Interpolate.model_validate({"method": method}).run(context, frames=clip), clip)


def keyed(clip: Frames) -> tuple[Frames, Frames]:
    """Every second frame, and those between made by FastBlend under the clip itself."""
    keys = Frames(clip.tensor[::2].contiguous(), clip.fps)
    operator = Interpolate(method="fastblend", factor=2)
    return operator.run(RunContext(), frames=keys, guide=clip), clip


def redrawn(clip: Frames) -> tuple[Frames, Frames]:
    """Rendering by the graph long_video in oil, which keeps tones and places, at half the size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mkv"
        with av.open(str(path), "w") as container:
            size = {"width": clip.width, "height": clip.height}
            stream = container.add_stream("ffv1", rate=24, pix_fmt="bgr0", **size)
            for frame in clip.tensor.permute(0, 2, 3, 1).contiguous().numpy():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            container.mux(stream.encode(None))
        overrides = [f"input.video={path}", "fps=null", "rate=1", "short_side=90", "style=oil_painting"]
        run = fs.compose("long_video", overrides).run(
            outputs=["finish", "guide"], executor="serial", cache_dir=f"{folder}/cache"
        )
        return run["finish"], run["guide"]


USERS: dict[str, Render] = {
    "temporal_smooth, flow": smoothed(method="flow", radius=2),
    "temporal_smooth, gaussian": smoothed(method="gaussian", radius=2),
    "interpolate, rife": interpolated("rife"),
    "interpolate, blend": interpolated("blend"),
    "temporal_smooth, fastblend": smoothed(method="fastblend", radius=2),
    "interpolate, fastblend": keyed,
    "temporal_smooth, histogram (deflicker)": smoothed(method="histogram", radius=2),
    "graph long_video": redrawn,
}
#: Methods that ghost by their nature where things move, and say so: not run along pans.
STILL = ("temporal_smooth, gaussian", "interpolate, blend")


def shares(frame: Tensor, shown: Sequence[Tensor]) -> float:
    """Return how much of a frame the second strongest of some pictures makes up."""
    y = frame.double().flatten()
    pictures = torch.stack([x.double().flatten() for x in shown] + [torch.ones_like(y)], dim=1)
    weights = torch.linalg.lstsq(pictures, y[:, None]).solution[:-1, 0].clamp(min=0)
    ordered = weights.sort(descending=True).values
    return float(ordered[1] / ordered.sum().clamp(min=1e-9))


def coarse(frames: Tensor) -> Tensor:
    """Bring frames to what a ghost shows in: structure above a few pixels, without strokes and grain."""
    return F.interpolate(frames.float() / 255, size=(45, 80), mode="area")


def ghosts(scene: Scene, render: Render) -> list[float]:
    """Return the share of each rendered frame that may hold a ghost."""
    rendered, alone = render(Frames(scene.frames, 24))
    made = rendered.tensor
    double = len(made) > len(scene.frames) + 1
    x, y = coarse(alone.tensor), coarse(made)
    found = []
    for i, frame in enumerate(y[: 2 * len(x) - 1] if double else y):
        own, odd = (i // 2, i % 2) if double else (i, 0)
        if scene.cut:
            beyond = scene.cut if own < scene.cut else scene.cut - 1
            if not odd or own + 1 == scene.cut:
                found.append(shares(frame, [x[own], x[beyond]]))
        elif scene.between is not None:
            near = (
                [x[own], x[own + 1], coarse(scene.between)[own]]
                if odd
                else list(x[max(0, own - 1) : own + 2])
            )
            found.append(shares(frame, near))
    return found


def pans(pictures: Sequence[tuple[str, Tensor]]) -> list[Scene]:
    """Fast pans to and fro over pictures `(1, 3, H, W)` in [0, 1]."""
    found = []
    for name, whole in pictures:
        for speed in SPEEDS:
            steps = [speed * i // 2 for i in range(4 * HALF - 1)]
            width = 320 + steps[-1]
            wide = F.interpolate(
                whole, size=(round(width * whole.shape[-2] / whole.shape[-1]), width), mode="area"
            )
            wide = (wide[..., :180, :].repeat(1, 3 // whole.shape[1], 1, 1) * 255).round().byte()
            cut_out = [wide[..., at : at + 320] for at in steps]
            between = torch.cat(cut_out[1::2])
            found.append(Scene(f"{name} by {speed}", torch.cat(cut_out[::2]), 0, between))
    return found


def rows(cuts: Sequence[Scene], moving: Sequence[Scene], by: str = "") -> list[str]:
    """A table: for each user of the detector with `by` in its name, the cuts and pans with a ghost."""
    lines = [
        "| rendered by | cuts | with a ghost | strongest | pans | with a ghost | strongest |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, render in USERS.items():
        if by not in name:
            continue
        cells = []
        for scenes in (cuts, () if name in STILL else moving):
            most = {scene.name: max(ghosts(scene, render), default=0.0) for scene in scenes}
            seen = {scene: round(share, 3) for scene, share in most.items() if share > SHARE}
            if seen:
                print(name, seen, flush=True)
            cells += [str(len(scenes)), str(len(seen)), f"{max(most.values(), default=0):.3f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines

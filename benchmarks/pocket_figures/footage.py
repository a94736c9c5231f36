"""Real pictures that training never saw, at one size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import flowsynth as fs
from benchmarks.pocket_figures.lab import Clip, Lab
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.training.pictures import load_pictures
from flowsynth.training.pocket import Training

WIDTH, HEIGHT = 256, 144
#: Clip -> second to start at. Frames of bikes are measured, never shown: their licence isn't stated.
CLIPS = {"bigbuckbunny": 1.0, "bikes": 5.5}
SHOWN = "bigbuckbunny"
_CONFIGS = Path(__file__).resolve().parents[2] / "conf" / "training" / "pocket"


def clip(lab: Lab, name: str, frames: int) -> Clip:
    """Frames of a held-out clip."""
    graph = fs.Graph("clip")
    read = ReadVideo(path=f"clip:{name}", start=CLIPS[name], max_frames=frames, width=WIDTH, height=HEIGHT)
    graph.add("clip", read)
    return lab.run(graph, ["clip"])[0]


def pictures(lab: Lab) -> dict[str, Clip]:
    """Held-out pictures of the training that need no download: those of scikit-image."""
    config = Training(lab.out, _CONFIGS).picture_config.model_copy(update={"packages": ()})
    _, held = load_pictures(config, lab.out / "data")
    size = (WIDTH, HEIGHT)
    return {name: np.asarray(ImageOps.fit(Image.fromarray(picture), size)) for name, picture in held.items()}


def stylized(lab: Lab, frames: Clip, style: str) -> Clip:
    """The classical target."""
    graph = fs.Graph("stylized")
    graph.add("look", Stylize(style=style), frames=lab.source(graph, "frames", frames))
    return lab.run(graph, ["look"])[0]


def lines(lab: Lab, frames: Clip) -> list[np.ndarray]:
    """Edges of every frame, bool (H, W)."""
    graph = fs.Graph("lines")
    graph.add("lines", Annotate(detector="canny"), frames=lab.source(graph, "frames", frames))
    return [frame[..., 0] > 0 for frame in lab.run(graph, ["lines"])[0]]


def smoothed(lab: Lab, frames: Clip) -> Clip:
    """Frames after the smoothing of the default graph."""
    graph = fs.Graph("smoothed")
    smooth = TemporalSmooth(method="gaussian", radius=1)
    graph.add("smooth", smooth, frames=lab.source(graph, "frames", frames))
    return lab.run(graph, ["smooth"])[0]

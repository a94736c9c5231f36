"""One family, one cache, and the few graphs that the figures come from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import flowsynth as fs
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.files.read_image import ReadImage
from flowsynth.operators.measure.measure import Measure

Clip = np.ndarray  # uint8 THWC
DETECTORS = {"lines": "canny", "tile": "tile"}  # of the family's ControlNets
BATCH = 20  # pictures at once


@cache
def defaults(graph: str) -> Denoise:
    """The denoise node of a shipped graph: its steps, guidance and strength are the defaults."""
    operator = fs.compose(graph).nodes["denoise"].operator
    assert isinstance(operator, Denoise)
    return operator


@dataclass(frozen=True)
class Redraw:
    """Frames to start from or to be controlled by, and how: the inputs of image-to-image.

    Attributes:
        controls: the frames that each ControlNet is shown, by its name.
        start: the frames that are redrawn; None starts from noise.
        params: of `denoise`.
        edges: params of the lines' `annotate`.
    """

    controls: Mapping[str, Clip] = field(default_factory=dict)
    start: Clip | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    edges: Mapping[str, Any] = field(default_factory=dict)


class Lab:
    """Makes and measures pictures of one family through graphs.

    Args:
        family: folder of the exported family.
        out: folder for sheets, plots and sources.
        session: an open cache.
        quick: a tenth of the pictures: to see that all parts run.
    """

    def __init__(self, family: Path, out: Path, session: fs.Session, quick: bool) -> None:
        self.family, self.out, self.session, self.quick = family, out, session, quick
        self.out.mkdir(parents=True, exist_ok=True)

    def count(self, full: int, quick: int) -> int:
        """How many of something."""
        return quick if self.quick else full

    @cached_property
    def motion_noise(self) -> str:
        """The noise that the motion adapter asks for, as the model of the graph `text_to_video` says."""
        return str(fs.compose("text_to_video").models["base"]["motion_noise"])

    def spec(self, *, motion: bool = False, lora: tuple[Path, float] | None = None) -> dict[str, Any]:
        """The family as a graph's model."""
        nets = {name: str(self.family / f"controlnet_{name}") for name in DETECTORS}
        spec: dict[str, Any] = {"family": "sd", "source": str(self.family), "controlnets": nets}
        if motion:
            spec["motion"] = str(self.family / "motion_adapter")
            spec["motion_noise"] = self.motion_noise
        if lora is not None:
            spec["loras"] = [{"source": str(lora[0]), "scale": lora[1]}]
        return spec

    def pictures(
        self,
        prompts: Sequence[str],
        *,
        negatives: Sequence[str] | None = None,
        guidance: float | None = None,
        redraw: Redraw | None = None,
        lora: tuple[Path, float] | None = None,
        motion: bool = False,
    ) -> Clip:
        """Make one picture a prompt, all in one graph: picture i is frame i, with seed i."""
        redraw = redraw or Redraw()
        graph = fs.Graph("pictures")
        model = graph.model("base", self.spec(lora=lora, motion=motion))
        texts = TextEncode(prompt=_keyed(prompts), negative_prompt=_keyed(negatives or [""]))
        prompt = graph.add("prompt", texts, model=model)
        if redraw.start is None:
            size = EmptyLatents(height=64, width=64, num_frames=len(prompts))
            latents = graph.add("latents", size, model=model)
        else:
            start = self.source(graph, "start", redraw.start)
            latents = graph.add("latents", VaeEncode(), frames=start, model=model)
        inputs: dict[str, Any] = {"model": model, "latents": latents, "conditioning": prompt}
        if redraw.controls:
            inputs["control"] = [self._control(graph, redraw, name) for name in redraw.controls]
        params: dict[str, Any] = {
            "num_inference_steps": defaults("text_to_image").num_inference_steps,
            "guidance_scale": defaults("text_to_image").guidance_scale if guidance is None else guidance,
            "controlnets": tuple(redraw.controls) or None,
            "seed": tuple(range(len(prompts))),
            "window": 16 if motion else BATCH,
            **redraw.params,
        }
        denoised = graph.add("denoise", Denoise(**params), **inputs)
        graph.add("decode", VaeDecode(), latents=denoised, model=model)
        return self.run(graph, ["decode"])[0]

    def clips(
        self, prompts: Sequence[str], frames: int = 16, *, motion: bool = True, **params: Any
    ) -> list[Clip]:
        """Make one clip a prompt in one graph; without `motion` every frame is made for itself."""
        noise = params.pop("noise", "auto" if motion else "independent")
        graph = fs.Graph("clips")
        model = graph.model("base", self.spec(motion=motion))
        names = []
        for i, text in enumerate(prompts):
            prompt = graph.add(f"prompt{i}", TextEncode(prompt=text), model=model)
            size = EmptyLatents(height=64, width=64, num_frames=frames, fps=8)
            latents = graph.add(f"latents{i}", size, model=model)
            denoise = Denoise(seed=i, options={"noise": noise}, **params)
            made = graph.add(f"denoise{i}", denoise, model=model, latents=latents, conditioning=prompt)
            names.append(f"clip{i}")
            graph.add(names[-1], VaeDecode(), latents=made, model=model)
        return self.run(graph, names)

    def decoded(self, clip: Clip) -> Clip:
        """What the autoencoder alone makes of frames."""
        graph = fs.Graph("decoded")
        model = graph.model("base", self.spec())
        latents = graph.add("encode", VaeEncode(), frames=self.source(graph, "clip", clip), model=model)
        graph.add("decode", VaeDecode(), latents=latents, model=model)
        return self.run(graph, ["decode"])[0]

    def _control(self, graph: fs.Graph, redraw: Redraw, name: str) -> Any:
        shown = self.source(graph, f"{name}_of", redraw.controls[name])
        edges = redraw.edges if name == "lines" else {}
        return graph.add(name, Annotate(detector=DETECTORS[name], **edges), frames=shown)

    def source(self, graph: fs.Graph, name: str, clip: Clip) -> Any:
        """A node that reads a clip's frames back from files."""
        folder = self.out / "sources" / hashlib.sha256(clip.tobytes()).hexdigest()[:16]
        if not folder.exists():
            folder.mkdir(parents=True)
            for i, frame in enumerate(clip):
                Image.fromarray(frame).save(folder / f"{i:04}.png", compress_level=1)
        return graph.add(name, ReadImage(path=str(folder / "*.png"), fps=25))

    def compare(self, clip: Clip, reference: Clip | None = None, *, lpips: bool = False) -> dict[str, float]:
        """The figures of `measure`."""
        graph = fs.Graph("compare")
        inputs = {"frames": self.source(graph, "made", clip)}
        if reference is not None:
            inputs["reference"] = self.source(graph, "wanted", reference)
        graph.add("measure", Measure(lpips=lpips), **inputs)
        values: dict[str, float] = graph.run(session=self.session, outputs=["measure"])["measure.values"]
        return values

    def run(self, graph: fs.Graph, names: Sequence[str]) -> list[Clip]:
        """Run a graph; the frames of some nodes."""
        done = graph.run(session=self.session, outputs=list(names))
        return [done[name].tensor.permute(0, 2, 3, 1).contiguous().numpy() for name in names]


def _keyed(texts: Sequence[str]) -> dict[int, str]:
    return dict(enumerate(texts))

"""A family from somebody else's package joins through an entry point; no operator knows it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

FAMILY = '''
"""Colours: a family whose latents are the mean colours of 4 x 4 pixels and whose prompts are colours."""

from typing import ClassVar

from pydantic import Field

from flowsynth.models import ModelSpec
from flowsynth.models.requests import LatentFormat

COLOURS = {"red": (1.0, 0.0, 0.0), "blue": (0.0, 0.0, 1.0)}


class ColourSpec(ModelSpec):
    gain: float = Field(1.0, ge=0)


class Colours:
    name: ClassVar[str] = "colours"
    spec_type: ClassVar[type[ColourSpec]] = ColourSpec

    def fingerprint(self, spec, memo, parts=()):
        return spec.model_dump_json()

    def open(self, spec, store):
        return ColourModel(spec)


class ColourModel:
    latent_format = LatentFormat("colours/f4c3", 4, 3)

    def __init__(self, spec):
        self.spec = spec

    def part_keys(self):
        return frozenset()

    def encode_text(self, prompts, *, clip_skip=None, syntax="weights"):
        import torch

        return torch.tensor([[COLOURS.get(p, (0.5, 0.5, 0.5))] for p in prompts])

    def encode_frames(self, frames, **options):
        import torch

        return torch.nn.functional.avg_pool2d(frames, 4)

    def decode_latents(self, latents, **options):
        return latents.repeat_interleave(4, -1).repeat_interleave(4, -2)

    def denoise(self, request):
        colour = request.prompt.reshape(-1, 3, 1, 1) * self.spec.gain
        start = colour * 0 if request.init is None else request.init
        result = start + (colour - start) * request.settings.strength
        return result.expand(*request.shape)
'''

SCRIPT = """
import sys
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode

def graph(**spec):
    g = fs.Graph("colours")
    m = g.model("base", {"family": "colours", "source": "anywhere", **spec})
    c = g.add("prompt", TextEncode(prompt="red"), model=m)
    z = g.add("latents", EmptyLatents(height=8, width=8), model=m)
    d = g.add("denoise", Denoise(), model=m, latents=z, conditioning=c)
    g.add("frames", VaeDecode(), latents=d, model=m)
    return g

run = graph().run(cache_dir=sys.argv[1], outputs=["frames"])
print(run["frames"].tensor[0, :, 0, 0].tolist())
print(graph(gain=0.5).run(cache_dir=sys.argv[1], outputs=["frames"])["frames"].tensor[0, :, 0, 0].tolist())
try:
    graph(gian=1).run(cache_dir=sys.argv[1], outputs=["frames"])
except FlowsynthError as error:
    print(error)
"""


def test_a_family_from_another_package_runs_through_the_operators(tmp_path: Path) -> None:
    site = tmp_path / "site"
    info = site / "colours-1.0.dist-info"
    info.mkdir(parents=True)
    (site / "colours.py").write_text(FAMILY)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: colours\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[flowsynth.families]\ncolours = colours:Colours\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    paths = os.pathsep.join([str(site), *(p for p in sys.path if p)])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "cache")],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["[255, 0, 0]", "[128, 0, 0]"]
    assert "models.base.gian: unknown key" in done.stdout
    assert "did you mean 'gain'" in done.stdout

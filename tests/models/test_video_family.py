"""A family whose latent frames hang together: lengths, sizes and how its verbs treat time are its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.core.streams import Map, Whole
from flowsynth.models import Model, parse_model
from flowsynth.models.latent_format import LatentFormat
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.values import Frames
from tests.models.plugged import forget, install

FAMILY = '''
"""Blocks of four frames after a lone first one; a decoded frame says how many were decoded with it."""

from typing import ClassVar

from flowsynth.core.canonical import digest_json
from flowsynth.core.streams import Whole
from flowsynth.models.latent_format import LatentFormat
from flowsynth.models.protocol import Family, Verb
from flowsynth.models.spec import ModelSpec


class Blocks(Family[ModelSpec]):
    name: ClassVar[str] = "blocks"
    spec_type: ClassVar[type[ModelSpec]] = ModelSpec
    verbs: ClassVar[dict[str, Verb]] = {
        "vae_encode": Verb(stream=Whole()), "denoise": Verb(), "vae_decode": Verb(stream=Whole())
    }

    def fingerprint(self, spec, memo, parts=()):
        return digest_json([self.name])

    def open(self, spec, store):
        return BlocksModel()

    def latent_format(self, spec, *, offline=False):
        return LatentFormat("blocks/f8t4c1", 8, 1, multiple=16, frames=4, lone_first=True)


class BlocksModel:
    def part_keys(self):
        return frozenset()

    def encode_frames(self, frames, settings):
        import torch
        from torch.nn.functional import avg_pool2d

        small = avg_pool2d(frames.mean(1, keepdim=True), 8)
        return torch.cat([small[:1], *(part.mean(0, keepdim=True) for part in small[1:].split(4))])

    def denoise(self, request):
        from dataclasses import replace

        return replace(request.latents, data=request.latents.tensor + 0.5, empty=False)

    def decode_latents(self, latents, settings):
        import torch

        data = latents.tensor
        frames = torch.cat([data[:1], data[1:].repeat_interleave(4, 0)])
        frames = frames * len(data) / 4
        return frames.repeat_interleave(8, -1).repeat_interleave(8, -2).expand(-1, 3, -1, -1)
'''
MODEL: dict[str, Any] = {"family": "blocks", "source": "anywhere"}


@pytest.fixture(autouse=True)
def _blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    install(tmp_path / "site", "blocks", {"__init__.py": FAMILY}, {"blocks": "blocks:Blocks"}, monkeypatch)
    yield
    forget()


def graph(num_frames: int = 9, height: int = 32) -> fs.Graph:
    made = fs.Graph("video")
    model = made.model("m", MODEL)
    latents = made.add("z", EmptyLatents(height=height, width=48, num_frames=num_frames), model=model)
    denoised = made.add("d", Denoise(), model=model, latents=latents)
    made.add("f", VaeDecode(dtype="float32"), latents=denoised, model=model)
    return made


@pytest.mark.parametrize("chunk", [1, 2, 16])
def test_the_decoder_gets_the_whole_whatever_the_chunk(tmp_path: Path, chunk: int) -> None:
    frames = graph().run(cache_dir=tmp_path / "cache", chunk=chunk, outputs=["f"])["f"]
    assert frames.tensor.shape == (9, 3, 32, 48)
    assert frames.tensor.unique().tolist() == [0.5 * 3 / 4]


def test_how_a_verb_treats_time_depends_on_its_model_alone() -> None:
    for operator in (VaeDecode(), VaeEncode()):
        assert operator.stream_with({"model": MODEL}) == Whole()
        assert operator.stream_with({"model": {"family": "sd", "source": "shipped:pocket"}}) == Map()
        assert operator.stream_with({"model": {"family": "nowhere"}}) == operator.stream() == Map()


def test_a_plan_asks_the_model_without_torch(tmp_path: Path) -> None:
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path / "site")!r})
import flowsynth as fs
g = fs.Graph.from_dict({graph().to_dict()!r})
from flowsynth.core.streams import Whole
plan = fs.Session({str(tmp_path / "cache")!r}).plan(g)
print(plan.steps["f"].kind == Whole(), "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_lengths_and_sizes_are_told_before_a_run_with_the_nearest() -> None:
    with pytest.raises(GraphError) as caught:
        graph(10, 40)
    assert [str(fault) for fault in caught.value.faults] == [
        "nodes.z.params.height: not a size of this model; expected a multiple of 16 pixels; given 40;"
        " did you mean '32'?",
        "nodes.z.params.num_frames: not a length of this model; expected a multiple of 4 frames, and one;"
        " given 10; did you mean '9'?",
    ]


def test_clips_of_such_lengths_are_refused_when_they_arrive() -> None:
    ctx = RunContext()
    model = Model(parse_model("m", MODEL))
    encoded = VaeEncode().run(ctx, frames=Frames(torch.rand(9, 3, 32, 48)), model=model)
    assert encoded.tensor.shape == (3, 1, 4, 6)
    with pytest.raises(GraphError, match=r"vae_encode: inputs.frames.num_frames: .*7; did you mean '9'"):
        VaeEncode().run(ctx, frames=Frames(torch.rand(7, 3, 32, 48)), model=model)
    with pytest.raises(GraphError, match=r"empty_latents: inputs.like.width: .*given 40"):
        EmptyLatents().run(ctx, model=model, like=Frames(torch.rand(9, 3, 32, 40)))


def test_a_verb_that_the_family_lacks_is_told_with_those_that_have_it() -> None:
    made = fs.Graph("none")
    model = made.model("m", MODEL)
    with pytest.raises(GraphError, match="expected a model of family diffusers or sd; given"):
        made.add("p", TextEncode(), model=model)


@pytest.mark.parametrize(("frames", "count", "near"), [(1, 1, 1), (5, 2, 5), (2, 2, 1), (3, 2, 1), (4, 2, 5)])
def test_a_lone_first_frame_counts_for_itself(frames: int, count: int, near: int) -> None:
    form = LatentFormat("s", 8, 4, frames=4, lone_first=True)
    assert form.latent_count(frames) == count
    assert [int(fault.nearest) for fault in form.faults(8, 8, frames)] == [near] * (near != frames)


def test_a_model_by_frames_takes_any_length_and_size() -> None:
    form = LatentFormat("s", 8, 4)
    assert form.by_frame
    assert form.faults(1, 7, 3) == []
    assert (form.latent_count(3), form.latent_size(9, 16)) == (3, (2, 2))

"""What a class cannot do is told before a run, with the nearest that it can, and without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.core.errors import FlowsynthError, InputError
from flowsynth.models.families.diffusers.facts import facts, pipeline_names
from flowsynth.models.families.diffusers.options import option_model
from flowsynth.models.families.diffusers.ports import ports_of
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from tests.cache.helpers import python

WAN = {"_class_name": "WanPipeline", "vae": ["diffusers", "AutoencoderKLWan"]}


@pytest.fixture
def wan(tmp_path: Path) -> str:
    """A pipeline's folder with configurations alone: nothing is ever loaded of it."""
    config = {"z_dim": 16, "temperal_downsample": [False, True, True], "scale_factor_spatial": 8}
    transformer = {"patch_size": [1, 2, 2], "in_channels": 16}
    files = {
        "model_index.json": {**WAN, "transformer": ["diffusers", "WanTransformer3DModel"]},
        "vae/config.json": config,
        "transformer/config.json": transformer,
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(json.dumps(data))
    return str(tmp_path)


def graph(source: str, **spec: Any) -> tuple[fs.Graph, Any]:
    made = fs.Graph("wan")
    return made, made.model("m", {"family": "diffusers", "source": source, **spec})


def fault(add: Any) -> str:
    with pytest.raises(FlowsynthError) as caught:
        add()
    return str(caught.value)


def test_sizes_and_lengths_that_a_model_cannot_make(wan: str) -> None:
    made, model = graph(wan)
    text = fault(lambda: made.add("z", EmptyLatents(height=480, width=830, num_frames=80), model=model))
    assert "params.width" in text
    assert "832" in text
    assert "params.num_frames" in text
    assert "81" in text
    made.add("z", EmptyLatents(height=480, width=832, num_frames=81), model=model)


def test_unknown_options_and_bad_types_name_the_nearest(wan: str) -> None:
    made, model = graph(wan)
    text = fault(lambda: made.add("p", TextEncode(options={"max_sequence_lenght": 3}), model=model))
    assert "max_sequence_length" in text
    size = made.add("z", EmptyLatents(height=16, width=16, num_frames=9), model=model)
    prompt = made.add("p", TextEncode(prompt="a cat"), model=model)
    inputs = {"model": model, "latents": size, "conditioning": prompt}
    bad = Denoise(options={"guidance_scale_2": "high"}, strength=0.5, window=8)
    text = fault(lambda: made.add("d", bad, **inputs))
    assert "params.options.guidance_scale_2" in text
    assert "params.strength" in text
    assert "params.window" in text


def test_ports_without_use_and_what_is_missing(wan: str) -> None:
    made, model = graph(wan)
    size = made.add("z", EmptyLatents(height=16, width=16, num_frames=9), model=model)
    text = fault(lambda: made.add("d", Denoise(), model=model, latents=size, image=size))
    assert "inputs.image" in text
    made, model = graph(wan, pipeline="WanImageToVideoPipeline")
    size = made.add("z", EmptyLatents(height=16, width=16, num_frames=9), model=model)
    text = fault(lambda: made.add("d", Denoise(), model=model, latents=size))
    assert "inputs.image: missing input" in text
    assert "inputs.conditioning: missing input" in text


def test_a_class_that_is_none(wan: str) -> None:
    made, model = graph(wan, pipeline="WanImageToVideoPipelin")
    text = fault(lambda: made.add("p", TextEncode(prompt="a cat"), model=model))
    assert "WanImageToVideoPipeline" in text


def test_a_video_decoder_is_no_map_and_a_plan_imports_no_torch(wan: str) -> None:
    code = f"""
import sys
import flowsynth as fs
from flowsynth.core.streams import Map, Whole
from flowsynth.models import Model
from flowsynth.models.parse import parse_model
model = Model(parse_model("m", {{"family": "diffusers", "source": {wan!r}}}))
assert model.stream("vae_decode") == Whole(), model.stream("vae_decode")
assert model.latent_format(offline=True).frames == 4
assert not {{"torch", "diffusers", "transformers"}} & set(sys.modules)
"""
    python(code)


@pytest.mark.slow
def test_every_class_of_the_library_can_be_read() -> None:
    unreadable = []
    for name in pipeline_names():
        try:
            known = facts(name)
        except InputError as error:
            assert "no pipeline for inference" in str(error)  # noqa: PT017  most can be read
            unreadable.append(name)
            continue
        for verb in ("text_encode", "denoise"):
            option_model(name, verb)(**{})
        assert set(ports_of(known).values()) <= set(known.arguments)
    assert len(unreadable) <= 6, unreadable


def test_what_is_known_of_some_classes() -> None:
    assert facts("FluxPipeline").text_arguments == (
        "prompt", "prompt_2", "max_sequence_length", "negative_prompt", "negative_prompt_2",
    )  # fmt: skip
    assert facts("KandinskyV22Pipeline").decoder == "movq"
    assert facts("WanAnimatePipeline").space_is_pixels
    assert facts("IFPipeline").space_is_pixels
    assert not facts("SanaPipeline").space_is_pixels
    assert ports_of(facts("WanVACEPipeline")).keys() >= {"video", "mask", "reference"}
    assert ports_of(facts("StableDiffusionControlNetPipeline")) == {
        "control": "image",
        "image_prompt": "ip_adapter_image",
    }

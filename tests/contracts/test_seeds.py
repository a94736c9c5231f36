"""What is drawn at random is a function of the key: not of what was drawn before, nor of the process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import flowsynth as fs
from flowsynth.core.registry import operator_class
from flowsynth.core.shipped import shipped_modules
from flowsynth.models.diffusion.schedulers import SCHEDULERS
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.frame_to_frame import FrameToFrame
from flowsynth.operators.diffusion.generate import Generate
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_encode import VaeEncode
from flowsynth.operators.motion.optical_flow import OpticalFlow
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.timing.interpolate import Interpolate
from tests.cache.helpers import python
from tests.nets.judged import judged
from tests.streams import Counter, write_source
from tests.tiny import tiny_sd

# Some of diffusers' schedulers mix numpy and torch in ways that numpy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array:DeprecationWarning")

#: Operators with a seed; one that is not here fails the test below.
SEEDED = {"denoise", "vae_encode", "interpolate", "temporal_smooth", "frame_to_frame", "generate"}
#: Those that need weights or a voice: in their own tests.
ELSEWHERE = {"dream", "speak"}
NEED_TORCHSDE = {"dpmpp_sde", "dpmpp_sde_karras"}
NAMES = sorted(SCHEDULERS if find_spec("torchsde") else set(SCHEDULERS) - NEED_TORCHSDE)


def test_every_operator_with_a_seed_is_tried() -> None:
    seeded = {name for name in shipped_modules() if "seed" in operator_class(name).model_fields}
    assert seeded == SEEDED | ELSEWHERE


def generator(folder: Path) -> Path:
    """A StyleGAN2."""
    file = folder / "stylegan2.safetensors"
    save_file(judged("stylegan2")[0], file)
    return file


def graph(
    folder: Path,
    family: str,
    seed: int = 3,
    frames: int = 1,
    motion: bool = False,
    names: Sequence[str] = NAMES,
) -> fs.Graph:
    """Schedulers, and all other draws, from one seed."""
    g = fs.Graph("seeds")
    extra = {"motion": str(tiny_sd() / "motion_adapter")} if motion else {}
    model = g.model("m", {"family": family, "source": str(tiny_sd() / "base"), **extra})
    text = g.add("text", TextEncode(prompt="a red cat"), model=model)
    latents = g.add("empty", EmptyLatents(width=16, height=16, num_frames=frames), model=model)
    for name in names:
        steps = Denoise(num_inference_steps=3, guidance_scale=1.0, seed=seed, scheduler=name)
        g.add(name, steps, model=model, latents=latents, conditioning=text)
    clip = g.add("clip", Counter(path=write_source(folder / "s.txt", range(4))))
    if family == "sd":  # the other family's VAEs are in its own tests
        g.add("encode", VaeEncode(sample=True, seed=seed), frames=clip, model=model)
        motion_of = g.add("motion", OpticalFlow(direction="previous"), frames=clip)
        moved: dict[str, Any] = {"flow": motion_of.flow, "occlusion": motion_of.occlusion}
        carry = FrameToFrame(num_inference_steps=2, strength=1.0, seed=seed)
        g.add("carry", carry, model=model, frames=clip, conditioning=text, **moved)
    search: dict[str, Any] = {"method": "fastblend", "patch": 3, "iterations": 1, "seed": seed}
    g.add("smooth", TemporalSmooth(**search, radius=1), frames=clip)
    gan = g.model("gan", {"family": "gan", "source": str(generator(folder)), "dtype": "float32"})
    g.add("pictures", Generate(seed=seed, options={"noise": "random"}), model=gan)
    keys = g.add("keys", Counter(path=write_source(folder / "k.txt", (0, 2))))
    g.add("between", Interpolate(**search, factor=2), frames=keys, guide=clip)
    return g


def drawn(folder: Path, cache: str, state: int, **how: Any) -> dict[str, str]:
    """Node -> hash of its result, after the global generators were put into some state."""
    before = torch.random.get_rng_state(), random.getstate(), np.random.get_state()
    torch.manual_seed(state)
    random.seed(state)
    np.random.seed(state)
    try:
        run = graph(folder, **how).run(cache_dir=folder / cache)
    finally:
        torch.random.set_rng_state(before[0])
        random.setstate(before[1])
        np.random.set_state(before[2])
    return {name: next(iter(node.objects.values()), "") for name, node in run.record.nodes.items()}


#: Schedulers that draw at every step: the gate looks at these.
DRAWING = ("ddpm", "euler_a", "dpm2_a", "dpmpp_2m_sde", "sa_solver", "lcm", "tcd")
WAYS = [
    pytest.param({"family": "sd", "names": DRAWING}, id="sd, drawing"),
    pytest.param({"family": "sd"}, id="sd", marks=pytest.mark.slow),
    pytest.param({"family": "sd", "frames": 3}, id="sd, several frames", marks=pytest.mark.slow),
    pytest.param({"family": "sd", "frames": 3, "motion": True}, id="sd with motion", marks=pytest.mark.slow),
    pytest.param({"family": "diffusers"}, id="diffusers", marks=pytest.mark.slow),
]


@pytest.mark.sample(1)
@pytest.mark.parametrize("how", WAYS)
def test_the_state_of_the_global_generators_does_not_matter(how: dict[str, Any], tmp_path: Path) -> None:
    one = drawn(tmp_path, "a", 1, **how)
    assert drawn(tmp_path, "b", 2, **how) == one
    other = drawn(tmp_path, "c", 1, seed=4, **how)
    own = ["encode", "carry"] if how["family"] == "sd" else []
    seeded = ["pictures", *how.get("names", NAMES), *own]
    assert not [name for name in seeded if other[name] == one[name]], "the seed acts"


PROGRAM = """
import sys
from pathlib import Path
from tests.contracts.test_seeds import drawn
print(sorted(drawn(Path(sys.argv[1]), "cache" + sys.argv[2], int(sys.argv[2]), family="sd").items()))
"""


@pytest.mark.slow
def test_another_process_draws_the_same(tmp_path: Path) -> None:
    assert python(PROGRAM, tmp_path, 5) == python(PROGRAM, tmp_path, 6)


def test_the_path_of_dpmpp_sde_follows_the_seed() -> None:
    """Also where torchsde is not installed: what the scheduler is told."""
    from flowsynth.models.diffusion.brownian import seed_path
    from flowsynth.models.diffusion.noise import make_generators

    class Told:
        noise_sampler_seed: object = None

    def told(seed: int | list[int], frames: int, noise: Any) -> object:
        scheduler = Told()
        seed_path(scheduler, make_generators(seed, frames, noise, motion=False), torch.zeros(frames, 4, 2, 2))
        return scheduler.noise_sampler_seed

    assert told(7, 1, "auto") == 7
    assert told(7, 3, "independent") == 7
    assert told(7, 3, "shared") == [7, 7, 7]
    assert told([1, 2, 3], 3, "auto") == [1, 2, 3]
    own = Told()
    own.noise_sampler_seed = 5
    seed_path(own, make_generators(7, 1, "auto", motion=False), torch.zeros(1, 4, 2, 2))
    assert own.noise_sampler_seed == 5

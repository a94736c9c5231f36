"""Mutated graphs: each is a graph or a wrong request, said in one message; never a traceback, never slow."""

from __future__ import annotations

import random
import time

import pytest

import flowsynth as fs
from flowsynth.core.errors import FlowsynthError

GOOD = """\
name: base
models:
  m: {family: sd, source: "shipped:pocket", dtype: float32, loras: [{source: a.safetensors, scale: 0.5}]}
nodes:
  clip: {op: read_image, params: {path: "picture:astronaut", width: 64, height: 64}}
  text: {op: text_encode, inputs: {model: models.m}, params: {prompt: "a cat, (red:1.2)"}}
  latents: {op: vae_encode, inputs: {model: models.m, frames: clip}}
  denoise:
    op: denoise
    inputs: {model: models.m, latents: latents, conditioning: text}
    params: {num_inference_steps: 4, guidance_scale: 1.5, seed: 0x7, controlnets: null}
    device: auto
    cache: auto
  picture: {op: vae_decode, inputs: {model: models.m, latents: denoise}}
  both: {op: concat, inputs: {frames: [clip, picture.out]}}
outputs: [both]
"""
PIECES = (
    *"{}[]:,-&*!|>%@`#'\"\\ \t\n\r\0?~=<.\u00e9\u2028\ufeff\U0001f600",
    *("<<: *a", "&a ", "*a", "!!python/object:os.system ", "!!binary ", "? ", "- - - ", "nodes", "op"),
    *("inputs", "params", "null", "true", "1e309", "-.inf", ".nan", "0o17", "1_000", "2020-01-01"),
    *("[" * 60, "{a: " * 60, "---\n", "...\n", "\ud800"),
)


def mutated(rng: random.Random) -> str:
    """The graph with some pieces cut, moved, doubled or put in."""
    text = GOOD
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(text) + 1), rng.choice([0, 1, 1, 3, 20])
        kind = rng.randrange(4)
        if kind == 0:
            text = text[:at] + text[at + size :]
        elif kind == 1:
            text = text[:at] + rng.choice(PIECES) + text[at + size :]
        elif kind == 2:
            other = rng.randrange(len(text) + 1)
            text = text[:at] + text[other : other + 30] + text[at:]
        else:
            text = text[:at] + chr(rng.choice([rng.randrange(128), rng.randrange(0x110000)])) + text[at + 1 :]
    return text


def outcome(text: str) -> str:
    """What becomes of a text; a traceback fails the test."""
    try:
        fs.Graph.from_yaml(text)
    except FlowsynthError as error:
        return "refused" if error.exit_code == 2 and "Traceback" not in str(error) else f"{text}: {error}"
    return "graph"


def test_the_graph_itself_is_right() -> None:
    assert list(fs.Graph.from_yaml(GOOD).nodes)[-1] == "both"


@pytest.mark.seeds(1, 372)
def test_a_thousand_mutations(seed: int) -> None:
    rng = random.Random(seed)
    kinds = set()
    for _ in range(1000 if seed else 250):  # all seeds: 372,000, the gate few
        text = mutated(rng)
        start = time.process_time()
        kinds.add(outcome(text))
        assert time.process_time() - start < 2, text
    assert kinds == {"graph", "refused"}

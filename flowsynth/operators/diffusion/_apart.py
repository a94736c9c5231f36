"""Frames that are pictures of their own: each is denoised by itself, and none sees another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, FlowsynthError, RequestError
from flowsynth.models import Model
from flowsynth.values import Conditioning, Frames, Latents

#: Seeds are below it.
_SEEDS = 2**63


def apart_faults(inputs: Mapping[str, Any], deflicker: tuple[int, ...]) -> list[Fault]:
    """What does not go with pictures of their own, as far as the nodes above show it.

    Args:
        inputs: port -> what feeds it, as `Operator.check` gets it.
        deflicker: steps at which frames would be smoothed along time.
    """
    found = []
    if deflicker:
        expected = "no steps, or apart: false"
        found.append(Fault("params.deflicker", "pictures have no neighbours", expected, str(list(deflicker))))
    prompt = getattr(inputs.get("conditioning"), "prompt", "")
    if isinstance(prompt, Mapping) and len(prompt) > 1:
        expected = "one prompt for all, or apart: false"
        found.append(Fault("params.apart", "the prompt travels", expected, f"{len(prompt)} prompts"))
    if getattr(inputs.get("latents"), "num_frames", 1) > 1 and _makes_clips(Model.of(inputs.get("model"))):
        expected = "one picture at a time: a sweep, --multirun seed=0,1"
        found.append(Fault("params.apart", "the model makes clips", expected, "true"))
    return found


def _makes_clips(model: Model | None) -> bool:
    try:
        return model is not None and not model.latent_format(offline=True).by_frame
    except FlowsynthError:
        return False  # said when the node runs, with what to do


def require_one_prompt(conditioning: Conditioning | None) -> None:
    """Raise where a prompt is another one from frame to frame.

    Raises:
        RequestError: it is.
    """
    meta = conditioning.meta if conditioning is not None else {}
    words = meta.get("words")
    keys = [meta.get("prompt_frames"), words.get("prompt") if isinstance(words, dict) else None]
    if any(isinstance(given, list) and len(given) > 1 for given in keys):
        raise RequestError("denoise: apart: expected one prompt for all pictures; the conditioning travels")


def seed_of(seed: int | tuple[int, ...], index: int) -> int:
    """The seed of a picture: that of its place in a list, else the first picture's and its number more.

    Raises:
        RequestError: a list that is too short.
    """
    if isinstance(seed, int):
        return (seed + index) % _SEEDS
    if index >= len(seed):
        raise RequestError(f"denoise: {len(seed)} seeds given; expected one for each picture")
    return seed[index]


def each_picture(
    latents: Latents, clips: Mapping[str, list[Frames]]
) -> Iterator[tuple[Latents, dict[str, list[Frames]]]]:
    """Each picture's latents, and of what else there is that of this picture.

    Args:
        latents: T of them.
        clips: by port; a clip of T frames has one for each picture, any other is for all.
    """
    count = latents.num_frames
    for i in range(count):
        own = {
            port: [clip.slice(i, i + 1) if clip.num_frames == count else clip for clip in given]
            for port, given in clips.items()
        }
        yield latents.slice(i, i + 1), own


def within(ctx: RunContext, index: int, count: int) -> RunContext:
    """A context for one of several pictures, whose progress is a share of the whole."""
    say = ctx.on_progress

    def progress(step: int, total: int) -> None:
        if say is not None:
            say(index * total + step, count * total)

    return replace(ctx, on_progress=progress)

"""The numbers of a sampler's call, and what it gives."""

from __future__ import annotations

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.samplers import strength_of
from flowsynth.comfyui.mapping.values import Asked, Edge, Room, Use

#: Seeds end here.
_SEEDS = 1 << 64


def schedule_of(asked: Asked) -> tuple[int, float | None, int]:
    """Steps of the schedule, strength, and steps that run.

    Raises:
        CannotMapError: numbers that ComfyUI itself would run nothing with.
    """
    steps = asked.steps
    if not 0 < steps.denoise <= 1 or steps.steps < 1:
        raise CannotMapError(
            f"expected 1 step or more and denoise above 0 to 1, given {steps.steps} and {steps.denoise:g}"
        )
    total, strength = strength_of(steps.steps, steps.denoise)
    running = (steps.steps if steps.last is None else steps.last) - steps.first
    if running < 1:
        raise CannotMapError(
            f"expected a step that runs, given {steps.first} to {steps.last} of {steps.steps}"
        )
    return total, strength, running


def seed_of(asked: Asked) -> int:
    """The seed.

    Raises:
        CannotMapError: beyond 64 bits.
    """
    if not 0 <= asked.seed < _SEEDS:
        raise CannotMapError(f"seed: expected 0 to 2^64 - 1, given {asked.seed}")
    return asked.seed


def drawn(room: Room, made: Edge, use: Use, noisy: bool) -> Room:
    """Latents that a sampler made: of the size and number of those that it was given."""
    return Room(
        room.width, room.height, room.count, room.frames, edge=made, kind=use.arch, noisy=noisy, use=use
    )

"""What operators on models share: what is asked before a run, and refusals at run time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, FlowsynthError, RequestError
from flowsynth.core.streams import StreamKind
from flowsynth.models import Model
from flowsynth.models.requests import Asked, DecodeSettings, EncodeSettings
from flowsynth.values import Latents

Coding = TypeVar("Coding", DecodeSettings, EncodeSettings)

#: Pixels of a tile's side below which a VAE's own reach would cost more than the tile.
_LEAST_TILE = 128


def model_faults(asked: Asked, inputs: Mapping[str, Any]) -> list[Fault]:
    """What the connected model cannot do of what is asked; nothing where the model has faults of its own.

    Args:
        asked: what the node's parameters say.
        inputs: port -> what feeds it, as `Operator.check` gets it.
    """
    model = Model.of(inputs.get("model"))
    return [] if model is None else model.check(asked, counts(inputs))


def counts(inputs: Mapping[str, Any]) -> dict[str, int]:
    """Port -> how many edges (or values, in a plain call) feed it."""
    return {port: _count(given) for port, given in inputs.items()}


def _count(given: object) -> int:
    return len(given) if isinstance(given, (list, tuple)) else int(given is not None)


def model_stream(verb: str, models: Mapping[str, object], usual: StreamKind) -> StreamKind:
    """How a verb treats time with the model that feeds it; as usual where the model says nothing."""
    model = Model.of(models.get("model"))
    return (None if model is None else model.stream(verb)) or usual


def in_portions(ctx: RunContext, model: Model, asked: Coding, side: int) -> Coding:
    """Settings of a VAE that take less at once, if a device had no room for it and the model's family can.

    Args:
        ctx: says how much less.
        model: the model.
        asked: what the node's parameters say.
        side: the longer side of the frames, pixels.
    """
    batch = ctx.portions.of(asked.batch_size)
    whole = asked.tile_size or 8 * -(-side // 8)
    tiles = replace(asked, tile_size=whole)
    if whole and not model.check(tiles, {}):
        tile = ctx.portions.of(whole, _LEAST_TILE)
        if tile < whole:
            return replace(asked, tile_size=8 * (tile // 8), batch_size=batch)
    return replace(asked, batch_size=batch)


def size_faults(model: Model | None, height: int, width: int, num_frames: int) -> list[Fault]:
    """A size or length that the connected model cannot make, where its configuration lies on this machine."""
    if model is None:
        return []
    try:
        form = model.latent_format(offline=True)
    except FlowsynthError:
        return []  # said when the node runs, with what to do
    return form.faults(height, width, num_frames)


def require_space(latents: Latents, space: str, verb: str) -> None:
    """Raise unless latents are of a model's space.

    Raises:
        RequestError: they come from another family or another VAE.
    """
    if latents.space != space:
        raise RequestError(
            f"{verb}: latents of space {latents.space!r} given to a model of space {space!r};"
            " encode and decode with models of one family and VAE"
        )

"""What operators with trained networks share: how their weights enter keys, and the way out without them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.devices import auto_precision
from flowsynth.core.errors import Fault
from flowsynth.core.fingerprint import code_fingerprint
from flowsynth.core.operator import Operator
from flowsynth.nets.roles import Role
from flowsynth.weights.catalogue import catalogue, weights_path

Precision = Literal["auto", "float32", "float16", "bfloat16"]
PRECISION_TEXT = (
    "of the network's numbers; auto is float16 on a GPU, bfloat16 on a CPU made for it where the network is"
    " as good in it, else float32"
)
TILE_TEXT = "most pixels along a side that a network gets at once; 0: all; null: what 1 GiB holds"


class WeightedOperator(Operator):
    """Base of operators whose `weights` are part of their key by content: a file's, or a name's checksum.

    A subclass says with `_weights` which are used under its params. It may have a param `fallback`: the
    `method` to take where they can't be had.
    """

    @property
    def _weights(self) -> str | None:
        """A name of the catalogue, a file, or None where no trained network is used."""
        return None

    @property
    def _choices(self) -> tuple[str, ...]:
        """All weights that may be used: more than one where the inputs decide."""
        return () if self._weights is None else (self._weights,)

    @property
    def _role(self) -> Role[Any] | None:
        """What a network of these weights is for."""
        return None

    @property
    def _without_weights(self) -> Operator | None:
        """The operator that does without them: the method that a param `fallback` names."""
        method = getattr(self, "fallback", None)
        return method and self.model_copy(update={"method": method, "fallback": None, "weights": None})

    def _idle_precision(self, chosen: str, needed: str) -> list[Fault]:
        """A precision that was written where no network runs.

        Args:
            chosen: what is chosen, such as ``method lanczos``.
            needed: what has a network.
        """
        given = getattr(self, "precision", "auto")
        if given == "auto":
            return []
        return [Fault("params.precision", f"with {chosen}", f"{needed}, or no precision", given)]

    def resolve(self, ctx: RunContext, *, fetch: bool) -> Operator:
        """Itself, or what the user put in its place for the case that its weights can't be had."""
        other = self._without_weights
        missing = other and [one for one in self._choices if not _obtainable(ctx, one, fetch=fetch)]
        if other is None or not missing:
            return self._in_precision(ctx.device) if self._choices else self
        name = missing[0]
        ctx.note(
            f"weights {name} are not here and can't be fetched: {self.op} falls back to another method;"
            f" 'flowsynth weights fetch {name}' where there is a network gets them"
        )
        return other

    def _in_precision(self, device: str) -> Operator:
        """Itself with the numbers that ``auto`` stands for on a device: they are part of what it gives."""
        if getattr(self, "precision", None) != "auto":
            return self
        half = self._role is not None and self._role.half_on_cpu
        return self.model_copy(update={"precision": auto_precision(device, half_on_cpu=half)})

    def files(self, ctx: RunContext) -> Mapping[str, Path]:
        """The checkpoint, if it is a file."""
        del ctx
        return weight_files(self._weights)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """The params, and the checksum of weights that a name stands for; what was only a way out is none."""
        params = super().key_params(files)
        params.pop("fallback", None)
        if len(self._choices) > 1:
            sums: dict[str, Json] = {one: catalogue()[one].tensors_sha256 for one in self._choices}
            params["weights"] = sums
        return {**with_checksum(params, self._weights), **self._plugins(files)}

    def _plugins(self, files: Collection[str]) -> dict[str, Json]:
        """The code of plugged-in networks, by one of which a user's own checkpoint may be known."""
        if "weights" not in files or self._role is None:
            return {}
        from flowsynth.nets.registry import plugin_code

        code: dict[str, Json] = {label: code_fingerprint(label) for label in plugin_code(self._role)}
        return {"networks": code} if code else {}


def weight_files(weights: str | None) -> Mapping[str, Path]:
    """Return the checkpoint file that the param `weights` names, for `Operator.files`.

    Names of the catalogue need no file for the key: their checksum is known without one.

    Args:
        weights: a name of the catalogue, a file, or None for an operator that needs none.

    Raises:
        InputError: neither a name nor a file.
    """
    if weights is None or weights in catalogue():
        return {}
    from flowsynth.models.networks import weights_file

    return {"weights": weights_file(weights)}


def with_checksum(params: dict[str, Json], weights: str | None) -> dict[str, Json]:
    """Put the checksum of a name of the catalogue into the params that enter the key."""
    if weights in catalogue():
        return {**params, "weights": catalogue()[str(weights)].tensors_sha256}
    return params


def _obtainable(ctx: RunContext, name: str, *, fetch: bool) -> bool:
    """Whether weights are here or can be fetched; planning without a run assumes the latter.

    Asked before every run, so nothing heavy is imported unless something has to be fetched.
    """
    if name not in catalogue() or weights_path(catalogue()[name], _folder(ctx)).is_file():
        return True  # whether they are sound is seen when they are loaded
    if ctx.offline or not fetch:
        return not ctx.offline
    from flowsynth.fetch.errors import ChecksumError, FetchError
    from flowsynth.weights.store import fetch_weights

    try:
        fetch_weights(name, _folder(ctx))
    except ChecksumError:
        raise
    except FetchError:
        return False
    return True


def _folder(ctx: RunContext) -> Path:
    """The cache's folder."""
    from flowsynth.cache.location import default_cache_dir

    return ctx.cache_dir or default_cache_dir()

"""Weights that are named by the user: local ones, or from the hub at a commit."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.errors import InputError


def hub_checkpoint(weights: str, revision: str, *, offline: bool) -> Path:
    """Return a checkpoint of a hub repository, fetched into the hub's own cache if need be.

    Args:
        weights: ``ORG/NAME/FILE``; the file may lie in folders.
        revision: a commit.
        offline: never touch the network.

    Raises:
        InputError: no such name, or it is not here and can't be fetched; says how to get it.
    """
    from flowsynth.fetch.hub import hub_file

    organisation, _, rest = weights.partition("/")
    name, _, file = rest.partition("/")
    if not (organisation and name and file):
        raise InputError(f"params.weights: expected ORG/NAME/FILE on the hub, given {weights!r}")
    return hub_file(f"{organisation}/{name}", revision, file, offline=offline)


def model_folder(weights: str, revision: str | None, *, offline: bool) -> Path:
    """Return the folder of a model: a local one, or that of the hub's ``ORG/NAME`` at a commit.

    Raises:
        InputError: nothing is there; says what to do.
    """
    from flowsynth.fetch.source import Source
    from flowsynth.models.locate import locate

    try:
        source = Source(hub=weights, revision=revision) if revision else Source(path=weights)
    except ValueError:
        raise InputError(f"params.weights: expected ORG/NAME on the hub, given {weights!r}") from None
    folder = locate(source, offline=offline)
    if not folder.is_dir():
        raise InputError(f"params.weights: expected a folder, given the file {weights}")
    return folder

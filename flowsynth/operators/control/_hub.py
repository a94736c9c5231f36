"""Weights that are named by the user: local ones, or from the hub at a commit."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.errors import InputError


def hub_file(weights: str, revision: str, *, offline: bool) -> Path:
    """Return a checkpoint of a hub repository, fetched into the hub's own cache if need be.

    Args:
        weights: ``ORG/NAME/FILE``; the file may lie in folders.
        revision: a commit.
        offline: never touch the network.

    Raises:
        InputError: no such name, or it is not here and can't be fetched; says how to get it.
    """
    from huggingface_hub import constants, hf_hub_download

    from flowsynth.models.locate import not_fetched

    organisation, _, rest = weights.partition("/")
    name, _, file = rest.partition("/")
    if not (organisation and name and file):
        raise InputError(f"params.weights: expected ORG/NAME/FILE on the hub, given {weights!r}")
    repository = f"{organisation}/{name}"
    try:
        return Path(
            hf_hub_download(
                repository, file, revision=revision, local_files_only=offline or constants.HF_HUB_OFFLINE
            )
        )
    except (OSError, ValueError) as error:
        wanted = f"params.weights: {file} of {repository!r} at revision {revision}"
        arguments = f"{repository} {file} --revision {revision}"
        raise not_fetched(wanted, arguments, "a local file", error) from None


def model_folder(weights: str, revision: str | None, *, offline: bool) -> Path:
    """Return the folder of a model: a local one, or that of the hub's ``ORG/NAME`` at a commit.

    Raises:
        InputError: nothing is there; says what to do.
    """
    from flowsynth.models.locate import locate
    from flowsynth.models.source import Source

    try:
        source = Source(hub=weights, revision=revision) if revision else Source(path=weights)
    except ValueError:
        raise InputError(f"params.weights: expected ORG/NAME on the hub, given {weights!r}") from None
    folder = locate(source, offline=offline)
    if not folder.is_dir():
        raise InputError(f"params.weights: expected a folder, given the file {weights}")
    return folder

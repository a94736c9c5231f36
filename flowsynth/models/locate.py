"""From a source to a local folder, fetching from the hub only where that is allowed."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.errors import InputError, did_you_mean, listing
from flowsynth.core.paths import user_path
from flowsynth.core.shipped import asset_folder
from flowsynth.fetch.hub import hub_folder
from flowsynth.fetch.source import Source

#: What stands before the name of a model that the package itself ships: no folder takes its place.
SHIPPED = "shipped:"

#: Folders of a pipeline that hold no weights.
_NO_WEIGHTS = ("tokenizer", "scheduler")


def shipped_models() -> list[str]:
    """Names of the models that the package ships."""
    return sorted(index.parent.name for index in asset_folder("").glob("*/model_index.json"))


def local_root(path: str) -> Path:
    """The folder that a local path stands for (``shipped:NAME`` and ``shipped:NAME/...`` lie in the package).

    Raises:
        InputError: no such shipped model.
    """
    if not path.startswith(SHIPPED):
        return user_path(path)
    name, _, rest = path.removeprefix(SHIPPED).partition("/")
    if name not in shipped_models() or ".." in rest.split("/"):
        known = [SHIPPED + model for model in shipped_models()]
        raise InputError(f"{path}: no such model; expected {listing(known)}{did_you_mean(path, known)}")
    return asset_folder(name) / rest


def locate(source: Source, *, offline: bool = False) -> Path:
    """The local folder of a source, or the file of a single-file source.

    Args:
        source: where the files come from.
        offline: never touch the network: a hub model must be in the local cache already.

    Raises:
        InputError: nothing is there; the message says what to do.
    """
    if source.hub:
        root = _hub_folder(source, offline)
    elif source.file:
        return _existing(user_path(source.file), f"model file {source.file}")
    else:
        root = local_root(source.path or "")
        _existing(root, f"model folder {source.path}")
    return _existing(root / source.subfolder, f"{source}") if source.subfolder else root


def _existing(path: Path, what: str) -> Path:
    if path.exists():
        return path
    text = str(path)
    hint = f" ({path.absolute()})" if not path.is_absolute() else f" ({text})"
    if text.partition("/")[0] in shipped_models():
        hint += f"; the model of that name that the package ships is {SHIPPED}{text}"
    raise InputError(
        f"{what}: no such file or folder{hint}; a hub model is written as {{hub: org/name, revision: COMMIT}}"
    )


def _hub_folder(source: Source, offline: bool) -> Path:
    """The local copy of a hub repository, with the files of one component fetched.

    Pickled weights are fetched only where a component has no others.
    """
    weights = f"*.{source.variant}*.safetensors" if source.variant else "*.safetensors"
    root = _snapshot(source, ("*.json", "*.txt", "*.model", "*.jinja", weights), offline)
    folder = root / source.subfolder if source.subfolder else root
    if folder.name not in _NO_WEIGHTS and not any(folder.glob("*.safetensors")):
        root = _snapshot(source, ("*.bin",), offline)
    return root


def _snapshot(source: Source, patterns: tuple[str, ...], offline: bool) -> Path:
    inside = f"{source.subfolder}/" if source.subfolder else ""
    return hub_folder(
        str(source.hub),
        str(source.revision),
        [inside + pattern for pattern in patterns],
        but=None if source.variant else ["*.fp16.*", "*.non_ema.*"],
        offline=offline,
    )

"""Where modules lie and what they hold, found without importing anything."""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
import time
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

from blake3 import blake3

from flowsynth.core.fingerprint.loaded import SavedLater, is_loaded_text

Policy: TypeAlias = Literal["walk", "through", "stop"]

WALKED = ("functional", "nets", "models", "values", "media", "operators")
"""Packages of flowsynth that are part of an operator's source; the rest is named by the key's tag."""

LIBRARIES = frozenset(
    {
        "PIL",
        "accelerate",
        "av",
        "cv2",
        "diffusers",
        "einops",
        "hydra",
        "networkx",
        "numpy",
        "omegaconf",
        "peft",
        "pydantic",
        "safetensors",
        "scipy",
        "skimage",
        "tokenizers",
        "torch",
        "transformers",
        "triton",
        "xformers",
    }
)
"""Never walked, even where they are developed from a checkout: the key names them by version."""

_STDLIB = sysconfig.get_paths()["stdlib"]
_pinned: dict[str, tuple[object, str, bytes]] = {}


@dataclass(frozen=True, slots=True)
class Located:
    """A module's place: its file (empty for a namespace package) and, for a package, its folders."""

    name: str
    path: str
    folders: tuple[str, ...] = ()


def policy_of(module: str, own: frozenset[str]) -> Policy:
    """What a fingerprint does with a module of ours: walk it, pass through its imports, or stop.

    Args:
        module: the dotted name.
        own: top-level names of the operator's own packages and scripts, walked wherever they lie.
    """
    top, _, rest = module.partition(".")
    if top != "flowsynth":
        known = top in LIBRARIES or top in sys.builtin_module_names
        return "walk" if top in own or not known else "stop"
    if not rest:
        return "through"
    return "walk" if rest.partition(".")[0] in WALKED else "stop"


def is_library(place: Located) -> bool:
    """Whether a module is installed code, which the key names by version: never walked."""
    path = place.path or (place.folders[0] if place.folders else "")
    parts = Path(path).parts
    if "site-packages" in parts or "dist-packages" in parts or path.startswith(_STDLIB + os.sep):
        return True
    base = Path(place.folders[0] if place.folders else path).parent
    return _has_metadata(base, place.name)


def _has_metadata(folder: Path, top: str) -> bool:
    """Whether a distribution of that name is installed in a folder outside site-packages."""
    prefix = top.lower() + "-"
    try:
        return any(n.name.lower().startswith(prefix) and n.suffix == ".dist-info" for n in folder.iterdir())
    except OSError:
        return False


class Finder:
    """Finds modules by name and remembers every answer, so that a memo can check them later."""

    def __init__(self) -> None:
        self.found: dict[str, Located | None] = {}
        self._library: dict[str, bool] = {}

    def adopt(self, module_name: str) -> str:
        """The name a loaded module goes by here; a script's is its file's stem.

        Raises:
            KeyError: the module is not loaded or has no file.
        """
        module = sys.modules[module_name]
        path = vars(module).get("__file__")
        if not isinstance(path, str) or not path.endswith(".py"):
            raise KeyError(module_name)
        name = module_name
        if module_name in {"__main__", "__mp_main__"}:
            spec = vars(module).get("__spec__")
            name = spec.name if spec is not None else Path(path).stem
        self.found[name] = _loaded(name, module)
        return name

    def find(self, name: str) -> Located | None:
        """The place of a module, or None if there is no such module of ours to read."""
        if name in self.found:
            return self.found[name]
        parent, _, last = name.rpartition(".")
        if parent:
            above = self.find(parent)
            place = _below(above, name, last) if above is not None else None
        else:
            place = _top(name)
        self.found[name] = place
        return place

    def is_library(self, top: str) -> bool:
        """Whether a top-level module is installed code (or nowhere)."""
        known = self._library.get(top)
        if known is None:
            place = self.find(top)
            known = place is None or is_library(place)
            self._library[top] = known
        return known


def _top(name: str) -> Located | None:
    module = sys.modules.get(name)
    if module is not None:
        return _loaded(name, module)
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    folders = tuple(str(Path(p).absolute()) for p in spec.submodule_search_locations or ())
    return Located(
        name, str(Path(spec.origin).absolute()) if spec.has_location and spec.origin else "", folders
    )


def _loaded(name: str, module: ModuleType) -> Located | None:
    path = vars(module).get("__file__")
    folders = tuple(str(Path(p).absolute()) for p in vars(module).get("__path__") or ())
    if not isinstance(path, str):
        return Located(name, "", folders) if folders else None
    return Located(name, str(Path(path).absolute()), folders)


def _below(parent: Located, name: str, last: str) -> Located | None:
    for folder in parent.folders:
        base = os.path.join(folder, last)  # noqa: PTH118 - called often, and Path costs ten times as much
        inner = os.path.join(base, "__init__.py")  # noqa: PTH118
        if os.path.isfile(inner):  # noqa: PTH113
            return Located(name, inner, (base,))
        if os.path.isfile(base + ".py"):  # noqa: PTH113
            return Located(name, base + ".py")
        for suffix in EXTENSION_SUFFIXES:
            if os.path.isfile(base + suffix):  # noqa: PTH113
                return Located(name, base + suffix)
        if os.path.isdir(base):  # noqa: PTH112
            return Located(name, "", (base,))
    return None


class Reader:
    """Reads source files once, and hashes what they hold.

    A module that is already loaded keeps the text of the first reading for as long as it stays loaded: the
    process runs that code, whatever an editor has saved since.
    """

    def __init__(self) -> None:
        self._seen: dict[str, tuple[str, bytes]] = {}

    def read(self, path: str, module: str) -> tuple[str, bytes]:
        """The hash and the bytes of a file.

        Raises:
            OSError: it cannot be read.
            SavedLater: the module is loaded, from another text.
        """
        seen = self._seen.get(path)
        if seen is None:
            seen = self._pin(path, module) or _read(path)
            self._seen[path] = seen
        return seen

    def _pin(self, path: str, module: str) -> tuple[str, bytes] | None:
        loaded = sys.modules.get(module)
        if loaded is None or vars(loaded).get("__file__") != path:
            return None
        identity = vars(loaded).get("__spec__") or loaded  # a reload makes a new spec
        pin = _pinned.get(path)
        if pin is None or pin[0] is not identity:
            pin = (identity, *_read(path))
            if path.endswith(".py") and not is_loaded_text(loaded, path, pin[2]):
                raise SavedLater(
                    f"{path} was saved after it was imported, so what runs is not what it says; "
                    "start again or reload it"
                )
            _pinned[path] = pin
        return pin[1:]


_texts: dict[str, tuple[tuple[int, ...], tuple[str, bytes]]] = {}
#: What changed so lately may change again within one tick of the file system's clock.
_SETTLED_NS = 50_000_000


def _read(path: str) -> tuple[str, bytes]:
    """The hash and the bytes of a file, read again only where its stamp tells that it changed."""
    stat = os.stat(path)  # noqa: PTH116 - called often
    stamp = (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
    known = _texts.get(path)
    if known is not None and known[0] == stamp:
        return known[1]
    with open(path, "rb") as file:  # noqa: PTH123
        data = file.read()
    found = blake3(data).hexdigest(length=16), data
    if stat.st_ctime_ns + _SETTLED_NS < time.time_ns():
        _texts[path] = stamp, found
    return found

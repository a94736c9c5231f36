"""The user's own operators at a worker: imported there from what is installed there, never sent."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from flowsynth.core.errors import RequestError
from flowsynth.core.operator import Operator
from flowsynth.core.registry import ENTRY_POINT_GROUP, PLUGINS
from flowsynth.core.shipped import shipped_modules


class Module(NamedTuple):
    """Where operators are defined that neither flowsynth nor a plug-in has.

    Attributes:
        op: one of them.
        name: the module's.
        file: its file.
        sha256: of the file.
    """

    op: str
    name: str
    file: str
    sha256: str


def own_modules(classes: Iterable[type[Operator]]) -> list[Module]:
    """The modules that workers have to import for some operators.

    Raises:
        RequestError: one is defined where no other process can import it from.
    """
    found: dict[str, Module] = {}
    for cls in classes:
        if cls.op in shipped_modules() or cls.op in PLUGINS.names() or cls.__module__ in found:
            continue
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if cls.__module__ == "__main__" or file is None or not Path(file).is_file():
            raise RequestError(
                f"executor: operator {cls.op!r} is defined in a script or notebook, which Ray's workers "
                "cannot import; expected it in a file given by --operators, or in an installed package that "
                f"names it in the entry-point group {ENTRY_POINT_GROUP!r}"
            )
        found[cls.__module__] = Module(cls.op, cls.__module__, file, _sha256(Path(file)))
    return list(found.values())


def import_modules(given: Iterable[Module]) -> None:
    """Import them here: by name where they are installed, else the same file from the same path.

    Raises:
        RequestError: one is not here, or another.
    """
    for module in given:
        if module.name in sys.modules:
            continue
        if _installed(module.name):
            importlib.import_module(module.name)
            continue
        path = Path(module.file)
        if not path.is_file() or _sha256(path) != module.sha256:
            what = "another" if path.is_file() else "no"
            raise RequestError(
                f"operator {module.op!r}: there is {what} {path} at the worker; expected the same file at "
                "the same path, or an installed package that names it in the entry-point group "
                f"{ENTRY_POINT_GROUP!r}"
            )
        _load(module.name, path)


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _load(name: str, path: Path) -> None:
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RequestError(f"{path}: cannot be imported at the worker")
    sys.modules[name] = made = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(made)
    except (Exception, SystemExit) as error:  # whatever a user's own file raises
        del sys.modules[name]
        raise RequestError(f"{path}: {type(error).__name__} at the worker: {error}") from error


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

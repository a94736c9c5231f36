"""Write anew which operators this package offers by name, into its ``__init__.py``."""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.shipped import shipped_modules
from flowsynth.operators import class_name

_HEAD = '''"""The verbs: one file per operator. Their classes can be imported from here, each when it is used.

What type checkers see below is written by ``python -m flowsynth.operators``; a test says when that is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
'''
_TAIL = '''

def __getattr__(name: str) -> Any:
    """The class of an operator, imported now."""
    from importlib import import_module

    from flowsynth.core.shipped import shipped_modules

    found = next((module for op, module in shipped_modules().items() if class_name(op) == name), None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(found), name)


def __dir__() -> list[str]:
    """Names of the classes, imported or not."""
    return sorted(__all__)


def class_name(op: str) -> str:
    """What an operator's class is called: ``read_video`` is `ReadVideo`."""
    return "".join(part.title() for part in op.split("_"))
'''


def text() -> str:
    """What ``__init__.py`` should say."""
    names = {class_name(op): module for op, module in shipped_modules().items()}
    pairs = sorted(names.items(), key=lambda pair: pair[1])
    imports = "".join(f"    from {module} import {name}\n" for name, module in pairs)
    listed = "".join(f'    "{name}",\n' for name in sorted(names))
    return f"{_HEAD}{imports}\n__all__ = [\n{listed}]\n{_TAIL}"


if __name__ == "__main__":
    (Path(__file__).resolve().parent / "__init__.py").write_text(text(), encoding="utf-8")

"""The detectors of `annotate`: one for every file of `detectors`, and what they say of themselves."""

from __future__ import annotations

import importlib
import sys
import textwrap
from functools import cache
from pathlib import Path

from flowsynth.nets.registry import networks_code
from flowsynth.operators.control._detector import Detector, Kind

_FOLDER = Path(__file__).parent / "detectors"
_PACKAGE = f"{__package__}.detectors"
_WIDTH = 106


@cache
def detectors() -> dict[str, Detector]:
    """All detectors by name, those of a kind together."""
    stems = sorted(file.stem for file in _FOLDER.glob("*.py") if not file.stem.startswith("_"))
    found = [importlib.import_module(f"{_PACKAGE}.{stem}").DETECTOR for stem in stems]
    return {one.name: one for kind in Kind for one in found if one.kind is kind}


def detectors_code() -> tuple[str, ...]:
    """Their code and that of the networks that they load, for `Operator.uses`: a static walk sees neither."""
    roles = [one.role for one in detectors().values() if one.role is not None]
    own = (f"{_PACKAGE}.{name}:DETECTOR" for name in detectors())
    return (*own, *networks_code(*dict.fromkeys(roles)))


def described(page: str, mark: str) -> str:
    """A page with the detectors' own words at a mark, each kind under what its detectors share."""
    parts = []
    for kind in Kind:
        entries = [_entry(one) for one in detectors().values() if one.kind is kind]
        parts += [textwrap.fill(kind.value, _WIDTH), "\n".join(entries)]
    return page.replace(mark, textwrap.indent("\n\n".join(parts), "    ").lstrip())


def _entry(detector: Detector) -> str:
    text = " ".join((sys.modules[type(detector).__module__].__doc__ or "").split())
    text = text if text[:2].isupper() else text[:1].lower() + text[1:]
    return textwrap.fill(
        f"- ``{detector.name}``: {text}", _WIDTH, subsequent_indent="  ", break_on_hyphens=False
    )

"""What is said of a pipeline before it runs: class, parts with their bytes, ports, licence."""

from __future__ import annotations

import re

from pydantic import JsonValue

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.facts import facts
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.ports import ports_of
from flowsynth.models.families.diffusers.spec import DiffusersSpec

#: Bytes of a number once it is loaded; ``auto`` is that of a CPU.
_ITEM_BYTES = {"float16": 2, "bfloat16": 2}


def describe(spec: DiffusersSpec) -> dict[str, JsonValue]:
    """Class, parts, ports and licence; only what is known of a pipeline that is not on this machine."""
    try:
        known = facts(spec.class_name(offline=True))
        parts = part_classes(spec.index(offline=True))
    except FlowsynthError as error:
        return {"class": f"{spec.pipeline or 'unknown'} ({error})"}
    ports: dict[str, JsonValue] = {
        port: f"{name}{' (needed)' if name in known.required else ''}"
        for port, name in ports_of(known).items()
    }
    return {
        "class": f"{known.name}{', gives pixels' if known.space_is_pixels else ''}",
        "licence": _licence(spec),
        "parts": {name: {"class": kind, "bytes": _bytes(spec, name)} for name, (_, kind) in parts.items()},
        "ports": ports,
    }


def _bytes(spec: DiffusersSpec, name: str) -> int:
    try:
        return spec.part(name, offline=True).nbytes(_ITEM_BYTES.get(spec.dtype, 4))
    except FlowsynthError:
        return 0


def _licence(spec: DiffusersSpec) -> str | None:
    """The licence that a model card's header names."""
    if spec.source.file:
        return None
    card = spec.folder(offline=True) / "README.md"
    text = card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
    found = re.search(r"^licen[cs]e:\s*(\S+)", text, re.MULTILINE)
    return found[1] if found else None

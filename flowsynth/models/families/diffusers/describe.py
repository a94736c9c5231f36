"""What is said of a pipeline before it runs: class, parts with their bytes, ports, licence."""

from __future__ import annotations

import re

from pydantic import JsonValue

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.diffusion.ip_adapter.declared import ip_adapter_bytes
from flowsynth.models.families.diffusers.clips import DENOISERS
from flowsynth.models.families.diffusers.facts import facts
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.ports import ports_of
from flowsynth.models.families.diffusers.spec import INT8, VAE_PARTS, DiffusersSpec, steps_of
from flowsynth.models.spec import ITEM_BYTES


def describe(spec: DiffusersSpec) -> dict[str, JsonValue]:
    """Class, parts, ports and licence; of a pipeline that is not on this machine what its class says."""
    try:
        known = facts(spec.class_name(offline=True))
    except FlowsynthError:
        return {}
    try:
        parts = part_classes(spec.index(offline=True))
    except FlowsynthError:
        parts = {}
    ports: dict[str, JsonValue] = {
        port: f"{name}{' (needed)' if name in known.required else ''}"
        for port, name in ports_of(known).items()
    }
    return {
        "class": f"{known.name}{', gives pixels' if known.space_is_pixels else ''}",
        "licence": _licence(spec) if parts else None,
        "parts": {name: {"class": kind, "bytes": _bytes(spec, name)} for name, (_, kind) in parts.items()},
        "ports": ports,
    }


def _bytes(spec: DiffusersSpec, name: str) -> int:
    try:
        return spec.part(name, offline=True).nbytes(ITEM_BYTES[spec.dtypes.get(name, spec.dtype)])
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


def weight_bytes(spec: DiffusersSpec, parts: tuple[str, ...]) -> int:
    """Bytes of the weights that a step holds on its device; of what waits in host memory none count.

    Raises:
        InputError: a file is missing.
    """
    names = part_classes(spec.index(offline=True))
    total = 0
    for name in names:
        waits = spec.offload != "none" and name not in VAE_PARTS
        if steps_of(name)[0] in parts and not waits:
            narrow = spec.storage is not None and name in DENOISERS
            size = 1 if narrow else ITEM_BYTES[spec.dtypes.get(name, spec.dtype)]
            int8 = spec.quantize == INT8 and name in DENOISERS
            total += spec.part(name, offline=True).nbytes(size, int8=int8) if _has_weights(spec, name) else 0
    if "denoiser" in parts and spec.offload == "none":
        total += sum(ip_adapter_bytes(adapter, ITEM_BYTES[spec.dtype]) for adapter in spec.ip_adapters)
    return total


def _has_weights(spec: DiffusersSpec, name: str) -> bool:
    """Whether a part is a network: tokenizers, schedulers and processors have no weights."""
    try:
        return spec.part(name, offline=True).nbytes(1) > 0
    except FlowsynthError:
        return False

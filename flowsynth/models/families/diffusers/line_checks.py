"""Lines of a model's declaration that its parts' classes have no use for, told from their sources."""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from flowsynth.core.errors import Fault, FlowsynthError, listing, nearest
from flowsynth.models.diffusion.deep_cache import TAKES_DEEP_CACHE, interval_of
from flowsynth.models.families.diffusers.clips import DENOISERS
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.quantized import GGUF, library_of, missing_library
from flowsynth.models.families.diffusers.spec import INT8, VAE_PARTS, DiffusersSpec
from flowsynth.models.requests import Asked, DenoiseSettings


def line_faults(spec: DiffusersSpec, asked: Asked) -> list[Fault]:
    """All of them, as faults of the port that the model feeds."""
    try:
        parts = {name: kind for name, (_, kind) in part_classes(spec.index(offline=True)).items()}
    except FlowsynthError:
        return []  # said when the node runs, with what to do
    denoisers = {name: kind for name, kind in parts.items() if name in DENOISERS}
    vaes = {name: kind for name, kind in parts.items() if name in VAE_PARTS}
    found = [
        _fault("dtypes", listing(sorted(parts)), name, nearest(name, sorted(parts)))
        for name in spec.dtypes
        if name not in parts
    ]
    motion = {name: kind for name, kind in parts.items() if name in ("motion_adapter", "unet")}
    if spec.motion_norm != "clip" and not {"MotionAdapter", "UNetMotionModel"} & {*motion.values()}:
        found.append(_fault("motion_norm", "clip: it has no motion modules", spec.motion_norm))
    wanted = (
        ("vae_tiling", spec.vae_tiling, vaes, "use_tiling"),
        ("vae_slicing", spec.vae_slicing, vaes, "use_slicing"),
        ("compile", spec.compile != "none" and spec.compile, denoisers, "_repeated_blocks"),
        ("storage", spec.storage, denoisers, "ModelMixin"),
    )
    for line, value, group, word in wanted:
        if value and not any(word in class_source(kind) for kind in group.values()):
            kinds = ", ".join(sorted(group.values())) or "part"
            found.append(_fault(line, f"nothing: its {kinds} has no use for it", str(value)))
    found += _quantize_faults(spec, denoisers)
    if spec.step_cache is not None:
        found += _cache_faults(spec.step_cache, denoisers)
    shared = spec.step_cache is not None and not interval_of(spec.step_cache)
    if shared and isinstance(asked, DenoiseSettings) and asked.window is not None:
        found.append(
            _fault(
                "step_cache",
                "nothing with params.window: windows would share one memory",
                str(spec.step_cache),
            )
        )
    return found


def _quantize_faults(spec: DiffusersSpec, denoisers: Mapping[str, str]) -> Iterator[Fault]:
    """Fewer bits where there is nothing to hold in them, beside what does not go with it, or no library."""
    files = spec.gguf_parts()
    line = spec.quantize or ("gguf" if files else None)
    if line is None:
        return
    for name in files:
        if name not in denoisers:
            yield _fault("components", "safetensors: GGUF is for denoisers alone", f"{name}: a {GGUF} file")
    if line == "gguf" and not files:
        yield _fault("quantize", f"a {GGUF} file under components.{_first(denoisers)}", line)
    elif not denoisers or (line == INT8 and files):
        yield _fault("quantize", "nothing: it has no denoiser, or one of a GGUF file", line)
    others = {
        "storage": spec.storage,
        "offload": spec.offload if spec.offload == "disk" else None,
        "loras": len(spec.loras),
        "ip_adapters": len(spec.ip_adapters),
    }
    for other, value in others.items():
        if value:
            yield _fault(other, f"nothing beside {line}", str(value))
    if install := missing_library(line):
        expected = f"the library {library_of(line)}: {install}"
        yield Fault("inputs.model", f"its line quantize: {line}", expected, "not installed")


def _first(denoisers: Mapping[str, str]) -> str:
    return next(iter(denoisers), "transformer")


def _cache_faults(line: str, denoisers: Mapping[str, str]) -> Iterator[Fault]:
    """The way to skip blocks that is for another kind of network."""
    deep = any(kind in TAKES_DEEP_CACHE for kind in denoisers.values())
    first = any("CacheMixin" in class_source(kind) for kind in denoisers.values())
    if not (deep if interval_of(line) else first):
        kinds = listing(sorted(denoisers.values())) or "part"
        instead = "deepcache:3" if deep else "first_block:0.1" if first else ""
        use = f"{instead}, which is for its {kinds}" if instead else f"nothing: its {kinds} has no use for it"
        yield _fault("step_cache", use, line, instead)


def _fault(line: str, expected: str, given: str, near: str = "") -> Fault:
    return Fault("inputs.model", f"its line {line}: no use for it", expected, given, near)


@cache
def class_source(name: str) -> str:
    """The source of a network's class of diffusers; empty where it has none of that name."""
    for path in _files():
        text = path.read_text(encoding="utf-8")
        if re.search(rf"^class {name}\b", text, re.MULTILINE):
            node = next(n for n in ast.parse(text).body if isinstance(n, ast.ClassDef) and n.name == name)
            return ast.get_source_segment(text, node) or ""
    return ""


@cache
def _files() -> tuple[Path, ...]:
    found = importlib.util.find_spec("diffusers")
    places = found.submodule_search_locations if found is not None else None
    return tuple(sorted((Path(next(iter(places))) / "models").rglob("*.py"))) if places else ()

"""What people ask of a run first: prompt, seed, sampler; and its models with hashes and licences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from flowsynth.core.record import NodeRecord, RunRecord
from flowsynth.core.refs import Trace

#: Param -> what people call it, in the order in which they are shown.
_ASKED = {
    "prompt": "Prompt",
    "negative_prompt": "Negative",
    "seed": "Seed",
    "scheduler": "Sampler",
    "num_inference_steps": "Steps",
    "guidance_scale": "Guidance",
    "strength": "Strength",
}
_LICENCE = re.compile(r"Licence:\s+(.+?)\.(?:\s|$)")


def asked(nodes: Mapping[str, NodeRecord], models: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(what, value) of what a run was asked to make; where nodes differ, each value with its node."""
    found = []
    # Other operators have a strength, too, which is none of a model's.
    nodes = {name: node for name, node in nodes.items() if node.dtypes} or nodes
    for param, label in _ASKED.items():
        values: dict[str, list[str]] = {}
        for name, node in nodes.items():
            value = node.params.get(param)
            if value not in (None, "", {}, []):
                values.setdefault(str(value), []).append(name)
        several = len(values) > 1
        text = "\n".join(
            f"{value}  ({', '.join(names[:3])})" if several else value for value, names in values.items()
        )
        if text:
            found.append((label, text))
    named = [f"{spec.get('source', name)}" for name, spec in models.items() if isinstance(spec, dict)]
    return [*found, *([("Model", "\n".join(named))] if named else [])]


def model_rows(record: RunRecord, traces: Mapping[str, Trace]) -> list[dict[str, str]]:
    """Name, family, source, dtype, fingerprint and licence of every model."""
    prints, dtypes = _by_model(record, traces)
    return [
        {
            "name": name,
            "family": str(spec.get("family", "")),
            "source": str(spec.get("source", "")),
            "dtype": ", ".join(dtypes.get(name, {})),
            "fingerprint": ", ".join(prints.get(name, {})),
            "licence": licence_of(str(spec.get("source", ""))),
        }
        for name, spec in record.models.items()
        if isinstance(spec, dict)
    ]


def _by_model(
    record: RunRecord, traces: Mapping[str, Trace]
) -> tuple[dict[str, dict[str, None]], dict[str, dict[str, None]]]:
    """Model -> fingerprints of what was used of it, and the dtypes that it computed in."""
    prints: dict[str, dict[str, None]] = {}
    dtypes: dict[str, dict[str, None]] = {}
    specs: Any = record.graph.get("nodes")
    for name, node in record.nodes.items():
        spec = specs.get(name) if isinstance(specs, dict) else None
        for port, dtype in node.dtypes.items():
            models = _models_at(spec, port)
            hashes = _hashes(traces.get(name), port)
            for i, model in enumerate(models):
                dtypes.setdefault(model, {})[dtype] = None
                if i < len(hashes):
                    prints.setdefault(model, {})[hashes[i]] = None
    return prints, dtypes


def _models_at(spec: Any, port: str) -> list[str]:
    given = spec.get("inputs", {}).get(port) if isinstance(spec, dict) else None
    edges: Sequence[Any] = given if isinstance(given, list) else [given]
    return [str(edge).removeprefix("models.") for edge in edges if str(edge).startswith("models.")]


def _hashes(trace: Trace | None, port: str) -> list[str]:
    import json

    try:
        found = json.loads((trace.reasons() if trace else {}).get("models") or "{}").get(port, [])
    except (ValueError, AttributeError):
        return []
    return [str(text) for text in found] if isinstance(found, list) else []


def licence_of(source: str) -> str:
    """What the shipped configuration of a model says of its licence; empty where there is none."""
    if not source:
        return ""
    if source.startswith("shipped:"):
        return "Apache-2.0 (shipped with flowsynth)"
    for text in _configurations():
        if source in text and (found := _LICENCE.search(re.sub(r"\n#\s*", " ", text))):
            return found[1]
    return ""


def _configurations() -> Iterator[str]:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_shipped" / "conf" / "model", package.parent / "conf" / "model"):
        for path in sorted(folder.glob("*.yaml")):
            yield path.read_text(encoding="utf-8")

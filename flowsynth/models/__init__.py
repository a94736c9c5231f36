"""Model families, sources of weights, and the manager that keeps models loaded."""

from flowsynth.fetch.source import Source
from flowsynth.models.manager import ModelManager
from flowsynth.models.parse import declaration_faults, model_fingerprint, parse_model
from flowsynth.models.port import Model
from flowsynth.models.spec import ModelSpec

__all__ = [
    "Model",
    "ModelManager",
    "ModelSpec",
    "Source",
    "declaration_faults",
    "model_fingerprint",
    "parse_model",
]

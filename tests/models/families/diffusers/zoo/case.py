"""A tiny pipeline and one call of it, in the words of the verbs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Class name of a pipeline -> what makes it and its call.
CASES: dict[str, Case] = {}


@dataclass(frozen=True)
class Case:
    """How a class is built and called.

    Attributes:
        build: makes the pipeline; random weights are drawn from the global generator.
        text: prompts and options of `text_encode`; None where the class knows no text.
        size: of the latents, as `empty_latents` takes it.
        settings: fields of `denoise` (``num_inference_steps``, ``guidance_scale``, ``strength``).
        options: the class's own arguments, as `denoise` takes them under ``options``.
        frames: port of `denoise` -> number of frames of a clip that is given to it.
        pipeline: another class on the same parts.
    """

    build: Callable[[], Any]
    text: Mapping[str, Any] | None = field(default_factory=lambda: {"prompt": "a red cat"})
    size: Mapping[str, int] = field(default_factory=lambda: {"height": 32, "width": 32})
    settings: Mapping[str, Any] = field(default_factory=lambda: {"num_inference_steps": 2})
    options: Mapping[str, Any] = field(default_factory=dict)
    frames: Mapping[str, int] = field(default_factory=dict)
    pipeline: str | None = None


def case(name: str, **values: Any) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Register what makes a pipeline under the name of its class."""

    def register(build: Callable[[], Any]) -> Callable[[], Any]:
        CASES[name] = Case(build, **values)
        return build

    return register

"""Detectors of `annotate` that are trained networks: each loads, and gives a function of frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from flowsynth.core.context import RunContext
from flowsynth.operators.shared.weights import Precision

if TYPE_CHECKING:
    from torch import Tensor


#: From frames (N, 3, H, W), RGB in [0, 1], to a map (N, 1 or 3, H, W) in [0, 1].
Render = Callable[["Tensor"], "Tensor"]


class LearnedParams(Protocol):
    """Parameters of `annotate` that these detectors read."""

    @property
    def levels(self) -> int: ...
    @property
    def score(self) -> float: ...
    @property
    def most(self) -> int: ...
    @property
    def precision(self) -> Precision: ...


#: From the context, the weights and the parameters.
Loader = Callable[[RunContext, str, LearnedParams], Render]


def load_hed(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """Edges, white on black, the wider and greyer the less sure."""
    from flowsynth.models.networks import load_network
    from flowsynth.nets.roles import EDGES

    network = load_network(ctx, EDGES, weights, params.precision)
    dtype = next(network.parameters()).dtype

    def render(frames: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            return network(frames.to(dtype)).float()  # type: ignore[no-any-return]

    return render


def load_softedge(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """HED's edges in a few levels."""
    from flowsynth.functional.picture.softedge import quantise

    hed = load_hed(ctx, weights, params)
    return lambda frames: quantise(hed(frames), params.levels)


def load_lineart(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """Lines as a draughtsman draws them, white on black."""
    from flowsynth.models.networks import load_network
    from flowsynth.nets.roles import LINEART

    network = load_network(ctx, LINEART, weights, params.precision)
    dtype = next(network.parameters()).dtype

    def render(frames: Tensor) -> Tensor:
        import torch

        with torch.inference_mode():
            return 1 - network(frames.to(dtype)).float()  # type: ignore[no-any-return]

    return render


def load_segmentation(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """People white on black."""
    from flowsynth.operators.control._people import load_people, segment_people

    del params
    models = load_people(ctx, weights)
    return lambda frame: segment_people(models, frame)


def load_face(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """Faces as coloured lines on black."""
    from flowsynth.operators.control._people import draw_faces, find_faces, load_people

    models = load_people(ctx, weights)
    return lambda frame: draw_faces(frame, find_faces(models, frame, params.score, params.most))


def load_pose(ctx: RunContext, weights: str, params: LearnedParams) -> Render:
    """Bodies as coloured skeletons on black."""
    from flowsynth.operators.control._people import draw_bodies, find_bodies, load_people

    models = load_people(ctx, weights)
    return lambda frame: draw_bodies(frame, find_bodies(models, frame, params.score, params.most))


LEARNED: Mapping[str, Loader] = {
    "hed": load_hed,
    "softedge": load_softedge,
    "lineart": load_lineart,
    "segmentation": load_segmentation,
    "face": load_face,
    "pose": load_pose,
}
#: Weights that a detector takes unless told otherwise.
DEFAULT_WEIGHTS: Mapping[str, str] = {
    "hed": "hed-bsds500",
    "softedge": "hed-bsds500",
    "segmentation": "mediapipe-selfie",
    "face": "mediapipe-face",
    "pose": "mediapipe-pose",
}
#: Detectors whose weights can be chosen, and that take several frames at once.
CHOSEN = ("hed", "softedge", "lineart", "depth")
#: Those of them whose weights must be named: no package holds any.
NAMED = ("lineart", "depth")

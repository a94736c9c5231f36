"""Near white, far black, by a network that transformers loads for depth estimation.

Depth Anything, DPT: a folder with safetensors, or ORG/NAME on the hub, such as
``depth-anything/Depth-Anything-V2-Small-hf``. Distances (of metric models) are shown as 1 / distance.
White is the depth that 99 % of a frame's pixels lie beyond, black the one that 1 % do. So that the map
doesn't flicker, this range follows the clip: each frame moves it by 1 - `steady` of the way to its own,
and a jump by more than half of it, as at a cut, starts anew. With `steady` 0 each frame has its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.streams import Map, Scan, StreamKind
from flowsynth.operators.control._detector import Detector, DetectorParams, Kind
from flowsynth.operators.shared.frames import map_frames
from flowsynth.values import Frames
from flowsynth.values.frames import as_rgb

if TYPE_CHECKING:
    from torch import Tensor

_PREPROCESSOR = "preprocessor_config.json"
#: Pillow's numbers of the kernels that processors name.
_KERNELS = {2: "bilinear", 3: "bicubic"}
#: Networks that always give distance; others say so in their config.
_METRIC = ("glpn", "zoedepth")


class Depth(Detector):
    """Depth as grey."""

    kind = Kind.NAMED
    runs_by: ClassVar[tuple[str, str]] = ("transformers", "pip install transformers")

    def stream(self, params: DetectorParams) -> StreamKind:
        """Frame by frame, with the range so far handed on."""
        return Scan() if params.steady else Map()

    def files(self, weights: str) -> Mapping[str, Path]:
        """The files of the model's folder."""
        return _files(_folder(weights, None, offline=True))

    def annotate(self, ctx: RunContext, frames: Frames, params: DetectorParams) -> Frames:
        """Return depth as grey, near white, in the range that the clip has shown so far.

        Raises:
            InputError: the folder holds no model that estimates depth.
        """
        import torch

        from flowsynth.functional.picture.depth_range import DepthRange
        from flowsynth.models.pretrained import load_pretrained

        folder = _folder(self.weights_of(params), params.revision, offline=ctx.offline)
        files = _files(folder)
        preprocessor = _preprocessor(files["preprocessor"])
        model = load_pretrained(
            ctx, "AutoModelForDepthEstimation", "estimates depth", files, params.precision
        )
        state = ctx.state if isinstance(ctx.state, list) else None
        shown = DepthRange(params.steady, None if state is None else (float(state[0]), float(state[1])))

        def render(batch: Tensor) -> Tensor:
            with torch.inference_mode():
                depth = _nearness(model, _prepare(as_rgb(batch), preprocessor))
                depth = torch.nn.functional.interpolate(depth, size=batch.shape[-2:], mode="bicubic")
            return torch.stack([shown.show(one) for one in depth]).expand(-1, 3, -1, -1)

        made = map_frames(ctx, frames, render, kind=self.name, batch=params.batch_size)
        if params.steady and shown.state is not None:
            ctx.state = list(shown.state)
        return made


def _nearness(model: Any, pictures: Tensor) -> Tensor:
    """Return (N, 1, h, w), the larger the nearer, in units that only the network knows."""
    depth: Tensor = model(pixel_values=pictures.to(model.dtype)).predicted_depth[:, None].float()
    config = model.config
    metric = getattr(config, "depth_estimation_type", None) == "metric" or config.model_type in _METRIC
    return 1 / depth.clamp(min=1e-3) if metric else depth


def _prepare(frames: Tensor, preprocessor: Mapping[str, Any]) -> Tensor:
    """Resize and normalise (N, 3, H, W) in [0, 1] as the model's processor does, but in floating point."""
    from torch.nn import functional as F

    mode = _KERNELS[preprocessor.get("resample", 3)]
    size = network_size(frames.shape[-2], frames.shape[-1], preprocessor)
    frames = F.interpolate(frames, size=size, mode=mode, antialias=True).clamp(0, 1)
    mean, std = (
        frames.new_tensor(preprocessor.get(name, [0.5] * 3)).view(1, 3, 1, 1)
        for name in ("image_mean", "image_std")
    )
    return (frames - mean) / std


def network_size(height: int, width: int, preprocessor: Mapping[str, Any]) -> tuple[int, int]:
    """Return the size at which a frame goes through the network, as DPT's processor chooses it.

    Both sides by the factor nearer to 1 if the aspect ratio is kept, then to the nearest multiple.
    """
    wanted, multiple = preprocessor["size"], int(preprocessor.get("ensure_multiple_of", 1))
    factors = wanted["height"] / height, wanted["width"] / width
    if preprocessor.get("keep_aspect_ratio", False):
        factors = (min(factors, key=lambda factor: abs(1 - factor)),) * 2
    sides = (side * factor for side, factor in zip((height, width), factors, strict=True))
    high, wide = (max(multiple, round(side / multiple) * multiple) for side in sides)
    return high, wide


def _preprocessor(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sides = int(found["size"]["height"]), int(found["size"]["width"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: expected a size with height and width, as DPT's processors have") from None
    if min(sides) < 1 or found.get("resample", 3) not in _KERNELS:
        raise InputError(f"{path}: expected sides above 0 and resample 2 or 3")
    return dict(found)


def _folder(weights: str, revision: str | None, *, offline: bool) -> Path:
    from flowsynth.operators.control._hub import model_folder

    return model_folder(weights, revision, offline=offline)


def _files(folder: Path) -> dict[str, Path]:
    """The files of a depth model, by parameter."""
    from flowsynth.models.pretrained import folder_files

    return folder_files(folder, {"preprocessor": _PREPROCESSOR}, "a depth model's folder")


DETECTOR = Depth()

"""Depth by whatever network transformers loads for depth estimation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_stamp
from flowsynth.operators.shared.frames import as_rgb, map_frames
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor

_CONFIG, _PREPROCESSOR = "config.json", "preprocessor_config.json"
#: Pillow's numbers of the kernels that processors name.
_KERNELS = {2: "bilinear", 3: "bicubic"}
#: Networks that always give distance; others say so in their config.
_METRIC = ("glpn", "zoedepth")


@dataclass(frozen=True, slots=True)
class DepthSettings:
    """How depth is made and shown.

    Attributes:
        folder: of the model.
        precision: a `Precision`.
        batch: frames at once.
        steady: see `DepthRange`.
    """

    folder: Path
    precision: str
    batch: int
    steady: float


def depth_files(folder: Path) -> dict[str, Path]:
    """Return the files of a model in transformers' layout, for `Operator.files`.

    Raises:
        InputError: something is missing, or the weights are not safetensors.
    """
    from flowsynth.models.weights import weight_files

    for name in (_CONFIG, _PREPROCESSOR):
        if not (folder / name).is_file():
            raise InputError(f"{folder}: no {name}; expected a depth model's folder in transformers' layout")
    weights = weight_files(folder)
    if weights[0].suffix != ".safetensors":
        raise InputError(f"{folder}: expected weights as .safetensors, found {weights[0].name}")
    found = {"weights": weights[0], "config": folder / _CONFIG, "preprocessor": folder / _PREPROCESSOR}
    return {**found, **{f"weights{n}": path for n, path in enumerate(weights[1:], start=1)}}


def annotate_depth(ctx: RunContext, frames: Frames, settings: DepthSettings) -> Frames:
    """Return depth as grey, near white, in the range that the clip has shown so far.

    Raises:
        InputError: the folder holds no model that estimates depth.
    """
    import torch

    from flowsynth.functional.picture.depth_range import DepthRange

    model, preprocessor = _loaded(ctx, settings)
    state = ctx.state if isinstance(ctx.state, list) else None
    shown = DepthRange(settings.steady, None if state is None else (float(state[0]), float(state[1])))

    def render(batch: Tensor) -> Tensor:
        with torch.inference_mode():
            depth = _nearness(model, _prepare(as_rgb(batch), preprocessor))
            depth = torch.nn.functional.interpolate(depth, size=batch.shape[-2:], mode="bicubic")
        return torch.stack([shown.show(one) for one in depth]).expand(-1, 3, -1, -1)

    made = map_frames(ctx, frames, render, kind="depth", batch=settings.batch)
    if settings.steady and shown.state is not None:
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


def _loaded(ctx: RunContext, settings: DepthSettings) -> tuple[Any, dict[str, Any]]:
    stamp = tuple(file_stamp(path) for path in depth_files(settings.folder).values())
    return _load(settings.folder, stamp, ctx.device, settings.precision)


@lru_cache(maxsize=1)
def _load(folder: Path, stamp: tuple[str, ...], device: str, precision: str) -> tuple[Any, dict[str, Any]]:
    """Load; the stamp is there so that another model under the name is loaded again."""
    import torch
    from transformers import AutoModelForDepthEstimation

    from flowsynth.models.manager import LOADING
    from flowsynth.models.quiet import quiet
    from flowsynth.models.weights import check_safetensors, weight_files

    del stamp
    if precision == "auto":
        precision = "float16" if device.startswith("cuda") else "float32"
    for path in weight_files(folder):
        check_safetensors(path)
    with LOADING, quiet():
        try:
            model, info = AutoModelForDepthEstimation.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=getattr(torch, precision),
                output_loading_info=True,
            )
        except (OSError, ValueError, KeyError, RuntimeError) as error:
            first = str(error).strip().partition("\n")[0]
            raise InputError(f"{folder}: not a model that estimates depth ({first})") from None
    if absent := [*info["missing_keys"], *info["mismatched_keys"]]:
        raise InputError(
            f"{folder}: its weights do not fit its config: {absent[0]} is missing or of another shape"
        )
    return model.to(device).eval().requires_grad_(False), _preprocessor(folder / _PREPROCESSOR)


def _preprocessor(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        sides = int(found["size"]["height"]), int(found["size"]["width"])
    except (ValueError, KeyError, TypeError):
        raise InputError(f"{path}: expected a size with height and width, as DPT's processors have") from None
    if min(sides) < 1 or found.get("resample", 3) not in _KERNELS:
        raise InputError(f"{path}: expected sides above 0 and resample 2 or 3")
    return dict(found)

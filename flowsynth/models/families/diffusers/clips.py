"""Where denoisers of clips have their frames, by class: what is needed to give them some at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.spec import DiffusersSpec

if TYPE_CHECKING:
    import torch

#: Parts that predict the noise.
DENOISERS = ("unet", "transformer", "transformer_2")


class ClipLayout(NamedTuple):
    """Which axes of a denoiser's arguments are frames.

    Frames may share an axis with what is inside them (tokens), as its outer index.

    Attributes:
        axis: of the first argument, and of the result.
        channels: axis of the first argument's channels.
        along: further arguments -> their axis of frames, where they have it.
        folded: arguments whose batch is that of the first, times the frames.
        tables: of positions: every part of a clip takes them from the beginning.
        length: argument that says how many frames there are.
    """

    axis: int
    channels: int
    along: Mapping[str, int] = {}
    folded: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    length: str = ""


_FRAMES_THIRD = ClipLayout(2, 1)
_WAN = ClipLayout(2, 1, along={"timestep": 1, "control_hidden_states": 2})
#: By class of the denoiser.
LAYOUTS: dict[str, ClipLayout] = {
    "UNetMotionModel": ClipLayout(
        2,
        1,
        folded=("encoder_hidden_states", "down_block_additional_residuals", "mid_block_additional_residual"),
    ),
    "UNetSpatioTemporalConditionModel": ClipLayout(1, 2),
    "CogVideoXTransformer3DModel": ClipLayout(1, 2, tables=("image_rotary_emb",)),
    "WanTransformer3DModel": _WAN,
    "WanVACETransformer3DModel": _WAN,
    "SkyReelsV2Transformer3DModel": _WAN,
    "HunyuanVideoTransformer3DModel": _FRAMES_THIRD,
    "HunyuanVideo15Transformer3DModel": _FRAMES_THIRD,
    "MochiTransformer3DModel": _FRAMES_THIRD,
    "LTXVideoTransformer3DModel": ClipLayout(1, 2, along={"timestep": 1}, length="num_frames"),
}
#: Classes whose denoisers see more than the clip's frames, or that go piece by piece themselves.
_OTHERWISE = (
    "LTXConditionPipeline",
    "LTXI2VLongMultiPromptPipeline",
    "SkyReelsV2DiffusionForcingPipeline",
    "SkyReelsV2DiffusionForcingImageToVideoPipeline",
    "SkyReelsV2DiffusionForcingVideoToVideoPipeline",
    "WanAnimatePipeline",
    "HunyuanVideoImageToVideoPipeline",
)


def layout_of(spec: DiffusersSpec) -> ClipLayout | None:
    """The layout of a pipeline's denoiser; None where it makes no clips, or they cannot be cut.

    Raises:
        InputError: the pipeline's folder is not on this machine.
    """
    if spec.class_name(offline=True) in _OTHERWISE:
        return None
    parts = part_classes(spec.index(offline=True))
    if "motion_adapter" in parts:  # its class makes a UNet of clips of the two
        return LAYOUTS["UNetMotionModel"]
    kinds = [parts[name][1] for name in DENOISERS if name in parts]
    return next((LAYOUTS[kind] for kind in kinds if kind in LAYOUTS), None)


def known_layout(spec: DiffusersSpec) -> ClipLayout | None:
    """The same; None too where the pipeline's folder is not here."""
    try:
        return layout_of(spec)
    except FlowsynthError:
        return None


def part(value: Any, axis: int, start: int, stop: int, total: int) -> Any:
    """The frames from `start` up to `stop` of a tensor, or of each of some.

    Args:
        value: of frames along an axis, alone or as the outer index; anything else is left alone.
        axis: theirs.
        start: the first.
        stop: one past the last.
        total: how many frames the whole has.
    """
    if isinstance(value, (list, tuple)):
        return type(value)(part(item, axis, start, stop, total) for item in value)
    if not hasattr(value, "narrow") or value.ndim <= axis or value.shape[axis] % total:
        return value
    size = value.shape[axis] // total
    return value.narrow(axis, start * size, (stop - start) * size)


def folded_part(value: Any, start: int, stop: int, total: int) -> Any:
    """The same where the frames are the inner index of the batch."""
    if isinstance(value, (list, tuple)):
        return type(value)(folded_part(item, start, stop, total) for item in value)
    if not hasattr(value, "unflatten") or value.shape[0] % total:
        return value
    return value.unflatten(0, (-1, total))[:, start:stop].flatten(0, 1)


def table_part(value: Any, count: int, total: int) -> Any:
    """The beginning of tables of positions, as far as `count` frames reach."""
    if isinstance(value, (list, tuple)):
        return type(value)(table_part(item, count, total) for item in value)
    return value if value is None else value[: value.shape[0] * count // total]


def frames_of(layout: ClipLayout, first: torch.Tensor, arguments: Mapping[str, Any]) -> int:
    """How many frames a call is given."""
    return int(arguments[layout.length]) if layout.length else int(first.shape[layout.axis])

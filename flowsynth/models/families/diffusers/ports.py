"""From the ports of `denoise` to a pipeline's arguments: pictures and clips as its class wants them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flowsynth.models.families.diffusers.facts import Facts

if TYPE_CHECKING:
    from PIL.Image import Image

    from flowsynth.values import Frames

#: Port -> arguments that may take it, the first that a class has wins.
ALIASES: dict[str, tuple[str, ...]] = {
    "image": ("image", "images", "input_image"),
    "last_image": ("last_image",),
    "video": ("video",),
    "mask": ("mask_image", "mask", "mask_video"),
    "control": ("control_image", "conditioning_frames", "control_video", "image"),
    "reference": ("reference_images", "reference_image"),
    "image_prompt": ("ip_adapter_image",),
    "pose": ("pose_video",),
    "face": ("face_video",),
}
#: Arguments that take all frames of a clip; the others take its first, or each where it has several clips.
_CLIPS = frozenset(
    {"video", "mask_video", "conditioning_frames", "control_video", "pose_video", "face_video"}
)


def argument_of(known: Facts, port: str) -> str | None:
    """The argument of a class that a port feeds; None where the class has no use for it."""
    names = ALIASES[port]
    if port == "control" and "ControlNet" not in known.name and "control_image" not in known.arguments:
        names = tuple(name for name in names if name != "image")
    if port == "image" and "ControlNet" in known.name and "control_image" not in known.arguments:
        return None  # there `image` is the control
    return next((name for name in names if name in known.arguments), None)


def ports_of(known: Facts) -> dict[str, str]:
    """Ports that a class has a use for, with the argument that each feeds."""
    found = {port: argument_of(known, port) for port in ALIASES}
    return {port: name for port, name in found.items() if name is not None}


def picture_arguments(known: Facts, given: Mapping[str, Sequence[Frames]]) -> dict[str, Any]:
    """A pipeline's arguments for the pictures and clips that a node is given."""
    arguments: dict[str, Any] = {}
    for port, clips in given.items():
        name = ports_of(known)[port]
        whole = name in _CLIPS or (name == "mask" and "video" in known.arguments)
        made = [_pictures(clip, "L" if port == "mask" else "RGB") for clip in clips]
        values = made if whole else [pictures[0] if len(pictures) == 1 else pictures for pictures in made]
        several = len(values) > 1 or port == "image_prompt"  # one for each adapter
        arguments[name] = values if several else values[0]
    return arguments


def stand_ins(known: Facts, size: int = 64, count: int = 9) -> dict[str, Any]:
    """Pictures for arguments that a class cannot be called without, where what they show does not matter."""
    from PIL import Image

    blank = Image.new("RGB", (size, size))
    made: dict[str, Any] = {}
    for port, name in ports_of(known).items():
        if name in known.required or port in ("image", "video", "control"):
            mask = port == "mask"
            picture = blank.convert("L") if mask else blank
            made[name] = [picture] * count if name in _CLIPS else picture
    return made


def _pictures(clip: Frames, mode: str) -> list[Image]:
    from PIL import Image

    from flowsynth.values.frames import as_dtype, as_float

    made = []
    for frame in clip.chunks(1):
        data = as_dtype(as_float(frame), "uint8")[0].permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(data[..., 0] if data.shape[-1] == 1 else data)
        made.append(picture.convert(mode))
    return made

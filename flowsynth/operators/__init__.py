"""The verbs: one file per operator. Their classes can be imported from here, each when it is used.

What type checkers see below is written by ``python -m flowsynth.operators``; a test says when that is due.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flowsynth.operators.control.annotate import Annotate
    from flowsynth.operators.diffusion.audio_decode import AudioDecode
    from flowsynth.operators.diffusion.denoise import Denoise
    from flowsynth.operators.diffusion.empty_latents import EmptyLatents
    from flowsynth.operators.diffusion.frame_to_frame import FrameToFrame
    from flowsynth.operators.diffusion.generate import Generate
    from flowsynth.operators.diffusion.join_conditioning import JoinConditioning
    from flowsynth.operators.diffusion.mix_conditioning import MixConditioning
    from flowsynth.operators.diffusion.place_conditioning import PlaceConditioning
    from flowsynth.operators.diffusion.resize_latents import ResizeLatents
    from flowsynth.operators.diffusion.text_encode import TextEncode
    from flowsynth.operators.diffusion.vae_decode import VaeDecode
    from flowsynth.operators.diffusion.vae_encode import VaeEncode
    from flowsynth.operators.files.encode_video import EncodeVideo
    from flowsynth.operators.files.read_image import ReadImage
    from flowsynth.operators.files.read_video import ReadVideo
    from flowsynth.operators.files.save_images import SaveImages
    from flowsynth.operators.files.save_subtitles import SaveSubtitles
    from flowsynth.operators.hosted.hosted_image import HostedImage
    from flowsynth.operators.hosted.hosted_text import HostedText
    from flowsynth.operators.measure.blockiness import Blockiness
    from flowsynth.operators.measure.measure import Measure
    from flowsynth.operators.motion.optical_flow import OpticalFlow
    from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
    from flowsynth.operators.motion.warp import Warp
    from flowsynth.operators.picture.blend_mask import BlendMask
    from flowsynth.operators.picture.burn_subtitles import BurnSubtitles
    from flowsynth.operators.picture.color_match import ColorMatch
    from flowsynth.operators.picture.contact_sheet import ContactSheet
    from flowsynth.operators.picture.contrast import Contrast
    from flowsynth.operators.picture.detail_transfer import DetailTransfer
    from flowsynth.operators.picture.dream import Dream
    from flowsynth.operators.picture.fill import Fill
    from flowsynth.operators.picture.invert import Invert
    from flowsynth.operators.picture.overlay import Overlay
    from flowsynth.operators.picture.sharpen import Sharpen
    from flowsynth.operators.picture.side_by_side import SideBySide
    from flowsynth.operators.picture.stylize import Stylize
    from flowsynth.operators.picture.take_mask import TakeMask
    from flowsynth.operators.size.crop import Crop
    from flowsynth.operators.size.pad import Pad
    from flowsynth.operators.size.resize import Resize
    from flowsynth.operators.size.upscale import Upscale
    from flowsynth.operators.sound.concat_audio import ConcatAudio
    from flowsynth.operators.sound.duck_audio import DuckAudio
    from flowsynth.operators.sound.fade_audio import FadeAudio
    from flowsynth.operators.sound.mix_audio import MixAudio
    from flowsynth.operators.sound.normalize_loudness import NormalizeLoudness
    from flowsynth.operators.sound.read_audio import ReadAudio
    from flowsynth.operators.sound.resample_audio import ResampleAudio
    from flowsynth.operators.sound.speak import Speak
    from flowsynth.operators.sound.trim_audio import TrimAudio
    from flowsynth.operators.timing.concat import Concat
    from flowsynth.operators.timing.fit_clips import FitClips
    from flowsynth.operators.timing.interpolate import Interpolate
    from flowsynth.operators.timing.reverse import Reverse
    from flowsynth.operators.timing.trim import Trim

__all__ = [
    "Annotate",
    "AudioDecode",
    "BlendMask",
    "Blockiness",
    "BurnSubtitles",
    "ColorMatch",
    "Concat",
    "ConcatAudio",
    "ContactSheet",
    "Contrast",
    "Crop",
    "Denoise",
    "DetailTransfer",
    "Dream",
    "DuckAudio",
    "EmptyLatents",
    "EncodeVideo",
    "FadeAudio",
    "Fill",
    "FitClips",
    "FrameToFrame",
    "Generate",
    "HostedImage",
    "HostedText",
    "Interpolate",
    "Invert",
    "JoinConditioning",
    "Measure",
    "MixAudio",
    "MixConditioning",
    "NormalizeLoudness",
    "OpticalFlow",
    "Overlay",
    "Pad",
    "PlaceConditioning",
    "ReadAudio",
    "ReadImage",
    "ReadVideo",
    "ResampleAudio",
    "Resize",
    "ResizeLatents",
    "Reverse",
    "SaveImages",
    "SaveSubtitles",
    "Sharpen",
    "SideBySide",
    "Speak",
    "Stylize",
    "TakeMask",
    "TemporalSmooth",
    "TextEncode",
    "Trim",
    "TrimAudio",
    "Upscale",
    "VaeDecode",
    "VaeEncode",
    "Warp",
]


def __getattr__(name: str) -> Any:
    """The class of an operator, imported now."""
    from importlib import import_module

    from flowsynth.core.shipped import shipped_modules

    found = next((module for op, module in shipped_modules().items() if class_name(op) == name), None)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(found), name)


def __dir__() -> list[str]:
    """Names of the classes, imported or not."""
    return sorted(__all__)


def class_name(op: str) -> str:
    """What an operator's class is called: ``read_video`` is `ReadVideo`."""
    return "".join(part.title() for part in op.split("_"))

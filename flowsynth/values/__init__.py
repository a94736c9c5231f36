"""The values that travel on edges, one file a type, each with its codec."""

from flowsynth.values.audio import Audio
from flowsynth.values.clip import Clip
from flowsynth.values.files import FileSet, Video
from flowsynth.values.frames import Flow, Frames, Mask
from flowsynth.values.latents import Conditioning, Latents
from flowsynth.values.tensors import Tensors

__all__ = [
    "Audio",
    "Clip",
    "Conditioning",
    "FileSet",
    "Flow",
    "Frames",
    "Latents",
    "Mask",
    "Tensors",
    "Video",
]

"""What networks are for. Each role is a folder beside this file; its networks can take each other's place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic

from flowsynth.nets.architecture import Network

if TYPE_CHECKING:
    from flowsynth.nets.clip_generation.videogpt import VideoGpt
    from flowsynth.nets.clip_upscaling.basicvsr import BasicVSR
    from flowsynth.nets.edges.hed import HED
    from flowsynth.nets.generator import PictureGenerator
    from flowsynth.nets.interpolation.ifnet import IFNet
    from flowsynth.nets.likeness.lpips import Lpips
    from flowsynth.nets.lineart.drawings import DrawingGenerator
    from flowsynth.nets.motion.spynet import SPyNet
    from flowsynth.nets.naturalness.niqe import Niqe
    from flowsynth.nets.people.litert import LiteModels
    from flowsynth.nets.staged import StagedNetwork
    from flowsynth.nets.translator import PictureTranslator


@dataclass(frozen=True)
class Role(Generic[Network]):
    """A role; its type says how its networks are called.

    Attributes:
        name: of its folder.
        half_on_cpu: whether its networks were found to be as good in bfloat16, and quicker on a CPU made for
            it (``benchmarks/results/precision.md``).
    """

    name: str
    half_on_cpu: bool = False


UPSCALING: Role[StagedNetwork] = Role("upscaling", half_on_cpu=True)
CLIP_UPSCALING: Role[BasicVSR] = Role("clip_upscaling", half_on_cpu=True)
INTERPOLATION: Role[IFNet] = Role("interpolation", half_on_cpu=True)
MOTION: Role[SPyNet] = Role("motion")
EDGES: Role[HED] = Role("edges", half_on_cpu=True)
LINEART: Role[DrawingGenerator] = Role("lineart")
LIKENESS: Role[Lpips] = Role("likeness")
NATURALNESS: Role[Niqe] = Role("naturalness")
PEOPLE: Role[LiteModels] = Role("people")
GENERATION: Role[PictureGenerator] = Role("generation")
TRANSLATION: Role[PictureTranslator] = Role("translation")
CLIP_GENERATION: Role[VideoGpt] = Role("clip_generation")

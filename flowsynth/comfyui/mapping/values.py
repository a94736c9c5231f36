"""What ComfyUI's wires carry, as far as it decides what a graph becomes; tensors are edges of that graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from flowsynth.core.canonical import Json

#: An edge of the graph: a node's name, or one of its ports.
Edge: TypeAlias = str


@dataclass(frozen=True)
class File:
    """A file of ComfyUI's models.

    Attributes:
        folder: below the models' folder, such as ``checkpoints``.
        name: of the file, as the workflow says it.
    """

    folder: str
    name: str


@dataclass(frozen=True)
class Adapter:
    """A LoRA, or a learned word where `word` says how prompts call it."""

    file: File
    strength: float = 1.0
    word: str = ""


@dataclass(frozen=True)
class Prompting:
    """A picture that takes words' place by an IP-Adapter."""

    adapter: File
    encoder: File | None
    picture: Edge
    weight: float


@dataclass(frozen=True)
class Motion:
    """A motion module and how its windows lie.

    Attributes:
        file: of the module.
        window: frames at once; 0 leaves it to the model.
        stride: frames between windows.
    """

    file: File
    window: int = 0
    stride: int = 0
    beta: str = ""


@dataclass(frozen=True)
class Net:
    """MODEL: a denoiser with all that patches it.

    Attributes:
        file: a checkpoint, or a denoiser alone.
        whole: whether the file holds text encoders and VAE, too.
        loras: in order.
        prompting: IP-Adapters with their pictures.
        motion: AnimateDiff's.
        scheduler: options of the scheduler's class that sampling patches stand for.
        options: of `denoise`, likewise.
    """

    file: File
    whole: bool = True
    loras: tuple[Adapter, ...] = ()
    prompting: tuple[Prompting, ...] = ()
    motion: Motion | None = None
    scheduler: tuple[tuple[str, Json], ...] = ()
    options: tuple[tuple[str, Json], ...] = ()


@dataclass(frozen=True)
class Clip:
    """CLIP: text encoders.

    Attributes:
        files: a checkpoint, or one file an encoder.
        kind: what the loader calls the model, such as ``flux``; empty for a checkpoint.
        loras: in order.
        skip: layers left out at the end.
    """

    files: tuple[File, ...]
    kind: str = ""
    loras: tuple[Adapter, ...] = ()
    skip: int | None = None


@dataclass(frozen=True)
class Vae:
    """VAE: of a checkpoint (`whole`) or a file of its own."""

    file: File
    whole: bool = True


@dataclass(frozen=True)
class ControlNet:
    """CONTROL_NET."""

    file: File
    union: str = ""


@dataclass(frozen=True)
class Upscaler:
    """UPSCALE_MODEL."""

    file: File


@dataclass(frozen=True)
class Vision:
    """CLIP_VISION, or what it makes of a picture (CLIP_VISION_OUTPUT)."""

    file: File | None
    picture: Edge = ""


@dataclass(frozen=True)
class Picture:
    """IMAGE: frames; `width` and `height` are 0 where only a run knows them; `count` likewise."""

    edge: Edge
    width: int = 0
    height: int = 0
    count: int = 0
    alpha: Edge = ""


@dataclass(frozen=True)
class Area:
    """MASK: frames that are white where it holds; an empty edge is black everywhere."""

    edge: Edge
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Words:
    """A prompt as one of the text encoders' nodes says it.

    Attributes:
        clip: what encodes it.
        text: the prompt.
        options: of `text_encode`, such as ``prompt_2``.
        told: options of `denoise` that the node stands for, such as SDXL's sizes.
    """

    clip: Clip
    text: str
    options: tuple[tuple[str, Json], ...] = ()
    told: tuple[tuple[str, Json], ...] = ()


@dataclass(frozen=True)
class Mixed:
    """States that are mixed before the denoiser sees them; `second` is missing for ``zero``."""

    how: Literal["average", "concat", "zero"]
    first: Phrase
    second: Phrase | None = None
    share: float = 1.0


Phrase: TypeAlias = "Words | Mixed"


@dataclass(frozen=True)
class Part:
    """What is said of a part of the picture, or of some of the steps.

    Attributes:
        phrase: the text.
        box: x, y, width and height in pixels or shares of the picture.
        shares: whether the box is in shares.
        mask: white where it holds.
        strength: weight beside other parts.
        start: share of the noise schedule before it acts.
        end: share of the noise schedule until it stops.
    """

    phrase: Phrase
    box: tuple[float, float, float, float] | None = None
    shares: bool = False
    mask: Edge = ""
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0

    @property
    def plain(self) -> bool:
        """Whether it holds everywhere, at all steps, for all of it."""
        return self == Part(self.phrase)


@dataclass(frozen=True)
class Steering:
    """A ControlNet at work."""

    net: ControlNet
    picture: Edge
    strength: float
    start: float = 0.0
    end: float = 1.0


@dataclass(frozen=True)
class Cond:
    """CONDITIONING.

    Attributes:
        parts: what is said, where.
        steering: ControlNets.
        guidance: that a distilled model is told.
        pictures: further inputs of `denoise`, by port.
        options: of `denoise`.
        rate: frames a second that the model is told.
    """

    parts: tuple[Part, ...]
    steering: tuple[Steering, ...] = ()
    guidance: float | None = None
    pictures: tuple[tuple[str, Edge], ...] = ()
    options: tuple[tuple[str, Json], ...] = ()


@dataclass(frozen=True)
class Use:
    """What a node needs of a model.

    Attributes:
        arch: name of the architecture; empty where any does.
        net: its denoiser, with all that patches it.
        clip: its text encoders.
        vae: its VAE.
        controls: ControlNets that its nodes use.
        pipeline: diffusers' class, where the architecture's own does not do.
        second: a second denoiser for the later steps.
    """

    arch: str
    net: Net | None = None
    clip: Clip | None = None
    vae: Vae | None = None
    controls: tuple[ControlNet, ...] = ()
    pipeline: str = ""
    second: Net | None = None


@dataclass(frozen=True)
class Room:
    """LATENT: what is to be denoised.

    Attributes:
        width: of the pictures, pixels; 0 where only a run knows.
        height: likewise.
        count: pictures of a batch.
        frames: of a clip; 0 for pictures.
        edge: latents that are there, if any.
        picture: what they are encoded of, or decode to, if known.
        vae: that encodes `picture`.
        mask: white where they are drawn anew.
        hole: white where `picture` is to be grey.
        kind: what the node that made them is for, such as ``sd3``.
        noisy: whether noise was left in them.
        whole: whether the denoiser itself sees `picture` and `mask`.
        pictures: further inputs of `denoise`, by port.
        use: the model that made them.
        held: what a sampler was asked whose steps the next one's model goes on with.
    """

    width: int = 0
    height: int = 0
    count: int = 1
    frames: int = 0
    edge: Edge = ""
    picture: Edge = ""
    vae: Vae | None = None
    mask: Edge = ""
    hole: Edge = ""
    kind: str = ""
    noisy: bool = False
    whole: bool = False
    pictures: tuple[tuple[str, Edge], ...] = ()
    use: Use | None = None
    held: Asked | None = None


@dataclass(frozen=True)
class Sampler:
    """SAMPLER: a method by ComfyUI's name."""

    name: str


@dataclass(frozen=True)
class Steps:
    """SIGMAS: a schedule by ComfyUI's name, of which steps `first` to `last` run."""

    scheduler: str
    steps: int
    denoise: float = 1.0
    first: int = 0
    last: int | None = None
    sigmas: tuple[float, ...] = ()
    options: tuple[tuple[str, Json], ...] = ()


@dataclass(frozen=True)
class Asked:
    """A call of a sampler.

    Attributes:
        net: the denoiser.
        positive: what to show.
        negative: what not to; None without guidance.
        cfg: guidance.
        sampler: ComfyUI's name.
        steps: the schedule and which of it runs.
        seed: of the noise.
        noise: whether noise is added before.
        leftover: whether noise is left after the last step.
    """

    net: Net
    positive: Cond
    negative: Cond | None
    cfg: float
    sampler: str
    steps: Steps
    seed: int
    noise: bool = True
    leftover: bool = False


@dataclass(frozen=True)
class Noise:
    """NOISE: a seed, or none at all."""

    seed: int | None


@dataclass(frozen=True)
class Guider:
    """GUIDER: a net with its conditionings."""

    net: Net
    positive: Cond
    negative: Cond | None
    cfg: float


@dataclass(frozen=True)
class Clipping:
    """VIDEO: frames with a rate, and sound."""

    frames: Picture
    fps: float | None
    audio: Edge = ""


@dataclass(frozen=True)
class Sound:
    """AUDIO."""

    edge: Edge


@dataclass(frozen=True)
class Missing:
    """What a node that cannot be imported would have given."""


@dataclass(frozen=True)
class Opaque:
    """Something that only its own nodes read, by name."""

    what: str
    items: tuple[tuple[str, object], ...] = ()

    def get(self, name: str) -> object:
        """One of its items; None where it has none of that name."""
        return dict(self.items).get(name)

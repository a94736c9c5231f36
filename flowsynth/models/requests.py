"""What operators ask of a model, whatever its family.

What a node's parameters say is known before a run, and is what `Family.check` gets: a subclass of `Asked`,
one a verb. What comes along edges joins it when the node runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import JsonValue

from flowsynth.core.context import Portions

if TYPE_CHECKING:
    import torch

    from flowsynth.core.context import Kept
    from flowsynth.values import Conditioning, Frames, Latents

#: A family's own options of a verb, as the graph writes them.
Given: TypeAlias = Mapping[str, JsonValue]
#: ``(start, stop) -> (stop - start) x 3 x H x W`` in [0, 1]: frames are read when a window needs them.
FrameReader: TypeAlias = "Callable[[int, int], torch.Tensor]"
PerControl: TypeAlias = float | tuple[float, ...]
#: Ports of `denoise` for pictures and clips to start from or to follow. A family says which its models use.
PICTURE_PORTS = ("image", "last_image", "video", "mask", "reference", "image_prompt", "pose", "face")


def _nothing() -> None:
    return None


def _ignore_progress(_step: int, _total: int) -> None:
    return None


def _ignore_note(_text: str) -> None:
    return None


def _ignore_look(_latents: Callable[[], torch.Tensor]) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Hooks:
    """What a verb tells and asks while it works.

    Attributes:
        progress: called with (steps done, steps in all) after every step.
        check: called before every pass of a network; raises to cancel.
        note: tells the user something, once.
        kept: where parts of the work are kept while it goes on, if anywhere.
        portions: what to take at once of what changes a result by rounding at most.
        look: called at a step with what gives the latents that it leads to, T x C x h x w, if asked at once.
    """

    progress: Callable[[int, int], None] = _ignore_progress
    check: Callable[[], None] = _nothing
    note: Callable[[str], None] = _ignore_note
    kept: Kept | None = None
    portions: Portions = field(default_factory=Portions)
    look: Callable[[Callable[[], torch.Tensor]], None] = _ignore_look


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a node asks of its model, as far as its parameters say.

    Attributes:
        verb: name of the operator.
        options: the family's own options of that verb.
    """

    verb: ClassVar[str] = ""

    options: Given = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRequest(Asked):
    """Prompts to encode.

    Attributes:
        prompt: what to show, by the frame at which it holds; a single one holds for the whole clip.
        negative_prompt: what not to show, likewise.
    """

    verb: ClassVar[str] = "text_encode"

    prompt: Mapping[int, str]
    negative_prompt: Mapping[int, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeSettings(Asked):
    """How frames become latents.

    Attributes:
        seed: of a draw from the posterior; None takes its mode.
        tile_size: pixels of a tile's side; 0 encodes whole frames.
        batch_size: frames at once.
    """

    verb: ClassVar[str] = "vae_encode"

    seed: int | None = None
    tile_size: int = 0
    batch_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSettings(Asked):
    """How latents become frames.

    Attributes:
        tile_size: pixels of a tile's side; 0 decodes whole frames.
        batch_size: frames at once.
    """

    verb: ClassVar[str] = "vae_decode"

    tile_size: int = 0
    batch_size: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundSettings(Asked):
    """How latents of a clip become its sound."""

    verb: ClassVar[str] = "audio_decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class DenoiseSettings(Asked):
    """Everything about a denoising call that is a number or a choice.

    Attributes:
        num_inference_steps: steps of the scheduler; None takes the family's own number.
        guidance_scale: classifier-free guidance; at most 1 turns it off; None takes the family's own.
        strength: share of the noise put on the initial latents, in [0, 1]; None takes the family's own.
        seed: one seed, or one a frame.
        scheduler: its name; None takes the model's.
        scheduler_options: of the scheduler's class.
        window: frames that the model sees at once; None takes the family's own number.
        stride: step between windows; at most ``window``; None is half of it.
        controlnets: names of what the controls go to, in order; None takes the model's.
        control_scale: weight of the controls, one for all or one each.
        control_start: share of the steps before they act.
        control_end: share of the steps until they stop.
        deflicker: steps at which the predicted clean frames are smoothed.
    """

    verb: ClassVar[str] = "denoise"

    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    strength: float | None = None
    seed: int | tuple[int, ...] = 0
    scheduler: str | None = None
    scheduler_options: Given = field(default_factory=dict)
    window: int | None = None
    stride: int | None = None
    controlnets: tuple[str, ...] | None = None
    control_scale: PerControl = 1.0
    control_start: PerControl = 0.0
    control_end: PerControl = 1.0
    deflicker: tuple[int, ...] = ()

    def control_factors(self, count: int) -> list[tuple[float, float, float]]:
        """Weight, start and end of each of some controls."""
        columns = [
            value if isinstance(value, tuple) else (value,) * count
            for value in (self.control_scale, self.control_start, self.control_end)
        ]
        return list(zip(*columns, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateSettings(Asked):
    """Pictures made in one go, without steps of denoising.

    Attributes:
        prompt: what to show, for models that read one.
        class_label: number of the class to show, for models that have some.
        num_images: pictures to make; as many as there are frames where a picture is translated.
        seed: of the first picture's random numbers; the next picture has the next seed.
    """

    verb: ClassVar[str] = "generate"

    prompt: str = ""
    class_label: int | None = None
    num_images: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class GenerateRequest:
    """A call of `generate` on a loaded model.

    Attributes:
        settings: numbers and choices.
        image: pictures to make others of, or to go by, if the node is given any.
        hooks: progress and cancellation.
    """

    settings: GenerateSettings
    image: Frames | None = None
    hooks: Hooks = field(default_factory=Hooks)


@dataclass(frozen=True, slots=True)
class DeflickerRequest:
    """Smoothing of the predicted clean frames at some steps (DiffSynth, arXiv 2308.03463).

    Attributes:
        steps: which, from 0 among those that run.
        smooth: T x 3 x H x W, float32 in [0, 1], to the same.
        size: (H, W) of the frames; what the latents hold beyond is padding.
    """

    steps: frozenset[int]
    smooth: Callable[[torch.Tensor], torch.Tensor]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class DenoiseRequest:
    """A denoising call on a loaded model.

    Attributes:
        settings: numbers and choices.
        latents: what to denoise; empty ones only say the size.
        conditioning: what the model's own `text_encode` made, if the node is given any.
        controls: readers of the control clips, in order.
        pictures: pictures and clips by port of the node, the controls among them.
        deflicker: smoothing of the clean frames, if any.
        hooks: progress and cancellation.
    """

    settings: DenoiseSettings
    latents: Latents
    conditioning: Conditioning | None = None
    controls: Sequence[FrameReader] = ()
    pictures: Mapping[str, Sequence[Frames]] = field(default_factory=dict)
    deflicker: DeflickerRequest | None = None
    hooks: Hooks = field(default_factory=Hooks)

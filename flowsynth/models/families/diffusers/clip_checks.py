"""What of windows and smoothing over time a pipeline cannot do, told from its configurations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from flowsynth.core.errors import Fault, FlowsynthError
from flowsynth.models.families.diffusers.clips import DENOISERS, layout_of
from flowsynth.models.families.diffusers.facts import Facts
from flowsynth.models.families.diffusers.formats import decoder_config, latent_format, part_config
from flowsynth.models.families.diffusers.index import part_classes
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.latent_format import LatentFormat
from flowsynth.models.requests import DenoiseSettings

#: Classes whose loop steps over something else than the clip's latents.
_NO_CLEAN_CLIP = ("LTXImageToVideoPipeline",)


def clip_faults(
    spec: DiffusersSpec, known: Facts, asked: DenoiseSettings, inputs: Mapping[str, int]
) -> list[Fault]:
    """Windows and deflickering of pictures, lengths that the model cannot make, or past its positions."""
    found = []
    if asked.window is None and asked.stride is not None:
        found.append(Fault("params.stride", "no window", "params.window with it", str(asked.stride)))
    try:
        layout, form = layout_of(spec), latent_format(spec, offline=True)
        deflicker = _deflicker_faults(spec, known, asked)
    except FlowsynthError:
        return found  # said when the node runs, with what to do
    alone = layout is not None and not inputs.get("reference")
    why = "makes no clips" if form.by_frame and layout is None else "needs the whole clip"
    expected = f"null: {known.name} {why}{' with a reference' if layout is not None else ''}"
    for name, value in (("window", asked.window), ("deflicker", asked.deflicker or None)):
        if value is not None and not alone:
            found.append(Fault(f"params.{name}", "not for this model", expected, str(value)))
    if alone and asked.window is not None:
        found += _length_faults(spec, form, asked.window)
        found += [*_stride_faults(form, asked), *_limit(spec, asked.window)]
    return [*found, *deflicker] if alone else found


def _deflicker_faults(spec: DiffusersSpec, known: Facts, asked: DenoiseSettings) -> list[Fault]:
    if not asked.deflicker:
        return []
    config = decoder_config(spec, known, offline=True)[1]
    if known.name in _NO_CLEAN_CLIP or config.get("timestep_conditioning"):
        expected = f"none: {known.name} keeps its clean clip to itself"
        return [Fault("params.deflicker", "not for this model", expected, str(asked.deflicker))]
    steps, last = asked.num_inference_steps, max(asked.deflicker)
    if steps is None or last < steps:
        return []
    expected = f"0 to {steps - 1}, as num_inference_steps says"
    return [Fault("params.deflicker", "no such step", expected, str(last))]


def _length_faults(spec: DiffusersSpec, form: LatentFormat, window: int) -> list[Fault]:
    found = form.faults(form.multiple, form.multiple, window)
    if found:
        return [replace(fault, path="params.window") for fault in found]
    fold = _folded_frames(spec)
    if form.latent_count(window) % fold:
        expected = f"a multiple of {fold} latent frames, each {form.frames} frames"
        return [Fault("params.window", "not a length of this model", expected, str(window))]
    return []


def _stride_faults(form: LatentFormat, asked: DenoiseSettings) -> list[Fault]:
    if asked.stride is None or asked.stride % form.frames == 0:
        return []
    near = str(max(round(asked.stride / form.frames), 1) * form.frames)
    expected = f"a multiple of {form.frames} frames"
    return [Fault("params.stride", "not a step of this model", expected, str(asked.stride), near)]


def _limit(spec: DiffusersSpec, window: int) -> list[Fault]:
    """A window longer than the motion modules' position table."""
    part = "motion_adapter" if "motion_adapter" in part_classes(spec.index(offline=True)) else "unet"
    try:
        limit = part_config(spec, part, offline=True).get("motion_max_seq_length")
    except FlowsynthError:
        return []
    if limit is None or window <= limit:
        return []
    message = "past the motion adapter's position table"
    return [Fault("params.window", message, f"at most {limit} frames", str(window))]


def _folded_frames(spec: DiffusersSpec) -> int:
    """Latent frames that the denoiser takes as one."""
    name = next((name for name in DENOISERS if name in part_classes(spec.index(offline=True))), "")
    config = part_config(spec, name, offline=True) if name else {}
    return int(config.get("patch_size_t") or 1)

"""All classes that are imported, by name."""

from __future__ import annotations

from collections.abc import Mapping

from flowsynth.comfyui.mapping import (
    animatediff,
    control,
    images,
    latents,
    loaders,
    masks,
    plain,
    sampling,
    sd3_flux_wan,
    text,
    video,
)  # fmt: skip
from flowsynth.comfyui.mapping.table import NodeClass

_THEMES = (
    loaders, text, sampling, latents, images, masks, control, video, animatediff, sd3_flux_wan, plain,
)  # fmt: skip
CLASSES: Mapping[str, NodeClass] = {name: entry for theme in _THEMES for name, entry in theme.TABLE.items()}
WIDGETS: Mapping[str, tuple[str, ...]] = {name: entry.widgets for name, entry in CLASSES.items()}

"""What a sampler becomes: `denoise` with its texts and latents, in the family of its model."""

from __future__ import annotations

from flowsynth.comfyui.mapping.architectures import Arch, arch_of, is_inpainting
from flowsynth.comfyui.mapping.denoise_pipeline import drawn_by_pipeline
from flowsynth.comfyui.mapping.denoise_sd import drawn_by_sd
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.values import Asked, Room


def drawn(site: Site, asked: Asked, room: Room) -> Room:
    """Add what draws, and give the latents that it makes."""
    arch = arch_of(asked.net.file.name, site.sketch.hints)
    return (
        drawn_by_sd(site, asked, room, arch)
        if by_loop(arch, asked, room)
        else drawn_by_pipeline(site, asked, room, arch)
    )


def by_loop(arch: Arch, asked: Asked, room: Room) -> bool:
    """Whether family `sd` does it; diffusers' pipelines see pictures and masks."""
    seen = bool(asked.net.prompting) or bool(asked.positive.pictures) or room.whole
    return arch.family == "sd" and not seen and not is_inpainting(asked.net.file.name)

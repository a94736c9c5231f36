"""Latents: empty ones, of pictures, scaled, repeated, decoded."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.images import alpha_of
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, node
from flowsynth.comfyui.mapping.values import Area, Edge, Picture, Room, Use, Vae
from flowsynth.core.canonical import Json

#: Filters of latents.
_FILTERS = {
    "nearest-exact": "nearest",
    "bilinear": "bilinear",
    "area": "area",
    "bicubic": "bicubic",
    "bislerp": "slerp",
}


def empty(kind: str = "", frames: str = "") -> Mapper:
    """Latents of nothing, of pictures or (with a port for their number) of a clip."""

    def run(site: Site) -> Outputs:
        size = site.whole("width", 512), site.whole("height", 512)
        length = site.whole(frames, 1) if frames else 0
        return (Room(*size, count=max(site.whole("batch_size", 1), 1), frames=length, kind=kind),)

    return run


def encoded(site: Site) -> Outputs:
    """Latents of pictures."""
    picture = site.need("pixels", Picture)
    size = picture.width, picture.height
    return (Room(*size, count=picture.count, picture=picture.edge, vae=site.need("vae", Vae)),)


def encoded_for_inpainting(site: Site) -> Outputs:
    """Latents of a picture of which a mask is grey, and the mask, grown."""
    (room,) = encoded(site)
    mask = alpha_of(site, site.need("mask", Area))
    whole = site.add("take_mask", {"frames": mask}, {"threshold": 0.5}, name="hole")
    grown = site.add(
        "take_mask", {"frames": mask}, {"grow": site.whole("grow_mask_by", 6), "threshold": 0.5}, name="mask"
    )
    return (replace(_room(room), mask=grown, hole=whole),)


def masked(site: Site) -> Outputs:
    """Latents of which only a part is drawn anew."""
    room, mask = site.need("samples", Room), site.need("mask", Area)
    return (replace(room, mask=alpha_of(site, mask)),)


def scaled(site: Site) -> Outputs:
    """Latents brought to a size in pixels."""
    room = site.need("samples", Room)
    width, height = site.whole("width"), site.whole("height")
    if not width and not height:
        return (room,)
    if site.text("crop", "disabled") == "center" and not _same_aspect(room, width, height):
        raise CannotMapError("crop: expected disabled, or a size of the latents' aspect, given center")
    params: dict[str, Json] = {"width": width or None, "height": height or None, "method": _filter(site)}
    return (_resized(site, room, params, width, height),)


def scaled_by(site: Site) -> Outputs:
    """Latents times a factor."""
    room, factor = site.need("samples", Room), site.number("scale_by", 1.5)
    size = round(room.width * factor), round(room.height * factor)
    return (_resized(site, room, {"factor": factor, "method": _filter(site)}, *size),)


def _filter(site: Site) -> str:
    name = site.text("upscale_method", "nearest-exact")
    if name not in _FILTERS:
        raise CannotMapError(f"upscale_method: expected one of {', '.join(_FILTERS)}, given {name!r}")
    return _FILTERS[name]


def _same_aspect(room: Room, width: int, height: int) -> bool:
    return bool(room.width) and abs(room.width * height - room.height * width) < 8 * (width + height)


def _resized(site: Site, room: Room, params: dict[str, Json], width: int, height: int) -> Room:
    if not room.edge and not room.picture:
        return replace(room, width=width or room.width, height=height or room.height)
    edge = site.add("resize_latents", {"latents": latents_edge(site, room)}, params)
    return replace(room, edge=edge, picture="", width=width, height=height)


def repeated(site: Site) -> Outputs:
    """More pictures of the same latents."""
    room, amount = site.need("samples", Room), site.whole("amount", 1)
    count = room.count * amount
    if room.edge:
        raise CannotMapError("amount: expected empty latents or those of a picture, given those of a sampler")
    if not room.picture or amount == 1:
        return (replace(room, count=count),)
    edge = site.add("concat", {"frames": [room.picture] * amount})
    return (replace(room, picture=edge, count=count),)


def some(site: Site) -> Outputs:
    """Some latents of a batch."""
    room, begin, length = site.need("samples", Room), site.whole("batch_index"), site.whole("length", 1)
    if room.count and room.count <= begin + length and begin == 0:
        return (room,)
    raise CannotMapError("a part of a batch of latents; decode them and take pictures of the batch instead")


def latents_edge(site: Site, room: Room) -> Edge:
    """The node with the latents, which is made where they are those of a picture.

    Raises:
        CannotMapError: they are empty.
    """
    if room.edge:
        return room.edge
    if not room.picture:
        raise CannotMapError("these latents are empty: no sampler has drawn anything yet")
    picture = room.picture
    if room.hole:
        picture = site.add("fill", {"frames": picture, "mask": room.hole}, {"color": "#808080"}, name="hole")
    return site.add("vae_encode", {"frames": picture, "model": Use("", vae=room.vae)}, name="encode")


def _room(found: object) -> Room:
    if not isinstance(found, Room):
        raise TypeError(found)
    return found


def decoded(site: Site) -> Outputs:
    """Pictures of latents."""
    room = site.need("samples", Room)
    if room.noisy:
        site.note("decodes latents in which noise was left")
    tile = site.whole("tile_size", 0) // 8 * 8 if "Tiled" in site.step.kind and _plain(room.kind) else 0
    vae = site.need("vae", Vae)
    use = Use("", vae=vae) if room.use is None else replace(room.use, vae=vae)
    inputs: dict[str, Edge | list[Edge] | Use] = {"latents": latents_edge(site, room), "model": use}
    edge = site.add("vae_decode", inputs, {"tile_size": tile or None}, name="decode")
    return (Picture(edge, room.width, room.height, room.frames or room.count),)


def _plain(kind: str) -> bool:
    return kind in ("sd1", "sd2")


TABLE: Table = {
    "EmptyLatentImage": node(empty(), "width height batch_size"),
    "EmptySD3LatentImage": node(empty("sd3"), "width height batch_size"),
    "EmptyFlux2LatentImage": node(empty("flux2"), "width height batch_size"),
    "EmptyHunyuanImageLatent": node(empty("hunyuan_image"), "width height batch_size"),
    "EmptyHunyuanLatentVideo": node(empty("clip", "length"), "width height length batch_size"),
    "EmptyMochiLatentVideo": node(empty("mochi", "length"), "width height length batch_size"),
    "EmptyLTXVLatentVideo": node(empty("ltx", "length"), "width height length batch_size"),
    "EmptyCosmosLatentVideo": node(empty("cosmos", "length"), "width height length batch_size"),
    "VAEEncode": node(encoded),
    "VAEEncodeTiled": node(encoded, "tile_size overlap temporal_size temporal_overlap"),
    "VAEEncodeForInpaint": node(encoded_for_inpainting, "grow_mask_by"),
    "SetLatentNoiseMask": node(masked),
    "LatentUpscale": node(scaled, "upscale_method width height crop"),
    "LatentUpscaleBy": node(scaled_by, "upscale_method scale_by"),
    "RepeatLatentBatch": node(repeated, "amount"),
    "LatentFromBatch": node(some, "batch_index length"),
    "VAEDecode": node(decoded),
    "VAEDecodeTiled": node(decoded, "tile_size overlap temporal_size temporal_overlap"),
}

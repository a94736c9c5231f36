"""Masks: white where they hold."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.images import alpha_of
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Outputs, Table, node
from flowsynth.comfyui.mapping.values import Area, Picture
from flowsynth.core.canonical import Json


def of_image(site: Site) -> Outputs:
    """One channel of a picture."""
    picture, channel = site.need("image", Picture), site.text("channel", "red")
    if channel == "alpha":
        raise CannotMapError("channel: expected red, green or blue of a picture without alpha, given alpha")
    return (Area(_mask(site, picture.edge, {"channel": channel}), picture.width, picture.height),)


def to_image(site: Site) -> Outputs:
    """A mask as a grey picture."""
    mask = site.need("mask", Area)
    return (Picture(alpha_of(site, mask), mask.width, mask.height, 1),)


def grown(site: Site) -> Outputs:
    """White that reaches farther, or less far where negative."""
    return (
        _changed(site, {"grow": site.whole("expand"), "taper": site.truth("tapered_corners", default=True)}),
    )


def inverted(site: Site) -> Outputs:
    """Black for white."""
    return (_changed(site, {"invert": True}),)


def thresholded(site: Site) -> Outputs:
    """White where it is brighter than a value."""
    return (_changed(site, {"threshold": site.number("value", 0.5)}),)


def _changed(site: Site, params: dict[str, Json]) -> Area:
    mask = site.need("mask", Area)
    return replace(mask, edge=_mask(site, alpha_of(site, mask), params))


def _mask(site: Site, edge: str, params: dict[str, Json]) -> str:
    return site.add("take_mask", {"frames": edge}, params, name="mask")


def outpaint(site: Site) -> Outputs:
    """A border around a picture, and a mask that is white there."""
    picture = site.need("image", Picture)
    sides = {side: site.whole(side) for side in ("left", "top", "right", "bottom")}
    made = site.add("pad", {"frames": picture.edge}, {**sides, "feather": site.whole("feathering", 40)})
    width = picture.width and picture.width + sides["left"] + sides["right"]
    height = picture.height and picture.height + sides["top"] + sides["bottom"]
    return Picture(f"{made}.frames", width, height, picture.count), Area(f"{made}.mask", width, height)


TABLE: Table = {
    "ImageToMask": node(of_image, "channel"),
    "MaskToImage": node(to_image),
    "GrowMask": node(grown, "expand tapered_corners"),
    "InvertMask": node(inverted),
    "ThresholdMask": node(thresholded, "value"),
    "ImagePadForOutpaint": node(outpaint, "left top right bottom feathering"),
}

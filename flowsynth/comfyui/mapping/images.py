"""Pictures: read, saved, scaled, enlarged, joined; and prepared for ControlNets."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Mapper, Outputs, Table, first, node
from flowsynth.comfyui.mapping.values import Area, Picture, Upscaler
from flowsynth.core.canonical import Json

#: ComfyUI's filters -> those of `resize`.
FILTERS = {
    "nearest-exact": "nearest",
    "nearest": "nearest",
    "bilinear": "bilinear",
    "area": "area",
    "bicubic": "bicubic",
    "lanczos": "lanczos",
}


def load(site: Site) -> Outputs:
    """A picture without its alpha, and where it is transparent."""
    name = site.text("image").removesuffix(" [input]").removesuffix(" [output]")
    if not name:
        raise CannotMapError("image: expected the name of a file, given nothing")
    path = f"${{input_folder}}/{name}"
    picture = site.add("read_image", {}, {"path": path, "take": "colour"}, name="image")
    return Picture(picture, count=1, alpha=path), Area(f"alpha:{path}")


def alpha_of(site: Site, area: Area) -> str:
    """The edge of a mask; that of a picture's alpha is read where something wants it."""
    if not area.edge.startswith("alpha:"):
        return area.edge
    path = area.edge.removeprefix("alpha:")
    seen = site.add("read_image", {}, {"path": path, "take": "alpha"}, name="alpha")
    return site.add("take_mask", {"frames": seen}, {"invert": True}, name="mask")


def load_mask(site: Site) -> Outputs:
    """One channel of a picture as a mask; that of alpha is turned around, as ComfyUI does."""
    path, channel = f"${{input_folder}}/{site.text('image')}", site.text("channel", "alpha")
    if channel == "alpha":
        return (Area(f"alpha:{path}"),)
    seen = site.add("read_image", {}, {"path": path, "take": "colour"}, name="image")
    return (Area(site.add("take_mask", {"frames": seen}, {"channel": channel}, name="mask")),)


def save(site: Site) -> Outputs:
    """Pictures as files."""
    picture = site.need("images", Picture)
    prefix = site.text("filename_prefix", "").replace("\\", "/").rpartition("/")[2]
    prefix = "".join(c for c in prefix.partition("%")[0] if c.isalnum() or c in "_- ")
    made = site.add("save_images", {"frames": picture.edge}, {"prefix": f"{prefix}_" if prefix else None})
    site.sketch.outputs.append(made)
    return ()


def scaled(site: Site) -> Outputs:
    """A size; 0 keeps the aspect."""
    picture = site.need("image", Picture)
    width, height = site.whole("width"), site.whole("height")
    params: dict[str, Json] = {"method": scale_filter(site.text("upscale_method", "nearest-exact"))}
    if not width and not height:
        return (picture,)
    params |= {"width": width or None, "height": height or None}
    if site.text("crop", "disabled") == "center" and width and height:
        params["mode"] = "fill"
    edge = site.add("resize", {"frames": picture.edge}, params)
    return (Picture(edge, width, height if width else 0, picture.count),)


def scaled_by(site: Site) -> Outputs:
    """A factor."""
    picture, factor = site.need("image", Picture), site.number("scale_by", 1)
    method = scale_filter(site.text("upscale_method", "nearest-exact"))
    edge = site.add("resize", {"frames": picture.edge}, {"factor": factor, "method": method})
    return (Picture(edge, round(picture.width * factor), round(picture.height * factor), picture.count),)


def scale_filter(name: str) -> str:
    """`resize`'s name of a filter."""
    if name not in FILTERS:
        raise CannotMapError(f"upscale_method: expected one of {', '.join(FILTERS)}, given {name!r}")
    return FILTERS[name]


def longest(site: Site) -> Outputs:
    """The longer side."""
    picture = site.need("images", Picture)
    edge = site.add("resize", {"frames": picture.edge}, {"long_side": site.whole("longer_edge", 1024)})
    return (Picture(edge, count=picture.count),)


def enlarged(site: Site) -> Outputs:
    """Enlarged by a network."""
    picture, net = site.need("image", Picture), site.need("upscale_model", Upscaler)
    weights = f"${{models_folder}}/{net.file.folder}/{net.file.name}"
    params: dict[str, Json] = {"method": "network", "weights": weights, "factor": 4, "fidelity": 0}
    if (found := _factor(net.file.name)) is not None:
        params["factor"] = found
    else:
        site.note(f"taken for a network that enlarges by 4, which its name {net.file.name!r} does not say")
    edge = site.add("upscale", {"frames": picture.edge}, params)
    factor = int(str(params["factor"]))
    return (Picture(edge, picture.width * factor, picture.height * factor, picture.count),)


def _factor(name: str) -> int | None:
    import re

    found = re.search(r"(?:^|\D)([1248])x|x([1248])(?:\D|$)", name.lower())
    return int(found[1] or found[2]) if found else None


def batch(site: Site) -> Outputs:
    """Pictures one after the other, brought to the first one's size."""
    one, two = site.need("image1", Picture), site.need("image2", Picture)
    second = two.edge
    if (one.width, one.height) != (two.width, two.height) and one.width and one.height:
        box: dict[str, Json] = {"width": one.width, "height": one.height, "mode": "fill"}
        second = site.add("resize", {"frames": second}, box)
    edge = site.add("concat", {"frames": [one.edge, second]})
    return (replace(one, edge=edge, count=one.count + two.count if one.count and two.count else 0),)


def some(site: Site) -> Outputs:
    """Some pictures of a batch."""
    picture = site.need("image", Picture)
    begin, length = site.whole("batch_index"), site.whole("length", 1)
    params: dict[str, Json] = {"start": begin, "stop": begin + length}
    return (replace(picture, edge=site.add("trim", {"frames": picture.edge}, params), count=length),)


def sharpened(site: Site) -> Outputs:
    """Unsharp masking."""
    picture = site.need("image", Picture)
    params: dict[str, Json] = {
        "amount": site.number("alpha", 1), "sigma": site.number("sigma", 1), "channels": "colour",
    }  # fmt: skip
    return (replace(picture, edge=site.add("sharpen", {"frames": picture.edge}, params)),)


def inverted(site: Site) -> Outputs:
    """The negative of a picture; ControlNets for scribbles want white on black."""
    picture = site.need("image", Picture)
    return (replace(picture, edge=site.add("invert", {"frames": picture.edge})),)


def blurred(site: Site) -> Outputs:
    """A Gaussian."""
    picture = site.need("image", Picture)
    params: dict[str, Json] = {"detector": "blur", "sigma": site.number("sigma", 1)}
    return (replace(picture, edge=site.add("annotate", {"frames": picture.edge}, params)),)


def annotated(detector: str, *, low: str = "", high: str = "", unit: float = 1.0) -> Mapper:
    """A control map of a detector."""

    def run(site: Site) -> Outputs:
        picture = site.need("image", Picture)
        params: dict[str, Json] = {"detector": detector}
        if low:
            params |= {"low": site.number(low) / unit, "high": site.number(high) / unit}
        return (replace(picture, edge=site.add("annotate", {"frames": picture.edge}, params)),)

    return run


def posed(site: Site) -> Outputs:
    """Bodies as the skeletons that OpenPose draws."""
    picture = site.need("image", Picture)
    site.note("bodies are found by BlazePose, drawn as OpenPose does; faces and hands are left out")
    edge = site.add("annotate", {"frames": picture.edge}, {"detector": "pose"})
    return (replace(picture, edge=edge),)


def size_of(site: Site) -> Outputs:
    """Width, height and number, where they are known before a run."""
    picture = site.need("image", Picture)
    if not picture.width or not picture.height:
        raise CannotMapError("the size of this picture is known in the run only; write the numbers instead")
    return picture.width, picture.height, picture.count


TABLE: Table = {
    "LoadImage": node(load, "image upload"),
    "LoadImageMask": node(load_mask, "image channel upload"),
    "SaveImage": node(save, "filename_prefix", sink="save"),
    "SaveImageWebsocket": node(save, sink="save"),
    "PreviewImage": node(save, sink="preview"),
    "ImageScale": node(scaled, "upscale_method width height crop"),
    "ImageScaleBy": node(scaled_by, "upscale_method scale_by"),
    "ResizeImagesByLongerEdge": node(longest, "longer_edge"),
    "ImageUpscaleWithModel": node(enlarged),
    "ImageBatch": node(batch),
    "ImageFromBatch": node(some, "batch_index length"),
    "ImageSharpen": node(sharpened, "sharpen_radius sigma alpha"),
    "ImageBlur": node(blurred, "blur_radius sigma"),
    "ImageInvert": node(inverted),
    "Canny": node(
        annotated("canny", low="low_threshold", high="high_threshold"), "low_threshold high_threshold"
    ),
    "CannyEdgePreprocessor": node(
        annotated("canny", low="low_threshold", high="high_threshold", unit=255),
        "low_threshold high_threshold resolution",
    ),
    "HEDPreprocessor": node(annotated("hed"), "safe resolution"),
    "TilePreprocessor": node(annotated("tile"), "pyrUp_iters resolution"),
    "OpenposePreprocessor": node(posed, "detect_hand detect_body detect_face resolution"),
    "DWPreprocessor": node(
        posed, "detect_hand detect_body detect_face resolution bbox_detector pose_estimator"
    ),
    "GetImageSize": node(size_of),
    "PrepImageForClipVision": node(first("image"), "interpolation crop_position sharpening"),
    "FluxKontextImageScale": node(first("image")),
}

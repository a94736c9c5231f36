"""Clips: read and written, by ComfyUI's own nodes and by the Video Helper Suite."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Outputs, Table, node
from flowsynth.comfyui.mapping.values import Clipping, Edge, Picture, Sound
from flowsynth.core.canonical import Json


def load(site: Site) -> Outputs:
    """A clip with its sound."""
    path = f"${{input_folder}}/{site.text('file')}"
    edge = site.add("read_video", {}, {"path": path}, name="clip")
    return (Clipping(Picture(edge), None, path),)


def components(site: Site) -> Outputs:
    """Frames, sound and rate of a clip."""
    clip = site.need("video", Clipping)
    sound = Sound(clip.audio) if clip.audio else None
    return clip.frames, sound, clip.fps


def load_helper(site: Site) -> Outputs:
    """A clip with a rate, a size and a range of frames."""
    name = site.text("video")
    path = name if site.step.kind.endswith("Path") else f"${{input_folder}}/{name}"
    rate, cap = site.number("force_rate"), site.whole("frame_load_cap")
    skip, every = site.whole("skip_first_frames"), site.whole("select_every_nth", 1)
    if every > 1:
        raise CannotMapError(f"select_every_nth: expected 1 (force_rate takes fewer frames), given {every}")
    width, height = _forced(site)
    params: dict[str, Json] = {
        "path": path, "fps": rate or None, "width": width or None, "height": height or None,
        "max_frames": cap + skip if cap else None,
    }  # fmt: skip
    edge = site.add("read_video", {}, params, name="clip")
    if skip:
        edge = site.add("trim", {"frames": edge}, {"start": skip}, name="clip_rest")
    return Picture(edge, width, height, cap), cap, Sound(path), None


def _forced(site: Site) -> tuple[int, int]:
    """Width and height; older files name them in a text."""
    width, height = site.whole("custom_width"), site.whole("custom_height")
    force = site.text("force_size", "Disabled")
    if force not in ("Disabled", "Custom", "Custom Width", "Custom Height") and "x" in force:
        sides = [int(side) if side.isdigit() else 0 for side in force.split("x")]
        return sides[0], sides[1]
    return (width, height) if "force_size" not in site.step.inputs or force.startswith("Custom") else (0, 0)


def create(site: Site) -> Outputs:
    """Frames with a rate."""
    sound = site.maybe("audio", Sound)
    return (Clipping(site.need("images", Picture), site.number("fps", 24), sound.edge if sound else ""),)


def save(site: Site) -> Outputs:
    """A clip as MP4."""
    clip = site.need("video", Clipping)
    return _written(site, clip.frames, clip.fps, clip.audio, {})


def save_webp(site: Site) -> Outputs:
    """An animation."""
    quality = 100 if site.truth("lossless", default=True) else site.whole("quality", 80)
    params: dict[str, Json] = {"codec": "webp", "crf": (100 - quality) // 2}
    return _written(site, site.need("images", Picture), site.number("fps", 6), "", params)


def save_webm(site: Site) -> Outputs:
    """A clip as WebM."""
    codec = site.text("codec", "vp9")
    if codec not in ("vp9", "av1"):
        raise CannotMapError(f"codec: expected vp9 or av1, given {codec!r}")
    params: dict[str, Json] = {"codec": codec, "container": "webm", "crf": site.whole("crf", 32)}
    return _written(site, site.need("images", Picture), site.number("fps", 24), "", params)


#: The Video Helper Suite's formats -> codec and container.
_FORMATS = {
    "video/h264-mp4": ("h264", "mp4"),
    "video/nvenc_h264-mp4": ("h264", "mp4"),
    "video/h265-mp4": ("h265", "mp4"),
    "video/nvenc_hevc-mp4": ("h265", "mp4"),
    "video/av1-webm": ("av1", "webm"),
    "video/webm": ("vp9", "webm"),
    "video/ffmpeg-gif": ("gif", "gif"),
    "image/gif": ("gif", "gif"),
    "image/webp": ("webp", "webp"),
    "video/ffv1-mkv": ("ffv1", "mkv"),
}


def combine(site: Site) -> Outputs:
    """A clip in one of many formats, forwards and back again if asked."""
    name = site.text("format", "video/h264-mp4")
    if name not in _FORMATS:
        raise CannotMapError(f"format: expected one of {', '.join(_FORMATS)}, given {name!r}")
    picture, sound = site.need("images", Picture), site.maybe("audio", Sound)
    codec, container = _FORMATS[name]
    if site.truth("pingpong"):
        back = site.add("reverse", {"frames": picture.edge})
        edge = site.add("concat", {"frames": [picture.edge, back]}, name="there_and_back")
        site.note("the last frame of the way there and the first of the way back are shown twice")
        picture = replace(picture, edge=edge)
    params: dict[str, Json] = {"codec": codec, "container": container}
    crf = site.value("crf")
    if isinstance(crf, int) and codec in ("h264", "h265", "av1", "vp9"):
        params["crf"] = min(crf, 51 if codec in ("h264", "h265") else 63)
    return _written(site, picture, site.number("frame_rate", 8), sound.edge if sound else "", params)


def _written(
    site: Site, picture: Picture, fps: float | None, audio: Edge, params: dict[str, Json]
) -> Outputs:
    rate: Json = None if fps is None else int(fps) if float(fps).is_integer() else fps
    inputs: dict[str, Edge | list[Edge]] = {"frames": picture.edge}
    said: dict[str, Json] = {**params, "fps": rate}
    if audio:
        said["audio"] = audio
    made = site.add("encode_video", dict(inputs), said, name="video")
    site.sketch.outputs.append(made)
    return (made,)


def load_sound(site: Site) -> Outputs:
    """A file's sound, which a clip takes over as it is stored."""
    return (Sound(f"${{input_folder}}/{site.text('audio')}"),)


_LOAD = "video force_rate custom_width custom_height frame_load_cap skip_first_frames select_every_nth"
TABLE: Table = {
    "LoadVideo": node(load, "file"),
    "GetVideoComponents": node(components),
    "CreateVideo": node(create, "fps"),
    "SaveVideo": node(save, "filename_prefix format codec", sink="save"),
    "SaveAnimatedWEBP": node(save_webp, "filename_prefix fps lossless quality method", sink="save"),
    "SaveWEBM": node(save_webm, "filename_prefix codec fps crf", sink="save"),
    "LoadAudio": node(load_sound, "audio"),
    "VHS_LoadVideo": node(
        load_helper,
        _LOAD,
    ),
    "VHS_LoadVideoPath": node(
        load_helper,
        _LOAD,
    ),
    "ADE_AnimateDiffCombine": node(
        combine, "frame_rate loop_count save_image filename_prefix format pingpong", sink="save"
    ),
    "VHS_VideoCombine": node(
        combine, "frame_rate loop_count filename_prefix format pingpong save_output", sink="save"
    ),
}

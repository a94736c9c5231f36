"""Video codecs by the names people use, and what each needs to encode the same bytes every time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

from flowsynth.media.errors import EncodeSettingsError
from flowsynth.media.rational import FASTEST, SLOWEST

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

Codec = Literal["h264", "h265", "vp9", "av1", "ffv1", "gif", "webp"]

#: Frames in a segment: shorter ones spend bytes on key frames (16 frames: about twice as many). A power of
#: two, so that the length of a stream's chunks, if it is one too, doesn't matter to the bytes.
SEGMENT = 128
#: Container of a segment: NUT takes every codec and any rate.
SEGMENT_SUFFIX = ".nut"

#: Names of presets, fastest first; x264 and x265 use them as they are, others map them to numbers.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")


_QUARTERED = 64  # pixels across of which 4:1:1 and 4:1:0 store sixteen
_FLOATS = re.compile(r"f(16|32)")


@dataclass(frozen=True)
class CodecSpec:
    """One codec.

    Attributes:
        encoder: FFmpeg's name of the encoder.
        suffixes: File suffixes whose container takes it, the usual one first.
        pixel_format: Default pixel format.
        crf: (lowest, highest, default) quality number, lower is better; None where there is none.
        options: (crf, preset) -> the encoder's options. Threads are fixed in number, since they shape
            the stream; whatever follows the number of processors is off.
        threads: Encoder threads, the same on every machine.
        segmented: Whether segments are encoded on their own; else they are kept lossless until the end.
        smallest: Pixels of a side, padded to even, below which the encoder refuses.
        largest: (width, height) above which it refuses.
    """

    encoder: str
    suffixes: tuple[str, ...]
    pixel_format: str
    crf: tuple[int, int, int] | None
    options: Callable[[int, str], Mapping[str, str]]
    threads: int = 1
    segmented: bool = True
    smallest: int = 1
    largest: tuple[int, int] = (65_535, 65_535)


def _x265(crf: int, preset: str) -> dict[str, str]:
    # Wavefront threads follow the machine's processors and change the bits: frame threads only. Weighted
    # prediction reads memory it never wrote (seen as other bits from run to run on flashing clips): off.
    steady = "log-level=error:info=0:pools=none:frame-threads=2:open-gop=0:weightp=0"
    return {"crf": str(crf), "preset": preset, "x265-params": steady}


#: Pixels across up to which x265's vector code for trees of coding units writes past a row of fewer than four
#: blocks (3.5 to 4.2; valgrind shows 4 to 8 bytes at 40 pixels, none from 50 on, none without the trees).
_NARROW = 48


def _vp9(crf: int, preset: str) -> dict[str, str]:
    speed = {"ultrafast": 8, "superfast": 7, "veryfast": 6, "faster": 5, "fast": 5, "medium": 4, "slow": 2}
    chosen = speed.get(preset, 1)
    deadline = "realtime" if chosen > 5 else "good"
    return {"crf": str(crf), "b": "0", "deadline": deadline, "cpu-used": str(chosen), "row-mt": "0"}


def _av1(crf: int, preset: str) -> dict[str, str]:
    speed = 12 - PRESETS.index(preset)
    return {"crf": str(crf), "preset": str(speed), "svtav1-params": "lp=2"}


def _ffv1(crf: int, preset: str) -> dict[str, str]:
    del crf, preset
    return {"level": "3", "g": "1", "slices": "4", "slicecrc": "1"}


def _gif(crf: int, preset: str) -> dict[str, str]:
    del crf, preset
    return {}


def _webp(crf: int, preset: str) -> dict[str, str]:
    effort = min(6, PRESETS.index(preset))
    # Without loss `quality` is how hard it tries. With loss colours move .04 pixels to the right each time.
    quality, lossless = (75, 1) if crf == 0 else (100 - 2 * crf, 0)
    options = {"quality": quality, "compression_level": effort, "lossless": lossless, "loop": 0}
    return {name: str(value) for name, value in options.items()}


def _x264(crf: int, preset: str) -> dict[str, str]:
    # Its vector code for macroblock trees reads past a row whose number of macroblocks isn't a multiple
    # of 8, and other bits follow from run to run; "cpu-independent" takes the plain code there.
    return {"crf": str(crf), "preset": preset, "x264-params": "cpu-independent=1"}


_MP4, _MKV = (".mp4", ".mov", ".mkv"), (".mkv", ".avi")
#: Slowest and fastest rates that containers keep: milliseconds in Matroska and WebP, hundredths of a second
#: (and 16 bits of them) in GIF. Browsers slow WebP of more than 90 down, and GIF of more than 50.
_RATES = {
    **dict.fromkeys((".mkv", ".webm", ".avi"), (SLOWEST, Fraction(1000))),
    ".gif": (Fraction(1, 655), Fraction(50)),
    ".webp": (SLOWEST, Fraction(90)),
}
#: Containers that keep no tags of colour.
UNTAGGED = (".avi",)
#: Matroska rounds times to milliseconds and may name no rate: this tag of its own says it exactly.
RATE_TAG = "FPS"

CODECS: dict[Codec, CodecSpec] = {
    "h264": CodecSpec("libx264", _MP4, "yuv420p", (0, 51, 18), _x264, threads=4, largest=(16_384, 16_384)),
    "h265": CodecSpec("libx265", _MP4, "yuv420p", (0, 51, 22), _x265, threads=4, smallest=16),
    "vp9": CodecSpec("libvpx-vp9", (".webm", ".mkv", ".mp4"), "yuv420p", (0, 63, 28), _vp9, threads=2),
    "av1": CodecSpec(
        "libsvtav1",
        (".mp4", ".mkv", ".webm"),
        "yuv420p",
        (0, 63, 28),
        _av1,
        threads=2,
        smallest=8,
        largest=(16_384, 8_704),
    ),
    "ffv1": CodecSpec("ffv1", _MKV, "bgr0", None, _ffv1, threads=4),
    "gif": CodecSpec("gif", (".gif",), "pal8", None, _gif, segmented=False),
    "webp": CodecSpec(
        "libwebp_anim", (".webp",), "bgra", (0, 50, 10), _webp, segmented=False, largest=(16_383, 16_383)
    ),
}


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode a video.

    Attributes:
        fps: Frames per second, exact.
        codec: One of :data:`CODECS`.
        crf: Quality number of the codec (lower is better and larger); None for its default.
        preset: Effort, one of :data:`PRESETS`.
        pixel_format: FFmpeg's name; empty for the codec's own.
        suffix: Container by file suffix; empty for the codec's usual one.
        faststart: Whether an MP4's index goes to its front, so that playing starts before all is loaded.
        colour: What the pictures' colours are, see :func:`flowsynth.media.hdr.colour_of`.
    """

    fps: Fraction
    codec: Codec = "h264"
    crf: int | None = None
    preset: str = "medium"
    pixel_format: str = ""
    suffix: str = ""
    faststart: bool = True
    colour: str = ""

    def __post_init__(self) -> None:
        """Fills the codec's defaults in and refuses what it can't do.

        Raises:
            EncodeSettingsError: Unknown codec or preset, crf out of range, container of another codec.
        """
        from flowsynth.core.errors import listing

        spec = CODECS.get(self.codec)
        if spec is None:
            raise EncodeSettingsError("codec", listing(CODECS), repr(self.codec))
        object.__setattr__(self, "pixel_format", self.pixel_format or spec.pixel_format)
        object.__setattr__(self, "suffix", (self.suffix or spec.suffixes[0]).lower())
        if self.suffix not in spec.suffixes:
            raise EncodeSettingsError("suffix", f"{' or '.join(spec.suffixes)} for {self.codec}", self.suffix)
        if self.preset not in PRESETS:
            raise EncodeSettingsError("preset", ", ".join(PRESETS), repr(self.preset))
        slowest, fastest = _RATES.get(self.suffix, (SLOWEST, Fraction(FASTEST)))
        fastest = min(fastest, Fraction(240)) if self.codec == "av1" else fastest
        if not slowest <= self.fps <= fastest:
            expected = f"a rate from {slowest} to {fastest} in {self.codec} in {self.suffix}"
            raise EncodeSettingsError("fps", expected, str(self.fps))
        if self.crf is not None:
            if spec.crf is None:
                raise EncodeSettingsError("crf", f"none: {self.codec} has no quality number", str(self.crf))
            if not spec.crf[0] <= self.crf <= spec.crf[1]:
                expected = f"{spec.crf[0]} to {spec.crf[1]} for {self.codec}"
                raise EncodeSettingsError("crf", expected, str(self.crf))

    @property
    def spec(self) -> CodecSpec:
        """The codec's facts."""
        return CODECS[self.codec]

    @property
    def deep(self) -> bool:
        """Whether the pixel format holds more than 8 bits a component."""
        return self.pixel_format.endswith(("9le", "10le", "12le", "14le", "16le", "48le"))

    def colour_tags(self, size: tuple[int, int]) -> dict[str, int]:
        """What is told to players of YUV's and grey's colours, by the names of FFmpeg's codec contexts.

        Args:
            size: (width, height): a container that keeps no tags gets what its readers will guess.
        """
        from flowsynth.media.color import BT709, BT2020, guessed_matrix, layout
        from flowsynth.media.hdr import tags

        kind, color_range = layout(self.pixel_format)
        primaries, transfer = tags(self.colour)
        matrix = BT2020 if self.colour.startswith("bt2020") else BT709
        if self.suffix in UNTAGGED:
            matrix = guessed_matrix(*size)
        told = {"color_primaries": primaries, "color_trc": transfer}
        if kind == "rgb":
            return told if self.colour else {}
        return told | {"colorspace": matrix, "color_range": color_range}

    def options(self, size: tuple[int, int]) -> dict[str, str]:
        """Options for the encoder of pictures of (width, height)."""
        crf = self.crf if self.crf is not None else (self.spec.crf or (0, 0, 0))[2]
        options = dict(self.spec.options(crf, self.preset))
        if self.codec == "ffv1" and min(size) == 1:
            options["slices"] = "1"
        if self.codec == "h265" and size[0] <= _NARROW:
            options["x265-params"] += ":cutree=0"
        return options


def require_size(settings: EncodeSettings, size: tuple[int, int]) -> None:
    """Checks (width, height), padded as the pixel format needs it, against what the encoder takes.

    Raises:
        EncodeSettingsError: Too small or too large; said before the encoder is asked, which may crash.
    """
    spec, found = settings.spec, f"{size[0]}x{size[1]}"
    if min(size) < spec.smallest:
        expected = f"frames of at least {spec.smallest}x{spec.smallest} pixels"
        raise EncodeSettingsError(settings.codec, expected, found)
    if size[0] > spec.largest[0] or size[1] > spec.largest[1]:
        expected = f"frames of at most {spec.largest[0]}x{spec.largest[1]} pixels"
        raise EncodeSettingsError(settings.codec, expected, found)


def require_pixel_format(settings: EncodeSettings) -> None:
    """Checks that the encoder takes the pixel format.

    Raises:
        EncodeSettingsError: It doesn't; says those it takes.
    """
    import av

    # Frames bring no alpha, no encoder here takes floats, and quarters of chroma come back out of place.
    known = [
        form.name
        for form in av.Codec(settings.spec.encoder, "w").video_formats or ()
        if form.name == settings.spec.pixel_format
        or not (
            any(part.is_alpha for part in form.components)
            or _FLOATS.search(form.name)
            or form.chroma_width(_QUARTERED) == _QUARTERED // 4
        )
    ]
    if known and settings.pixel_format not in known:
        expected = f"one that {settings.spec.encoder} takes: {', '.join(known)}"
        raise EncodeSettingsError("pixel_format", expected, repr(settings.pixel_format))


def container_options(suffix: str, faststart: bool) -> dict[str, str]:
    """Muxer options: nothing in the file that depends on when or by which version it was written."""
    options = {"fflags": "+bitexact"}
    if suffix in (".mp4", ".mov"):
        options["movflags"] = "+use_metadata_tags" + ("+faststart" if faststart else "")
    return options


def copy_stream(output: OutputContainer, template: Stream) -> Any:
    """Adds a stream to which packets of ``template`` can be copied as they are.

    Raises:
        ValueError: The container doesn't take the codec.
    """
    # "Opaque": taken from the decoder, since a codec may have no encoder of the same name (dav1d's AV1).
    stream = output.add_stream_from_template(template, opaque=True)
    if RATE_TAG in template.metadata:
        stream.metadata[RATE_TAG] = template.metadata[RATE_TAG]
    if template.codec_context.name == "hevc" and output.format.name in ("mp4", "mov"):
        stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
    return stream

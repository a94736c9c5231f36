"""Where chroma samples lie among the pixels they colour."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from flowsynth.media.filters import chained

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

#: FFmpeg's decoders that always say where chroma lies: by the stream, or as their standard has it.
_EXPLICIT = frozenset(
    ("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "wmv3", "mjpeg", "h263", "h261")
)
_FULL = 2


def is_subsampled(pixel_format: str) -> bool:
    """Whether several pixels share a chroma sample."""
    return subsampling(pixel_format) != (1, 1)


def subsampling(pixel_format: str) -> tuple[int, int]:
    """Returns how many pixels across and down share one chroma sample: (2, 2) for 4:2:0."""
    from av import VideoFormat

    shape = VideoFormat(pixel_format, 64, 64)
    chroma = [part for part in shape.components if part.is_chroma]
    return (64 // chroma[0].width, 64 // chroma[0].height) if chroma else (1, 1)


class Tagger:
    """Marks frames with a filter that changes no pixel; kept by the caller over all frames of a stream."""

    def __init__(self, location: str) -> None:
        self._location = location
        self._shape: tuple[int, int, str] | None = None
        self._graph: Any = None

    def mark(self, frame: VideoFrame) -> VideoFrame:
        """The same pixels, told to have their chroma at the tagger's location."""
        shape = (frame.width, frame.height, frame.format.name)
        if shape != self._shape:
            self._graph, self._shape = chain(frame, ("setparams", f"chroma_location={self._location}")), shape
        self._graph.push(frame)
        marked: VideoFrame = self._graph.pull()
        return marked


class Siting:
    """Marks decoded frames of unknown siting as players take them.

    Limited range has chroma beside the left pixel of a pair (ITU-T H.273, type 0), which libswscale would
    put between the two; full range, as in JPEG, has it there.
    """

    def __init__(self, codec: str) -> None:
        self._codec = codec
        self._tagger: Tagger | None = None
        self._decided = False

    def place(self, frame: VideoFrame) -> VideoFrame:
        """The frame, marked if it must be; the first one decides for the stream."""
        if not self._decided:
            self._decided = True
            shared = subsampling(frame.format.name)
            # H.265 tells a place of 4:2:0 only (E.3.1, chroma_loc_info_present_flag); no other is a JPEG's.
            hevc = self._codec == "hevc" and shared != (2, 2)
            told = self._codec in _EXPLICIT and not hevc
            left = hevc or frame.color_range != _FULL
            if not told and left and shared != (1, 1) and _centred(frame):
                self._tagger = Tagger("left")
        return frame if self._tagger is None else self._tagger.mark(frame)


def chain(frame: VideoFrame, *filters: tuple[str, str]) -> Any:
    """A chain of filters for frames like ``frame``; one thread, so that the bits never vary."""
    from av.filter import Graph

    graph: Any = Graph()
    graph.threads = 1
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 25),
    )
    return chained(graph, source, filters, "buffersink")


def _centred(frame: VideoFrame) -> bool:
    """Whether libswscale takes the frame's chroma to lie in the centre.

    PyAV doesn't tell a frame's chroma location, so a pattern is drawn that shows it.
    """
    from av.video.reformatter import Interpolation, VideoReformatter

    drawn = chain(frame, ("geq", "lum=128:cb='mod(X*67,256)':cr='mod(Y*91,256)'"))
    drawn.push(frame)
    pattern = drawn.pull()
    flags = int(Interpolation.BICUBIC | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP)
    seen = [
        VideoReformatter().reformat(shown, format="rgb24", interpolation=flags, threads=1).to_ndarray()
        for shown in (pattern, Tagger("center").mark(pattern))
    ]
    return bool(np.array_equal(seen[0], seen[1]))

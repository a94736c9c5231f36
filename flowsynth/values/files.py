"""Values that are encoded files already: a video, a set of pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from flowsynth.core.canonical import Json, json_copy
from flowsynth.core.codec import Buffer, Encoded, register_value


def _readonly(data: bytes | memoryview) -> memoryview:
    """Bytes as a flat view through which nobody can change them."""
    return memoryview(data).cast("B").toreadonly()


@register_value
@dataclass(frozen=True, slots=True)
class Video:
    """An encoded file, or one segment of it.

    Attributes:
        data: the file's bytes; a view on the cache's file when it comes from there.
        suffix: the file's extension with its dot, such as ``.mp4``.
        info: what is inside: ``width``, ``height``, ``fps`` (as text), ``num_frames``, ``codec``.
    """

    codec_name: ClassVar[str] = "video"
    codec_version: ClassVar[int] = 1

    data: bytes | memoryview
    suffix: str = ".mp4"
    info: Mapping[str, Json] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        object.__setattr__(self, "data", _readonly(self.data))
        object.__setattr__(self, "info", json_copy(dict(self.info)))

    def encode(self) -> Encoded:
        """The file as JSON and bytes."""
        view = memoryview(self.data).cast("B")
        meta: dict[str, Json] = {"suffix": self.suffix, "info": dict(self.info)}
        return Encoded(meta, {"file": Buffer("U8", (view.nbytes,), view)})

    @classmethod
    def decode(cls, encoded: Encoded) -> Video:
        """The file back, still mapped."""
        info = encoded.meta["info"]
        data = encoded.tensors["file"].data
        return cls(data, str(encoded.meta["suffix"]), info if isinstance(info, dict) else {})

    def _repr_html_(self) -> str:
        """As notebooks show it: it plays."""
        from flowsynth.values.shown import video_html

        return video_html(self.data, self.suffix, self.info)


@register_value
@dataclass(frozen=True, slots=True)
class FileSet:
    """Several encoded files, such as the pictures of a clip: relative name -> bytes."""

    codec_name: ClassVar[str] = "file_set"
    codec_version: ClassVar[int] = 2

    files: Mapping[str, bytes | memoryview]

    def __post_init__(self) -> None:
        """Take the form that comes back from the cache, so that no reader can tell."""
        files = {name: _readonly(data) for name, data in sorted(self.files.items())}
        object.__setattr__(self, "files", files)

    def encode(self) -> Encoded:
        """The files as JSON and bytes; names may hold what the names of tensors may not."""
        names: list[Json] = [*sorted(self.files)]
        views = [memoryview(self.files[name]).cast("B") for name in sorted(self.files)]
        buffers = {f"{i:06d}": Buffer("U8", (view.nbytes,), view) for i, view in enumerate(views)}
        return Encoded({"names": names}, buffers)

    @classmethod
    def decode(cls, encoded: Encoded) -> FileSet:
        """The files back, still mapped."""
        names = encoded.meta["names"]
        found = enumerate(names if isinstance(names, list) else [])
        return cls({str(name): encoded.tensors[f"{i:06d}"].data for i, name in found})

    def _repr_html_(self) -> str:
        """As notebooks show it: the first pictures."""
        from flowsynth.values.shown import files_html

        return files_html(self.files)

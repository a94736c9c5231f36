"""Answers of hosted models, whoever the vendor is."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.hosted import google_client, openai_client
from flowsynth.hosted.asked import Asked, Place
from flowsynth.hosted.failure import NoAnswerError
from flowsynth.media.errors import MediaError
from flowsynth.media.pictures import read_picture

if TYPE_CHECKING:
    import numpy.typing as npt

    Array = npt.NDArray[Any]

_CLIENTS = {"openai": openai_client, "google": google_client}


def picture_of(place: Place, asked: Asked) -> Array:
    """A picture, (H, W, 3) uint8; what is transparent lies on white.

    Raises:
        InputError: the client is not installed.
        NoAnswerError: no picture came.
    """
    return _decoded(_CLIENTS[place.vendor.name].picture(place, asked), place.vendor.name)


def text_of(place: Place, asked: Asked) -> str:
    """A text.

    Raises:
        InputError: the client is not installed.
        NoAnswerError: no text came.
    """
    found: str = _CLIENTS[place.vendor.name].text(place, asked)
    return found


def _decoded(data: bytes, vendor: str) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "answer")
        file.write_bytes(data)
        try:
            return read_picture(file)
        except MediaError as error:
            raise NoAnswerError(
                f"{vendor}: the answer is no picture of a known kind; expected {error.expected}, found"
                f" {error.found}; it may have been billed"
            ) from None

"""Requests through Google's client: pictures come out of ``generate_content``, as API keys may use it."""

from __future__ import annotations

from typing import Any

from flowsynth.hosted.asked import Asked, Place
from flowsynth.hosted.asking import answer_of, installed
from flowsynth.hosted.failure import NoAnswerError

#: What is sent where no key is: the client wants one.
_NO_KEY = "none"
_REFUSED = ("SAFETY", "PROHIBITED", "BLOCKLIST", "RECITATION", "SPII", "OTHER")
#: Seconds to wait are counted in milliseconds there.
_MS = 1000


def _client(place: Place) -> Any:
    installed(place.vendor.package, place.vendor.module)
    from google import genai
    from google.genai import types

    once = types.HttpRetryOptions(attempts=1)
    where = types.HttpOptions(base_url=place.address, timeout=round(place.timeout * _MS), retry_options=once)
    return genai.Client(api_key=place.key or _NO_KEY, vertexai=False, http_options=where)


def picture(place: Place, asked: Asked) -> bytes:
    """The file of a picture.

    Raises:
        NoAnswerError: none came.
    """
    client = _client(place)
    from google.genai import types

    options: Any = dict(asked.options)
    size = {name: options.pop(name) for name in ("aspect_ratio", "image_size") if name in options}
    config = types.GenerateContentConfig(
        response_modalities=["IMAGE"],
        image_config=types.ImageConfig(**size) if size else None,
        **options,
    )
    parts = [types.Part.from_bytes(data=data, mime_type="image/png") for data in asked.pictures]
    contents: Any = [*parts, asked.prompt]
    return answer_of(place, asked, lambda: _picture(_answer(client, asked, contents, config)))


def text(place: Place, asked: Asked) -> str:
    """A text.

    Raises:
        NoAnswerError: none came, or not all of it.
    """
    client = _client(place)
    from google.genai import types

    options: Any = dict(asked.options)
    config = types.GenerateContentConfig(system_instruction=asked.system or None, **options)
    return answer_of(place, asked, lambda: _text(_answer(client, asked, [asked.prompt], config)))


def _answer(client: Any, asked: Asked, contents: Any, config: Any) -> tuple[list[Any], str]:
    """The parts of the first answer, and how it ended.

    Raises:
        NoAnswerError: it was refused.
    """
    answer = client.models.generate_content(model=asked.model, contents=contents, config=config)
    blocked = getattr(answer.prompt_feedback, "block_reason", None)
    candidates = answer.candidates or []
    ended = str(getattr(candidates[0].finish_reason, "value", "")) if candidates else ""
    if blocked or any(word in ended for word in _REFUSED):
        reason = str(getattr(blocked, "value", blocked) or ended)
        raise NoAnswerError(f"refused by the vendor's moderation: {reason}")
    content = candidates[0].content if candidates else None
    return list(getattr(content, "parts", None) or []), ended


def _picture(answer: tuple[list[Any], str]) -> bytes:
    parts, _ = answer
    for part in parts:
        data = getattr(part.inline_data, "data", None)
        if isinstance(data, bytes) and data:
            return data
    words = " ".join(part.text for part in parts if part.text)[:200]
    said = f"; it says {words!r}" if words else ""
    raise NoAnswerError(f"the answer holds no picture, 1 was asked for{said}; it may have been billed")


def _text(answer: tuple[list[Any], str]) -> str:
    parts, ended = answer
    if ended == "MAX_TOKENS":
        raise NoAnswerError(
            "the text was cut off at its greatest length; expected more in options.max_output_tokens"
        )
    found = "".join(part.text for part in parts if part.text and not part.thought).strip()
    if not found:
        raise NoAnswerError("the answer holds no text; it may have been billed")
    return found

"""Requests through OpenAI's client, which many other servers understand too."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from flowsynth.hosted.asked import Asked, Place
from flowsynth.hosted.asking import answer_of, installed
from flowsynth.hosted.failure import NoAnswerError

#: What is sent where no key is: the client wants one.
_NO_KEY = "none"


def _client(place: Place) -> Any:
    installed(place.vendor.package, place.vendor.module)
    from openai import OpenAI

    return OpenAI(api_key=place.key or _NO_KEY, base_url=place.address, timeout=place.timeout, max_retries=0)


def picture(place: Place, asked: Asked) -> bytes:
    """The file of a picture.

    Raises:
        NoAnswerError: none came.
    """
    client = _client(place)
    given = {"model": asked.model, "prompt": asked.prompt, "n": 1, **asked.options}

    def request() -> bytes:
        if asked.pictures:
            files = [(f"{i}.png", data, "image/png") for i, data in enumerate(asked.pictures)]
            return _picture(client.images.edit(image=files, **given))
        return _picture(client.images.generate(**given))

    with client:
        return answer_of(place, asked, request)


def _picture(answer: Any) -> bytes:
    found = getattr(answer, "data", None) or []
    if not found:
        raise NoAnswerError("the answer holds no picture, 1 was asked for; it may have been billed")
    text = getattr(found[0], "b64_json", None)
    if not isinstance(text, str):
        raise NoAnswerError(
            "the answer holds an address, not the picture; expected options: {response_format: b64_json}"
        )
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoAnswerError("the picture in the answer is no base64; it may have been billed") from None


def text(place: Place, asked: Asked) -> str:
    """A text.

    Raises:
        NoAnswerError: none came, or not all of it.
    """
    client = _client(place)
    system = [{"role": "system", "content": asked.system}] if asked.system else []
    messages: Any = [*system, {"role": "user", "content": asked.prompt}]

    def request() -> str:
        options: Any = dict(asked.options)
        return _text(client.chat.completions.create(model=asked.model, messages=messages, **options))

    with client:
        return answer_of(place, asked, request)


def _text(answer: Any) -> str:
    choices = getattr(answer, "choices", None) or []
    if not choices:
        raise NoAnswerError("the answer holds no text; it may have been billed")
    choice = choices[0]
    if choice.finish_reason == "content_filter" or getattr(choice.message, "refusal", None):
        raise NoAnswerError("refused by the vendor's moderation")
    if choice.finish_reason == "length":
        raise NoAnswerError(
            "the text was cut off at its greatest length; expected more in options.max_tokens"
        )
    found = choice.message.content
    if not isinstance(found, str) or not found.strip():
        raise NoAnswerError("the answer holds no text; it may have been billed")
    return found.strip()

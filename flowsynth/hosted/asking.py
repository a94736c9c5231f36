"""Asks a vendor, again where that may help, and says in one message why there is no answer."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TypeVar

from flowsynth.core.errors import InputError
from flowsynth.core.secrets import keep_secret
from flowsynth.hosted.asked import Asked, Place
from flowsynth.hosted.failure import NoAnswerError, failure_of

Answer = TypeVar("Answer")
#: Seconds before the first request that is made again; then twice as many each time, but no more than...
FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0


def installed(package: str, module: str) -> None:
    """See that a client is there.

    Raises:
        InputError: it is not.
    """
    try:
        importlib.import_module(module)
    except ImportError:
        raise InputError(
            f"{package} is not installed; expected pip install 'flowsynth-engine[hosted]'"
        ) from None


def answer_of(place: Place, asked: Asked, request: Callable[[], Answer]) -> Answer:
    """What a vendor answers.

    Args:
        place: where it is asked.
        asked: what.
        request: asks once.

    Raises:
        NoAnswerError: no answer, as one message without the key.
    """
    if place.key:
        keep_secret(place.key_name, place.key)
    for tried in range(place.retries + 1):
        place.check()
        try:
            return request()
        except NoAnswerError as error:
            raise NoAnswerError(_message(place, str(error), tried)) from None
        except Exception as error:
            failure = failure_of(error, asked.model, place.timeout)
            if failure is None:
                raise NoAnswerError(_message(place, f"{type(error).__name__}: {error}", tried)) from None
            if not failure.again or tried == place.retries:
                raise NoAnswerError(_message(place, failure.text, tried)) from None
            asked_for = failure.after if failure.after is not None else 0.0
        place.wait(min(max(FIRST_WAIT * 2**tried, asked_for), _LONGEST_WAIT))
    raise AssertionError("unreachable")


def _message(place: Place, text: str, tried: int) -> str:
    text = text.replace(place.key, place.key_name) if place.key else text
    times = f", asked {tried + 1} times" if tried else ""
    return f"{place.vendor.name}: {text}{times}"

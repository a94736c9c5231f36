"""What a vendor's client raised, as one message and whether to ask again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from flowsynth.core.errors import RunError

#: Answers after which the same request may do.
_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
_MODERATED = ("moderation", "safety", "content_policy", "content policy", "prohibited", "blocked")
_RETIRED = ("model_not_found", "retired", "deprecated", "decommissioned", "no longer available")
_NO_MONEY = ("insufficient_quota", "billing", "exceeded your current quota")
_LONGEST = 300


class NoAnswerError(RunError):
    """A vendor gave no answer that can be used."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer.

    Attributes:
        text: for a person.
        again: whether asking again may help.
        after: seconds that the vendor wants to be left alone; None if it says nothing.
    """

    text: str
    again: bool = False
    after: float | None = None


def failure_of(error: Exception, model: str, timeout: float) -> Failure | None:
    """What went wrong with a request; None for what is no fault of a vendor.

    An answer that did not come is not asked for again: it may have been billed.

    Args:
        error: what a client raised.
        model: that was asked.
        timeout: seconds that were waited.
    """
    status = _status(error)
    if status is not None:
        return _refused(error, status, model)
    kinds = {cls.__name__ for each in _chain(error) for cls in type(each).__mro__}
    if kinds & {"ConnectTimeout", "ConnectError"}:
        return Failure("no connection to the vendor", again=True)
    if "TimeoutException" in kinds or "APITimeoutError" in kinds:
        return Failure(f"no answer within {timeout:g} s (timeout); the request may have been billed")
    if kinds & {"TransportError", "APIConnectionError"}:
        return Failure("the connection broke before the answer was whole; the request may have been billed")
    if kinds & {"JSONDecodeError", "APIResponseValidationError", "UnicodeDecodeError", "DecodingError"}:
        return Failure("the answer is no whole JSON; the request may have been billed")
    return None


def _refused(error: Exception, status: int, model: str) -> Failure:
    said = _said(error)
    text = f"{said} (HTTP {status})" if said else f"HTTP {status}"
    low = f"{said} {getattr(error, 'code', '')} {_body(error)}".lower()
    if status in (401, 403):
        return Failure(f"the key was refused: {text}")
    if status in (400, 422) and any(word in low for word in _MODERATED):
        return Failure(f"refused by the vendor's moderation: {text}")
    if status in (404, 410) or any(word in low for word in _RETIRED):
        return Failure(
            f"model {model!r} is not offered there, or no longer: {text};"
            " expected another one in params.model"
        )
    if status == 429 and any(word in low for word in _NO_MONEY):
        return Failure(f"the account has no credit left: {text}")
    if status == 429:
        return Failure(f"too many requests: {text}", True, _after(error))
    if status in _AGAIN:
        return Failure(f"the vendor has a fault: {text}", True, _after(error))
    return Failure(f"the vendor refused the request: {text}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from."""
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _status(error: Exception) -> int | None:
    for name in ("status_code", "code"):
        found = getattr(error, name, None)
        if isinstance(found, int) and 300 <= found < 600:
            return found
    return None


def _body(error: Exception) -> Any:
    return getattr(error, "body", None) or getattr(error, "details", None) or ""


def _said(error: Exception) -> str:
    """The vendor's own words, in one short line."""
    body = _body(error)
    inner = body.get("error", body) if isinstance(body, dict) else body
    text = inner.get("message") if isinstance(inner, dict) else inner
    text = text if isinstance(text, str) and text else str(getattr(error, "message", "") or "")
    if text.lstrip().startswith("<"):
        return ""  # a page of a proxy
    text = re.sub(r"[\x00-\x1f\x7f\s]+", " ", text).strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _after(error: Exception) -> float | None:
    headers: Any = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        return max(0.0, float(headers.get("retry-after", "")))
    except (TypeError, ValueError, AttributeError):
        return None

"""Canonical JSON and the hashes that everything is named by.

One value has one text, and one text has one hash: two runs, two machines and two Python versions agree.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from blake3 import blake3

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

DIGEST_BYTES = 20
FRAME_DIGEST_BYTES = 16


_SCALARS = frozenset((type(None), bool, int, str))


def _text_maker(sort_keys: bool) -> Callable[[object], str]:
    """What turns JSON into text: the encoder's C part, made once where `encode` makes it for every call."""
    encoder = json.JSONEncoder(
        sort_keys=sort_keys, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )  # fmt: skip
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # What refers to itself is found by the depth that Python allows: quicker than by looking out for it.
    parts = make(
        None, encoder.default, json.encoder.encode_basestring, None, ":", ",", sort_keys, False, False
    )  # fmt: skip
    return lambda value: "".join(parts(value, 0))


#: The JSON of a text, as it stands in the canonical JSON of what holds it.
json_text: Callable[[str], str] = json.encoder.encode_basestring

_scan: Callable[[str, int], tuple[Any, int]] = vars(json.JSONDecoder())["scan_once"]
_text = _text_maker(sort_keys=True)
_text_in_order = _text_maker(sort_keys=False)


def plain_json(value: object) -> str:
    """`canonical_json` of what is known to be JSON with text keys already (a pydantic dump in JSON mode).

    Raises:
        ValueError: a NaN or an infinity.
    """
    return _text(value)


def canonical_json(value: object) -> str:
    """The one JSON text of a value: sorted keys, no spaces, shortest round-trip floats.

    Args:
        value: None, bool, int, finite float, str, or lists, tuples and str-keyed dicts of those.

    Raises:
        TypeError: a type that JSON has no exact form for. There is never a placeholder.
        ValueError: a NaN or an infinity.
    """
    return _checked(value, _text)


def edge_json(value: object) -> str:
    """The JSON text of a value as it travels on an edge: dicts in their order, else as `canonical_json`.

    The order is part of the value, since what reads it can tell; what comes back of a tuple is a list.

    Raises:
        TypeError, ValueError: as `canonical_json`.
    """
    return _checked(value, _text_in_order)


def json_copy(value: Any) -> Any:
    """A value as it comes back from its canonical text: dicts sorted, tuples lists, and shared with nobody.

    Raises:
        TypeError, ValueError: as `canonical_json`.
    """
    return json.loads(canonical_json(value))


def parsed_json(text: str) -> Any:
    """A value back from its text as it is written here: `json.loads` in half the time, without spaces around.

    Raises:
        ValueError: it is no JSON, or more than one value.
    """
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError(f"{text!r:.80} is no JSON") from None
    if end != len(text):
        raise ValueError(f"{text[end:]!r:.80} follows the JSON")
    return value


def _checked(value: object, text_of: Callable[[object], str]) -> str:
    try:
        text = text_of(value)  # first: what refers to itself has no end to walk to
    except RecursionError:
        raise ValueError("value refers to itself or is nested too deeply, so JSON cannot hold it") from None
    except (TypeError, ValueError) as error:
        require_json(value)
        raise ValueError(f"value cannot be written as JSON: {error}") from None  # digits without end
    if type(value) not in _SCALARS and not _is_plain(value):
        require_json(value)
    return text


def _is_plain(value: object) -> bool:
    """Whether a value is JSON of the plain types, found without keeping paths; if not, it may still be."""
    items: list[Any] = [value]
    for item in items:
        kind = type(item)
        if kind in _SCALARS:
            continue
        if kind is dict:
            if any(type(key) is not str for key in item):
                return False
            items.extend(item.values())
        elif kind is list or kind is tuple:
            items.extend(item)
        elif kind is not float or not math.isfinite(item):
            return False
    return True


def require_json(value: object, where: str = "value") -> None:
    """Raise unless the value is JSON all the way down (a tuple counts as a list).

    Raises:
        TypeError: names the path of the first part that is not JSON.
        ValueError: names the path of the first NaN or infinity.
    """
    stack: list[tuple[object, str]] = [(value, where)]
    seen: set[int] = set()  # containers: one that holds itself is looked into once
    while stack:
        item, path = stack.pop()
        if isinstance(item, (list, tuple, dict)):
            if id(item) in seen:
                continue
            seen.add(id(item))
        if item is None or isinstance(item, (bool, int, str)):
            continue
        if isinstance(item, float):
            if not math.isfinite(item):
                raise ValueError(f"{path} is {item}, which JSON cannot hold")
        elif isinstance(item, (list, tuple)):
            stack.extend((part, f"{path}[{i}]") for i, part in enumerate(item))
        elif isinstance(item, dict):
            for key, part in item.items():
                if not isinstance(key, str):
                    raise TypeError(f"{path} has the key {key!r}; JSON keys are strings")
                stack.append((part, f"{path}.{key}"))
        else:
            raise TypeError(f"{path} is a {type(item).__qualname__}, which has no exact JSON form")


def digest(data: bytes | bytearray | memoryview) -> str:
    """BLAKE3 of some bytes: 20 bytes as 40 hexadecimal digits."""
    return blake3(data).hexdigest(length=DIGEST_BYTES)


def digest_text(text: str) -> str:
    """BLAKE3 of a text in UTF-8."""
    return digest(text.encode("utf-8", "surrogatepass"))


def digest_json(value: object) -> str:
    """BLAKE3 of the canonical JSON of a value."""
    return digest_text(canonical_json(value))


def digest_parts(parts: Iterable[str]) -> str:
    """BLAKE3 of a sequence of texts, each framed by its length so that no two sequences collide."""
    return digest_text("".join(f"{len(part)}:{part}" for part in parts))


def frame_digest(parts: Iterable[memoryview]) -> str:
    """BLAKE3 of one frame's raw bytes (all its tensors in order): 16 bytes as 32 hexadecimal digits."""
    hasher = blake3()
    for part in parts:
        hasher.update(part)
    return hasher.hexdigest(length=FRAME_DIGEST_BYTES)

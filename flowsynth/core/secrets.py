"""Values that act and are written nowhere: what stands in records and on the terminal in their place.

The variable that a secret came from is named where its value was, as configuration names it
(``${oc.env:NAME}``): a graph out of a record finds the value again where the variable is set. Keys are hashes
of the values themselves.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from flowsynth.core.errors import RequestError

#: Names, apart by commas, of the environment variables that configuration may read and records may not show.
SECRET_ENVIRONMENT = "FLOWSYNTH_SECRET_ENV"  # noqa: S105  the name of a variable
#: Characters: a shorter text stands in too many others to be hidden.
SHORTEST = 6
_MARK = re.compile(r"\$\{oc\.env:(\w+)\}")

#: The secrets that this process has read: value -> what is shown.
_shown: dict[str, str] = {}


def secret_names() -> list[str]:
    """Names of the environment variables that are secret."""
    return [name for name in re.split(r"[,\s]+", os.environ.get(SECRET_ENVIRONMENT, "")) if name]


def keep_secret(name: str, value: str) -> None:
    """Have a variable's value hidden from now on.

    Raises:
        RequestError: a value that is too short to be hidden.
    """
    if len(value) < SHORTEST:
        raise RequestError(
            f"{SECRET_ENVIRONMENT}: the value of {name} is too short to be hidden; expected {SHORTEST}"
            f" characters or more, given {len(value)}"
        )
    _shown[value] = f"${{oc.env:{name}}}"


def has_secrets() -> bool:
    """Whether this process has read any."""
    return bool(_shown)


def hidden_text(text: str) -> str:
    """A text with the variables' names in place of secrets."""
    for value in sorted(_shown, key=len, reverse=True):
        text = text.replace(value, _shown[value])
        for plain in (False, True):  # inside JSON
            text = text.replace(json.dumps(value, ensure_ascii=plain)[1:-1], _shown[value])
    return text


def hidden(value: Any) -> Any:
    """JSON with the variables' names in place of secrets, wherever they stand in it."""
    if not _shown:
        return value
    if isinstance(value, str):
        return hidden_text(value)
    if isinstance(value, Mapping):
        return {hidden_text(str(key)): hidden(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [hidden(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _shown.get(str(value), value)
    return value


def revealed(value: Any) -> Any:
    """A graph out of a record with its secrets again, out of the environment.

    Raises:
        RequestError: a variable that is not set, or that the user did not say to be secret.
    """
    if isinstance(value, str):
        return _MARK.sub(lambda match: read_secret(match[1]), value)
    if isinstance(value, Mapping):
        return {key: revealed(part) for key, part in value.items()}
    return [revealed(part) for part in value] if isinstance(value, (list, tuple)) else value


def read_secret(name: str) -> str:
    """The value of a secret variable, hidden from now on.

    Raises:
        RequestError: not set, or not said to be secret.
    """
    if name not in secret_names() or name not in os.environ:
        raise RequestError(
            f"the graph needs the secret {name}; expected it in the environment, as in"
            f" {SECRET_ENVIRONMENT}={name} {name}=... flowsynth ..."
        )
    value = os.environ[name]
    keep_secret(name, value)
    return value

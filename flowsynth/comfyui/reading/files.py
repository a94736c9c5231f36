"""From a file to a workflow's JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from flowsynth.comfyui.reading.embedded import NAMES, embedded_texts, is_media
from flowsynth.comfyui.reading.errors import EXPECTED, WorkflowFileError
from flowsynth.core.errors import RequestError

#: How texts of other programs begin or what stands in them.
_A1111 = re.compile(r"\bSteps: \d+, .*\bSampler: ", re.S)
_LARGEST = 512 << 20


def read_workflow(file: Path) -> dict[str, Any]:
    """The JSON of a workflow: of a JSON file, or inside a picture or clip, the API's format first.

    Raises:
        RequestError: no such file, or none that holds a workflow; one message.
    """
    try:
        if file.stat().st_size > _LARGEST:
            raise WorkflowFileError(file, f"a file of {file.stat().st_size >> 20} MiB")
        data = file.read_bytes()
    except OSError as error:
        raise RequestError(f"{file}: expected {EXPECTED}; {error.strerror or error}") from None
    if not data.strip():
        raise WorkflowFileError(file, "an empty file")
    return _of_media(file, data) if is_media(data[:16]) else _of_text(file, data)


def _of_media(file: Path, data: bytes) -> dict[str, Any]:
    texts = embedded_texts(file, data)
    found = [texts[name] for name in NAMES if texts.get(name)]
    if not found:
        other = "parameters" in texts and "of AUTOMATIC1111's web UI"
        raise WorkflowFileError(file, f"a picture or clip {other or 'without a workflow inside'}")
    # Some tools cut the first of the two texts; the other may still be whole.
    if len(found) > 1 and not _is_json(found[0]):
        found = found[1:]
    return _of_text(file, found[0].encode())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _of_text(file: Path, data: bytes) -> dict[str, Any]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise WorkflowFileError(file, "a file of another kind") from None
    if _A1111.search(text):
        raise WorkflowFileError(file, "generation parameters of AUTOMATIC1111's web UI")
    try:
        found = json.loads(text, parse_constant=lambda _: None)
    except ValueError as error:
        raise WorkflowFileError(file, f"no JSON ({error})") from None
    except RecursionError:
        raise WorkflowFileError(file, "JSON that is nested too deeply") from None
    if not isinstance(found, dict):
        raise WorkflowFileError(file, f"JSON that is a {_KINDS.get(type(found), 'value')}")
    if not found:
        raise WorkflowFileError(file, "JSON without any node")
    return found


_KINDS: dict[type, str] = {list: "list", str: "text", int: "number", float: "number", bool: "truth value"}

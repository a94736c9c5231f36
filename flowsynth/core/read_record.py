"""Records read back from their files, those of older and newer versions too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from flowsynth.core.errors import InputError
from flowsynth.core.record import RunRecord, SweepRecord

RecordT = TypeVar("RecordT", bound=BaseModel)
#: What lies in the folder of a run, and of a sweep.
RUN, SWEEP = "run.json", "sweep.json"


def record_file(path: Path) -> Path | None:
    """The record that a path names: the file itself, or that of a folder (a sweep's before a run's).

    Returns:
        None for another file, and for a folder that holds neither.
    """
    if not path.is_dir():
        return path if path.suffix == ".json" else None
    return next((path / name for name in (SWEEP, RUN) if (path / name).is_file()), None)


def read_record(path: Path) -> RunRecord | SweepRecord:
    """The record of a run or of a sweep.

    Raises:
        InputError: it cannot be read, or is neither.
    """
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no JSON"
        raise InputError(f"{path}: cannot be read; expected {RUN} or {SWEEP}; given {reason}") from None
    kind: type[RunRecord] | type[SweepRecord] = RunRecord
    if isinstance(data, dict) and "jobs" in data and "nodes" not in data:
        kind = SweepRecord
    try:
        return known(kind, data)
    except ValidationError:
        raise InputError(
            f"{path}: not the record of a run or a sweep; expected an output of flowsynth"
        ) from None


def known(model: type[RecordT], data: Any) -> RecordT:
    """A record as far as this version knows its fields: a newer one may have more.

    Raises:
        ValidationError: it is none.
    """
    return model.model_validate(_known(model, data))


def _known(model: type[BaseModel], data: Any) -> Any:
    if not isinstance(data, dict):
        return data
    found = {}
    for name, value in data.items():
        field = model.model_fields.get(name)
        if field is not None:
            found[name] = _known_part(field.annotation, value)
    return found


def _known_part(annotation: Any, value: Any) -> Any:
    inner = next((kind for kind in (annotation, *get_args(annotation)) if _is_model(kind)), None)
    if inner is None:
        return value
    if isinstance(value, list):
        return [_known(inner, part) for part in value]
    if isinstance(value, dict) and annotation is not inner:
        return {name: _known(inner, part) for name, part in value.items()}
    return _known(inner, value)


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)

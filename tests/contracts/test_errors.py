"""Every error goes from one process to another: a launcher's worker, an actor, a pool."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.api.run import RunFailedError
from flowsynth.cache.errors import CacheFull
from flowsynth.core.errors import Fault, GraphError
from flowsynth.fetch.errors import ChecksumError, FetchError, OfflineError
from flowsynth.fetch.hub import HubError
from flowsynth.media.errors import MediaError, TruncatedMediaError
from flowsynth.operators.files.read_video import ReadVideo

PACKAGE = Path(fs.__file__).parent
_DEFINES = re.compile(r"^class \w+\((\w*Error|\w*Exception|NoSource)\b.*:", re.MULTILINE)
FAULTS = (Fault("nodes.a", "unknown", "b", "c", "d"), Fault("nodes.b", "no"))
#: Of those whose constructor takes something else than a message.
SAMPLES: dict[str, tuple[Any, ...]] = {
    "GraphError": (FAULTS, "overrides"),
    "BrokenError": (FAULTS[0],),
    "CacheFull": (Path("x"), 3_000, "quota"),
    "HubError": ("model", "a/b", "a folder", ValueError("no")),
    "RunFailedError": (),
    "Cut": (1, "two"),
    "WorkflowFileError": ("a.json", "nothing"),
    "NoCounterpartError": ("params.seed", "no node draws one", "a number"),
}


def classes(of: type[BaseException] = BaseException) -> Iterator[type[BaseException]]:
    for cls in of.__subclasses__():
        if cls.__module__.split(".")[0] == "flowsynth":
            yield cls
        yield from classes(cls)


def every_class() -> list[type[BaseException]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        if _DEFINES.search(path.read_text()):
            import_module(".".join(("flowsynth", *path.relative_to(PACKAGE).with_suffix("").parts)))
    return sorted(set(classes()), key=lambda cls: (cls.__module__, cls.__name__))


def sample(cls: type[BaseException], tmp_path: Path) -> BaseException:
    if cls is RunFailedError:
        graph = fs.Graph("g")
        (tmp_path / "a.mp4").write_bytes(b"no clip")
        graph.add("clip", ReadVideo(path=str(tmp_path / "a.mp4")))
        with pytest.raises(RunFailedError) as caught:
            graph.run(cache_dir=tmp_path / "cache")
        return caught.value
    if issubclass(cls, (FetchError, MediaError)):
        return cls("a/file", "this", "that")
    return cls(*SAMPLES.get(cls.__name__, ("what is wrong",)))


def test_every_error_is_the_same_after_a_journey(tmp_path: Path) -> None:
    found = every_class()
    assert {GraphError, CacheFull, HubError, OfflineError, ChecksumError, TruncatedMediaError} <= set(found)
    for cls in found:
        error = sample(cls, tmp_path)
        for other in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
            assert type(other) is cls
            assert str(other) == str(error), cls
            assert other.args == error.args, cls
            told, expected = dict(vars(other)), dict(vars(error))
            assert told.keys() | {"run"} == expected.keys() | {"run"}, cls
            assert {k: v for k, v in told.items() if k != "run"} == {
                k: v for k, v in expected.items() if k != "run"
            }, cls
            assert getattr(other, "exit_code", None) == getattr(error, "exit_code", None)

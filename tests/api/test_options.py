"""The options of a run: each acts, or is refused in one message before anything is touched."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import flowsynth as fs
from flowsynth.config.settings import parse_settings
from flowsynth.core.errors import GraphError
from flowsynth.core.options import RunOptions, parse_size
from tests.api.test_counts import diamond


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"chunk": 0}, ["chunk", "greater than or equal to 1", "given 0"]),
        ({"chunk": -1}, ["chunk", "greater than or equal to 1", "given -1"]),
        ({"chunk": True}, ["chunk", "a number", "given True"]),
        ({"chunk": "many"}, ["chunk", "integer", "given 'many'"]),
        ({"workers": 0}, ["workers", "given 0"]),
        ({"workers": -1}, ["workers", "given -1"]),
        ({"max_bytes": 0}, ["max_bytes", "greater than 0", "given 0"]),
        ({"max_bytes": "a lot"}, ["max_bytes", "given 'a lot'"]),
        ({"model_bytes": "-2GB"}, ["model_bytes", "given '-2GB'"]),
        ({"executor": "thread"}, ["executor", "'serial', 'threads' or 'ray'", "did you mean 'threads'?"]),
        ({"chnk": 3}, ["chnk", "unknown option", "did you mean 'chunk'?"]),
        ({"cache_dir": 5}, ["cache_dir", "path"]),
    ],
)
def test_a_wrong_option_is_one_message(tmp_path: Path, given: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(GraphError) as caught:
        diamond().run(**{"cache_dir": tmp_path / "cache", **given})
    text = str(caught.value)
    assert "\n" not in text
    assert caught.value.exit_code == 2
    for word in words:
        assert word in text, (word, text)
    assert not (tmp_path / "cache").exists()


def test_all_wrong_options_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="options: 3 faults"):
        diamond().run(cache_dir=tmp_path, chunk=0, workers=-1, max_bytes="1 yard")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1GB", 2**30), ("1 PB", 2**50), ("1.5k", 1536), (12, 12), ("3 EiB", 3 * 2**60), ("7b", 7)],
)
def test_sizes(tmp_path: Path, text: int | str, size: int) -> None:
    assert parse_size(text) == size
    assert diamond().run(cache_dir=tmp_path, max_bytes=text).ok
    assert parse_settings({"cache": {"max_bytes": text}}).run_options().max_bytes == size


def test_python_and_the_command_line_say_the_same() -> None:
    for name, value in [("chunk", 0), ("workers", -1), ("executor", "thread")]:
        with pytest.raises(GraphError) as here:
            RunOptions.of({name: value})
        with pytest.raises(GraphError) as there:
            parse_settings({name: value})
        assert str(here.value).removeprefix("options: ") == str(there.value).removeprefix("settings: ")


def test_what_a_session_decided_cannot_be_given_again(tmp_path: Path) -> None:
    with fs.Session(tmp_path / "cache") as session:
        with pytest.raises(GraphError, match="device: is the session's own"):
            diamond().run(session=session, device="cpu", chunk=4)
        assert diamond().run(session=session, chunk=4, options=RunOptions(debug=True)).ok
    with pytest.raises(GraphError, match="model_bytes"):
        fs.Session(tmp_path / "cache", model_bytes=0)


def test_options_as_one_object_may_be_changed_by_name(tmp_path: Path) -> None:
    options = RunOptions(cache_dir=tmp_path / "one", chunk=4)
    assert diamond().run(options=options, cache_dir=tmp_path / "two").ok
    assert (tmp_path / "two").is_dir()
    assert not (tmp_path / "one").exists()

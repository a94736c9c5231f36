import time
from pathlib import Path

import pytest

from flowsynth.core.errors import GraphError, InputError
from flowsynth.core.yaml_text import load_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("-3", -3),
        ("010", 10),
        ("0x10", 16),
        ("1e-3", 0.001),
        (".5", 0.5),
        ("true", True),
        ("on", "on"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("1.2.3", "1.2.3"),
        ("-", [None]),
        ("~", None),
        ("''", ""),
        ("'1'", "1"),
        ("", None),
        ("{0: a, 48: b}", {"0": "a", "48": "b"}),
        ("[1, [2, {a: null}]]", [1, [2, {"a": None}]]),
        ("base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}", {"base": {"x": 1, "y": 2}, "c": {"x": 1, "y": 3}}),
        ("a: &n 5\nb: *n", {"a": 5, "b": 5}),
    ],
)
def test_values(text: str, value: object) -> None:
    result = load_yaml(text, "t.yaml")
    assert result == value
    assert type(result) is type(value)


def test_an_alias_is_a_copy() -> None:
    value = load_yaml("a: &n [1]\nb: *n", "t.yaml")
    value["a"].append(2)
    assert value["b"] == [1]


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{n}: &{n} [{','.join([f'*{p}'] * 10)}]\n" for p, n in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a: 1\nb: [1, 2", 2, "not YAML"),
        ("a: 1\nb: 2\na: 3", 3, "duplicate key 'a'"),
        ("x: {_target_: os.system}", 1, "_target_"),
        ("x: !!python/object/apply:os.system [ls]", 1, "tag"),
        ("x: !mine 3", 1, "tag"),
        ("{[1]: 2}", 1, "as a key"),
        ("a: *b", 1, "alias"),
        ("a: 1\n---\nb: 2", 2, "second document"),
        ("\n".join(" " * i + "a:" for i in range(80)), 50, "deeply"),
        (BOMB, 5, "unfold"),
        ("a:\n\t- b", 2, "not YAML"),
        ("<<: 3", 1, "'<<'"),
        ("a: b: c", 1, "not YAML"),
    ],
)
def test_faults_name_file_and_line(text: str, line: int, words: str) -> None:
    with pytest.raises(GraphError) as caught:
        load_yaml(text, "t.yaml")
    assert len(caught.value.faults) == 1
    assert words in str(caught.value)
    assert abs(int(caught.value.faults[0].path.removeprefix("t.yaml:")) - line) <= 1


def test_a_hundred_thousand_brackets_are_refused_quickly() -> None:
    began = time.perf_counter()
    with pytest.raises(GraphError, match="deeply"):
        load_yaml("[" * 100_000, "t.yaml")
    assert time.perf_counter() - began < 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "bin.yaml").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="UTF-8"):
        read_yaml(tmp_path / "bin.yaml")
    with pytest.raises(InputError, match="directory"):
        read_yaml(tmp_path)

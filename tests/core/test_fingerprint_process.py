# ruff: noqa: E501 - source texts, one a line
"""Fingerprints in processes of their own: scripts, plug-ins, sources that aren't there, and the memo."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flowsynth import Operator, RunContext
from flowsynth.core.fingerprint import FingerprintMemo, NoSource, source, source_fingerprint, source_parts

REPOSITORY = Path(__file__).parents[2]

SCRIPT = """
import helper
from flowsynth.core.fingerprint import source_parts

SCALE = 2

class Inc:
    def run(self, ctx, /, *, x=0):
        return helper.step(x) * SCALE

class Twice:
    def run(self, ctx, /, *, x=0):
        return helper.step(x) * 2

if __name__ == "__main__":
    import json, sys
    print(json.dumps([source_parts(Inc), source_parts(Twice), sorted(sys.modules)]))
    print("graph of", Inc().run(None, x=1))
"""


def run(folder: Path, *args: str) -> str:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, *args], cwd=folder, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def look(folder: Path) -> tuple[dict[str, str], dict[str, str], list[str]]:
    first, second, modules = json.loads(run(folder, "script.py").splitlines()[0])
    return first, second, modules


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "helper.py").write_text("import math\n\ndef step(x):\n    return math.ceil(x + 1)\n")
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_script_run_as_main(folder: Path) -> None:
    inc, twice, _ = look(folder)
    assert set(inc) == {"script:Inc", "script:SCALE", "script:helper", "helper:step", "helper:math"}
    edit(folder / "script.py", "graph of", "the graph of")
    assert look(folder)[:2] == (inc, twice)
    edit(folder / "script.py", "SCALE = 2", "SCALE = 3")
    changed, same, _ = look(folder)
    assert changed != inc
    assert same == twice
    edit(folder / "helper.py", "x + 1", "x + 2")
    third, also, _ = look(folder)
    assert third["helper:step"] != changed["helper:step"]
    assert also != twice


def test_a_script_imported_has_the_fingerprint_it_has_as_main(folder: Path) -> None:
    inc = look(folder)[0]
    code = "import json, script; print(json.dumps(script.source_parts(script.Inc)))"
    assert json.loads(run(folder, "-c", code)) == inc


def test_a_module_run_with_m(folder: Path) -> None:
    package = folder / "plug"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "inner.py").write_text(SCRIPT.replace("import helper", "from . import helper"))
    (folder / "helper.py").rename(package / "helper.py")
    inc = json.loads(run(folder, "-m", "plug.inner").splitlines()[0])[0]
    assert "plug.helper:step" in inc
    assert "plug.inner:Inc" in inc


def test_nothing_is_imported(folder: Path) -> None:
    (folder / "heavy.py").write_text("import torch\n\ndef f(x):\n    return torch.relu(x)\n")
    edit(
        folder / "helper.py",
        "import math",
        "import math, torch, numpy\nfrom heavy import f\nfrom flowsynth import values",
    )
    edit(
        folder / "helper.py",
        "    return math",
        "    f(x) + values.Frames(x)\n    return torch.relu(numpy.array(x)) + math",
    )
    (folder / "late.py").write_text(
        "import sys\nfrom flowsynth.core.fingerprint import source_parts\n\nclass Op:\n    def run(self, x):\n"
        "        from helper import step\n        return step(x)\n\nparts = source_parts(Op)\n"
        "assert 'heavy:f' in parts and 'helper:torch' in parts, parts\n"
        "assert not {'torch', 'numpy', 'helper', 'heavy', 'hydra'} & set(sys.modules)\n"
    )
    run(folder, "late.py")


def test_a_helper_named_like_a_standard_module(folder: Path) -> None:
    (folder / "statistics.py").write_text("def spread(x):\n    return x\n")
    edit(folder / "helper.py", "import math", "import math\nfrom statistics import spread")
    edit(folder / "helper.py", "x + 1", "spread(x) + 1")
    before = look(folder)[0]
    assert "statistics:spread" in before
    edit(folder / "statistics.py", "return x", "return -x")
    assert look(folder)[0] != before


def test_installed_libraries_are_not_walked_but_a_plugin_is(folder: Path) -> None:
    site = folder / "site-packages"
    for name in ("plugin", "library"):
        (site / name).mkdir(parents=True)
        (site / name / "__init__.py").touch()
    (site / "library" / "tools.py").write_text("def f(x):\n    return x\n")
    (site / "plugin" / "deep.py").write_text("def g(x):\n    return x\n")
    (site / "plugin" / "ops.py").write_text(
        "from library.tools import f\nfrom plugin.deep import g\n\nclass Op:\n    def run(self, x):\n        return f(g(x))\n"
    )
    code = (
        f"import sys; sys.path.append({str(site)!r}); import json, plugin.ops\n"
        "from flowsynth.core.fingerprint import source_parts\nprint(json.dumps(source_parts(plugin.ops.Op)))"
    )
    assert set(json.loads(run(folder, "-c", code))) == {
        "plugin.ops:Op",
        "plugin.ops:f",
        "plugin.ops:g",
        "plugin.deep:g",
    }


def test_code_without_a_file_has_no_source(folder: Path) -> None:
    text = (
        "from flowsynth.core.fingerprint import NoSource, source_fingerprint\n"
        "class Op:\n    def run(self, x):\n        return x\n"
        "try:\n    source_fingerprint(Op)\nexcept NoSource as error:\n    print(error)\n"
    )
    assert "define it in a file of its own" in run(folder, "-c", text)
    names: dict[str, type] = {}
    exec("class Op:\n    def run(self, x):\n        return x\n", {"__name__": __name__}, names)
    with pytest.raises(NoSource, match="<string>"):
        source_fingerprint(names["Op"])
    with pytest.raises(NoSource, match="not defined by a statement"):
        source_fingerprint(type("Made", (), {"__module__": __name__}))


def in_uses() -> int:
    return 1


class Chooser:
    """Picks a helper by a computed name."""

    def run(self, x: str) -> object:
        return x


def test_uses_are_followed() -> None:
    plain = source_parts(Chooser)
    by_object = source_parts(Chooser, uses=(in_uses,))
    assert {label.partition(":")[2] for label in by_object.keys() - plain.keys()} == {"in_uses"}
    assert source_parts(Chooser, uses=(f"{__name__}:in_uses",)) == by_object
    assert source_parts(Chooser, uses=(json, "json:dumps")) == plain  # its version is another part of the key
    whole = source_parts(Chooser, uses=(sys.modules[__name__],))
    assert {f"{__name__}:in_uses", f"{__name__}:edit"} <= whole.keys()


def test_uses_that_name_nothing() -> None:
    with pytest.raises(LookupError, match="did you mean 'in_uses'"):
        source_parts(Chooser, uses=(f"{__name__}:in_use",))
    with pytest.raises(LookupError, match=r"no module 'nowhere\.at_all'"):
        source_parts(Chooser, uses=("nowhere.at_all:f",))
    with pytest.raises(TypeError, match="expected a function"):
        source_parts(Chooser, uses=(3,))


def make(step: int, other: object = None) -> type:
    class Local:
        def run(self, x: int) -> object:
            return x + step if other is None else other

    return Local


def test_a_class_made_by_a_function_holds_what_it_captured() -> None:
    assert source_fingerprint(make(1)) == source_fingerprint(make(1))
    assert source_fingerprint(make(1)) != source_fingerprint(make(2))
    assert any(label.endswith(":in_uses") for label in source_parts(make(1, in_uses)))
    with pytest.raises(NoSource, match="takes 'other', a list"):
        source_fingerprint(make(1, [1]))


def make_operator(step: int) -> type[Operator]:
    class LocalOperator(Operator):
        size: int = 3

        def run(self, ctx: RunContext, /, *, x: int = 0) -> int:
            return x + step * self.size

    return LocalOperator


def test_an_operator_made_by_a_function() -> None:
    parts = source_parts(make_operator(1))
    assert {label.rpartition(".")[2] for label in parts if "[" in label} == {"run[step]"}
    assert source_fingerprint(make_operator(2)) != source_fingerprint(make_operator(1))


picked = lambda x: x + 1  # noqa: E731


def test_a_lambda_in_uses() -> None:
    assert f"{__name__}:picked" in source_parts(Chooser, uses=(picked,))


def test_two_processes_share_a_memo(tmp_path: Path) -> None:
    first, second = FingerprintMemo(tmp_path / "memo.json"), FingerprintMemo(tmp_path / "memo.json")
    source_fingerprint(Chooser, memo=first)
    source_fingerprint(make_operator(1), memo=second)
    first.save()
    second.save()
    assert len(json.loads((tmp_path / "memo.json").read_text())["entries"]) == 2


def test_what_one_memo_found_another_takes_and_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "found_once.py").write_text("class One:\n    def run(self):\n        return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    one = importlib.import_module("found_once").One
    made: list[type] = []
    compute = source._compute

    def counted(cls: type, *rest: Any) -> Any:
        made.append(cls)
        return compute(cls, *rest)

    monkeypatch.setattr(source, "_compute", counted)
    value = source_fingerprint(one)
    with FingerprintMemo(tmp_path / "memo.json") as memo:
        assert source_fingerprint(one, memo=memo) == value
    assert made == [one]
    assert value in (tmp_path / "memo.json").read_text(), "for the next process"

    (tmp_path / "found_once.py").write_text("class One:\n    def run(self):\n        return 21\n")
    again = importlib.reload(sys.modules["found_once"]).One
    assert source_fingerprint(again, memo=FingerprintMemo()) != value
    assert made == [one, again]


def test_a_read_only_memo_reads_and_never_writes(tmp_path: Path) -> None:
    path = tmp_path / "new" / "memo.json"
    with FingerprintMemo(path, read_only=True) as memo:
        value = source_fingerprint(Chooser, memo=memo)
    assert not path.parent.exists()
    with FingerprintMemo(path) as memo:
        source_fingerprint(Chooser, memo=memo)
    before = path.read_bytes()
    with FingerprintMemo(path, read_only=True) as memo:
        assert source_fingerprint(Chooser, memo=memo) == value
        source_fingerprint(make_operator(1), memo=memo)
    assert path.read_bytes() == before


MEMO = """
import sys
from flowsynth.core.fingerprint import FingerprintMemo, source_fingerprint, source_parts
import script

with FingerprintMemo("memo/fingerprints.json") as memo:
    print(source_fingerprint(script.Inc, memo=memo), source_fingerprint(script.Twice, memo=memo))
    print("parsed" if __import__("flowsynth.core.fingerprint.reach").core.fingerprint.reach._modules else "remembered")
    assert source_parts(script.Inc, memo=memo) == source_parts(script.Inc)
"""


def remembered(folder: Path) -> tuple[str, str]:
    values, how = run(folder, "-c", MEMO).splitlines()
    return values, how


def test_the_memo_survives_the_process_and_sees_every_edit(folder: Path) -> None:
    first = remembered(folder)
    assert first[1] == "parsed"
    assert remembered(folder) == (first[0], "remembered")
    helper = folder / "helper.py"
    before = helper.stat()
    edit(helper, "x + 1", "x + 2")
    os.utime(helper, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert helper.stat().st_size == before.st_size
    second = remembered(folder)
    assert second[1] == "parsed"
    assert not set(second[0].split()) & set(first[0].split())
    edit(helper, "import math", "import math  # ceil")
    assert remembered(folder) == second
    assert remembered(folder) == (second[0], "remembered")


@pytest.mark.sample(1)
@pytest.mark.parametrize("damage", ["", "{", "[]", '{"format": 3}', "\x00\xff", "cut", "wrong index"])
def test_a_damaged_memo_counts_as_empty(folder: Path, damage: str) -> None:
    first = remembered(folder)[0]
    path = folder / "memo" / "fingerprints.json"
    text = path.read_text()
    if damage == "wrong index":
        damage = text.replace('"parts":[0', '"parts":[999')
        assert damage != text
    path.write_text(text[: len(text) // 2] if damage == "cut" else damage)
    assert remembered(folder)[0] == first
    assert json.loads(path.read_text()) == json.loads(text)
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_memo_without_a_place_to_write_still_answers(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with FingerprintMemo(tmp_path / "file" / "memo.json") as memo:
        assert source_fingerprint(Chooser, memo=memo) == source_fingerprint(Chooser)

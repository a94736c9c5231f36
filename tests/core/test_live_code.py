# ruff: noqa: E501 - source texts, one a line
"""Live values in fingerprints: what is set, filled and read outside of the source that a walk sees."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.core.fingerprint import ClassSource, class_source
from flowsynth.core.operator import Operator
from tests.core.test_fingerprint import Project
from tests.processes import python

OPS = """
    from typing import ClassVar
    import flowsynth as fs
    import reg, settings
    from helper import f
    from settings import SIZE

    K = 1
    TABLE = {{"a": 1}}
    _memo = {{}}
    def helper(x=1): return x
    def remember(k):
        _memo[k] = k
        return _memo[k]

    class Op(fs.Operator):
        '''x'''
        op = "z_live"
        version = 1
        gain: ClassVar[int] = 1
        def run(self, ctx, /) -> int: return {body}
        def other(self): return 1
    """
FILES = {
    "reg.py": "R = {}\nclass Box:\n    level = 1\n    def get(self): return 1\n",
    "settings.py": "K = 1\nSIZE = 3\n",
    "helper.py": "def f(): return 1\n",
    "plug.py": "pass\n",
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.chdir(tmp_path)
    made = Project(tmp_path)
    yield made
    made.forget()


def look(project: Project, body: str, plug: str, **files: str) -> ClassSource:
    """The code of an operator after a plug-in was imported beside it."""
    project.write({**FILES, "ops.py": OPS.format(body=body), "plug.py": plug + "\n", **files})
    cls = project.load("ops")
    assert issubclass(cls, Operator)
    __import__("plug")
    return class_source(cls, uses=cls.uses)


#: What `run` returns, and two plug-ins after which it returns different things.
SET = {
    "class attribute": ("self.gain", "import ops; ops.Op.gain = 5", "import ops; ops.Op.gain = 8"),
    "a new class attribute": ("getattr(self, 'extra', 1)", "import ops; ops.Op.extra = 5", "import ops; ops.Op.extra = 8"),
    "method": ("self.other()", "import ops; ops.Op.other = lambda self: 5", "import ops; ops.Op.other = lambda self: 8"),
    "method by a builtin": ("self.other()", "pass", "import ops; ops.Op.other = staticmethod(int)"),
    "global": ("K", "import ops; ops.K = 5", "import ops; ops.K = 8"),
    "global of another module": ("settings.K", "import settings; settings.K = 5", "import settings; settings.K = 7"),
    "item of a table": ("TABLE['a']", "import ops; ops.TABLE['a'] = 2", "import ops; ops.TABLE['a'] = 3"),
    "order of a table": ("list(TABLE)[0]", "import ops; ops.TABLE = {'a': 1, 'b': 2}", "import ops; ops.TABLE = {'b': 2, 'a': 1}"),
    "helper": ("helper()", "import ops; ops.helper = lambda: 5", "import ops; ops.helper = lambda: 6"),
    "helper by one of its file": ("helper()", "import ops; ops.helper = ops.remember", "import ops; ops.helper = ops.f"),
    "default of a helper": ("helper()", "import ops; ops.helper.__defaults__ = (5,)", "import ops; ops.helper.__defaults__ = (6,)"),
    "imported helper": ("f()", "import ops; ops.f = lambda: 5", "import ops; ops.f = lambda: 6"),
    "imported helper at its home": ("reg.Box().get()", "import reg; reg.Box.get = lambda s: 5", "import reg; reg.Box.get = lambda s: 6"),
    "attribute of another class": ("reg.Box.level", "import reg; reg.Box.level = 5", "import reg; reg.Box.level = 6"),
    "imported constant": ("SIZE", "import ops; ops.SIZE = 5", "import ops; ops.SIZE = 6"),
    "registry of functions": ("reg.R['f']()", "import reg; reg.R['f'] = lambda: 3", "import reg; reg.R['f'] = lambda: 4"),
    "registry of named functions": ("reg.R['f']()", "import reg\ndef g(): return 3\nreg.R['f'] = g", "import reg\ndef g(): return 4\nreg.R['f'] = g"),
    "registry of classes": ("reg.R['f']().k", "import reg\nclass G: k = 3\nreg.R['f'] = G", "import reg\nclass G: k = 4\nreg.R['f'] = G"),
    "registry of partials": ("reg.R['f']()", "import reg; from functools import partial; reg.R['f'] = partial(max, 3, 1)", "import reg; from functools import partial; reg.R['f'] = partial(max, 4, 1)"),
    "registry of closures": ("reg.R['f']()", "import reg\ndef mk(n): return lambda: n\nreg.R['f'] = mk(3)", "import reg\ndef mk(n): return lambda: n\nreg.R['f'] = mk(4)"),
    "what a registered function calls": ("reg.R['f']()", "import reg\nN = 3\ndef h(): return N\nreg.R['f'] = lambda: h()", "import reg\nN = 4\ndef h(): return N\nreg.R['f'] = lambda: h()"),
    "whole module": ("settings.K", "import ops, types; ops.settings = types.SimpleNamespace(K=5)", "pass"),
}  # fmt: skip


@pytest.mark.parametrize("case", SET)
def test_what_is_set_from_outside_counts(project: Project, case: str) -> None:
    body, one, two = SET[case]
    first, second = look(project, body, one), look(project, body, two)
    assert not (first.kept and second.kept and first.fingerprint == second.fingerprint)
    assert look(project, body, two).fingerprint == second.fingerprint
    if case != "whole module":
        assert first.kept
        assert second.kept


#: What must not matter: a plug-in's text, and another that leaves `run` as it is.
KEPT = {
    "the same value set": ("K", "pass", "import ops; ops.K = 1"),
    "what is not reached": ("helper()", "pass", "import ops; ops.K = 5; ops.TABLE.clear()"),
    "a memo that the operator fills": ("remember(3)", "pass", "import ops; ops.remember(3)"),
    "another plug-in's lines": ("reg.R['f']()", "import reg; reg.R['f'] = lambda: 3", "# a comment\n\n\nimport reg\n\nreg.R['f'] = lambda: 3"),
    "more modules": ("K", "pass", "import json, decimal, wave"),
    "an instance's use": ("K", "pass", "import ops; ops.Op().run(None)"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEPT)
def test_what_changes_nothing_does_not_count(project: Project, case: str) -> None:
    body, one, two = KEPT[case]
    first, second = look(project, body, one), look(project, body, two)
    assert first.kept
    assert second == first


#: Files whose second form gives another result, though no source changes.
READ = {
    "at import": ("import json\nwith open('cfg.json') as file:\n    CFG = json.load(file)", "CFG['k']"),
    "in run": ("import json", "json.load(open('cfg.json'))['k']"),
    "as a path": ("from pathlib import Path", "Path('cfg.json').read_text()"),
    "executed": ("d = {}", "exec(open('cfg.json').read(), d)"),
}


@pytest.mark.parametrize("case", READ)
def test_files_named_in_the_source_count(project: Project, case: str) -> None:
    before, body = READ[case]
    ops = textwrap.dedent(OPS.format(body=body)).replace("K = 1\n", f"{before}\n")
    first = look(project, body, "pass", **{"cfg.json": '{"k": 1}', "ops.py": ops})
    assert look(project, body, "pass", **{"cfg.json": '{"k": 1}', "ops.py": ops}) == first
    assert look(project, body, "pass", **{"cfg.json": '{"k": 2}', "ops.py": ops}) != first


@pytest.mark.parametrize(
    "body", ["os.environ.get('Z_K', 1)", "os.environ['Z_K']", "os.getenv('Z_K')", "LEVEL"]
)
def test_the_environment_counts(project: Project, body: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ops = textwrap.dedent(OPS.format(body=body)).replace(
        "K = 1\n", "import os\nLEVEL = int(os.environ.get('Z_K'))\n"
    )
    monkeypatch.setenv("Z_K", "1")
    first = look(project, body, "pass", **{"ops.py": ops})
    monkeypatch.setenv("Z_OTHER", "2")
    assert look(project, body, "pass", **{"ops.py": ops}) == first
    monkeypatch.setenv("Z_K", "2")
    assert look(project, body, "pass", **{"ops.py": ops}).fingerprint != first.fingerprint


UNSEEN = {
    "open(path)": "open(", "open(path, mode='r+')": "open(", "Path(path).read_text()": "read_text(",
    "os.environ[path]": "environ", "dict(os.environ)": "environ", "os.getenv(path)": "getenv(",
    "subprocess.run([path])": "subprocess", "os.system(path)": "os.system",
    "importlib.import_module('c' + path)": "import_module(", "__import__(path)": "__import__(", "eval(path)": "eval(",
}  # fmt: skip


@pytest.mark.parametrize("body", UNSEEN)
def test_what_cannot_be_seen_is_told(project: Project, body: str) -> None:
    (note,) = look(project, f"(lambda path: {body})('x')", "pass").notes
    assert note.startswith(f"ops:Op: what {UNSEEN[body]} gives is not part of the key; ")
    assert "uses" in note or "files()" in note


@pytest.mark.parametrize("body", ["open(path, 'w')", "open(path, mode='ab')", "path.open('x')", "eval('1')"])
def test_what_reads_nothing_gets_no_note(project: Project, body: str) -> None:
    assert look(project, f"(lambda path: {body})('x')", "pass").notes == ()


def test_a_folder_that_moves_does_not_count(project: Project, tmp_path: Path) -> None:
    ops = textwrap.dedent(OPS.format(body="ROOT")).replace(
        "K = 1\n", "from pathlib import Path\nROOT = Path(__file__).parent\n"
    )
    first = look(project, "", "pass", **{"ops.py": ops})
    (tmp_path / "elsewhere").mkdir()
    other = Project(tmp_path / "elsewhere")
    sys.path.insert(0, str(other.root))
    try:
        project.forget()
        assert look(other, "", "pass", **{"ops.py": ops}) == first
    finally:
        sys.path.remove(str(other.root))
        other.forget()


PROMPT = """
import flowsynth as fs
from flowsynth.core.fingerprint import class_source
N = {n}
def helper(): return N
class Op(fs.Operator):
    {doc}
    op = "z_prompt"
    version = 1
    size: int = 1
    def run(self, ctx, /) -> int:
        return {body}
print(class_source(Op))
"""


def prompt(body: str, n: object = 1, doc: str = "'''x'''") -> str:
    return python(PROMPT.format(body=body, n=n, doc=doc))


def test_code_without_a_file_is_known_by_its_bytecode() -> None:
    first = prompt("1")
    assert "kept=True" in first
    assert prompt("1") == first
    assert prompt("(1  # a comment\n            )") == first
    assert prompt("2") != first
    assert prompt("helper()", 1) != prompt("helper()", 2)
    assert prompt("(lambda: [N for _ in 'a'])()", 1) != prompt("(lambda: [N for _ in 'a'])()", 2)
    assert prompt("1", n=2) == first, "what is not read does not count"


def test_a_cell_that_is_run_again_is_computed_again(tmp_path: Path) -> None:
    cell = """
import flowsynth as fs
for body in (1, 2, 1):
    text = f'class Op(fs.Operator):\\n  "x"\\n  op = "cell"\\n  version = 1\\n  def run(self, ctx, /) -> int: return {body}'
    exec(compile(text, "<ipython-input-1>", "exec"))
    g = fs.Graph("g")
    g.add("n", Op())
    run = g.run(cache_dir=__import__("sys").argv[1])
    print(run["n"], run.record.nodes["n"].tasks.computed)
"""
    assert python(cell, tmp_path).split() == ["1", "1", "2", "1", "1", "0"]
    assert python(cell, tmp_path).split() == ["1", "0", "2", "0", "1", "0"]


def test_code_without_a_file_that_reads_what_has_no_form_is_not_kept() -> None:
    found = prompt("N", n="open('/dev/null')")
    assert "kept=False" in found
    assert "its results are not kept" in found


SAVED = """
import sys, time
from pathlib import Path
Path("zz_helper.py").write_text("def f(): return 1\\nK = 1\\n")
Path("zz_ops.py").write_text('''
import flowsynth as fs
from zz_helper import f, K
class Op(fs.Operator):
    "x"
    op = "zz"
    version = 1
    def run(self, ctx, /) -> int: return f() + K
''')
sys.path.insert(0, ".")
sys.dont_write_bytecode = True
import zz_ops
from flowsynth.core.fingerprint import class_source
Path("zz_helper.py").write_text({text!r})
print(class_source(zz_ops.Op))
"""


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    "text", ["def f(): return 2\nK = 1\n", "def f(: broken", "def f(): return 1\nK = 2\n"]
)
def test_a_helper_saved_after_its_import_is_noticed(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    same = python(SAVED.format(text="# only a comment\ndef f(): return 1\nK = 1\n"))
    assert "kept=True" in same
    after = python(SAVED.format(text=text))
    assert after != same
    if "K = 1" in text:
        assert "was saved after it was imported" in after


UNKEPT = """
import flowsynth as fs
LOG = open("/dev/null")
class Op(fs.Operator):
    "x"
    op = "z_unkept"
    version = 1
    def run(self, ctx, /) -> int: return 1 if LOG else 2
for _ in range(2):
    g = fs.Graph("g")
    g.add("n", Op(), cache="always")
    node = g.run(cache_dir="cache").record.nodes["n"]
    print(node.status, node.tasks.computed, node.notes)
"""


def test_what_is_not_kept_is_run_again_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = python(UNKEPT).splitlines()
    assert [line.split()[0] for line in lines] == ["computed", "computed"]
    assert all("its results are not kept" in line and "LOG" in line for line in lines)


RELOADED = """
import importlib, sys
from pathlib import Path
import flowsynth as fs
sys.path.insert(0, ".")
sys.dont_write_bytecode = True
Path("zz_helper.py").write_text("def f(): return 1")
Path("zz_ops.py").write_text('''
import flowsynth as fs
import zz_helper
class Op(fs.Operator):
    "x"
    op = "zz"
    version = 1
    def run(self, ctx, /) -> int: return zz_helper.f()
''')
import zz_helper, zz_ops
with fs.Session("cache") as session:
    for value in (1, 22, 333, 22):
        Path("zz_helper.py").write_text(f"def f(): return {value}")
        importlib.reload(zz_helper)
        g = fs.Graph("g")
        g.add("n", zz_ops.Op())
        run = g.run(session=session)
        print(run["n"], run.record.nodes["n"].tasks.computed)
"""


def test_a_helper_that_is_reloaded_within_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert python(RELOADED).split() == ["1", "1", "22", "1", "333", "1", "22", "0"]

# ruff: noqa: E501 - source texts, one a line
"""What changes a source fingerprint and what doesn't: real packages, edited on disk."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from flowsynth.core.fingerprint import source_fingerprint, source_parts
from flowsynth.core.fingerprint.module import read_module

BASE = {
    "pkg/__init__.py": "",
    "pkg/ops.py": """
        '''Operators.'''
        import math
        from pkg.mid import blend as mix
        from . import tools
        from .base import Base

        GAIN = 2.0
        TABLE = {"a": 1}
        UNUSED = 9

        def local(x, scale=GAIN):
            '''Scale.'''
            return tools.clamp(x * scale) + TABLE["a"]  # a comment

        def unrelated(x):
            return local(x) - 1

        class Op(Base):
            '''An operator.'''
            step: int = 1

            def run(self, x):
                '''Run it.'''
                return mix(local(x), math.pi)

        class Other(Base):
            def run(self, x):
                return local(x)
        """,
    "pkg/base.py": """
        class Base:
            def setup(self):
                return 1
        """,
    "pkg/mid.py": """
        from pkg.deep import curve

        def blend(a, b):
            return curve(a) + b

        def spare():
            return 0
        """,
    "pkg/deep.py": """
        from math import sin as wave

        ORDER = 3

        def curve(x):
            return wave(x) ** ORDER
        """,
    "pkg/tools.py": """
        def clamp(x):
            return max(x, 0)

        def other(x):
            return min(x, 0)
        """,
}


class Project:
    """Modules in a folder on the path, imported afresh for every look."""

    def __init__(self, root: Path) -> None:
        self.root, self._others = root, set(sys.modules)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def load(self, module: str, name: str = "Op") -> type:
        self.forget()
        importlib.invalidate_caches()
        cls = getattr(importlib.import_module(module), name)
        assert isinstance(cls, type)
        return cls

    def forget(self) -> None:
        for name in sys.modules.keys() - self._others:
            module = sys.modules[name]
            places = [vars(module).get("__file__") or "", *(vars(module).get("__path__") or ())]
            if any(place.startswith(str(self.root)) for place in places):
                del sys.modules[name]

    def look(self, module: str = "pkg.ops", name: str = "Op", uses: tuple[object, ...] = ()) -> str:
        return source_fingerprint(self.load(module, name), uses=uses)

    def parts(self, module: str = "pkg.ops", name: str = "Op") -> dict[str, str]:
        return source_parts(self.load(module, name))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    made = Project(tmp_path)
    made.write(BASE)
    yield made
    made.forget()


def test_reaches_exactly_what_it_uses(project: Project) -> None:
    assert set(project.parts()) == {
        "pkg.ops:Op", "pkg.ops:Base", "pkg.ops:GAIN", "pkg.ops:TABLE", "pkg.ops:local", "pkg.ops:math",
        "pkg.ops:mix", "pkg.ops:tools", "pkg.base:Base", "pkg.mid:blend", "pkg.mid:curve", "pkg.deep:curve",
        "pkg.deep:ORDER", "pkg.deep:wave", "pkg.tools:clamp",
    }  # fmt: skip
    value = project.look()
    assert len(value) == 40
    assert int(value, 16) >= 0


CHANGES = {
    "own code": ("pkg/ops.py", "mix(local(x), math.pi)", "mix(local(x), math.e)", "pkg.ops:Op"),
    "default of a field": ("pkg/ops.py", "step: int = 1", "step: int = 2", "pkg.ops:Op"),
    "helper": ("pkg/ops.py", 'TABLE["a"]', "0", "pkg.ops:local"),
    "helper two modules away": ("pkg/deep.py", "wave(x) **", "wave(-x) **", "pkg.deep:curve"),
    "constant": ("pkg/deep.py", "ORDER = 3", "ORDER = 4", "pkg.deep:ORDER"),
    "constant in a default": ("pkg/ops.py", "GAIN = 2.0", "GAIN = 2", "pkg.ops:GAIN"),
    "module attribute": ("pkg/tools.py", "max(x, 0)", "max(x, 1)", "pkg.tools:clamp"),
    "base class": ("pkg/base.py", "return 1", "return 2", "pkg.base:Base"),
    "what a library name stands for": ("pkg/deep.py", "import sin as", "import cos as", "pkg.deep:wave"),
    "item stored": ("pkg/ops.py", "UNUSED = 9", "TABLE['b'] = 2", "pkg.ops:TABLE"),
    "method that changes": ("pkg/ops.py", "UNUSED = 9", "TABLE.update(b=2)", "pkg.ops:TABLE"),
    "loop that changes": ("pkg/ops.py", "UNUSED = 9", "for k in 'xy':\n    TABLE[k] = 0", "pkg.ops:TABLE"),
    "rebinding": ("pkg/ops.py", "UNUSED = 9", "if math.pi > 3:\n    GAIN = 4", "pkg.ops:GAIN"),
    "augmented": ("pkg/ops.py", "UNUSED = 9", "GAIN += 4", "pkg.ops:GAIN"),
    "set through global": ("pkg/ops.py", "return local(x) - 1", "global GAIN; GAIN = x", "pkg.ops:GAIN"),
    "attribute of a helper": ("pkg/ops.py", "UNUSED = 9", "tools.clamp = abs", "pkg.ops:tools"),
    "setattr": ("pkg/ops.py", "UNUSED = 9", "setattr(tools, 'clamp', abs)", "pkg.ops:tools"),
}  # fmt: skip


@pytest.mark.parametrize("case", CHANGES)
def test_an_edit_changes_the_part_it_is_in(project: Project, case: str) -> None:
    file, old, new, part = CHANGES[case]
    before, first = project.parts(), project.look()
    project.edit(file, old, new)
    after = project.parts()
    assert project.look() != first
    assert part in {label for label in {*before, *after} if before.get(label) != after.get(label)}


KEEPS = {
    "comment": ("pkg/ops.py", "# a comment", "# another, longer comment"),
    "docstring of a function": ("pkg/ops.py", "'''Scale.'''", '"""Scales.\n\n    At length.\n    """'),
    "docstring of a class": ("pkg/ops.py", "'''An operator.'''", "'''Better words.'''"),
    "no docstring": ("pkg/ops.py", "    '''Run it.'''\n", ""),
    "docstring of a module": ("pkg/ops.py", "'''Operators.'''", "'''All operators.'''"),
    "blank lines": ("pkg/ops.py", "def local", "\n\n\n\ndef local"),
    "layout": ("pkg/ops.py", "mix(local(x), math.pi)", "mix(\n            local(x),\n            (math.pi),\n        )"),
    "quotes": ("pkg/ops.py", 'TABLE["a"]', "TABLE['a']"),
    "order of imports": ("pkg/ops.py", "import math\nfrom pkg.mid import blend as mix", "from pkg.mid import blend as mix\nimport math"),
    "one more import beside": ("pkg/deep.py", "import sin as wave", "import cos, sin as wave"),
    "unrelated function edited": ("pkg/ops.py", "return local(x) - 1", "return local(x) - 2"),
    "unrelated function moved": ("pkg/mid.py", "def blend", "def first():\n    return 1\n\ndef blend"),
    "unrelated class edited": ("pkg/ops.py", "return local(x)\n", "return local(x) + 5\n"),
    "unrelated constant": ("pkg/ops.py", "UNUSED = 9", "UNUSED = 8"),
    "unused function of a module read by attribute": ("pkg/tools.py", "min(x, 0)", "min(x, 1)"),
    "helper used in another statement": ("pkg/ops.py", "UNUSED = 9", "UNUSED = tools.other(9)"),
    "script's main block": ("pkg/ops.py", "UNUSED = 9", "if __name__ == '__main__':\n    print(Op().run(3))"),
    "type checking block": ("pkg/ops.py", "import math", "import math\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from pkg.none import X"),
}  # fmt: skip


@pytest.mark.parametrize("case", KEEPS)
def test_an_edit_that_cannot_matter_keeps_it(project: Project, case: str) -> None:
    file, old, new = KEEPS[case]
    before = project.parts()
    project.edit(file, old, new)
    assert project.parts() == before


FORMS = {
    "import as": "import pkg.leaf as m\nclass Op:\n    def run(self):\n        return m.f()",
    "dotted import": "import pkg.leaf\nclass Op:\n    def run(self):\n        return pkg.leaf.f()",
    "relative": "from .leaf import f\nclass Op:\n    def run(self):\n        return f()",
    "relative module": "from . import leaf\nclass Op:\n    def run(self):\n        return leaf.f()",
    "inside a function": "class Op:\n    def run(self):\n        from pkg.leaf import f as g\n        return g()",
    "module inside a function": "class Op:\n    def run(self):\n        import pkg.leaf as m\n        return m.f()",
    "inside a class": "class Op:\n    from pkg.leaf import f\n    def run(self):\n        return self.f()",
    "star": "from pkg.leaf import *\nclass Op:\n    def run(self):\n        return f()",
    "re-export": "from pkg.sub import f\nclass Op:\n    def run(self):\n        return f()",
    "lazy re-export": "import pkg.lazy as z\nclass Op:\n    def run(self):\n        return z.f()",
    "lazy from": "from pkg.lazy import f\nclass Op:\n    def run(self):\n        return f()",
    "computed lazy": "from pkg import magic\nclass Op:\n    def run(self):\n        return magic.f()",
    "either branch": "try:\n    from pkg.gone import f\nexcept ImportError:\n    from pkg.leaf import f\nclass Op:\n    def run(self):\n        return f()",
    "escaped module": "from pkg import leaf\nclass Op:\n    def run(self, name='f'):\n        return getattr(leaf, name)()",
    "module's dict": "from pkg import leaf\nclass Op:\n    def run(self, name='f'):\n        return leaf.__dict__[name]()",
    "literal import_module": "import importlib\nclass Op:\n    def run(self):\n        return importlib.import_module('pkg.leaf').f()",
    "decorator": "from pkg.leaf import deco\nclass Op:\n    @deco\n    def run(self):\n        return 1",
    "default": "from pkg.leaf import f\nclass Op:\n    def run(self, g=f):\n        return g()",
    "base": "from pkg.leaf import Parent\nclass Op(Parent):\n    pass",
    "nested function": "from pkg.leaf import f\nclass Op:\n    def run(self):\n        def inner():\n            return [f() for _ in 'x']\n        return inner",
    "lambda": "from pkg.leaf import f\nclass Op:\n    run = lambda self: f()",
    "first iterable of a shadowing comprehension": "from pkg.leaf import f\nclass Op:\n    def run(self):\n        return [f for f in f()]",
    "registry in the same module": "from pkg.leaf import f\nR = {}\ndef register(g):\n    R[g.__name__] = g\n    return g\n@register\ndef k():\n    return f()\nclass Op:\n    def run(self, name):\n        return R[name]()",
    "registry object": "from pkg.leaf import f, Registry\nR = Registry()\n@R.entry\ndef k():\n    return f()\nclass Op:\n    def run(self, name):\n        return R.made[name]()",
    "own globals": "from pkg.leaf import f\ndef k():\n    return f()\nclass Op:\n    def run(self, name):\n        return globals()[name]()",
    "match": "from pkg.leaf import f\nclass Op:\n    def run(self, x):\n        match x:\n            case 1:\n                return f()",
}  # fmt: skip
LEAF = """
    LEVEL = 7

    def inner():
        return LEVEL

    def f():
        return inner()

    def deco(g):
        return (g, inner())[0]

    class Parent:
        level = inner()

        def run(self):
            return self.level

    class Registry:
        def __init__(self):
            self.made = {}

        def entry(self, g):
            self.made[g.__name__] = g, inner()
            return g
    """


@pytest.mark.parametrize("form", FORMS)
def test_every_way_to_name_a_helper(project: Project, form: str) -> None:
    project.write(
        {
            "pkg/leaf.py": LEAF,
            "pkg/sub/__init__.py": "from .again import f\n",
            "pkg/sub/again.py": "from ..leaf import f as f\n",
            "pkg/lazy.py": (
                "import importlib\n_WHERE = {'f': '.leaf', 'g': '.tools'}\ndef __getattr__(name):\n"
                "    if name not in _WHERE:\n        raise AttributeError(name)\n"
                "    return getattr(importlib.import_module(_WHERE[name], 'pkg'), name)\n"
            ),
            "pkg/magic.py": "import pkg.leaf as m\ndef __getattr__(name):\n    return getattr(m, name)\n",
            "pkg/form.py": FORMS[form],
        }
    )
    before = project.look("pkg.form")
    project.edit("pkg/leaf.py", "LEVEL = 7", "LEVEL = 8")
    assert project.look("pkg.form") != before


def test_a_cycle_of_modules(project: Project) -> None:
    project.write(
        {
            "pkg/a.py": "import pkg.b as b\ndef f(n):\n    return b.g(n)\nclass Op:\n    def run(self):\n        return f(1)\n",
            "pkg/b.py": "import pkg.a as a\ndef g(n):\n    return n and a.f(n - 1)\n",
        }
    )
    before = project.look("pkg.a")
    project.edit("pkg/b.py", "n - 1", "n - 2")
    assert project.look("pkg.a") != before


def test_a_local_of_the_same_name_is_not_the_module_s(project: Project) -> None:
    project.write(
        {
            "pkg/form.py": "def frames():\n    return 1\nclass Op:\n    def run(self, frames):\n        return frames\n"
        }
    )
    assert set(project.parts("pkg.form")) == {"pkg.form:Op"}


def test_names_in_string_annotations_are_ignored(project: Project) -> None:
    project.write(
        {
            "pkg/form.py": "def frames():\n    return 1\nclass Op:\n    def run(self, x: 'frames'):\n        return x\n"
        }
    )
    assert set(project.parts("pkg.form")) == {"pkg.form:Op"}


def test_deeply_nested_code(project: Project) -> None:
    deep = "x = 0\n" + "".join(f"{' ' * i}if x:\n" for i in range(90)) + " " * 90 + "x = 1\n"
    terms = " + ".join(["x"] * 800)
    project.write({"pkg/form.py": "", "pkg/big.py": ""})
    (project.root / "pkg/big.py").write_text(f"{deep}def f(x):\n    return {terms}\n")
    (project.root / "pkg/form.py").write_text(
        "from pkg.big import f\nclass Op:\n    def run(self):\n        return f(1)\n"
    )
    before = project.look("pkg.form")
    project.edit("pkg/big.py", "x + x + x", "x + x - x")
    assert project.look("pkg.form") != before


def test_a_module_that_appears_later_is_seen(project: Project) -> None:
    project.write({"pkg/form.py": FORMS["either branch"], "pkg/leaf.py": LEAF})
    before = project.look("pkg.form")
    project.write({"pkg/gone.py": "def f():\n    return 3\n"})
    assert project.look("pkg.form") != before


def test_a_library_function_is_no_changing_method(project: Project) -> None:
    text = "import bisect as np\nclass Op:\n    def run(self, x):\n        return np.bisect(x, 1)\n"
    project.write({"pkg/form.py": text + "def apart(x):\n    return np.insert(x, 1)\n"})
    before = project.parts("pkg.form")
    assert set(before) == {"pkg.form:Op", "pkg.form:np"}
    project.edit("pkg/form.py", "np.insert(x, 1)", "np.insert(x, 2)")
    assert project.parts("pkg.form") == before


def test_a_table_of_another_module_filled_here(project: Project) -> None:
    project.write(
        {
            "pkg/table.py": "TABLE = {}\n",
            "pkg/form.py": (
                "from pkg.table import TABLE\ndef f():\n    return 1\nTABLE.update(f=f)\n"
                "class Op:\n    def run(self, name):\n        return TABLE[name]()\n"
            ),
        }
    )
    before = project.look("pkg.form")
    project.edit("pkg/form.py", "return 1", "return 2")
    assert project.look("pkg.form") != before


def test_a_compiled_helper_enters_by_its_bytes(project: Project) -> None:
    fast = project.root / "pkg" / f"fast{EXTENSION_SUFFIXES[0]}"
    fast.write_bytes(b"first")
    project.write(
        {
            "pkg/form.py": "class Op:\n    def run(self, x):\n        from .fast import f\n        return f(x)\n"
        }
    )
    before = project.parts("pkg.form")
    assert "pkg.fast:*" in before
    fast.write_bytes(b"other")
    assert project.parts("pkg.form") != before


def test_an_operator_and_what_it_takes_from_the_engine(project: Project) -> None:
    project.write(
        {
            "pkg/real.py": """
                from __future__ import annotations

                import flowsynth as fs
                from flowsynth import RunContext
                from flowsynth.core.canonical import Json
                from pydantic import Field
                from pkg import deep

                class Half(fs.Operator):
                    uses = (deep.curve,)

                class Op(Half):
                    op = "fingerprint_test"
                    version = 1
                    step: int = Field(1, ge=0)

                    def run(self, ctx: RunContext, /, *, x: Json = 0) -> int:
                        return x + self.step
                """
        }
    )
    labels = set(project.parts("pkg.real"))
    assert not {label for label in labels if label.startswith(("flowsynth", "pydantic"))}
    assert {"pkg.real:Op", "pkg.real:Half", "pkg.real:fs", "pkg.deep:curve", "pkg.deep:ORDER"} <= labels


CODE = """
    import os.path as p, json
    from math import pi as PI, tau

    TABLE: dict[str, float] = {"a": 1e-3, **{}, "b": -0x10, "c": 2j, "d": b"x", "e": ..., "f": None}

    def deco(*names, flag=True):
        return lambda g: g

    class Op:
        size: int = 3

        @deco("x", flag=not False)
        def run(self, x, /, y=PI, *args, z: "str" = "a" "b", **more):
            global STATE
            STATE = x if y else -x
            with open(p.join("a", "b")) as f, f as g:
                total = [i async for i in x] if x < y <= 3 is not None else {*args, 1}
            try:
                first, *others = (k := tau), *args
            except (ValueError, OSError) as error:
                raise KeyError(f"{x!r:>{y}} and {{}} {PI:.2f}") from error
            else:
                del first
            finally:
                assert TABLE["a"] @ 2 ** 3, "text"
            match x:
                case {"k": [1, *rest], **left} | int(real=0) if left:
                    yield from (a for a in rest for b in a if b)
                case _:
                    await json.loads(x)[1:2, ::3]
            while True:
                continue
            return lambda *a, b=1, **c: (yield)
    """
PINNED = ["8cbf9062", "b8a5679e", "2371f9ae", "7d1f769a", "2b9ad0cd", "bd97b630", "5b7ecb50"]


def test_the_same_on_every_python() -> None:
    """The value is pinned: another one means that every cache in the world is stale."""
    digests = [s.digest.hex()[:8] for s in read_module(textwrap.dedent(CODE).encode(), "code").statements]
    assert digests == PINNED

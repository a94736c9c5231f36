"""Random programs: the fingerprint changes exactly when a function that the operator reaches is edited."""

from __future__ import annotations

import importlib
import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsynth.core.fingerprint import FingerprintMemo, source_parts

MODULES, FUNCTIONS = 6, 24


class Program:
    """Functions f0, f1, ... spread over modules; each calls some later ones, by a random way to import."""

    def __init__(self, seed: int) -> None:
        draw = random.Random(seed)
        self.name = f"random_program_{seed}"
        self.home = [draw.randrange(MODULES) for _ in range(FUNCTIONS)]
        self.calls = [
            sorted(draw.sample(range(FUNCTIONS), draw.choice((0, 1, 1, 2)))) for _ in range(FUNCTIONS)
        ]  # cycles included
        self.form = {(i, j): draw.randrange(7) for i in range(FUNCTIONS) for j in self.calls[i]}
        self.value = [0] * FUNCTIONS

    def reached(self) -> set[int]:
        """What the operator, which calls f0, reaches."""
        seen, todo = {0}, [0]
        while todo:
            for j in self.calls[todo.pop()]:
                if j not in seen:
                    seen.add(j)
                    todo.append(j)
        return seen

    def function(self, i: int) -> str:
        inner, uses = [], []
        for j in self.calls[i]:
            module = f"m{self.home[j]}"
            head, use = [
                (f"from .{module} import f{j}", f"f{j}"),
                (f"from .{module} import f{j} as g{j}", f"g{j}"),
                (f"from . import {module}", f"{module}.f{j}"),
                (f"import {self.name}.{module} as n{j}", f"n{j}.f{j}"),
                (f"import {self.name}.{module}", f"{self.name}.{module}.f{j}"),
                (f"from {self.name}.lazy import f{j}", f"f{j}"),
                (f"from {self.name}.everything import f{j} as e{j}", f"e{j}"),
            ][self.form[i, j]]
            inner.append(f"    {head}\n")
            uses.append(f"{use}(n - 1)")
        body = " + ".join([str(self.value[i]), *uses])
        return f"def f{i}(n):\n{''.join(inner)}    return {body} if n > 0 else 0\n\n"

    def write(self, root: Path) -> None:
        folder = root / self.name
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
        for m in range(MODULES):
            text = "".join(self.function(i) for i in range(FUNCTIONS) if self.home[i] == m)
            (folder / f"m{m}.py").write_text(text)
        table = {f"f{i}": f".m{self.home[i]}" for i in range(FUNCTIONS)}
        (folder / "lazy.py").write_text(
            f"import importlib\nTABLE = {table!r}\ndef __getattr__(name):\n    if name not in TABLE:\n"
            f"        raise AttributeError(name)\n"
            f"    return getattr(importlib.import_module(TABLE[name], {self.name!r}), name)\n"
        )
        (folder / "everything.py").write_text("".join(f"from .m{m} import *\n" for m in range(MODULES)))
        (folder / "ops.py").write_text(
            f"from .m{self.home[0]} import f0\n\nclass Op:\n    def run(self, n):\n        return f0(n)\n"
        )

    def load(self) -> type:
        for name in [n for n in sys.modules if n.partition(".")[0] == self.name]:
            del sys.modules[name]
        importlib.invalidate_caches()
        cls = importlib.import_module(f"{self.name}.ops").Op
        assert isinstance(cls, type)
        return cls


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name in [n for n in sys.modules if n.startswith("random_program_")]:
        del sys.modules[name]


@pytest.mark.sample(4)
@pytest.mark.parametrize("seed", range(12))
def test_exactly_the_reached_functions_count(root: Path, seed: int) -> None:
    program = Program(seed)
    program.write(root)
    cls = program.load()
    cls().run(3)  # the program is real: every import in it works
    before = source_parts(cls)
    for i in range(FUNCTIONS):
        program.value[i] += 1
        program.write(root)
        with FingerprintMemo(root / "memo.json") as memo:
            after = source_parts(program.load(), memo=memo)
        changed = {label.partition(":")[2] for label in after if after[label] != before.get(label)}
        assert changed == ({f"f{i}"} if i in program.reached() else set())
        assert after.keys() == before.keys()
        before = after

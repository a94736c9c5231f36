"""How long source fingerprints take: 60 operators over 60 modules, fresh processes, cold and from the memo.

    python benchmarks/fingerprint.py [--operators 60] [--rounds 9]

The modules are written to a temporary folder; each operator reaches the helpers of three more modules. Times
are of the process's own CPU, medians over the rounds, without the imports of Python and of the fingerprint.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]

HELPERS = '''
def helper_{k}(frames, radius: int = RADIUS, *, gain: float = 1.0):
    """Smooth frames over time.

    Args:
        frames: TCHW, in [0, 1].
        radius: frames to each side.
    """
    weights = [gain / (1 + abs(i)) for i in range(-radius, radius + 1)]
    total = sum(weights)
    out = []
    for t in range(len(frames)):
        window = [frames[min(max(t + i, 0), len(frames) - 1)] for i in range(-radius, radius + 1)]
        mean = sum(w * f for w, f in zip(weights, window)) / total
        if mean > LIMITS["high"]:
            mean = math.fsum((mean, -LIMITS["low"])) * {k}
        out.append(mean)
    return {call}
'''

HEAD = '''"""A module of a usual size."""

from __future__ import annotations

import math

RADIUS = 3
LIMITS = {"low": 0.0, "high": 1.0}
'''

OPERATOR = '''
from shop.{a} import helper_0 as near
from shop.{b} import helper_1
import shop.{c} as far

class Op{i}:
    """Does something."""

    strength: float = 0.5
    size: int = 64

    def run(self, ctx, /, *, frames):
        """Run it."""
        out = helper_3(frames, radius=self.size)
        return near(out), helper_1(out, gain=self.strength), far.helper_2(out)
'''

CHILD = """
import importlib, json, sys, time
from flowsynth.core.fingerprint import FingerprintMemo, source_fingerprint
classes = [getattr(importlib.import_module(f"shop.op_{i}"), f"Op{i}") for i in range(int(sys.argv[1]))]
begin = time.process_time()
memo = FingerprintMemo("memo.json")
values = [source_fingerprint(cls, memo=memo) for cls in classes]
middle = time.process_time()
memo.save()
end = time.process_time()
again = [source_fingerprint(cls, memo=memo) for cls in classes]
assert again == values
print(json.dumps([middle - begin, end - middle, time.process_time() - end, len(set(values))]))
"""


def write_shop(folder: Path, count: int) -> int:
    """Write the modules and return how many lines they have together."""
    package = folder / "shop"
    package.mkdir()
    (package / "__init__.py").touch()
    calls = ["out", *(f"helper_{k - 1}(out, radius, gain=gain)" for k in range(1, 6))]
    helpers = "".join(HELPERS.format(k=k, call=call) for k, call in enumerate(calls))
    (package / "base.py").write_text(HEAD + helpers)
    lines = 0
    for i in range(count):
        a, b, c = (f"op_{i - step}" if i >= step else "base" for step in (1, 7, 23))
        text = HEAD + helpers + OPERATOR.format(i=i, a=a, b=b, c=c)
        (package / f"op_{i}.py").write_text(text)
        lines += text.count("\n")
    return lines


def measure(folder: Path, count: int) -> list[float]:
    """Milliseconds of one fresh process: fingerprints, saving the memo, fingerprints again."""
    env = os.environ | {"PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder}"}
    command = [sys.executable, "-c", CHILD, str(count)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return [1000 * seconds for seconds in json.loads(done.stdout)[:3]]


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--operators", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = write_shop(folder, given.operators)
        memo = folder / "memo.json"
        cold, warm = [], []
        measure(folder, given.operators)  # compiles the modules, which is no part of the figures
        for _ in range(given.rounds):
            memo.unlink(missing_ok=True)
            cold.append(measure(folder, given.operators))
            warm.append(measure(folder, given.operators))
        size = memo.stat().st_size
    print(f"{given.operators} operators, as many modules, {lines} lines; CPU ms, median of {given.rounds}")
    for label, rows in (("cold", cold), ("from the memo", warm)):
        first, save, again = (statistics.median(column) for column in zip(*rows, strict=True))
        print(f"{label:14} {first:8.1f}   saving {save:6.1f}   again in the process {again:6.2f}")
    print(f"memo {size / 1000:.0f} kB")


if __name__ == "__main__":
    main()

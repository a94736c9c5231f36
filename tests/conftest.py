"""Which tests run, in which order, and what none of them leaves behind for the next."""

from __future__ import annotations

import gc
import os
import random
import sys
from collections.abc import Generator, Iterator
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Before torch is imported, here and in children: tensors of tests are tiny, and the gate's processes have a
# core each. Twice the threads cost two and a half times the CPU time.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Results are compared to the bit with those of libraries, on machines with bfloat16 and without. What `auto`
# makes of a machine is tested by name; the whole suite passes with FLOWSYNTH_PRECISION=float32 alone.
os.environ.setdefault("FLOWSYNTH_PRECISION", "float32")

from flowsynth.core.fingerprint.loaded import _SLACK_NS, process_start
from flowsynth.core.operator import DEFINED

# How long examples take to draw says nothing on a machine that others use.
settings.register_profile("busy", suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")

#: What pytest and libraries set in the environment while tests run, and the command line for all of them.
SET_BY_OTHERS = (
    "PYTHONBREAKPOINT",
    "PYTEST_CURRENT",
    "TORCHINDUCTOR",
    "SVT_LOG",
    "HF_HUB_",
    "TRANSFORMERS_",
    "DIFFUSERS_",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options for the gate: two processes that share the work, and another order each time."""
    parser.addoption(
        "--share",
        type=Path,
        metavar="FOLDER",
        help="run only files of tests that no process with this folder took",
    )
    parser.addoption(
        "--shuffle", type=int, metavar="SEED", help="files in a random order, and the tests of each"
    )


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, None, None]:
    """Skip, with a reason, what was not asked for or cannot run here; shuffle if asked to."""
    _sample(items, config.getoption("--shuffle") or 0)
    yield  # what -m and -k leave
    if not slow_too(config):
        _skip(items, "slow", "slow: run with -m slow")
    if any(item.get_closest_marker("gpu") for item in items):
        import torch

        if not torch.cuda.is_available():
            _skip(items, "gpu", "no CUDA device here")
    seed = config.getoption("--shuffle")
    if seed is not None:
        items[:] = _shuffled(items, random.Random(seed))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give seeds to a test that is marked with how many it has, and how many of them are not slow."""
    for mark in metafunc.definition.iter_markers("seeds"):
        quick, all_ = mark.args
        slow = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(quick, all_)]
        metafunc.parametrize("seed", [*range(quick), *(slow if slow_too(metafunc.config) else [])])


def slow_too(config: pytest.Config) -> bool:
    """Whether slow tests were asked for."""
    return "slow" in (config.getoption("-m") or "")


def _skip(items: list[pytest.Item], mark: str, reason: str) -> None:
    for item in items:
        if item.get_closest_marker(mark):
            item.add_marker(pytest.mark.skip(reason=reason))


def _sample(items: list[pytest.Item], seed: int) -> None:
    """Make all cases of a test slow but as many as its mark `sample` says; another seed keeps others."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sample"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for name, group in cases.items():
        (count,) = group[0].get_closest_marker("sample").args  # type: ignore[union-attr]
        quick = [item for item in group if not item.get_closest_marker("slow")]
        kept = random.Random(f"{seed} {name}").sample(quick, min(count, len(quick)))
        for item in quick:
            if item not in kept:
                item.add_marker("slow")


def _shuffled(items: list[pytest.Item], rng: random.Random) -> list[pytest.Item]:
    files = [list(group) for _, group in groupby(items, lambda item: item.path)]
    rng.shuffle(files)
    return [item for file in files for item in rng.sample(file, len(file))]


def pytest_collection_finish() -> None:
    """Keep what stays, torch and the tests themselves, from the collector: it would look at it for ever.

    What is imported later stays too, and there is much of it: so it looks a tenth as often as by itself. A
    tenth of all CPU time went to it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the files of tests that are left when this process comes to them."""
    folder: Path | None = session.config.getoption("--share")
    if folder is None or session.config.option.collectonly or session.testsfailed:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    left = _taken(session.items, folder)
    item = next(left, None)
    while item is not None:
        following = next(left, None)  # taken before the last of a file ends: what both need stays set up
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
        item = following
    return True


def _taken(items: list[pytest.Item], folder: Path) -> Iterator[pytest.Item]:
    for path, group in groupby(items, lambda item: item.path):
        try:
            (folder / str(path).replace(os.sep, "+")).touch(exist_ok=False)
        except FileExistsError:
            continue
        yield from group


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say of failures what explains them: operators of a file that was saved as pytest began.

    pytest rewrites asserts, so that such a module cannot be compared with its text: no result of its
    operators is kept, and what is to be a hit is computed again.
    """
    failed = {report.fspath for report in terminalreporter.getreports("failed")}
    late = sorted(name for name in failed if name and _saved_late(terminalreporter.config.rootpath / name))
    if late:
        terminalreporter.write_line(f"saved as pytest began, so nothing of its operators is kept: {late}")


def _saved_late(path: Path) -> bool:
    return path.is_file() and path.stat().st_ctime_ns >= process_start() - _SLACK_NS


def pytest_unconfigure() -> None:
    """End the server that children were forked from: it is done, and its time counts as this process's."""
    if "multiprocessing.forkserver" in sys.modules:
        from multiprocessing.forkserver import _forkserver

        _forkserver._stop()  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Forget modules that lie in folders of tests, and operators that no loaded module holds any more.

    An operator goes by its name from the moment its class is defined, and a list of all operators would show
    those of other tests. Of what a test imports for good the operators stay: a module defines them only once.
    """
    modules, operators = set(sys.modules), dict(DEFINED)
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    root = str(tmp_path_factory.getbasetemp())
    for name in sys.modules.keys() - modules:
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(root):
            del sys.modules[name]
    for name, cls in list(DEFINED.items()):
        if cls is not operators.get(name) and not _holds(cls):
            del DEFINED[name]
            if name in operators:
                DEFINED[name] = operators[name]
    left = {
        name for name, _ in environment.items() ^ os.environ.items() if not name.startswith(SET_BY_OTHERS)
    }
    assert not left, "the environment was changed"
    assert Path.cwd() == folder, "the current folder was changed"


def _holds(cls: type) -> bool:
    return getattr(sys.modules.get(cls.__module__), cls.__name__, None) is cls

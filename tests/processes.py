"""Real processes without the start of an interpreter: forked from one that has imported torch once.

A start with torch costs two CPU seconds, a fork some milliseconds. What is about the start itself (what is
imported, another hash seed) and what must not find torch there takes `subprocess` instead.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

ROOT = Path(__file__).parents[1]
#: Imported once for all processes; a process that needs code of its own forgets all but torch.
PRELOADED = [
    "torch",
    "flowsynth.api",
    "flowsynth.cache.disk",
    "flowsynth.cli.run",
    "flowsynth.config.hydra_compose",
    "flowsynth.executors.engine",
    "flowsynth.executors.loops",
    "flowsynth.models.registry",
    "pydantic.type_adapter",
    "tests.executors.lives",
    "tests.streams",
]


def server() -> ForkServerContext:
    """Where processes come from; it is started with the first of them."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


class Child:
    """A process that runs what ``python ARGUMENTS`` runs, with the output as `subprocess.Popen` gives it.

    Args:
        arguments: ``-c CODE ...``, ``-m MODULE ...`` or ``SCRIPT ...``.
        folder: the current one, of this process unless given; ``-c`` and ``-m`` import from there first.
        environment: what to add to this process's own; ``PYTHONPATH`` is the checkout unless given.
        afresh: whether ``flowsynth`` and ``tests`` are imported anew.
    """

    def __init__(
        self,
        *arguments: str,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
        afresh: bool = False,
    ) -> None:
        context = server()
        reading, writing = context.Pipe(duplex=False)
        self._errors = tempfile.NamedTemporaryFile(mode="r", encoding="utf-8")  # noqa: SIM115
        env = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        given = (arguments, folder or Path.cwd(), env, writing, self._errors.name, afresh)
        self._process = context.Process(target=_become, args=given)
        self._process.start()
        writing.close()
        self.stdout = os.fdopen(os.dup(reading.fileno()), encoding="utf-8")
        reading.close()

    @property
    def returncode(self) -> int | None:
        """None while it runs; minus a signal's number if that ended it."""
        return self._process.exitcode

    @property
    def pid(self) -> int:
        """Its number."""
        assert self._process.pid is not None
        return self._process.pid

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()

    def send_signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def wait(self, timeout: float = 120) -> None:
        """Wait for its end."""
        self._process.join(timeout)
        assert self.returncode is not None, "it does not end"

    def communicate(self, timeout: float = 120) -> tuple[str, str]:
        """Wait for its end; what is left of its output, and its errors."""
        with self.stdout, self._errors:
            out = self.stdout.read()
            self.wait(timeout)
            return out, self._errors.read()

    def finish(self) -> int:
        """Wait for its end, whatever it says; see `returncode`."""
        self.communicate()
        assert self.returncode is not None
        return self.returncode


def run(*arguments: str, **how: Any) -> CompletedProcess[str]:
    """Run one to its end; see `Child`."""
    child = Child(*arguments, **how)
    out, err = child.communicate()
    assert child.returncode is not None
    return CompletedProcess(arguments, child.returncode, out, err)


def fork(work: Callable[[], object]) -> int:
    """What some work ends with that a fork of this process does; minus a signal's number, 1 if it raises.

    For what imports diffusers: this process has it already, and the server has not.
    """
    number = os.fork()
    if number == 0:
        code = 1
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(number, 0)[1])


def start(code: str, *arguments: object) -> Child:
    """A process that runs some code."""
    return Child("-c", code, *map(str, arguments))


def python(code: str, *arguments: object) -> str:
    """The output of code that must succeed."""
    done = run("-c", code, *map(str, arguments))
    assert done.returncode == 0, done.stderr
    return done.stdout


def _become(
    arguments: tuple[str, ...],
    folder: Path,
    environment: dict[str, str],
    out: Connection,
    errors: str,
    afresh: bool,
) -> None:
    os.dup2(out.fileno(), 1)
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(environment)
    sys.dont_write_bytecode = bool(environment.get("PYTHONDONTWRITEBYTECODE"))
    os.chdir(folder)
    if afresh:
        for name in [name for name in sys.modules if name.partition(".")[0] in ("flowsynth", "tests")]:
            del sys.modules[name]
    own = [entry for entry in sys.path if entry not in ("", str(ROOT))]
    sys.path[:] = ["", *environment["PYTHONPATH"].split(os.pathsep), *own]
    _execute(*arguments)


def _execute(kind: str, *arguments: str) -> None:
    if kind == "-c":
        code, *rest = arguments
        sys.argv = ["-c", *rest]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(code, "<string>", "exec"), vars(main))
    elif kind == "-m":
        sys.argv = list(arguments)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [kind, *arguments]
        sys.path[0] = str(Path(kind).resolve().parent)
        runpy.run_path(kind, run_name="__main__")

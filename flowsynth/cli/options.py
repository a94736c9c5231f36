"""Options that several commands share, and the operators that a user brings along in a file."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NoReturn

from flowsynth.core.errors import FlowsynthError, InputError, RequestError

OPERATORS = "--operators"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one message, as everything else here does."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing and leaving."""
        raise RequestError(f"{self.prog.rpartition(' ')[2]}: {message}; see '{self.prog} --help'")


def command_parser(name: str, description: str, json: str = "") -> Parser:
    """The parser of a command, with what every command takes.

    Args:
        name: the command.
        description: what it does.
        json: what ``--json`` prints; the command has no such option if empty.
    """
    parser = Parser(prog=f"flowsynth {name}", description=description, allow_abbrev=False)
    parser.add_argument(
        OPERATORS,
        metavar="FILE.py",
        action="append",
        default=[],
        help="a Python file that defines operators or registers model families; it is executed, so name "
        "only files you trust",
    )
    if json:
        parser.add_argument("--json", action="store_true", help=json)
    return parser


def file_name(text: str) -> str:
    """An argument that names a file.

    Raises:
        ArgumentTypeError: an empty text, which would be the current folder.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError(f"expected the path of a file; given {text!r}")
    return text


def add_overrides(parser: argparse.ArgumentParser) -> None:
    """Take overrides in Hydra's grammar."""
    parser.add_argument(
        "overrides",
        nargs="*",
        default=[],  # else a message about FILE names this as missing too
        metavar="KEY=VALUE",
        help="graph=NAME, input.video=PATH, prompt=..., model=NAME, experiment=NAME, seed=N, "
        "graph.nodes.NODE.params.PARAM=V, output_dir=PATH, cache.dir=PATH, executor=serial|threads|ray, "
        "device=auto|cpu|cuda:0, offline=true",
    )


def add_multirun(parser: argparse.ArgumentParser) -> None:
    """Take several jobs at once."""
    parser.add_argument(
        "-m",
        "--multirun",
        action="store_true",
        help="every combination of comma lists, range(...), glob(...) and seed=1..8; values in zip(...) go "
        "together: seed=zip(1,2) prompt=zip(a,b) are two jobs",
    )
    parser.add_argument(
        "--jobs",
        metavar="FILE",
        type=Path,
        help="with --multirun: a file with the overrides of a job on each line, beside those given here",
    )


def require_multirun(args: argparse.Namespace) -> None:
    """See that no option of a sweep is given to a single run.

    Raises:
        RequestError: one is.
    """
    if args.jobs is not None and not args.multirun:
        raise RequestError("--jobs: not used by a single run; expected --multirun beside it")


def split_global_options(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """The operator files named before the command, and the rest."""
    files, rest = [], list(argv)
    while rest and (rest[0] == OPERATORS or rest[0].startswith(f"{OPERATORS}=")):
        option = rest.pop(0)
        if option == OPERATORS and not rest:
            raise RequestError(f"{OPERATORS}: expected a Python file after it")
        files.append(option.partition("=")[2] if "=" in option else rest.pop(0))
    return files, rest


def load_operators(files: Sequence[str]) -> None:
    """Execute the Python files that define a user's operators.

    Raises:
        InputError: a file that is missing, is not Python, or fails.
    """
    for name in files:
        path = Path(name)
        if path.suffix != ".py" or not path.is_file():
            raise InputError(f"{OPERATORS}: no such file; expected a Python file; given {name!r}")
        _load(path.resolve())


@cache
def load_once(files: tuple[str, ...]) -> None:
    """Load operators in a process that runs one job after the other."""
    load_operators(files)


def _load(path: Path) -> None:
    from flowsynth.core.operator import DEFINED
    from flowsynth.core.registry import require_usable

    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: cannot be imported")
    module = importlib.util.module_from_spec(spec)
    # Its source is part of the keys of its operators, so it must be found under its name.
    if path.stem in sys.modules and getattr(sys.modules[path.stem], "__file__", None) != str(path):
        raise InputError(f"{path}: {path.stem!r} is the name of another module; expected a name of its own")
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
        for cls in [found for found in DEFINED.values() if found.__module__ == path.stem]:
            require_usable(cls)
    except (Exception, SystemExit) as error:  # whatever a user's own file raises, leaving the program too
        del sys.modules[path.stem]
        reason = str(error) if isinstance(error, FlowsynthError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{path}{_line_in(error, path)}: {reason}") from error


def _line_in(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError):
        return f":{error.lineno}"
    trace, line = error.__traceback__, ""
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = f":{trace.tb_lineno}"
        trace = trace.tb_next
    return line

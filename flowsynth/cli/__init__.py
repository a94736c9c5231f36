"""The command line: ``flowsynth COMMAND ...``. A command is a module, imported when it is asked for."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from flowsynth.cli.commands import COMMANDS, HELP, command_module
from flowsynth.cli.options import load_operators, split_global_options
from flowsynth.cli.terminal import open_streams, safe_streams
from flowsynth.core.collector import collector_paused
from flowsynth.core.errors import FlowsynthError, RequestError, did_you_mean, listing

#: What a shell gives a command that Ctrl-C ended.
INTERRUPTED = 130


def entry() -> None:
    """The console script."""
    open_streams()
    code = main()
    gc.freeze()  # memory goes with the process: a last look through all of it for cycles took 0.1 s
    sys.exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the program's name; those of the process if None.

    Returns:
        0 done, 1 a run failed, 2 a wrong request, 130 stopped by Ctrl-C.
    """
    with safe_streams():
        return _guarded(list(sys.argv[1:] if argv is None else argv))


def _guarded(argv: list[str]) -> int:
    try:
        code = _dispatch(argv)
        sys.stdout.flush()
        return code
    except FlowsynthError as error:
        return _say(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _say("stopped; what was finished is kept", INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, a pager) has had enough. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if _is_homeless():
            return _say("the current folder is no longer there; expected to be started in one that is", 2)
        name = f": {error.filename}" if error.filename else ""
        return _say(f"{error.strerror or error}{name}", 1)


def _is_homeless() -> bool:
    """Whether the current folder was removed."""
    try:
        Path.cwd()
    except OSError:
        return True
    return False


def _dispatch(argv: list[str]) -> int:
    operators, rest = split_global_options(argv)
    if rest[:1] == ["help"] and len(rest) > 1:
        rest = [rest[1], "--help", *rest[2:]]
    if not rest or rest[0] in ("-h", "--help", "help"):
        print(HELP)
        return 0 if rest else 2
    if rest[0] in ("-V", "--version"):
        if rest[1:]:
            raise RequestError(f"{rest[0]}: nothing goes with it; given {' '.join(rest[1:])!r}")
        from flowsynth._version import __version__

        print(f"flowsynth {__version__}")
        return 0
    name = rest[0]
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS)
        raise RequestError(f"unknown command {name!r}; expected one of {listing(COMMANDS, 20)}{hint}")
    with collector_paused():
        module = command_module(name)
    args = module.parser().parse_intermixed_args(rest[1:])
    args.argv = argv
    args.operators = [*operators, *args.operators]
    load_operators(args.operators)
    return module.execute(args)


def _say(message: str, code: int) -> int:
    try:
        print(f"flowsynth: {message}", file=sys.stderr)
    except OSError:
        return code
    return code

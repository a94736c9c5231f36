"""``flowsynth completion SHELL``: the script that has a shell complete these commands, and its answers."""

from __future__ import annotations

import argparse
import os

from flowsynth.cli.complete.shells import SCRIPTS, for_bash, words_of
from flowsynth.cli.options import command_parser


def parser() -> argparse.ArgumentParser:
    """The options of `completion`."""
    made = command_parser(
        "completion",
        "Print what makes a shell complete commands, graphs, models, operators, override keys and values: "
        'eval "$(flowsynth completion bash)" in ~/.bashrc; the script says what to do for zsh and fish.',
    )
    made.add_argument("shell", choices=list(SCRIPTS), metavar="SHELL", help=", ".join(SCRIPTS))
    made.add_argument("--line", help=argparse.SUPPRESS)  # how bash asks: all up to the cursor
    made.add_argument("--words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)  # how the others do
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the script, or the words that a shell asks for."""
    if args.line is None and args.words is None:
        print(SCRIPTS[args.shell], end="")
        return 0
    from flowsynth.cli.complete.words import candidates

    # The words as they were given: argparse would take a lone -- out of them.
    given = args.argv[args.argv.index("--words") + 1 :] if args.words is not None else []
    words = words_of(args.line) if args.line is not None else given
    found = candidates(words or [""])
    if args.line is not None:
        found = for_bash(found, (words or [""])[-1], os.environ.get("COMP_BREAKS", "=:"))
    print("\n".join(found))
    return 0

"""What may stand in place of the last word of a command line; no torch, no Hydra."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from flowsynth.cli.commands import COMMANDS, command_module
from flowsynth.cli.complete.overrides import override_words
from flowsynth.cli.complete.paths import files
from flowsynth.cli.options import OPERATORS

#: Positional arguments that name something -> what.
_NODE, _OPERATOR = "node", "op"


def candidates(words: Sequence[str]) -> list[str]:
    """Texts that the last of some words may become, sorted; those that end in ``=``, ``.`` or ``/`` go on.

    Args:
        words: what stands after the program's name up to the cursor; the last one may be empty.
    """
    *before, current = words or [""]
    while before and before[0].startswith(OPERATORS):
        taken = 1 if "=" in before[0] else 2
        if len(before) < taken:
            return files(current, (".py",))
        before = before[taken:]
    if not before:
        return _matching(current, [*COMMANDS, "help", OPERATORS, "--help", "--version"])
    name, *given = before
    if name == "help":
        return _matching(current, COMMANDS) if not given else []
    if name not in COMMANDS:
        return []
    return _of_command(command_module(name).parser(), given, current)


def _of_command(parser: argparse.ArgumentParser, given: list[str], current: str) -> list[str]:
    options = {flag: action for action in parser._actions for flag in action.option_strings}
    option = options.get(given[-1]) if given else None
    if option is not None and option.nargs != 0 and not (option.nargs == "?" and current.startswith("-")):
        return _value(option, given, current)
    if current.startswith("-"):
        return _matching(current, [flag for flag in options if options[flag].help != argparse.SUPPRESS])
    positional = [action for action in parser._actions if not action.option_strings]
    words = list(_positional(given, options))
    action = positional[min(len(words), len(positional) - 1)] if positional else None
    if action is None or (len(words) >= len(positional) and action.nargs not in ("*", "+")):
        return []
    if action.dest == "overrides":
        return override_words(words, current)
    return _value(action, words, current)


def _value(action: argparse.Action, given: list[str], current: str) -> list[str]:
    """What an option or an argument takes: its choices, else what its name says, else a file."""
    if action.choices:
        return _matching(current, [str(choice) for choice in action.choices])
    if action.dest == OPERATORS.strip("-"):
        return files(current, (".py",))
    if action.dest == _OPERATOR:
        from flowsynth.core.registry import operator_names

        return _matching(current, operator_names())
    if action.dest in (_NODE, "outputs"):
        from flowsynth.cli.complete.overrides import node_names

        return _matching(current, node_names(given))
    if action.dest in ("config_name", "like"):
        from flowsynth.config.catalogue import names

        return _matching(current, names("graphs"))
    return files(current)


def _positional(given: Sequence[str], options: dict[str, argparse.Action]) -> Iterable[str]:
    """The words that are neither options nor their values."""
    skip = False
    for word in given:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = options.get(word)
            skip = option is not None and option.nargs is None and option.const is None
        else:
            yield word


def _matching(current: str, names: Iterable[str]) -> list[str]:
    return sorted({name for name in names if name.startswith(current)})

"""The commands by name, and what ``flowsynth --help`` says of them."""

from __future__ import annotations

import argparse
import importlib
from typing import Protocol, cast


class CommandModule(Protocol):
    """What a command's module offers."""

    def parser(self) -> argparse.ArgumentParser:
        """The command's own options."""

    def execute(self, args: argparse.Namespace) -> int:
        """Do it; returns the exit code."""


#: command -> (module, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("flowsynth.cli.run", "run a graph, or a sweep with --multirun"),
    "plan": ("flowsynth.cli.plan", "say what a run would take from the cache and what it would compute"),
    "explain": ("flowsynth.cli.explain", "say which part of a node's key changed since the last run"),
    "validate": ("flowsynth.cli.validate", "check a graph and say everything that is wrong with it"),
    "list": ("flowsynth.cli.catalogue", "list graphs, experiments, models or operators, a line about each"),
    "config": ("flowsynth.cli.config", "print the composed configuration, and where each value came from"),
    "new": ("flowsynth.cli.new", "begin a graph, an operator or a model family: what works, with a test"),
    "ops": ("flowsynth.cli.ops", "list the operators, or describe one: its ports and params"),
    "model": ("flowsynth.cli.model", "say what a model can do: its parts, ports, options and sizes"),
    "graph": ("flowsynth.cli.graph", "draw a graph as mermaid, dot, svg or json"),
    "cache": ("flowsynth.cli.cache", "look after the cache: stats, ls, prune, verify, clear, export, import"),
    "weights": ("flowsynth.cli.weights", "trained weights by name: list, fetch, verify"),
    "compare": ("flowsynth.cli.compare", "measure two videos and write them side by side"),
    "best": ("flowsynth.cli.best", "say which job of a sweep has the best figure: its overrides"),
    "grid": ("flowsynth.cli.grid", "lay a sweep's pictures and videos out, with their values on them"),
    "report": ("flowsynth.cli.report", "write a page that shows a run or a sweep, for a browser"),
    "show": ("flowsynth.cli.show", "show the provenance inside an output file"),
    "reproduce": ("flowsynth.cli.reproduce", "make an output file again and compare the bytes"),
    "export": ("flowsynth.cli.exporting", "write a graph as another program's workflow (ComfyUI)"),
    "import": ("flowsynth.cli.importing", "write another program's workflow (ComfyUI) as a graph"),
    "schema": ("flowsynth.cli.schema", "print the JSON Schema of graphs, stages or experiments, for editors"),
    "completion": ("flowsynth.cli.completion", "print what makes bash, zsh or fish complete these commands"),
}

HELP = "\n".join(
    [
        "usage: flowsynth [--operators FILE.py] COMMAND ...",
        "",
        "Graphs of typed operators for diffusion image and video work, with a cache.",
        "",
        *(f"  {name:<10} {text}" for name, (_, text) in COMMANDS.items()),
        "",
        "  flowsynth run                                   the default graph on the default clip",
        "  flowsynth run graph=toon input.video=clip.mp4 prompt='oil painting'",
        "  flowsynth run --multirun seed=1,2,3 graph.nodes.denoise.params.guidance_scale=5,7",
        "",
        "'flowsynth COMMAND --help' says more. Exit codes: 0 done, 1 a run failed, 2 a wrong request.",
    ]
)


def command_module(name: str) -> CommandModule:
    """The module of a command, imported now."""
    return cast("CommandModule", importlib.import_module(COMMANDS[name][0]))

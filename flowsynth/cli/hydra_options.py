"""Options of Hydra's own command line: those that act here, and those that are refused with what does."""

from __future__ import annotations

import argparse
from typing import NoReturn

from flowsynth.core.errors import RequestError

CONFIGS = ("job", "hydra", "all")
INFOS = ("all", "config", "defaults", "defaults-tree", "searchpath", "plugins")
#: Options that people know from Hydra -> what there is in their place.
_REFUSED = {
    ("-cp", "--config-path"): "graphs/ and conf/ in the current folder, which come before the shipped ones",
    ("-cd", "--config-dir"): "graphs/ and conf/ in the current folder, which come before the shipped ones",
    ("-r", "--run"): "nothing: a run is what there is without --multirun",
    ("-sc", "--shell-completion"): "flowsynth schema, for completion in editors",
    ("--hydra-help",): "flowsynth run --help, and --info plugins",
    ("--experimental-rerun",): "flowsynth reproduce FILE",
}


class _Refuse(argparse.Action):
    """An option that is none here; `const` says what is."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object, **__: object) -> NoReturn:
        """Say so."""
        parser.error(f"{self.option_strings[-1]}: not used here; expected {self.const}")


def add_hydra_options(parser: argparse.ArgumentParser) -> None:
    """Take what Hydra's users are used to."""
    parser.add_argument("-cn", "--config-name", metavar="NAME", help="the graph, as graph=NAME")
    parser.add_argument(
        "-c", "--cfg", choices=CONFIGS, help="print the composed configuration as YAML and run nothing"
    )
    parser.add_argument("--resolve", action="store_true", help="with --cfg: interpolations replaced")
    parser.add_argument("-p", "--package", metavar="KEY", help="with --cfg: only what is below a key")
    parser.add_argument(
        "-i",
        "--info",
        choices=INFOS,
        nargs="?",
        const="all",
        help="print where configuration comes from and run nothing",
    )
    for names, instead in _REFUSED.items():
        parser.add_argument(*names, action=_Refuse, nargs="?", const=instead, help=argparse.SUPPRESS)


def apply_hydra_options(args: argparse.Namespace) -> None:
    """Turn a config's name into an override, and see that options are beside what they belong to.

    Raises:
        RequestError: two graphs, or an option that would not act.
    """
    name = args.config_name
    if name is not None:
        if any(line.lstrip("+").startswith("graph=") for line in args.overrides):
            raise RequestError(
                f"--config-name: the graph is named twice; expected graph=NAME only; given {name!r}"
            )
        args.overrides = [f"graph={name.removesuffix('.yaml')}", *args.overrides]
    if args.cfg is None and (args.resolve or args.package is not None):
        option = "--resolve" if args.resolve else "--package"
        raise RequestError(f"{option}: not used without --cfg; expected --cfg job beside it")
    if args.multirun and (args.cfg or args.info):
        option = "--cfg" if args.cfg else "--info"
        raise RequestError(f"{option}: not used with --multirun; expected the overrides of one job")

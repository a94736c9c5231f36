"""``flowsynth run --cfg`` and ``--info``: a composed configuration, and where it comes from."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from flowsynth.core.errors import Fault, GraphError, listing, nearest


def show_config(args: argparse.Namespace) -> int:
    """Print the configuration as YAML; nothing is run."""
    from flowsynth.config.composition import composed_values

    values = composed_values(args.overrides, resolve=args.resolve)
    parts = {"job": [key for key in values if key != "hydra"], "hydra": ["hydra"], "all": list(values)}
    shown = {key: values[key] for key in parts[args.cfg]}
    if args.package is not None:
        shown = below(shown, args.package)
        print(f"# @package {args.package}")
    print(_yaml(shown), end="")
    return 0


def show_info(args: argparse.Namespace) -> int:
    """Print where the configuration comes from; nothing is run."""
    from flowsynth.config.composition import composed_values
    from flowsynth.config.hydra_info import defaults_lines, plugin_lines, tree_lines

    sections: dict[str, Callable[[], Iterable[str]]] = {
        "searchpath": _places,
        "plugins": plugin_lines,
        "defaults": lambda: defaults_lines(args.overrides),
        "defaults-tree": lambda: tree_lines(args.overrides),
        "config": lambda: _yaml(composed_values(args.overrides)).splitlines(),
    }
    for name in sections if args.info == "all" else [args.info]:
        if args.info == "all":
            print(f"# {name}")
        print("\n".join([*sections[name](), *[""] * (args.info == "all")]))
    return 0


def _places() -> Iterator[str]:
    from flowsynth.config.folders import search_path

    places = search_path()
    for place in places:
        provider = "shipped" if place is places[-1] else "user"
        for folder in (place.conf, place.graphs):
            yield f"{provider:<8} {folder}{'' if folder.is_dir() else ' (not there)'}"


def below(values: Mapping[str, Any], path: str, where: str = "--cfg") -> Any:
    """What stands below a key; `where` is what messages are about.

    Raises:
        GraphError: there is no such key.
    """
    here: Any = values
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            names = [str(name) for name in here] if isinstance(here, Mapping) else []
            fault = Fault(
                "--package", "no such key", f"one of {listing(names)}", repr(path), nearest(part, names)
            )
            raise GraphError([fault], where)
        here = here[part]
    return here


def _yaml(values: Any) -> str:
    import yaml

    text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=100)
    return text.removesuffix("...\n")

"""``flowsynth new KIND NAME``: the beginning of a graph, an operator or a model family, with its test."""

from __future__ import annotations

import argparse
import keyword
import re
from importlib.util import find_spec
from pathlib import Path

from flowsynth.cli.options import command_parser
from flowsynth.cli.skeletons import skeleton
from flowsynth.core.errors import RequestError, did_you_mean, listing

#: Kind -> the folder of the current one that it goes to.
_FOLDERS = {"graph": "graphs", "operator": "operators", "family": "families"}
_GRAPH = re.compile(r"[A-Za-z][A-Za-z0-9_-]*", re.ASCII)
_MODULE = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


def parser() -> argparse.ArgumentParser:
    """The options of `new`."""
    made = command_parser(
        "new",
        "Write a graph (graphs/NAME.yaml), an operator (operators/NAME.py) or a model family "
        "(families/NAME.py, a model of it in conf/model and models) that works, and a test beside it, for "
        "you to change. No file is overwritten.",
    )
    made.add_argument("kind", choices=list(_FOLDERS), metavar="KIND", help=", ".join(_FOLDERS))
    made.add_argument("name", metavar="NAME", help="a name of your own")
    made.add_argument("--like", metavar="GRAPH", help="with graph: begin with a copy of this one")
    return made


def execute(args: argparse.Namespace) -> int:
    """Write the files, and say what to do with them."""
    if args.like is not None and args.kind != "graph":
        raise RequestError(f"--like: only read with graph; given {args.kind}")
    _require_free(args.kind, args.name)
    files = _graph(args.name, args.like) if args.kind == "graph" else _code(args.kind, args.name)
    if there := [str(path) for path in files if path.exists() or path.is_symlink()]:
        raise RequestError(f"new: {listing(there)} exists already; expected another name")
    for path, text in files.items():
        _write(path, text)
        print(path)
    first, test, *_ = files
    use = {
        "graph": f"run graph={args.name}",
        "operator": f"--operators {first} ops {args.name}",
        "family": f"--operators {first} run graph=text_to_image model={args.name} prompt=red",
    }
    print(f"next: flowsynth {use[args.kind]}")
    print(f"      python -m pytest {test}")
    return 0


def _write(path: Path, text: str) -> None:
    """Write a new file.

    Raises:
        RequestError: it cannot be written, or somebody else made it just now.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise RequestError(f"new: {path} cannot be written ({error.strerror or error})") from None


def _graph(name: str, like: str | None) -> dict[Path, str]:
    folder = Path(_FOLDERS["graph"])
    text = skeleton("graph.yaml", name=name) if like is None else _copy(like)
    overrides = '["width=32"]' if like is None else "[]"
    test = skeleton("test_graph.py", name=name, overrides=overrides)
    return {folder / f"{name}.yaml": text, folder / f"test_graph_{_plain(name)}.py": test}


def _copy(like: str) -> str:
    """The text of a graph that there is.

    Raises:
        RequestError: there is none of that name.
    """
    from flowsynth.config.catalogue import entries

    known = {entry.name: entry.path for entry in entries("graphs")}
    if like not in known:
        raise RequestError(
            f"--like: no graph {like!r}; expected one of {listing(known)}{did_you_mean(like, known)}"
        )
    return known[like].read_text(encoding="utf-8")


def _code(kind: str, name: str) -> dict[Path, str]:
    folder = Path(_FOLDERS[kind])
    texts = {"name": name, "Name": "".join(part.title() for part in name.split("_"))}
    files = {
        folder / f"{name}.py": skeleton(f"{kind}.py", **texts),
        folder / f"test_{kind}_{name}.py": skeleton(f"test_{kind}.py", **texts),
    }
    if kind == "family":
        files[Path("conf", "model", f"{name}.yaml")] = skeleton("model.yaml", **texts)
        files[Path("models", name, "palette.json")] = skeleton("palette.json")
    return files


def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def _require_free(kind: str, name: str) -> None:
    """See that a name can be used, and is nobody's.

    Raises:
        RequestError: it cannot, or it is.
    """
    if kind == "graph":
        _require_form(name, _GRAPH.fullmatch(name) is not None, "letters, digits, _ and -")
    else:
        fits = _MODULE.fullmatch(name) is not None and not keyword.iskeyword(name)
        _require_form(name, fits, "small letters, digits and _, as of a module of Python")
    if name in _taken(kind):
        raise RequestError(f"new: the name is taken by another {kind}; expected a new one; given {name!r}")
    if kind != "graph" and find_spec(name) is not None:
        raise RequestError(f"new: Python has a module of that name; expected another one; given {name!r}")


def _require_form(name: str, fits: bool, expected: str) -> None:
    if not fits:
        raise RequestError(f"new: not a name; expected {expected}; given {name!r}")


def _taken(kind: str) -> list[str]:
    from flowsynth.config.catalogue import names
    from flowsynth.core.registry import operator_names
    from flowsynth.models.registry import family_names

    return {"graph": lambda: names("graphs"), "operator": operator_names, "family": family_names}[kind]()

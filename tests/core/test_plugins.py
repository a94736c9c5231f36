"""Operators out of other people's packages: a broken one is named, and costs the others nothing."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flowsynth.cli import main
from flowsynth.core import registry
from flowsynth.core.operator import DEFINED
from flowsynth.core.plugins import entry_points_of
from flowsynth.core.registry import BrokenOperatorError, operator_class, operator_names
from tests.distribution_of import install

GOOD = '''
import flowsynth as fs


class Good(fs.Operator):
    """Is fine."""

    op = "plug_good"
    version = 1

    def run(self, ctx, /) -> int:
        return 1
'''

#: what is wrong -> (the module, the entry point, what the message must say)
BROKEN = {
    "an import that fails": ("import nope_not_there\n", "mod:Op", "No module named 'nope_not_there'"),
    "a syntax error": ("def (:\n", "mod:Op", "SyntaxError"),
    "leaving the program": ("import sys\nsys.exit(3)\n", "mod:Op", "SystemExit: 3"),
    "an error without a text": ("raise AssertionError\n", "mod:Op", "(AssertionError)"),
    "nothing of that name": (GOOD, "mod:Nope", "AttributeError"),
    "no operator": ("class Op: ...\n", "mod:Op", "is no operator"),
    "another name": (GOOD, "mod:Good", "calls itself 'plug_good'"),
    "a port that is none": (
        GOOD.replace("ctx, /)", "ctx, x)").replace("plug_good", "plug_bad"),
        "mod:Good",
        "must be keyword-only",
    ),
}

Plug = Callable[..., None]


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Installs a distribution with operators: plug(package, text, {name: place})."""

    def make(package: str, text: str, points: dict[str, str]) -> None:
        places = {name: f"{package}.{place}" for name, place in points.items()}
        files = {"__init__.py": "", "mod.py": text}
        install(tmp_path / package, package, files, registry.ENTRY_POINT_GROUP, places, monkeypatch)
        entry_points_of.cache_clear()

    yield make
    entry_points_of.cache_clear()
    for name in [name for name in DEFINED if name.startswith("plug_")]:
        del DEFINED[name]


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_and_the_rest_works(
    plug: Plug, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    text, place, words = BROKEN[name]
    package = f"broken_{list(BROKEN).index(name)}"
    plug(package, text, {"plug_bad": place})
    plug(
        f"fine_{list(BROKEN).index(name)}", GOOD.replace("plug_good", "plug_fine"), {"plug_fine": "mod:Good"}
    )
    with pytest.raises(BrokenOperatorError) as caught:
        operator_class("plug_bad")
    assert words in str(caught.value)
    assert f"the plug-in '{package}'" in str(caught.value) or "(Good)" in str(caught.value)
    assert main(["ops"]) == 0
    printed = capsys.readouterr()
    assert "plug_fine" in printed.out
    assert "vae_decode" in printed.out
    assert words in printed.err
    assert main(["schema"]) == 0
    assert "op.plug_fine" in json.loads(capsys.readouterr().out)["$defs"]
    assert main(["ops", "plug_bad"]) == 2


def test_a_plugin_that_takes_a_shipped_name_is_not_dropped_in_silence(plug: Plug) -> None:
    plug("thief", GOOD.replace("plug_good", "crop"), {"crop": "mod:Good"})
    with pytest.raises(BrokenOperatorError, match=r"'crop' is shipped with .* the plug-in 'thief'"):
        operator_class("crop")


def test_two_plugins_of_one_name_are_both_named(plug: Plug) -> None:
    for package in ("one_of_two", "two_of_two"):
        plug(package, GOOD, {"plug_good": "mod:Good"})
    assert "plug_good" in operator_names()
    with pytest.raises(BrokenOperatorError, match=r"one_of_two.*two_of_two|two_of_two.*one_of_two"):
        operator_class("plug_good")


def test_a_graph_with_a_broken_operator_is_refused_with_its_path(plug: Plug) -> None:
    import flowsynth as fs
    from flowsynth.core.errors import GraphError

    plug("broken_for_graph", "import nope_not_there\n", {"plug_bad": "mod:Op"})
    with pytest.raises(GraphError) as caught:
        fs.Graph.from_dict({"nodes": {"a": {"op": "plug_bad"}, "b": {"op": "cropp"}}, "outputs": ["a", "b"]})
    assert [fault.path for fault in caught.value.faults] == ["nodes.a.op", "nodes.b.op"]
    assert "nope_not_there" in str(caught.value)

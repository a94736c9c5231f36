"""Every room that operators can reach is part of their fingerprints, or there is a reason why not."""

from __future__ import annotations

import grimp
import pytest

from flowsynth.core.fingerprint.files import WALKED, policy_of

#: Rooms that operators reach and that their fingerprints stop at.
NEED_NOT = {
    "core": "every key's tag names it",
    "cache": "every key's tag names it",
    "fetch": "what it brings is checked against a hash that is in the catalogue or in the key",
    "hosted": "what is asked is in the key; an answer that was paid for outlives our code",
    "weights": "tensors that it converts are checked against the catalogue's hash of them",
}


@pytest.fixture
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("flowsynth", exclude_type_checking_imports=True, cache_dir=None)


def reached(imports: grimp.ImportGraph) -> set[str]:
    """Rooms with a module that an operator imports, or that a family does (which operators load by name)."""
    starts = ["flowsynth.operators", "flowsynth.models.families"]
    modules = {module for start in starts for module in (start, *imports.find_descendants(start))}
    modules |= {found for module in modules for found in imports.find_upstream_modules(module)}
    return {module.split(".")[1] for module in modules if "." in module}


def test_what_operators_reach_is_walked(imports: grimp.ImportGraph) -> None:
    rooms = reached(imports)
    assert rooms - NEED_NOT.keys() == set(WALKED)
    assert NEED_NOT.keys() <= rooms, "a reason that is needed no longer"
    assert {policy_of(f"flowsynth.{room}.any", frozenset()) for room in WALKED} == {"walk"}
    assert {policy_of(f"flowsynth.{room}.any", frozenset()) for room in NEED_NOT} == {"stop"}


def test_a_new_room_is_noticed(imports: grimp.ImportGraph) -> None:
    """However far away it is imported."""
    imports.add_module("flowsynth.nets.new")
    imports.add_module("flowsynth.rendering.new")
    imports.add_import(importer="flowsynth.nets.new", imported="flowsynth.rendering.new")
    assert reached(imports) - NEED_NOT.keys() == set(WALKED), "nobody imports it yet"
    imports.add_import(importer="flowsynth.nets.interpolation.ifnet", imported="flowsynth.nets.new")
    assert reached(imports) - NEED_NOT.keys() == {*WALKED, "rendering"}

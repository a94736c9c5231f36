"""What every shipped operator keeps to."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

import flowsynth as fs
from flowsynth.api import Session
from flowsynth.core.canonical import canonical_json
from flowsynth.core.errors import GraphError
from flowsynth.core.fingerprint import source_parts
from flowsynth.core.ports import ports_of
from flowsynth.core.registry import operator_class
from flowsynth.core.shipped import shipped_modules
from flowsynth.core.streams import Fold, Map, Resample, Scan, Source, Whole, Window
from flowsynth.models.registry import families_with
from flowsynth.nets import roles as nets_roles
from flowsynth.nets.registry import networks_code
from tests.cache.helpers import python

NAMES = sorted(shipped_modules())
#: Params of operators that have no defaults for all of them.
EXAMPLES: dict[str, dict[str, object]] = {
    "read_image": {"path": "picture.png"},
    "read_audio": {"path": "sound.wav"},
    "text_encode": {"prompt": "a cat"},
    "speak": {"text": "hello"},
    "hosted_image": {"model": "m", "prompt": "a cat", "price": 0.04},
    "hosted_text": {"model": "m", "prompt": "a cat", "price": 0.04},
}


def example(name: str) -> fs.Operator:
    return operator_class(name)(**EXAMPLES.get(name, {}))


@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_it_is(name: str) -> None:
    cls = operator_class(name)
    assert cls.op == name
    assert cls.__module__ == shipped_modules()[name]
    assert cls.version >= 1
    assert len((cls.__dict__["__doc__"] or "").split()) > 20, "the docstring is the reference page"
    for field, info in cls.model_fields.items():
        assert info.description, f"{name}.{field} has no description"


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_all_networks_it_may_load_is_in_its_fingerprint(name: str) -> None:
    """A network is found by its role, which a static walk cannot follow."""
    parts = source_parts(operator_class(name), uses=operator_class(name).uses)
    roles = [role for label, role in vars(nets_roles).items() if f"{nets_roles.__name__}:{label}" in parts]
    for label in networks_code(*(role for role in roles if isinstance(role, nets_roles.Role))):
        assert label in parts, f"{name}.uses lacks the networks of a role: networks_code(...)"


@pytest.mark.parametrize("name", NAMES)
def test_its_params_are_json_and_strict(name: str) -> None:
    operator = example(name)
    schema = type(operator).model_json_schema()
    assert set(schema.get("properties", {})) == set(type(operator).model_fields)
    dumped = operator.model_dump(mode="json")
    assert type(operator)(**json.loads(json.dumps(dumped))) == operator
    canonical_json(dumped)
    with pytest.raises(ValidationError):
        type(operator)(**{**EXAMPLES.get(name, {}), "no_such_param": 1})
    for field in type(operator).model_fields:
        with pytest.raises(ValidationError):
            setattr(operator, field, None)


@pytest.mark.parametrize("name", NAMES)
def test_its_ports_fit_how_it_treats_time(name: str) -> None:
    operator = example(name)
    cls, kind = type(operator), operator.stream()
    ports = ports_of(cls)
    assert set(cls.whole_ports) <= set(ports.inputs)
    assert not [name for name in operator.unread() if ports.inputs[name].required]
    streamed = [p for p in ports.inputs.values() if p.temporal and p.name not in cls.whole_ports]
    if isinstance(kind, Source):
        assert not streamed
        assert cls.probe is not fs.Operator.probe
    elif not isinstance(kind, Whole):
        assert streamed, "a stream operator reads a stream"
    if isinstance(kind, (Source, Map, Window, Resample, Scan)):
        assert all(port.temporal for port in ports.outputs.values())
    if isinstance(kind, Resample):
        assert cls.reads is not fs.Operator.reads
    if isinstance(kind, Fold):
        assert cls.segment is not fs.Operator.segment
        assert cls.combine is not fs.Operator.combine
        assert kind.segment >= 1
    if isinstance(kind, Window):
        assert kind.before >= 0
        assert kind.after >= 0


@pytest.mark.parametrize("name", NAMES)
def test_what_moved_is_told_with_a_place_that_exists(name: str) -> None:
    cls = operator_class(name)
    for old, new in cls.moved.items():
        assert old not in cls.model_fields
        field, _, option = new.partition(".")
        assert field in cls.model_fields
        assert not option or any(option in v.options.model_fields for v in families_with(name).values())
        with pytest.raises(GraphError, match=f"a.params.{old}: has moved; expected params.{new}; given"):
            fs.Graph.from_dict({"nodes": {"a": {"op": name, "params": {old: 1}}}})


def test_they_import_no_heavy_library_and_have_fingerprints() -> None:
    code = """
import sys
from flowsynth.core.fingerprint import source_fingerprint
from flowsynth.core.registry import operator_class
from flowsynth.core.shipped import shipped_modules
prints = {}
for name in sorted(shipped_modules()):
    cls = operator_class(name)
    prints[name] = source_fingerprint(cls, uses=cls.uses)
assert len(set(prints.values())) == len(prints)
heavy = {"torch", "triton", "diffusers", "transformers", "av", "numpy", "PIL"} & set(sys.modules)
assert not heavy, heavy
print(sorted(prints.items()))
"""
    first = python(code)
    with Session() as session:  # this process hashes strings otherwise
        for name in NAMES[::4]:
            assert session.source(operator_class(name)).fingerprint in first

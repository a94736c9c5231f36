"""What of a device and its libraries enters a key."""

import json

import pytest

from flowsynth.core.keys import library_version, numerics
from flowsynth.core.registry import operator_class


@pytest.mark.parametrize("op", ["temporal_smooth", "interpolate"])
def test_triton_enters_keys_where_it_computes(op: str) -> None:
    on_cuda, on_cpu = (json.loads(numerics(operator_class(op), device)) for device in ("cuda", "cpu"))
    assert on_cuda[0] == "cuda"
    assert on_cuda[2] == {name: library_version(name) for name in ("torch", "triton")}
    assert on_cpu[2] == {"torch": library_version("torch")}


def test_a_library_that_is_not_there_has_a_version_too() -> None:
    assert library_version("flowsynth-no-such-distribution") == "absent"

"""Checkpoints that no trainer writes: the builders of networks give one, or a ValueError; nothing hangs."""

from __future__ import annotations

import contextlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.models import ModelManager
from flowsynth.models.networks import load_network
from flowsynth.nets.loading import unwrapped
from flowsynth.nets.registry import build_network, known
from flowsynth.nets.roles import UPSCALING, Role
from tests.nets.test_registry import STATES
from tests.nets.tiny import tiny_srvgg

NAMES = [name for name in STATES if name != "litert"]
EDITS = st.lists(
    st.tuples(
        st.sampled_from(["drop", "rename", "number", "shape", "scalar", "dtype", "again", "empty"]),
        st.integers(0, 999),
        st.integers(0, 9),
    ),
    min_size=1,
    max_size=3,
)
NUMBERS = ("99999999", "-1", "x", "", "0.0", "1", "2", "00", "1e9", "block")
TYPES = (torch.float16, torch.float64, torch.int8, torch.bool, torch.complex64, torch.bfloat16)


@cache
def base(name: str) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in STATES[name]().items()}


def edited(state: dict[str, Tensor], edits: list[tuple[str, int, int]]) -> dict[str, Tensor]:
    out = dict(state)
    for kind, place, value in edits:
        if not out:
            break
        name = list(out)[place % len(out)]
        tensor = out[name]
        if kind == "drop":
            del out[name]
        elif kind == "rename":
            parts = name.split(".")
            out[".".join(parts[: 1 + value % len(parts)])] = out.pop(name)
        elif kind == "number":
            digits = [i for i, part in enumerate(name.split(".")) if part.isdigit()] or [0]
            parts = name.split(".")
            parts[digits[place % len(digits)]] = NUMBERS[value]
            out[".".join(parts)] = tensor
        elif kind == "shape":
            out[name] = tensor.reshape(-1)[: value or 1].reshape((1,) * (value % 5) + (-1,))
        elif kind == "scalar":
            out[name] = torch.tensor(1.0)
        elif kind == "dtype":
            out[name] = tensor.to(TYPES[value % len(TYPES)])
        elif kind == "again":
            out[f"{name}.{NUMBERS[value]}.weight"] = tensor
        else:
            out[name] = tensor[:0] if tensor.ndim else tensor
    return out


@pytest.mark.sample(3)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=20_000, derandomize=True)
@given(edits=EDITS)
def test_a_changed_checkpoint_is_a_network_or_refused(name: str, edits: list[tuple[str, int, int]]) -> None:
    state = edited(base(name), edits)
    for role, networks in known().by_role.items():
        if name in networks or any(a.fits(state) for a in networks.values()):
            with contextlib.suppress(ValueError):
                assert isinstance(build_network(Role[nn.Module](role), state), nn.Module)


def test_a_checkpoint_that_holds_itself_ends() -> None:
    nest: dict[str, Any] = {"a": torch.ones(1)}
    nest["params"] = nest
    assert list(unwrapped(nest)) == ["a"]
    assert list(unwrapped({"state_dict": {"params_ema": {"module.b": torch.ones(1), "step": 3}}})) == ["b"]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    places=st.lists(st.tuples(st.integers(0, 999), st.integers(0, 255)), min_size=1, max_size=4),
    zipped=st.booleans(),
)
def test_a_users_file_with_other_bytes_is_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]], zipped: bool
) -> None:
    path = Path(tmp_path_factory.getbasetemp()) / "mutated.pth"
    torch.save({"params": tiny_srvgg(2).state_dict()}, path, _use_new_zipfile_serialization=zipped)
    data = bytearray(path.read_bytes())
    for place, value in places:
        data[place * len(data) // 1000] = value
    path.write_bytes(data)
    try:
        load_network(RunContext(models=ModelManager("cpu", 10**9)), UPSCALING, str(path))
    except InputError as error:
        told = str(error)
    else:
        told = str(path)
    assert told.startswith(str(path))

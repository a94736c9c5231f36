"""Our own networks load through a device's manager: by content, under its budget, once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import flowsynth as fs
from flowsynth.api import Session
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.fetch.source import Source
from flowsynth.models import ModelManager, networks, parse_model
from flowsynth.models.families.sd.parts import network_bytes
from flowsynth.models.manager import unique_bytes
from flowsynth.models.networks import load_network
from flowsynth.models.weights import read_weights, tensor_bytes
from flowsynth.nets.roles import EDGES, INTERPOLATION, UPSCALING, Role
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from tests.nets.tiny import tiny_hed, tiny_ifnet, tiny_rrdbnet, tiny_srvgg
from tests.operators.test_in_a_graph import MovingClip
from tests.tiny import as_sd, tiny_sd

TINY: dict[str, tuple[Role[Any], Callable[[], nn.Module]]] = {
    "srvgg": (UPSCALING, tiny_srvgg),
    "rrdbnet": (UPSCALING, tiny_rrdbnet),
    "ifnet": (INTERPOLATION, tiny_ifnet),
    "hed": (EDGES, tiny_hed),
}


def saved(folder: Path, name: str, ending: str = "safetensors") -> str:
    path = folder / f"{name}.{ending}"
    state = TINY[name][1]().state_dict()
    save_file(state, path) if ending == "safetensors" else torch.save({"params": state}, path)
    return str(path)


@pytest.fixture
def manager() -> ModelManager:
    return ModelManager("cpu", 10**9)


@pytest.mark.parametrize("name", list(TINY))
@pytest.mark.parametrize("ending", ["safetensors", "pth"])
def test_what_a_network_will_take_is_read_off_its_file(
    tmp_path: Path, manager: ModelManager, name: str, ending: str
) -> None:
    weights, ctx = saved(tmp_path, name, ending), RunContext(models=manager)
    for precision, itemsize in (("float32", 4), ("float16", 2)):
        network = load_network(ctx, TINY[name][0], weights, precision)
        said = tensor_bytes(Path(weights), itemsize)
        taken = unique_bytes([network])
        assert said == taken or (ending == "pth" and precision == "float16" and said == 2 * taken)


def test_room_is_made_before_a_network_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("srvgg", "rrdbnet", "hed")
    files = {name: saved(tmp_path, name) for name in names}
    sizes = {name: tensor_bytes(Path(file), 4) for name, file in files.items()}
    manager = ModelManager("cpu", max(sizes.values()))
    ctx, seen = RunContext(models=manager), []
    read = read_weights

    def watched(path: Path) -> dict[str, Any]:
        seen.append(manager.resident_bytes + sizes[path.stem])
        return read(path)

    monkeypatch.setattr(networks, "read_weights", watched)
    for name in names * 2:
        load_network(ctx, TINY[name][0], files[name])
    assert len(seen) >= 5, "none of the others fits beside the largest"
    assert max(seen) <= manager.budget_bytes


def test_equal_content_is_one_network_whatever_its_path(tmp_path: Path, manager: ModelManager) -> None:
    weights, ctx = saved(tmp_path, "srvgg"), RunContext(models=manager)
    first = load_network(ctx, UPSCALING, weights)
    shutil.copy(weights, tmp_path / "copy.safetensors")
    assert load_network(ctx, UPSCALING, str(tmp_path / "copy.safetensors")) is first
    assert load_network(ctx, UPSCALING, weights, "float16") is not first
    assert next(first.parameters()).dtype == torch.float32
    state = {name: 2 * tensor for name, tensor in tiny_srvgg().state_dict().items()}
    save_file(state, weights)
    assert load_network(ctx, UPSCALING, weights) is not first
    manager._shrink(0)
    assert manager.resident_bytes == 0


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, manager: ModelManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else another file's network would be kept under this one's content."""
    weights, ctx = saved(tmp_path, "srvgg"), RunContext(models=manager)
    read, other = read_weights, Path(saved(tmp_path, "rrdbnet"))

    def swapped(path: Path) -> dict[str, Any]:
        other.replace(path)
        return read(path)

    monkeypatch.setattr(networks, "read_weights", swapped)
    with pytest.raises(RunError, match=r"srvgg\.safetensors changed while the run went on"):
        load_network(ctx, UPSCALING, weights)
    assert manager.resident_bytes == 0


def test_a_part_without_tensors_counts_for_what_was_said(manager: ModelManager) -> None:
    class Bare:
        """Such as a model that another library runs."""

    manager = ModelManager("cpu", 100)
    manager.part("a", Bare, lambda: 60)
    assert manager.resident_bytes == 60
    manager.part("b", Bare, lambda: 60)
    assert manager.resident_bytes == 60, "a was dropped for b"


def test_plain_calls_find_a_network_warm(tmp_path: Path) -> None:
    weights = saved(tmp_path, "srvgg")
    first = load_network(RunContext(cache_dir=tmp_path), UPSCALING, weights)
    assert load_network(RunContext(cache_dir=tmp_path), UPSCALING, weights) is first


def test_the_networks_of_a_run_are_its_sessions(tmp_path: Path) -> None:
    graph = fs.Graph("networks")
    clip = graph.add("clip", MovingClip())
    graph.add("large", Upscale(method="network", weights=saved(tmp_path, "srvgg")), frames=clip)
    graph.add("more", Interpolate(method="rife", weights=saved(tmp_path, "ifnet")), frames=clip)
    graph.add("edges", Annotate(detector="hed", weights=saved(tmp_path, "hed")), frames=clip)
    expected = sum(tensor_bytes(path, 4) for path in tmp_path.glob("*.safetensors"))
    with Session(tmp_path / "cache") as session:
        assert graph.run(session=session, outputs=["large", "more", "edges"]).ok
        session.prepare_managers(["cpu"])
        (manager,) = session._managers.values()
        assert manager.resident_bytes == expected


@pytest.mark.parametrize("motion", [False, True])
def test_what_the_parts_of_a_model_will_take_is_read_off_their_files(
    manager: ModelManager, motion: bool
) -> None:
    """But for tables of positions, which no file holds."""
    extra = {"motion": str(tiny_sd() / "motion_adapter")} if motion else {}
    nets = {"controlnets": {"lines": str(tiny_sd() / "controlnet_lines")}}
    spec = parse_model("a", {"family": "sd", "source": str(tiny_sd() / "base"), **nets, **extra})
    model = as_sd(manager.load(spec))
    taken = [
        unique_bytes([net])
        for net in (model.unet, model.vae, model.text_encoder.net, model.controlnet("lines"))
    ]
    said = [size for size in manager._said.values() if size]
    assert len(said) == len(taken)
    for size, real in zip(sorted(said), sorted(taken), strict=True):
        assert real - 2000 <= size <= real + 2000


def test_of_a_single_file_only_the_part_counts(tmp_path: Path) -> None:
    names = {"model.diffusion_model.a": 40, "first_stage_model.b": 30, "cond_stage_model.transformer.c": 20}
    save_file({name: torch.zeros(count) for name, count in names.items()}, tmp_path / "all.safetensors")
    source = Source(file=str(tmp_path / "all.safetensors"))
    assert [network_bytes(kind, source, 2) for kind in ("unet", "vae", "text_encoder", "motion")] == [
        80,
        60,
        40,
        180,
    ]

"""Where nodes are placed, given an inventory of devices."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import flowsynth as fs
from flowsynth.core.devices import cuda_devices, device_arch
from flowsynth.core.errors import GraphError
from flowsynth.executors import fetch
from flowsynth.executors.placed import Placed, transfer
from flowsynth.models import weigh
from flowsynth.models.weigh import weight_bytes
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.operators.size.upscale import Upscale
from flowsynth.planning.placement import DeviceSpec, place
from tests.executors.dags import Kernel, Level, Norm, Plus
from tests.streams import Counter, Invert, Mean, Sum, write_source

CPU = DeviceSpec("cpu", 32 << 30)
TWO = [DeviceSpec("cuda:0", 8 << 30), DeviceSpec("cuda:1", 24 << 30), CPU]


def graph(**devices: str) -> fs.Graph:
    g = fs.Graph("p")
    first = g.model("first", {"family": "sd", "source": "/nowhere/1"})
    second = g.model("second", {"family": "sd", "source": "/nowhere/2"})
    clip = g.add("clip", ReadVideo(path="a.mp4"))
    g.add("up", Upscale(), frames=clip, device=devices.get("up", "auto"))
    for name, model in (("a", first), ("b", second)):
        latents = g.add(f"latents_{name}", EmptyLatents(), model=model)
        g.add(f"prompt_{name}", TextEncode(prompt="x"), model=model)
        g.add(f"decode_{name}", VaeDecode(), latents=latents, model=model)
    return g


def test_without_an_accelerator_everything_is_on_the_cpu() -> None:
    assert set(place(graph(), devices=[CPU]).values()) == {"cpu"}


def test_models_spread_and_their_nodes_stay_together() -> None:
    places = place(graph(), devices=TWO)
    assert {places[n] for n in ("prompt_a", "decode_a", "latents_a")} == {"cuda:1"}
    assert {places[n] for n in ("prompt_b", "decode_b", "latents_b")} == {"cuda:0"}
    assert places["clip"] == "cpu"
    assert places["up"] == "cuda:1"


def test_a_device_by_name_or_class_wins() -> None:
    assert place(graph(up="cuda:0"), devices=TWO)["up"] == "cuda:0"
    assert place(graph(up="cpu"), devices=TWO)["up"] == "cpu"
    assert place(graph(up="sim:3"), devices=[CPU])["up"] == "sim:3"
    assert set(place(graph(), "cpu", devices=TWO).values()) == {"cpu"}


def test_a_device_that_is_not_here_is_a_fault_with_its_path() -> None:
    with pytest.raises(GraphError, match=r"nodes\.up\.device: no such device here; expected cpu, sim:N"):
        place(graph(up="cuda:0"), devices=[CPU])


@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_simulated_devices_overlap_and_are_on_the_record(tmp_path: Path, executor: str) -> None:
    source = write_source(tmp_path / "s.txt", range(40))
    g = fs.Graph("sim")
    clip = g.add("clip", Counter(path=source))
    left = g.add("left", Invert(), frames=clip, device="sim:0")
    g.add("right", Mean(), frames=clip, device="sim:1")
    g.add("total", Sum(), frames=left)
    g.outputs = ["right", "total"]
    run = g.run(cache_dir=tmp_path / "cache", executor=executor)
    assert {name: node.device for name, node in run.record.nodes.items()} == {
        "clip": "cpu", "left": "sim:0", "right": "sim:1", "total": "cpu"
    }  # fmt: skip
    frames = Counter(path=source).run(fs.RunContext())
    assert torch.equal(run["right"].tensor, Mean().run(fs.RunContext(), frames=frames).tensor)
    # The index of a device is no part of a key: elsewhere it is all hits.
    again = g.run(cache_dir=tmp_path / "cache", executor=executor, device="sim:7")
    assert {node.status for node in again.record.nodes.values()} == {"hit"}


def across(kind: str, folder: Path) -> fs.Graph:
    """A graph whose one edge from ``sim:0`` to ``sim:1`` carries a stream, a spooled stream or a value."""
    g = fs.Graph(kind)
    if kind == "value":
        first = g.add("first", Kernel(), x=g.add("number", Plus()), device="sim:0")
        g.add("second", Norm(), kernel=first, device="sim:1")
        return g
    clip = g.add("clip", Counter(path=write_source(folder / "s.txt", range(20))))
    first = g.add("first", Invert(), frames=clip, device="sim:0")
    g.add("second", Mean() if kind == "stream" else Level(), frames=first, device="sim:1")
    return g


@pytest.mark.parametrize("executor", ["serial", "threads"])
@pytest.mark.parametrize(("kind", "origin"), [("stream", "sim:0"), ("value", "sim:0"), ("spooled", "cpu")])
def test_an_edge_that_is_not_transferred_fails(
    tmp_path: Path, kind: str, origin: str, executor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, real = across(kind, tmp_path), transfer
    assert graph.run(cache_dir=tmp_path / "whole", executor=executor).ok

    def forgetful(placed: Placed, device: str) -> Placed:
        forgotten = placed.device == origin and device == "sim:1"
        return placed if forgotten else real(placed, device)

    monkeypatch.setattr(fetch, "transfer", forgetful)
    run = graph.run(cache_dir=tmp_path / "cache", executor=executor, check=False)
    assert run.record.nodes["first"].status == "computed"
    assert run.record.nodes["second"].status == "failed"
    assert f"the value is on {origin}, the node on sim:1" in run.record.errors[0]


def test_a_model_goes_where_its_weights_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"/nowhere/1": 2 << 30, "/nowhere/2": 16 << 30}
    monkeypatch.setattr(weigh, "weight_bytes", lambda spec: sizes[spec["source"]])
    places = place(graph(), devices=TWO)
    assert {places[f"{node}_b"] for node in ("prompt", "decode", "latents")} == {"cuda:1"}, "8 GB are too few"
    assert {places[f"{node}_a"] for node in ("prompt", "decode", "latents")} == {"cuda:0"}, "nobody is there"
    sizes["/nowhere/1"] = 7 << 30  # more than four fifths of either's room
    assert place(graph(), devices=TWO)["prompt_a"] == "cuda:1"


def test_what_a_models_weights_take() -> None:
    assert weight_bytes({"family": "sd", "source": "shipped:pocket"}) > 1 << 20
    assert weight_bytes({"family": "sd", "source": "/nowhere"}) == 0
    assert weight_bytes({"family": "no such"}) == 0


def test_each_cuda_device_has_an_architecture_and_cudas_own_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cards = {0: (8, (7, 5)), 1: (24, (8, 6)), 2: (80, (9, 0))}
    nvml = SimpleNamespace(
        NVMLError=RuntimeError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: len(cards),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetHandleByUUID=lambda text: {"GPU-b": 1}[text],
        nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(total=cards[handle][0] << 30),
        nvmlDeviceGetCudaComputeCapability=lambda handle: cards[handle][1],
    )
    monkeypatch.setitem(sys.modules, "pynvml", nvml)  # no card is here: what its library says is played
    seen = ((None, ["sm_75", "sm_86", "sm_90"]), ("2,0", ["sm_90", "sm_75"]), ("GPU-b", ["sm_86"]))
    for visible, expected in seen:
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
        cuda_devices.cache_clear()
        try:
            assert [arch for _, arch in cuda_devices()] == expected
            assert [device_arch(f"cuda:{i}") for i in range(len(expected))] == expected
            assert device_arch("cuda") == expected[0]
        finally:
            cuda_devices.cache_clear()

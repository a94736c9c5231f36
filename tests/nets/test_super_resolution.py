from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch

from flowsynth.functional.cut.tiling import tile_by_context
from flowsynth.nets.loading import unwrapped
from flowsynth.nets.registry import build_network
from flowsynth.nets.roles import UPSCALING
from flowsynth.nets.staged import Stage, StagedNetwork
from tests.nets.tiny import picture, tiny_rrdbnet, tiny_srvgg

NETWORKS: dict[str, Callable[[], StagedNetwork]] = {
    "compact x4": tiny_srvgg,
    "compact x2": lambda: tiny_srvgg(2),
    "rrdb x4": tiny_rrdbnet,
    "rrdb x2": lambda: tiny_rrdbnet(2, 2),
    "rrdb x8": lambda: tiny_rrdbnet(3),
}


def super_resolution(checkpoint: Mapping[str, Any]) -> StagedNetwork:
    return build_network(UPSCALING, unwrapped(checkpoint))


def tiled(network: StagedNetwork, x: torch.Tensor, tile: int) -> torch.Tensor:
    def each(stage: Stage, value: torch.Tensor) -> torch.Tensor:
        return tile_by_context(stage.apply, value, tile=tile, halo=stage.halo, scale=stage.scale)

    return network.run(x, each)


@pytest.mark.sample(6)
@pytest.mark.parametrize("name", list(NETWORKS))
@pytest.mark.parametrize("size", [(1, 1), (23, 31), (40, 17), (32, 32)])
def test_tiles_leave_no_seam(name: str, size: tuple[int, int]) -> None:
    network = NETWORKS[name]()
    x = picture(*(side * network.needs.multiple for side in size))
    whole = network(x)
    assert whole.shape[-2:] == (x.shape[-2] * network.scale, x.shape[-1] * network.scale)
    for tile in (13, 16, 27):
        torch.testing.assert_close(tiled(network, x, tile), whole, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["compact x4", "rrdb x4"])
def test_a_stage_sees_no_farther_than_it_says(name: str) -> None:
    network = NETWORKS[name]()

    def each(stage: Stage, value: torch.Tensor) -> torch.Tensor:
        centre = value.shape[-1] // 2
        other = value.clone()
        other[..., centre + stage.halo + 1 :] += 1
        got, changed = stage.apply(value), stage.apply(other)
        keep = slice(0, centre * stage.scale)
        assert torch.equal(got[..., keep], changed[..., keep])
        edge = slice(centre * stage.scale, None)
        assert not torch.equal(got[..., edge], changed[..., edge])
        return got

    network.run(picture(12, 64), each)


def to_first_layout(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    names = {"conv_first": "model.0", "conv_body": "model.1.sub.2", "conv_up1": "model.3"}
    names |= {"conv_up2": "model.6", "conv_hr": "model.8", "conv_last": "model.10"}
    out = {}
    for name, tensor in state.items():
        stem, kind = name.rsplit(".", 1)
        if stem.startswith("body."):
            _, block, dense, unit = stem.split(".")
            out[f"model.1.sub.{block}.{dense.upper()}.{unit}.0.{kind}"] = tensor
        else:
            out[f"{names[stem]}.{kind}"] = tensor
    return out


def to_middle_layout(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    changes = {"body.": "RRDB_trunk.", "rdb": "RDB", "conv_body": "trunk_conv", "conv_up": "upconv"}
    out = {}
    for name, tensor in state.items():
        for new, old in {**changes, "conv_hr": "HRconv"}.items():
            name = name.replace(new, old) if not (new == "body." and name.startswith("conv")) else name
        out[name] = tensor
    return out


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"params": s},
        lambda s: {"params_ema": s, "params": {k: v * 0 for k, v in s.items()}},
        lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}, "step": 3},
        to_first_layout,
        to_middle_layout,
    ],
)
def test_every_layout_gives_the_same_network(
    wrap: Callable[[dict[str, torch.Tensor]], dict[str, Any]],
) -> None:
    network, x = tiny_rrdbnet(), picture(7, 9)
    assert torch.equal(super_resolution(wrap(network.state_dict()))(x), network(x))


def test_the_compact_layout_is_known_by_its_names() -> None:
    network, x = tiny_srvgg(2), picture(7, 9)
    assert torch.equal(super_resolution({"params": network.state_dict()})(x), network(x))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {}, "it has no tensors"),
        (lambda s: {"unet.weight": s["conv_first.weight"]}, "it has unet.weight"),
        (lambda s: {k: v for k, v in s.items() if k != "conv_hr.bias"}, "no tensor 'conv_hr.bias'"),
        (lambda s: {**s, "extra": s["conv_hr.bias"]}, "a tensor 'extra'"),
        (lambda s: {**s, "conv_hr.bias": s["conv_hr.bias"][:2]}, r"shape \(2,\), expected \(6,\)"),
        (lambda s: {**s, "conv_first.weight": s["conv_first.weight"][:, :1]}, "1 inputs, expected 3"),
    ],
)
def test_faults_are_named(change: Callable[[dict[str, torch.Tensor]], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        super_resolution(change(tiny_rrdbnet().state_dict()))

"""Tiny real networks with random weights, and ncnn models written from them."""

import struct
from typing import TypeVar

import torch

from flowsynth.nets.edges.hed import HED
from flowsynth.nets.interpolation.ifnet import IFNet
from flowsynth.nets.likeness.lpips import Lpips
from flowsynth.nets.upscaling.rrdbnet import RRDBNet
from flowsynth.nets.upscaling.srvgg import SRVGG

Network = TypeVar("Network", bound=torch.nn.Module)


def randomised(network: Network, seed: int = 0) -> Network:
    """Give a network weights that don't depend on anything but the seed."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        fan = max(1, parameter[0].numel())
        parameter.data = torch.randn(parameter.shape, generator=generator) / fan**0.5
    return network.eval().requires_grad_(False)


def tiny_ifnet(refine: bool = False) -> IFNet:
    network = randomised(IFNet((8, 8, 6, 4), depth=2, refine=4 if refine else None))
    for index in range(4):  # flows of a few pixels
        network.get_parameter(f"block{index}.lastconv.weight").data *= 0.1
    return network


def tiny_srvgg(scale: int = 4) -> SRVGG:
    return randomised(SRVGG(width=6, depth=2, scale=scale))


def tiny_rrdbnet(doublings: int = 2, unshuffle: int = 1) -> RRDBNet:
    return randomised(RRDBNet(width=6, blocks=2, growth=4, doublings=doublings, unshuffle=unshuffle))


def tiny_hed(fused: bool = True) -> HED:
    return randomised(HED(((4, 2), (6, 2), (6, 3), (8, 3), (8, 3)), fused))


def lpips_state(network: Lpips) -> dict[str, torch.Tensor]:
    """The tensors under the published names, kernels as (height, width, in, out)."""
    out = {}
    for name, tensor in network.state_dict().items():
        part, index, kind = name.split(".")
        turned = tensor.permute(2, 3, 1, 0).contiguous() if tensor.ndim == 4 else tensor
        kind = "kernel" if kind == "weight" else kind
        place = f"NetLinLayer_{index}" if part == "heads" else f"AlexNet_0/Conv_{index}"
        out[f"{place}/{kind}"] = turned
    return out


def picture(height: int, width: int, channels: int = 3, seed: int = 5) -> torch.Tensor:
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


def as_ncnn(network: SRVGG, half: bool) -> tuple[str, bytes]:
    """The text and the bytes that ncnn would hold of a compact network."""
    rows, data = ["Input  in  0 1 data"], b""
    for index, layer in enumerate(network.body):
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.bias is not None
            count, kernel = layer.weight.numel(), layer.kernel_size[0]
            tail = f"0={layer.out_channels} 1={kernel} 4=1 5=1 6={count}"
            rows.append(f"Convolution  c{index}  1 1 b{index} b{index + 1} {tail}")
            values = layer.weight.half() if half else layer.weight
            raw = values.contiguous().numpy().tobytes()
            data += struct.pack("<I", 0x01306B47 if half else 0) + raw + b"\0" * (-len(raw) % 4)
            data += layer.bias.numpy().tobytes()
        else:
            assert isinstance(layer, torch.nn.PReLU)
            rows.append(f"PReLU  p{index}  1 1 b{index} b{index + 1} 0={layer.num_parameters}")
            data += layer.weight.numpy().tobytes()
    rows.append("PixelShuffle shuffle 1 1 x y 0=4")
    rows.append("Eltwise  sum  2 1 a b out 0=1 -23301=2,2.000000e-01,1.000000e+00")
    return "\n".join(["7767517", f"{len(rows)} {len(rows)}", *rows]), data

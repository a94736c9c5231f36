"""What other implementations make of random weights, kept as small files that our networks are judged by.

    pip install pytorch-pretrained-biggan==0.1.1 boto3
    git clone https://github.com/rosinality/stylegan2-pytorch
    git clone https://github.com/NVlabs/SPADE
    git clone https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix
    python -m tests.nets.judged.make FOLDER_OF_THE_CLONES

Nothing of theirs is in this repository but the names and shapes of tensors. Widths that they fix are made
small by replacing the numbers in their source while it is loaded.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

HERE = Path(__file__).parent


def rounded(network: nn.Module) -> nn.Module:
    """Weights that half floats hold, in evaluation mode: the files are half the size."""
    for tensor in [*network.parameters(), *network.buffers()]:
        if tensor.is_floating_point():
            tensor.copy_(tensor.half())
    return network.eval()


def keep(name: str, network: nn.Module, more: dict[str, Tensor], **judged: Tensor) -> None:
    """Write the weights, what went in and what came out; of pictures every fourth pixel."""
    kept = {n: t.half() if t.is_floating_point() else t for n, t in network.state_dict().items()}
    state = {f"state.{n}": t.contiguous() for n, t in (kept | more).items()}
    judged = {n: t[..., ::4, ::4] if n.startswith("out") else t for n, t in judged.items()}
    save_file({**state, **{n: t.contiguous() for n, t in judged.items()}}, HERE / f"{name}.safetensors")


def randomised(network: nn.Module, scale: float = 0.2) -> nn.Module:
    """All that begins as zeros or ones made random, running statistics too."""
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith(("gamma", "noise.weight")):
            nn.init.constant_(tensor, 0.3)
        elif name.endswith(("running_vars", "running_var")):
            nn.init.uniform_(tensor, 0.5, 2)
        elif name.endswith(("running_means", "running_mean")) or (
            name.endswith("bias") and "modulation" not in name
        ):
            nn.init.normal_(tensor, 0, scale)
    return network


def source_with(path: Path, module: str, **replaced: str) -> types.ModuleType:
    """A module of theirs, with numbers in its source replaced."""
    text = path.read_text()
    for old, new in replaced.items():
        text = text.replace(old.replace("_", " "), new)
    made = types.ModuleType(module)
    exec(compile(text, str(path), "exec"), made.__dict__)
    return made


@torch.no_grad()
def biggan() -> None:
    """64 pixels, ten classes."""
    config = importlib.import_module("pytorch_pretrained_biggan.config")
    model = importlib.import_module("pytorch_pretrained_biggan.model")
    layers = [(False, 16, 16), (True, 16, 8), (False, 8, 8), (True, 8, 4)]
    layers += [(False, 4, 4), (True, 4, 2), (False, 2, 2), (True, 2, 1)]
    chosen = config.BigGANConfig(
        output_dim=64, z_dim=4, class_embed_dim=4, channel_width=4, num_classes=10, layers=layers,
        attention_layer_position=6, eps=1e-4, n_stats=3,
    )  # fmt: skip
    network = randomised(model.BigGAN(chosen))
    z, labels = torch.randn(2, 4), torch.tensor([3, 7])
    classes = nn.functional.one_hot(labels, 10).float()
    for _ in range(5):  # the estimates of singular values settle
        network(z, classes, 0.5)
    rounded(network)
    outputs = {f"out_{round(10 * t)}": network(z, classes, t) for t in (0.5, 1.0)}
    keep("biggan", network, {}, z=z, labels=labels, **outputs)


@torch.no_grad()
def stylegan2(clones: Path) -> None:
    """16 pixels, 16 channels."""
    folder = clones / "stylegan2-pytorch"
    sys.path.insert(0, str(folder))
    compiled = importlib.import_module("torch.utils.cpp_extension")
    compiled.load = lambda *_, **__: types.SimpleNamespace()  # type: ignore[attr-defined]  # their plain path
    theirs = source_with(folder / "model.py", "model", **{"512": "16"})
    network = rounded(randomised(theirs.Generator(16, 16, 2, channel_multiplier=1)))
    z, mean = torch.randn(2, 16), network.mean_latent(500)  # type: ignore[operator]
    outputs: dict[str, Tensor] = {}
    for psi in (1.0, 0.6):
        made: Any = network([z], truncation=psi, truncation_latent=mean, randomize_noise=False)
        outputs[f"out_{round(10 * psi)}"] = made[0]
    keep("stylegan2", network, {"latent_avg": mean[0]}, z=z, **outputs)


@torch.no_grad()
def spade(clones: Path) -> None:
    """64 pixels, seven labels."""
    folder = clones / "SPADE" / "models" / "networks"
    for name in ("models", "models.networks"):
        sys.modules[name] = types.ModuleType(name)
    beside = {
        "models.networks.sync_batchnorm": {"SynchronizedBatchNorm2d": nn.BatchNorm2d},
        "torchvision": {},
    }
    for name, found in beside.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(found)
    sys.modules["torchvision"].models = types.SimpleNamespace()  # type: ignore[attr-defined]
    for name in ("base_network", "normalization", "architecture", "generator"):
        module = f"models.networks.{name}"
        sys.modules[module] = source_with(folder / f"{name}.py", module, **{"nhidden_=_128": "nhidden = 8"})
    options = types.SimpleNamespace(
        ngf=1, crop_size=64, aspect_ratio=1.0, use_vae=False, semantic_nc=7, num_upsampling_layers="normal",
        norm_G="spectralspadesyncbatch3x3",
    )  # fmt: skip
    network = randomised(vars(sys.modules["models.networks.generator"])["SPADEGenerator"](options))
    labels = torch.randint(0, 7, (1, 1, 8, 8)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    one_hot = nn.functional.one_hot(labels[:, 0], 7).permute(0, 3, 1, 2).float()
    for _ in range(4):
        network(one_hot)
    rounded(network)
    keep("spade", network, {}, labels=labels.to(torch.uint8), out=network(one_hot))


@torch.no_grad()
def pix2pix(clones: Path) -> None:
    """128 pixels."""
    folder = clones / "pytorch-CycleGAN-and-pix2pix" / "models"
    theirs = source_with(folder / "networks.py", "networks")
    network = rounded(randomised(theirs.UnetGenerator(3, 3, 7, 1)))
    picture = torch.randint(0, 256, (1, 3, 128, 128), dtype=torch.uint8)
    keep("pix2pix", network, {}, picture=picture, out=network.train()(2 * (picture / 255) - 1))


if __name__ == "__main__":
    torch.manual_seed(0)
    biggan()
    for make in (stylegan2, spade, pix2pix):
        make(Path(sys.argv[1]))

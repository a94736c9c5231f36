"""What other implementations make of random weights, kept as small files that our networks are judged by.

    pip install pytorch-pretrained-biggan==0.1.1 boto3
    git clone https://github.com/rosinality/stylegan2-pytorch
    git clone https://github.com/NVlabs/SPADE
    git clone https://github.com/junyanz/pytorch-CycleGAN-and-pix2pix
    git clone https://github.com/wilson1yan/VideoGPT
    git clone https://github.com/hpcaitech/Open-Sora && pip install einops
    python -m tests.nets.judged.make FOLDER_OF_THE_CLONES [NETWORK...]

Nothing of theirs is in this repository but the names and shapes of tensors. Widths that they fix are made
small by replacing the numbers in their source while it is loaded.
"""

from __future__ import annotations

import functools
import importlib
import itertools
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


def _videogpt_modules(clones: Path) -> Any:
    """Their module of the transformer; what trains and shows clips is left out."""
    for name in ("pytorch_lightning", "skvideo", "skvideo.io", "gdown"):
        sys.modules[name] = types.ModuleType(name)
    lightning: Any = sys.modules["pytorch_lightning"]
    lightning.LightningModule = type(
        "LightningModule", (nn.Module,), {"save_hyperparameters": lambda _: None}
    )
    package = types.ModuleType("videogpt")
    package.__path__ = []
    sys.modules["videogpt"] = package
    small = {"resnet": {"64_*_width": "2 * width", "128_*_width": "3 * width", "256_*_width": "4 * width"}}
    small["gpt"] = {"240": "24"}
    for name in ("utils", "attention", "resnet", "vqvae", "gpt"):
        text = (clones / "VideoGPT" / "videogpt" / f"{name}.py").read_text()
        for old, new in small.get(name, {}).items():
            text = text.replace(old.replace("_", " "), new)
        made = types.ModuleType(f"videogpt.{name}")
        made.__package__ = "videogpt"
        sys.modules[f"videogpt.{name}"] = made
        exec(compile(text, name, "exec"), made.__dict__)
    sys.modules["videogpt.download"] = types.ModuleType("videogpt.download")
    vars(sys.modules["videogpt.download"])["load_vqvae"] = None
    return sys.modules["videogpt.gpt"]


def _given(made: Any, _: str) -> Any:
    return made


@torch.no_grad()
def videogpt(clones: Path) -> None:
    """Sparse attention after a first frame; full attention of a class. Both code by code, as they sample."""
    theirs = _videogpt_modules(clones)
    coder = sys.modules["videogpt.vqvae"].VQVAE
    kinds = {
        "videogpt": ((2, 8, 32), "sparse", 1, None, (4, 2, 2)),
        "videogpt_class": ((2, 2, 4), "full", 0, 3, (2, 4, 4)),
    }
    for name, (shape, attention, first, classes, strides) in kinds.items():
        clip = [n * s for n, s in zip(shape, strides, strict=True)]
        sizes = types.SimpleNamespace(
            embedding_dim=5, n_codes=16, n_hiddens=8, n_res_layers=1, downsample=strides,
            sequence_length=clip[0], resolution=clip[1],
        )  # fmt: skip
        made = coder(sizes)
        coder.load_from_checkpoint = functools.partial(_given, made)
        coder.latent_shape = shape
        options = types.SimpleNamespace(
            vqvae=".", n_cond_frames=first, class_cond=classes is not None, class_cond_dim=classes,
            resolution=clip[1], hidden_dim=24, heads=4, layers=2, dropout=0.0, attn_type=attention,
            attn_dropout=0.0,
        )  # fmt: skip
        network = theirs.VideoGPT(options)
        if first:  # theirs are square; here the places of the first frame follow the clip's
            network.cond_pos_embd = theirs.AddBroadcastPosEmbed((first, clip[1] // 4, clip[2] // 4), 24)
        network.fc_out.weight.normal_(0, 0.4)
        for tensor in network.attn_stack.pos_embd.emb.values():
            tensor.normal_(0, 0.5)
        rounded(randomised(network))
        _judge_videogpt(name, network, shape, clip, first, classes)


def _judge_videogpt(
    name: str, network: Any, shape: Any, clip: list[int], first: int, classes: int | None
) -> None:
    codes = torch.randint(0, 16, (1, *shape))
    known: dict[str, Tensor] = {"codes": codes.to(torch.uint8)}
    given: dict[str, Tensor] = {}
    if first:
        frames = torch.randint(0, 256, (1, 3, first, *clip[1:]), dtype=torch.uint8)
        known["first"], given["frame_cond"] = frames, frames / 255 - 0.5
    if classes:
        known["label"] = torch.tensor([2])
        given["class_cond"] = nn.functional.one_hot(known["label"], classes).float()
    rows, before = [], None
    for step, place in enumerate(itertools.product(*map(range, shape))):
        here = (slice(None), *(slice(i, i + 1) for i in place))
        vectors = network.vqvae.codebook.dictionary_lookup(codes)
        read = here if before is None else before
        rows.append(network(vectors[read], codes[read], dict(given), step, place)[1].flatten(1))
        before = here
    known["logits"] = torch.cat(rows)
    made = network.vqvae.decode(codes)
    source = torch.randint(0, 256, (1, 3, *clip), dtype=torch.uint8)
    known["source"] = source
    known["encoded"] = network.vqvae.encode(source / 255 - 0.5).to(torch.uint8)
    known["features"] = network.vqvae.pre_vq_conv(network.vqvae.encoder(source / 255 - 0.5))
    kept = {n: t.half() if t.is_floating_point() else t for n, t in network.state_dict().items()}
    state = {f"state.{n}": t.contiguous() for n, t in kept.items()}
    decoded = {"decoded": made[..., ::2, ::2]}
    save_file(
        {**state, **{n: t.contiguous() for n, t in (known | decoded).items()}}, HERE / f"{name}.safetensors"
    )


def _open_sora_modules(clones: Path) -> tuple[Any, Any]:
    """Their denoiser and VAE; kernels for GPUs are written out, what trains and spreads is left out."""
    importlib.import_module("diffusers")  # looks for packages that are replaced below
    importlib.import_module("diffusers.models.attention_processor")
    packages = (
        "",
        ".acceleration",
        ".models",
        ".models.mmdit",
        ".models.hunyuan_vae",
        ".models.vae",
        ".utils",
    )
    for name in (f"opensora{part}" for part in packages):
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = []

    def once(call: Any, *given: Any) -> Any:
        return call(*given)

    def normed(x: Tensor, scale: Tensor, eps: float, *_: Any) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * scale

    def turned(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        def half(x: Tensor) -> Tensor:
            return torch.cat((-x[..., x.shape[-1] // 2 :], x[..., : x.shape[-1] // 2]), -1)

        return q * cos[:, None] + half(q) * sin[:, None], k * cos[:, None] + half(k) * sin[:, None]

    def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        return nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    kept: Any = types.SimpleNamespace
    known = kept(MODELS=kept(register_module=lambda *_: lambda made: made))
    beside: dict[str, dict[str, Any]] = {
        "opensora.registry": vars(known),
        "opensora.utils.ckpt": {"load_checkpoint": None},
        "opensora.acceleration.checkpoint": {"auto_grad_checkpoint": once, "checkpoint": once},
        "opensora.models.vae.utils": {"ChannelChunkConv3d": nn.Conv3d, "get_conv3d_n_chunks": lambda *_: 1},
        "liger_kernel": {}, "liger_kernel.ops": {},
        "liger_kernel.ops.rms_norm": {"LigerRMSNormFunction": kept(apply=normed)},
        "liger_kernel.ops.rope": {"LigerRopeFunction": kept(apply=turned)},
        "flash_attn": {"flash_attn_func": attention},
    }  # fmt: skip
    for name, found in beside.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(found)
    compiled, torch.compile = torch.compile, lambda **_: lambda made: made  # type: ignore[assignment]
    for name in (
        "mmdit.math",
        "mmdit.layers",
        "mmdit.model",
        "hunyuan_vae.unet_causal_3d_blocks",
        "hunyuan_vae.vae",
    ):
        path = clones / "Open-Sora" / "opensora" / "models" / f"{name.replace('.', '/')}.py"
        made = types.ModuleType(f"opensora.models.{name}")
        made.__package__ = made.__name__.rpartition(".")[0]
        sys.modules[made.__name__] = made
        exec(compile(path.read_text(), name, "exec"), made.__dict__)
    torch.compile = compiled
    return sys.modules["opensora.models.mmdit.model"], sys.modules["opensora.models.hunyuan_vae.vae"]


def _sampled(clones: Path, network: Any) -> dict[str, Tensor]:
    """Their loop over twelve steps, of a text alone and after a first picture."""
    kinds = types.SimpleNamespace(I2V="i2v", DISTILLED="distill")
    beside: dict[str, dict[str, Any]] = {
        "mmengine": {}, "mmengine.config": {"Config": None}, "peft": {"PeftModel": None},
        "opensora.datasets": {}, "opensora.datasets.aspect": {"get_image_size": None},
        "opensora.models.text": {}, "opensora.models.text.conditioner": {"HFEmbedder": None},
        "opensora.utils.inference": {
            "SamplingMethod": kinds, "collect_references_batch": None, "prepare_inference_condition": None,
        },
    }  # fmt: skip
    for name, found in beside.items():
        sys.modules[name] = types.ModuleType(name)
        vars(sys.modules[name]).update(found)
    vars(sys.modules["opensora.registry"])["build_module"] = None
    path = clones / "Open-Sora" / "opensora" / "utils" / "sampling.py"
    text = path.read_text().replace("method: str | SamplingMethod", "method: object")
    loops: Any = types.ModuleType("opensora.utils.sampling")
    sys.modules[loops.__name__] = loops
    exec(compile(text, "sampling", "exec"), loops.__dict__)
    z, first = torch.randn(1, 4, 2, 4, 4), torch.randn(1, 4, 2, 2)
    words, whole = torch.randn(2, 5, 12), torch.randn(2, 8)
    found = {"z": z, "first": first, "words": words, "whole": whole}
    for kind in ("text", "picture"):
        masks, held = torch.zeros(1, 1, 2, 4, 4), torch.zeros(1, 4, 2, 4, 4)
        if kind == "picture":
            masks[:, :, 0], held[:, :, 0] = 1, first.repeat_interleave(2, -1).repeat_interleave(2, -2)
        places = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(2)).float()[None]
        made = loops.I2VDenoiser().denoise(
            network, img=loops.pack(z).repeat(3, 1, 1), img_ids=places.repeat(3, 1, 1),
            txt=words[[0, 1, 1]], txt_ids=torch.zeros(3, 5, 3), y_vec=whole[[0, 1, 1]],
            timesteps=loops.get_schedule(12, 4, 2), guidance=7.5, guidance_img=3.0, masks=masks,
            masked_ref=held, sigma_min=1e-5, text_osci=True, image_osci=True,
            scale_temporal_osci=kind == "picture",
        )  # fmt: skip
        found[f"sampled_{kind}"] = loops.unpack(made, 32, 32, 2)
    return found


@torch.no_grad()
def open_sora(clones: Path) -> None:
    """Its denoiser with one block of each kind, and its VAE."""
    denoisers, coders = _open_sora_modules(clones)
    config = denoisers.MMDiTConfig(
        from_pretrained="", cache_dir="", in_channels=16, vec_in_dim=8, context_in_dim=12, hidden_size=24,
        mlp_ratio=4.0, num_heads=2, depth=1, depth_single_blocks=1, axes_dim=[4, 4, 4], theta=10_000,
        qkv_bias=True, guidance_embed=False, cond_embed=True, fused_qkv=False, use_liger_rope=True,
    )  # fmt: skip
    network = denoisers.MMDiTModel(config)
    network.cond_in.weight.normal_(0, 0.2)
    rounded(randomised(network))
    places = torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(2)).float()[None]
    given = {
        "img": torch.randn(1, 12, 16), "txt": torch.randn(1, 5, 12), "y_vec": torch.randn(1, 8),
        "cond": torch.randn(1, 12, 20), "timesteps": torch.tensor([0.7]),
    }  # fmt: skip
    made = network(img_ids=places, txt_ids=torch.zeros(1, 5, 3), **given)
    sizes: dict[str, Any] = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}
    coder = nn.ModuleDict({
        "encoder": coders.EncoderCausal3D(3, 4, **sizes), "decoder": coders.DecoderCausal3D(4, 3, **sizes),
        "quant_conv": nn.Conv3d(8, 8, 1), "post_quant_conv": nn.Conv3d(4, 4, 1),
    })  # fmt: skip
    rounded(randomised(coder))
    clip, latents = torch.randn(1, 3, 5, 16, 16), torch.randn(1, 4, 2, 2, 2)
    known = {
        **given, "places": places, "made": made, "clip": clip, "latents": latents,
        "moments": coder["quant_conv"](coder["encoder"](clip)),
        "decoded": coder["decoder"](coder["post_quant_conv"](latents)),
    }  # fmt: skip
    known |= _sampled(clones, network)
    state = {f"state.denoiser.{n}": t.half() for n, t in network.state_dict().items()}
    state |= {f"state.vae.{n}": t.half() for n, t in coder.state_dict().items()}
    save_file({n: t.contiguous() for n, t in (state | known).items()}, HERE / "open_sora.safetensors")


if __name__ == "__main__":
    chosen = sys.argv[2:] or ["biggan", "stylegan2", "spade", "pix2pix", "videogpt", "open_sora"]
    for made in chosen:
        torch.manual_seed(0)
        globals()[made](*([] if made == "biggan" else [Path(sys.argv[1])]))

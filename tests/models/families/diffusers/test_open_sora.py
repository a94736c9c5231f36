"""Open-Sora 2: its published layout in the library's networks gives what its authors' code gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from flowsynth.core.errors import InputError
from flowsynth.core.fingerprint import code_fingerprint
from flowsynth.models.families.diffusers.facts import facts, own_module, pipeline_class
from flowsynth.models.families.diffusers.parts import load_from_file
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo.case import Case
from tests.models.families.diffusers.zoo.parts import clip_text, clip_tokenizer, flow, t5
from tests.nets.judged import judged

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)

FLUX: dict[str, Any] = {
    "patch_size": 1, "in_channels": 36, "out_channels": 16, "num_layers": 1, "num_single_layers": 1,
    "attention_head_dim": 12, "num_attention_heads": 2, "joint_attention_dim": 12,
    "pooled_projection_dim": 8, "guidance_embeds": False, "axes_dims_rope": [4, 4, 4],
}  # fmt: skip
VAE: dict[str, Any] = {
    "latent_channels": 4, "block_out_channels": [8, 8, 8, 8], "layers_per_block": 1, "norm_num_groups": 4,
    "down_block_types": ["HunyuanVideoDownBlock3D"] * 4, "up_block_types": ["HunyuanVideoUpBlock3D"] * 4,
}  # fmt: skip


def part(name: str) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    state, known = judged("open_sora")
    return {n.removeprefix(f"{name}."): t for n, t in state.items() if n.startswith(f"{name}.")}, known


def loaded(state: dict[str, Tensor], name: str, folder: Path) -> Any:
    import diffusers

    save_file(state, folder / "x.safetensors")
    cls = diffusers.FluxTransformer2DModel if name == "transformer" else diffusers.AutoencoderKLHunyuanVideo
    config = FLUX if name == "transformer" else VAE
    return load_from_file(cls, name, folder / "x.safetensors", config, torch.float32, "cpu")


@torch.no_grad()
def test_its_denoiser_gives_what_the_authors_code_gives(tmp_path: Path) -> None:
    state, known = part("denoiser")
    network = loaded(state, "transformer", tmp_path)
    made = network(
        hidden_states=torch.cat((known["img"], known["cond"]), -1),
        encoder_hidden_states=known["txt"],
        pooled_projections=known["y_vec"],
        timestep=known["timesteps"],
        img_ids=known["places"][0],
        txt_ids=torch.zeros(5, 3),
        return_dict=False,
    )[0]
    assert float(known["made"].std()) > 0.05
    torch.testing.assert_close(made, known["made"], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_its_vae_gives_what_the_authors_code_gives(tmp_path: Path) -> None:
    state, known = part("vae")
    network = loaded(state, "vae", tmp_path)
    moments = network.encode(known["clip"]).latent_dist.parameters
    torch.testing.assert_close(moments, known["moments"], atol=1e-5, rtol=1e-5)
    decoded = network.decode(known["latents"]).sample
    torch.testing.assert_close(decoded, known["decoded"], atol=1e-5, rtol=1e-5)


def _without(name: str) -> Callable[[dict[str, Tensor]], None]:
    def drop(state: dict[str, Tensor]) -> None:
        del state[name]

    return drop


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        (_without("txt_in.bias"), "lacks 1 tensors of a FluxTransformer2DModel: context_embedder.bias"),
        (_without("img_in.bias"), "lacks 2 tensors .*x_embedder.bias, x_embedder.weight"),
        (
            lambda s: s.update({"guidance_in.in_layer.weight": torch.ones(24, 256)}),
            "holds more than.*guidance_in",
        ),
        (lambda s: s.update({"txt_in.weight": torch.ones(24, 13)}), "context_embedder.weight|txt_in.weight"),
        (
            lambda s: s.update({"double_blocks.0.img_attn.qkv.weight": torch.ones(72, 24)}),
            "holds more than.*qkv",
        ),
    ],
)
def test_other_layouts_are_refused(change: Any, wrong: str, tmp_path: Path) -> None:
    state, _ = part("denoiser")
    change(state)
    with pytest.raises(InputError, match=wrong):
        loaded(state, "transformer", tmp_path)


def pipeline(denoiser: Any = None) -> Any:
    """A tiny pipeline of its parts."""
    import diffusers

    words, tokenizer = t5(12)
    vae = diffusers.AutoencoderKLHunyuanVideo(
        **VAE, scaling_factor=0.476986, spatial_compression_ratio=8, temporal_compression_ratio=4
    )
    return pipeline_class("OpenSora2Pipeline")(
        scheduler=flow(),
        vae=vae,
        text_encoder=clip_text(width=8),
        tokenizer=clip_tokenizer(),
        text_encoder_2=words,
        tokenizer_2=tokenizer,
        transformer=denoiser or diffusers.FluxTransformer2DModel(**FLUX),
    )


class DecodedError(Exception):
    """What the decoder was about to get."""


@pytest.mark.parametrize("kind", ["text", "picture"])
def test_its_steps_are_those_of_the_authors_code(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guidance by text and picture, both oscillating, the schedule, the picture's place: twelve steps."""
    state, known = part("denoiser")
    pipe = pipeline(loaded(state, "transformer", tmp_path))
    pipe.set_progress_bar_config(disable=True)
    first = known["first"].repeat_interleave(2, -1).repeat_interleave(2, -2)[:, :, None]
    beside = torch.zeros(1, 5, 2, 4, 4)
    if kind == "picture":
        beside[:, :1, :1], beside[:, 1:, :1] = 1, first
    monkeypatch.setattr(pipe, "encode_prompt", lambda **_: (known["words"], known["whole"]))
    monkeypatch.setattr(pipe, "_known", lambda *_: beside)

    def decode(latents: Tensor, **_: Any) -> None:
        raise DecodedError(latents * pipe.vae.config.scaling_factor)

    monkeypatch.setattr(pipe.vae, "decode", decode)
    size = {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 12}
    given = {"image": object()} if kind == "picture" else {}
    with pytest.raises(DecodedError) as caught:
        pipe(prompt="", latents=known["z"], **size, **given)
    expected = known[f"sampled_{kind}"].clone()
    if kind == "picture":
        expected[:, :, :1] = first
    torch.testing.assert_close(caught.value.args[0], expected, atol=1e-4, rtol=1e-4)


SIZE = {"height": 32, "width": 32, "num_frames": 5}
CASES = {
    "text": Case(
        pipeline, {"prompt": "a red cat", "negative_prompt": "dog", "max_sequence_length": 12}, SIZE
    ),
    "picture": Case(
        pipeline,
        {"prompt": "a red cat", "max_sequence_length": 12},
        SIZE,
        options={"picture_guidance": 2.0},
        frames={"image": 1, "last_image": 1},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_graph_gives_the_bits_of_its_call(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    cls = build(case, tmp_path / "model")
    run = graph_of(case, tmp_path / "model").run(cache_dir=tmp_path / "cache", outputs=["frames"])
    expected = by_hand(cls, case, tmp_path / "model")
    given = run["frames"].tensor
    assert given.shape == (5, 3, 32, 32)
    assert torch.equal(given, expected.float()), float((given - expected).abs().max())


def test_what_it_takes_is_known_without_torch() -> None:
    known = facts("OpenSora2Pipeline")
    assert known.decoder == "vae"
    assert not known.fused
    assert known.text_arguments == ("prompt", "negative_prompt", "max_sequence_length")
    assert {"image", "last_image", "picture_guidance", "oscillate"} <= set(known.arguments)


def test_its_code_is_part_of_the_models_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from flowsynth.models import model_fingerprint, parse_model

    build(CASES["text"], tmp_path / "model")
    declared = parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model")})
    before = model_fingerprint(declared)
    assert code_fingerprint(f"{own_module('OpenSora2Pipeline')}:OpenSora2Pipeline")
    monkeypatch.setattr("flowsynth.models.families.diffusers.spec.code_fingerprint", lambda _: "other code")
    assert model_fingerprint(declared) != before

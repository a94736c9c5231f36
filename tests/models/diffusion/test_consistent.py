"""Self-attention across the pictures of a batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError, RequestError
from flowsynth.models import Model, parse_model
from flowsynth.models.diffusion.consistent import Sample
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import pictures
from tests.models.families.diffusers.zoo.case import CASES
from tests.tiny import tiny_sd

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["pictures"]

SDXL = CASES["StableDiffusionXLPipeline"]
STORY = {"prompt": ["a red cat", "a blue house"], "negative_prompt": ["bad", "bad"]}


def test_a_picture_sees_its_own_tokens_and_a_share_of_those_of_others() -> None:
    tokens = torch.arange(24.0).reshape(6, 4, 1)  # two groups of three pictures of four tokens
    sample = Sample(0.5, "up", 3, lambda batch: batch // 2)
    seen = sample.seen("a", tokens)[..., 0]
    assert seen.shape == (6, 4 + 4)
    for i, row in enumerate(seen):
        group = {float(x) for x in range(12 * (i // 3), 12 * (i // 3) + 12)}
        own = [float(x) for x in range(4 * i, 4 * i + 4)]
        assert row[:4].tolist() == own
        assert len({*row[4:].tolist()}) == 4
        assert {*row[4:].tolist()} <= group - {*own}
    again = Sample(0.5, "up", 3, lambda batch: batch // 2)
    assert torch.equal(again.seen("a", tokens)[..., 0], seen)
    assert not torch.equal(again.seen("b", tokens)[..., 0], seen)
    assert not torch.equal(Sample(0.5, "up", 4, lambda _: 3).seen("a", tokens)[..., 0], seen)


def test_with_a_share_of_one_it_sees_all_and_alone_only_itself() -> None:
    tokens = torch.randn(3, 4, 2)
    seen = Sample(1, "all", 0, lambda batch: batch).seen("a", tokens)
    assert seen.shape == (3, 12, 2)
    assert all(torch.equal(row.sort(0).values, tokens.flatten(0, 1).sort(0).values) for row in seen)
    assert Sample(1, "all", 0, lambda _: 1).seen("a", tokens) is tokens


class _AcrossAll:
    """Written apart: each guidance's pictures as one long sequence."""

    def __call__(self, attn: Any, hidden_states: Any, *_: Any, **__: Any) -> Any:
        batch, length, width = hidden_states.shape
        row = hidden_states.reshape(2, batch // 2 * length, width)
        heads = [layer(row).unflatten(-1, (attn.heads, -1)).transpose(1, 2) for layer in
                 (attn.to_q, attn.to_k, attn.to_v)]  # fmt: skip
        made = F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return attn.to_out[0](made).reshape(batch, length, width)


def _across(pipe: Any) -> None:
    for name, layer in pipe.unet.named_modules():
        if name.endswith("attn1"):
            layer.set_processor(_AcrossAll())


def test_a_pipeline_draws_a_picture_for_each_prompt_and_all_see_each_other(tmp_path: Path) -> None:
    cls = build(SDXL, tmp_path / "model")

    def made(**options: Any) -> torch.Tensor:
        graph = graph_of(SDXL, tmp_path / "model", {"prompt": "", "negative_prompt": ""})
        text = TextEncode(prompt=dict(enumerate(STORY["prompt"])), negative_prompt="bad")
        graph.nodes["text"].operator = text
        graph.nodes["size"].operator = EmptyLatents(height=32, width=32, num_frames=2)
        graph.nodes["denoise"].operator = Denoise(seed=1, options=options, **SDXL.settings)
        frames: torch.Tensor = graph.run(cache_dir=tmp_path / "cache", outputs=["frames"])["frames"].tensor
        return frames

    plain = made()
    assert torch.equal(plain, by_hand(cls, SDXL, tmp_path / "model", STORY).float())
    assert torch.equal(made(consistent=0), plain)
    together = made(consistent=1, consistent_layers="all")
    expected = by_hand(cls, SDXL, tmp_path / "model", STORY, _across).float()
    assert (together - expected).abs().max() < 1e-5 < (together - plain).abs().max()
    half = made(consistent=0.5)
    assert torch.equal(half, made(consistent=0.5))
    assert not torch.equal(half, plain)


def test_more_pictures_than_prompts_are_refused(tmp_path: Path) -> None:
    build(SDXL, tmp_path / "model")
    model = Model(parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model")}))
    ctx = RunContext()
    text = TextEncode(prompt={0: "a", 1: "b"}).run(ctx, model=model)
    latents = EmptyLatents(height=32, width=32, num_frames=3).run(ctx, model=model)
    with pytest.raises(RequestError, match="the latents are of 3 pictures, the conditioning of 2"):
        Denoise(num_inference_steps=1).run(ctx, model=model, latents=latents, conditioning=text)
    with pytest.raises(GraphError, match="a text for each picture"):
        TextEncode(prompt={0: "a", 4: "b"}).run(ctx, model=model)


def _tiny(**extra: Any) -> Model:
    return Model(parse_model("m", {"family": "sd", "source": str(tiny_sd() / "base"), **extra}))


def test_family_sd_alone_draws_the_same_and_together_the_windows_count() -> None:
    ctx, model = RunContext(), _tiny()
    text = TextEncode(prompt={0: "a cat", 5: "a house"}).run(ctx, model=model)

    def made(count: int, window: int | None = None, **options: Any) -> torch.Tensor:
        latents = EmptyLatents(height=32, width=32, num_frames=count).run(ctx, model=model)
        denoise = Denoise(num_inference_steps=2, options={"noise": "independent", **options}, window=window)
        return denoise.run(ctx, model=model, latents=latents, conditioning=text).tensor

    assert torch.equal(made(1), made(1, consistent=1.0))
    plain, together = made(6), made(6, consistent=1.0)
    assert not torch.equal(plain, together)
    assert torch.allclose(made(6, 3), plain, atol=1e-5)
    windows = made(6, 4, consistent=1.0)
    assert windows.isfinite().all()
    assert not torch.allclose(windows, together, atol=1e-5)


def test_it_is_refused_where_frames_see_each_other_by_motion_modules() -> None:
    model = _tiny(motion=str(tiny_sd() / "motion_adapter"))
    faults = Denoise(options={"consistent": 0.5}).check({"model": model, "latents": 1, "conditioning": 1})
    assert [fault.path for fault in faults] == ["params.options.consistent"]

"""Pictures token by token: those of transformers' own call."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import FlowsynthError, GraphError
from flowsynth.models import Model, parse_model
from flowsynth.operators.diffusion.generate import Generate
from tests.models.families.janus.tiny import save_janus

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_janus(tmp_path_factory.mktemp("janus"))


def model(folder: Path) -> Model:
    return Model(parse_model("m", {"family": "janus", "source": str(folder), "dtype": "float32"}))


def made(folder: Path, **params: Any) -> torch.Tensor:
    operator = Generate(**{"prompt": "a red cat", "seed": 3, **params})
    return operator.run(RunContext(), model=model(folder)).tensor


def by_hand(folder: Path, seed: int, scale: float = 5.0) -> torch.Tensor:
    """As the library's documentation draws a picture."""
    from transformers import AutoTokenizer, JanusForConditionalGeneration, JanusProcessor
    from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

    words = AutoTokenizer.from_pretrained(folder)
    pictures = JanusImageProcessorPil.from_pretrained(folder)
    processor = JanusProcessor(pictures, words, chat_template=words.chat_template)
    net = JanusForConditionalGeneration.from_pretrained(folder)
    said = [{"role": "user", "content": [{"type": "text", "text": "a red cat"}]}]
    text = processor.apply_chat_template(said, add_generation_prompt=True)
    given = processor(text=text, generation_mode="image", return_tensors="pt")
    torch.manual_seed(seed)
    tokens = net.generate(
        **given, generation_mode="image", do_sample=True, use_cache=True, guidance_scale=scale, top_k=0
    )
    pixels = net.decode_image_tokens(tokens)[0].detach().float().numpy()
    shown = (pixels * np.float32(pictures.image_std) + np.float32(pictures.image_mean)) * 255
    return torch.from_numpy(shown.clip(0, 255).astype(np.uint8)).movedim(-1, 0)


def test_a_picture_is_that_of_the_library_s_own_call(folder: Path) -> None:
    two = made(folder, num_images=2)
    assert two.dtype == torch.uint8
    assert torch.equal(two[0], by_hand(folder, 3))
    assert torch.equal(two[1], by_hand(folder, 4))
    assert not torch.equal(two[0], two[1])
    assert torch.equal(made(folder, options={"guidance_scale": 2.0})[0], by_hand(folder, 3, 2.0))


def test_words_and_options_act_and_the_global_generator_is_left_alone(folder: Path) -> None:
    torch.manual_seed(1)
    first = torch.rand(1)
    torch.manual_seed(1)
    plain = made(folder)
    assert torch.equal(torch.rand(1), first)
    assert not torch.equal(plain, made(folder, prompt="a blue house"))
    assert not torch.equal(plain, made(folder, options={"temperature": 0.2}))
    assert torch.equal(made(folder, options={"top_k": 1}), made(folder, options={"top_k": 1}, seed=9))


def test_it_is_cached_and_a_graph_of_the_package_runs_it(folder: Path, tmp_path: Path) -> None:
    graph = fs.Graph("g")
    graph.model("m", {"family": "janus", "source": str(folder)})
    graph.add("picture", Generate(prompt="a red cat", seed=3), model="models.m", cache="always")
    steps: list[tuple[int, int]] = []
    run = graph.run(cache_dir=tmp_path, outputs=["picture"])
    assert torch.equal(run["picture"].tensor[0], by_hand(folder, 3))
    again = graph.run(cache_dir=tmp_path, outputs=["picture"])
    assert again.record.nodes["picture"].status == "hit"
    operator = Generate(prompt="a red cat")
    operator.run(RunContext(on_progress=lambda *at: steps.append(at)), model=model(folder))
    assert steps[-1] == (16, 16)


def test_what_it_has_no_use_for_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    wrong = Generate(class_label=3, options={"top_q": 1})
    faults = wrong.check({"model": model(folder), "image": 1})
    assert {fault.path for fault in faults} == {
        "params.prompt", "params.class_label", "inputs.image", "params.options.top_q",
    }  # fmt: skip
    with pytest.raises(GraphError, match="what to show"):
        made(folder, prompt=" ")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(FlowsynthError):
        made(tmp_path)

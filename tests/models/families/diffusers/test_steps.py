"""What each step loads, what it leaves behind, and what reruns when something changes."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.api import Session
from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.model import DiffusersModel
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES
from tests.models.families.diffusers.zoo.parts import kl_vae

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]
#: Class -> parts that text_encode, denoise and vae_decode load.
PARTS = {
    "StableDiffusionXLPipeline": [{"text_encoder", "text_encoder_2"}, {"unet"}, {"vae"}],
    "FluxPipeline": [{"text_encoder", "text_encoder_2"}, {"transformer"}, {"vae"}],
    "WanImageToVideoPipeline": [{"text_encoder"}, {"transformer", "vae", "image_encoder"}, {"vae"}],
    "StableVideoDiffusionPipeline": [set(), {"unet", "vae", "image_encoder"}, {"vae"}],
    "IFPipeline": [{"text_encoder"}, {"unet"}, set()],
}
#: Those whose later calls are looked at in the quick tests.
KEPT = {"StableDiffusionXLPipeline", "AnimateDiffPipeline", "WanImageToVideoPipeline", "QwenImagePipeline"}


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the parts that are asked for, in order."""
    names: list[str] = []
    real = DiffusersModel.network

    def network(self: DiffusersModel, name: str) -> Any:
        names.append(name)
        return real(self, name)

    monkeypatch.setattr(DiffusersModel, "network", network)
    return names


@pytest.mark.sample(2)
@pytest.mark.parametrize("name", list(PARTS))
def test_each_step_loads_only_what_it_calls(name: str, tmp_path: Path, loaded: list[str]) -> None:
    case = CASES[name]
    build(case, tmp_path / "model")
    graph = graph_of(case, tmp_path / "model")
    found = []
    for node in ("text", "denoise", "frames"):
        if node in graph.nodes:
            graph.run(cache_dir=tmp_path / "cache", outputs=[node])
        found.append(set(loaded))
        loaded.clear()
    assert found == PARTS[name]


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["StableDiffusionXLPipeline", "CogVideoXPipeline"])
def test_the_prompt_acts_and_a_change_reruns_what_depends_on_it(
    name: str, tmp_path: Path, loaded: list[str]
) -> None:
    case = CASES[name]
    build(case, tmp_path / "model")
    options: dict[str, Any] = {"cache_dir": tmp_path / "cache", "outputs": ["frames"]}
    first = graph_of(case, tmp_path / "model").run(**options)
    again = graph_of(case, tmp_path / "model").run(**options)
    assert {node.status for node in again.record.nodes.values()} == {"hit"}
    loaded.clear()
    other_seed = graph_of(case, tmp_path / "model", seed=7).run(**options)
    assert other_seed.record.nodes["text"].status == "hit"
    assert not {part for part in loaded if part.startswith("text")}
    assert not torch.equal(first["frames"].tensor, other_seed["frames"].tensor)
    words = {**(case.text or {}), "prompt": "a blue house"}
    other = graph_of(case, tmp_path / "model", text=words).run(**options)
    assert other.record.nodes["size"].key == first.record.nodes["size"].key
    assert not torch.equal(first["frames"].tensor, other["frames"].tensor)


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", ["StableDiffusionXLPipeline", "AnimateDiffPipeline"])
def test_a_call_leaves_no_trace(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    build(case, tmp_path / "model")
    graph = graph_of(case, tmp_path / "model")
    torch.manual_seed(3)
    state, dtype = torch.get_rng_state(), torch.get_default_dtype()
    first = graph.run(cache_dir=tmp_path / "one", outputs=["frames"])["frames"].tensor.clone()
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_default_dtype() == dtype
    torch.manual_seed(4)
    second = graph.run(cache_dir=tmp_path / "two", outputs=["frames"])["frames"].tensor
    assert torch.equal(first, second)


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "name", [name if name in KEPT else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
def test_a_later_call_in_one_session_gives_what_the_first_would(name: str, tmp_path: Path) -> None:
    """Its networks and tools are copies of those that the model keeps; another call came before."""
    case = CASES[name]
    build(case, tmp_path / "model")
    words = None if case.text is None else {**case.text, "prompt": "a blue house, far away"}
    with Session(tmp_path / "one") as session:
        graph_of(case, tmp_path / "model", text=words, seed=7).run(session=session, outputs=["frames"])
        later = graph_of(case, tmp_path / "model").run(session=session, outputs=["frames"])["frames"].tensor
    first = graph_of(case, tmp_path / "model").run(cache_dir=tmp_path / "two", outputs=["frames"])
    assert torch.equal(later, first["frames"].tensor)


def test_a_replaced_part_is_another_model(tmp_path: Path) -> None:
    case = CASES["StableDiffusionXLPipeline"]
    build(case, tmp_path / "model")
    options: dict[str, Any] = {"cache_dir": tmp_path / "cache", "outputs": ["frames"]}
    first = graph_of(case, tmp_path / "model").run(**options)
    weights = tmp_path / "model" / "vae" / "diffusion_pytorch_model.safetensors"
    torch.manual_seed(9)
    kl_vae().save_pretrained(tmp_path / "other")
    weights.write_bytes((tmp_path / "other" / weights.name).read_bytes())
    second = graph_of(case, tmp_path / "model").run(**options)
    assert second.record.nodes["text"].status == "hit"
    assert second.record.nodes["frames"].status == "computed"
    assert not torch.equal(first["frames"].tensor, second["frames"].tensor)


def test_a_part_from_elsewhere(tmp_path: Path) -> None:
    case = CASES["StableDiffusionXLPipeline"]
    build(case, tmp_path / "model")
    torch.manual_seed(9)
    kl_vae().save_pretrained(tmp_path / "vae")
    graph = graph_of(case, tmp_path / "model")
    plain = graph.run(cache_dir=tmp_path / "cache", outputs=["frames"])["frames"].tensor
    graph = graph_of(case, tmp_path / "model", components={"vae": str(tmp_path / "vae")})
    other = graph.run(cache_dir=tmp_path / "cache", outputs=["frames"])
    assert other.record.nodes["text"].status == "hit"
    assert not torch.equal(plain, other["frames"].tensor)


def test_another_scheduler_gives_the_bits_of_the_pipeline_with_it(tmp_path: Path) -> None:
    from diffusers import DDIMScheduler

    case = CASES["StableDiffusionXLPipeline"]
    cls = build(case, tmp_path / "model")
    graph = graph_of(case, tmp_path / "model", settings={"scheduler": "ddim"})
    given = graph.run(cache_dir=tmp_path / "cache", outputs=["frames"])["frames"].tensor

    def ddim(pipe: Any) -> None:
        pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)

    assert torch.equal(given, by_hand(cls, case, tmp_path / "model", change=ddim).float())


def test_options_of_a_flow_matching_scheduler_act_and_another_scheduler_is_refused(tmp_path: Path) -> None:
    case = CASES["FluxPipeline"]
    build(case, tmp_path / "model")
    runs = [
        graph_of(case, tmp_path / "model", settings=settings).run(
            cache_dir=tmp_path / "cache", outputs=["frames"]
        )
        for settings in ({}, {"scheduler_options": {"shift": 3.0, "use_dynamic_shifting": False}})
    ]
    assert not torch.equal(*(run["frames"].tensor for run in runs))
    with pytest.raises(FlowsynthError, match=r"params.scheduler: not for this model"):
        graph_of(case, tmp_path / "model", settings={"scheduler": "ddim"})


def test_a_text_is_encoded_once_for_guidance_on_and_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import CLIPTextModel

    case, seen = CASES["StableDiffusionXLPipeline"], []
    build(case, tmp_path / "model")
    real = CLIPTextModel.forward

    def forward(self: Any, input_ids: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        seen.append((id(self), *input_ids.flatten().tolist()))
        return real(self, input_ids, *args, **kwargs)

    monkeypatch.setattr(CLIPTextModel, "forward", forward)
    graph_of(case, tmp_path / "model").run(cache_dir=tmp_path / "cache", outputs=["text"])
    assert len(seen) == len(set(seen)) == 4, "two encoders, each with the prompt and the negative one"


def test_a_text_encoder_without_room_is_gone_while_the_denoiser_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its memory, not only its place: pipelines that ran would hold it until the collector comes."""
    case = CASES["FluxPipeline"]
    build(case, tmp_path / "model")
    size = torch.Size([64, 32])  # of T5's table of words
    seen: dict[str, set[int]] = {}

    def live() -> list[torch.Tensor]:
        found = (item for item in gc.get_objects() if isinstance(item, torch.Tensor))
        return [item for item in found if item.shape == size and item.device.type == "cpu"]

    gc.collect()
    others = live()  # of other tests in this process; held, so that their places are not taken
    foreign = {id(item) for item in others}

    def tables() -> set[int]:
        """Where such tensors lie in memory."""
        return {item.data_ptr() for item in live() if id(item) not in foreign}

    real = DiffusersModel.network

    def network(self: DiffusersModel, name: str) -> Any:
        made = real(self, name)
        if name != "text_encoder":
            own = {parameter.data_ptr() for parameter in made.parameters()}
            seen[name] = tables() & own if name == "text_encoder_2" else tables() - own
        return made

    monkeypatch.setattr(DiffusersModel, "network", network)
    graph = graph_of(case, tmp_path / "model")
    gc.collect()
    gc.disable()
    try:
        with Session(tmp_path / "cache", model_bytes=320_000) as session:
            graph.run(session=session, outputs=["denoise"])
    finally:
        gc.enable()
    assert len(seen["text_encoder_2"]) == 1, "else the shape is another one"
    assert not seen["transformer"]

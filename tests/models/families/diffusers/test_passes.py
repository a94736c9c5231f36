"""A killed denoising is taken up inside the node, and jobs share the steps that nothing changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.executors.kept import CacheKept
from flowsynth.models.diffusion import passes
from tests import processes
from tests.models.families.diffusers.call import build, graph_of
from tests.models.families.diffusers.killed import main
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]


def killed(name: str, folder: Path, trials: int) -> dict[str, Any]:
    """What a process tells that kills its own children while they denoise."""
    assert processes.fork(lambda: main(name, folder, trials)) == 0
    found: dict[str, Any] = json.loads((folder / "found.json").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "trials"),
    [
        ("WanPipeline", 2),
        pytest.param("StableDiffusionXLPipeline", 10, marks=pytest.mark.slow),
        pytest.param("WanImageToVideoPipeline", 10, marks=pytest.mark.slow),
        pytest.param("AnimateDiffPipeline", 10, marks=pytest.mark.slow),
        pytest.param("FluxPipeline", 10, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_is_taken_up_inside_the_node_bit_for_bit(name: str, trials: int, tmp_path: Path) -> None:
    found = killed(name, tmp_path, trials)
    assert len(found["trials"]) == trials
    for before, again, equal in found["trials"]:
        assert equal
        assert before + again <= found["total"] + 1, "at most the pass that was under way is made again"
    assert trials < 5 or min(again for _, again, _ in found["trials"]) < found["total"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[passes.Passes]:
    """The passes of every denoising, all of them worth keeping."""
    monkeypatch.setattr(passes, "SLOW_SECONDS", 0.0)
    monkeypatch.setattr(passes, "EVERY_SECONDS", 0.0)
    made: list[passes.Passes] = []
    done = passes.Passes.done

    def remember(self: passes.Passes) -> None:
        made.append(self)
        done(self)

    monkeypatch.setattr(passes.Passes, "done", remember)
    return made


def two_stages() -> Any:
    """Wan 2.2: a second network, with a guidance of its own, in the last part of the steps."""
    import diffusers as d

    parts = clips.wan_parts()
    parts["transformer_2"] = clips.wan_parts()["transformer"]
    return d.WanPipeline(**parts, boundary_ratio=0.8)


def run(case: Case, folder: Path, cache: Path, **settings: Any) -> torch.Tensor:
    made: torch.Tensor = (
        graph_of(case, folder, **settings).run(cache_dir=cache, outputs=["denoise"])["denoise"].tensor
    )
    return made


def test_jobs_that_differ_in_what_acts_late_share_the_steps_before(
    tmp_path: Path, counted: list[passes.Passes]
) -> None:
    base = CASES["WanPipeline"]
    settings = {"num_inference_steps": 6, "guidance_scale": 5.0}
    cases = [
        Case(two_stages, base.text, base.size, settings, {"guidance_scale_2": scale})
        for scale in (4.0, 6.0, 8.0)
    ]
    build(cases[0], tmp_path / "model")
    alone = [run(case, tmp_path / "model", tmp_path / f"alone{i}") for i, case in enumerate(cases)]
    shared = [run(case, tmp_path / "model", tmp_path / "shared") for case in cases]
    assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))
    assert not torch.equal(alone[0], alone[1])
    first, *others = counted[3:]
    assert first.found == 0
    assert {item.made for item in counted[:4]} == {12}, "six steps, each with and without the prompt"
    # The first pass after the boundary still begins from equal latents; guidance acts behind it.
    for item in others:
        assert item.found >= 2
        assert item.found + item.made == 12
        assert item.made <= 10


Change = Callable[[dict[str, Any]], None]


@pytest.mark.sample(2)
@pytest.mark.parametrize("what", ["seed", "prompt", "window", "lora", "weights"])
def test_what_acts_from_the_beginning_shares_nothing(
    what: str, tmp_path: Path, counted: list[passes.Passes]
) -> None:
    """A changed model, prompt or seed never finds another's passes; only equal arguments do."""
    case, folder, cache = CASES["WanPipeline"], tmp_path / "model", tmp_path / "cache"
    build(case, folder)
    plain = run(case, folder, cache)
    if what == "weights":
        torch.manual_seed(5)
        clips.wan_parts()["transformer"].save_pretrained(folder / "transformer")
    lora = {"source": str(_lora(tmp_path)), "scale": 1.0}
    changes: dict[str, dict[str, Any]] = {
        "seed": {"seed": 9},
        "prompt": {"text": {**(case.text or {}), "prompt": "a house"}},
        "window": {"settings": {"window": 5, "stride": 4}},
        "lora": {"loras": [lora]},
        "weights": {},
    }
    other = run(case, folder, cache, **changes[what])
    assert not torch.equal(plain, other)
    assert counted[-1].found == (
        1 if what == "prompt" else 0
    )  # the pass of the negative prompt at the first step


def _lora(folder: Path) -> Path:
    from safetensors.torch import save_file

    stem = "transformer.blocks.0.attn1.to_q"
    tensors = {f"{stem}.lora_A.weight": torch.randn(2, 24), f"{stem}.lora_B.weight": torch.randn(24, 2)}
    save_file(tensors, folder / "lora.safetensors")
    return folder / "lora.safetensors"


def test_a_quick_denoising_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[float] = []
    monkeypatch.setattr(CacheKept, "keep", lambda _, parts, seconds: kept.append(seconds))
    case = CASES["StableDiffusionXLPipeline"]
    build(case, tmp_path / "model")
    run(case, tmp_path / "model", tmp_path / "cache")
    assert not kept

"""Lines of a declaration that say how parts are held and run: each acts, or is refused by its name."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.cache import Cache
from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers.family import Diffusers
from flowsynth.models.families.diffusers.model import DiffusersModel
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.parse import parse_model
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case
from tests.processes import fork

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]


def frames(case: Case, folder: Path, cache: Path, **spec: Any) -> tuple[torch.Tensor, dict[str, str]]:
    """What a graph makes, and what became of its nodes."""
    run = graph_of(case, folder, **spec).run(cache_dir=cache, outputs=["frames"])
    return run["frames"].tensor, {name: node.status for name, node in run.record.nodes.items()}


@pytest.mark.parametrize(
    "name",
    ["FluxPipeline", *(pytest.param(n, marks=pytest.mark.slow) for n in ("WanPipeline", "LTXPipeline"))],
)
def test_weights_in_host_memory_change_no_bit_and_no_key(name: str, tmp_path: Path) -> None:
    case, folder = CASES[name], tmp_path / "model"
    build(case, folder)
    plain, _ = frames(case, folder, tmp_path / "one")
    other, status = frames(case, folder, tmp_path / "two", offload="group")
    assert set(status.values()) == {"computed"}
    assert torch.equal(plain, other)
    _, status = frames(case, folder, tmp_path / "one", offload="group")
    assert set(status.values()) == {"hit"}


def test_weights_in_files_give_the_same_but_for_last_bits(tmp_path: Path) -> None:
    case, folder = CASES["FluxPipeline"], tmp_path / "model"
    build(case, folder)
    plain, _ = frames(case, folder, tmp_path / "cache")
    other, status = frames(case, folder, tmp_path / "cache", offload="disk")
    assert status["denoise"] == "computed"
    torch.testing.assert_close(plain, other, atol=1e-4, rtol=0)


def test_weights_in_files_go_with_the_cache_s_next_open_after_a_kill(tmp_path: Path) -> None:
    folder, cache = tmp_path / "model", tmp_path / "cache"
    build(CASES["FluxPipeline"], folder)

    def killed() -> None:
        DiffusersModel.decode_latents = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, method-assign]
        frames(CASES["FluxPipeline"], folder, cache, offload="disk")

    assert fork(killed) == -signal.SIGKILL
    left = [path for path in (cache / "scratch").rglob("*") if path.suffix == ".safetensors"]
    assert {path.parent.name for path in left} == {"text_encoder", "text_encoder_2", "transformer"}
    Cache(cache).close()
    assert not any((cache / "scratch").iterdir())


def test_weights_in_float8_take_less_and_are_another_model(tmp_path: Path) -> None:
    case, folder, cache = CASES["FluxPipeline"], tmp_path / "model", tmp_path / "cache"
    build(case, folder)
    plain, _ = frames(case, folder, cache)
    narrow, status = frames(case, folder, cache, storage="float8")
    del status["size"]  # made so quickly that it may not be kept
    assert status == {"text": "hit", "denoise": "computed", "frames": "computed"}
    assert narrow.isfinite().all()
    assert 0 < (plain - narrow).abs().mean() < 0.1
    spec = parse_model("m", {"family": "diffusers", "source": str(folder), "storage": "float8"})
    assert isinstance(spec, DiffusersSpec)
    from flowsynth.models.families.diffusers.model import DiffusersModel
    from flowsynth.models.manager import ModelManager

    model = ModelManager("cpu").load(spec)
    assert isinstance(model, DiffusersModel)
    held = {parameter.dtype for parameter in model.network("transformer").parameters()}
    assert torch.float8_e4m3fn in held


def test_a_part_in_another_dtype_reruns_what_reads_it(tmp_path: Path) -> None:
    case, folder, cache = CASES["StableDiffusionXLPipeline"], tmp_path / "model", tmp_path / "cache"
    build(case, folder)
    plain, _ = frames(case, folder, cache)
    half, status = frames(case, folder, cache, dtypes={"vae": "bfloat16"})
    assert status["text"] == "hit"
    assert status["frames"] == "computed"
    assert 0 < (plain - half).abs().max() < 0.1


@pytest.mark.sample(1)
@pytest.mark.parametrize("line", ["vae_tiling", "vae_slicing"])
def test_a_vae_works_in_parts_as_the_pipeline_s_own_does(line: str, tmp_path: Path) -> None:
    base = CASES["StableDiffusionXLImg2ImgPipeline"]
    case = Case(base.build, base.text, {"height": 64, "width": 64}, base.settings, base.options, base.frames)
    folder = tmp_path / "model"
    cls = build(case, folder)

    def in_parts(pipe: Any) -> None:
        (pipe.vae.enable_tiling if line == "vae_tiling" else pipe.vae.enable_slicing)()

    given, _ = frames(case, folder, tmp_path / "cache", **{line: True})
    assert torch.equal(given, by_hand(cls, case, folder, change=in_parts).float())
    if line == "vae_tiling":
        assert not torch.equal(given, frames(case, folder, tmp_path / "cache")[0])


def test_blocks_are_skipped_as_the_library_does(tmp_path: Path) -> None:
    import diffusers as d

    base, folder = CASES["WanPipeline"], tmp_path / "model"
    case = Case(base.build, base.text, base.size, {**base.settings, "num_inference_steps": 4})
    cls = build(case, folder)

    def skip(pipe: Any) -> None:
        pipe.transformer.enable_cache(d.FirstBlockCacheConfig(threshold=0.9))

    given, status = frames(case, folder, tmp_path / "cache", step_cache="first_block:0.9")
    assert status["denoise"] == "computed"
    assert torch.equal(given, by_hand(cls, case, folder, change=skip).float())
    assert not torch.equal(given, frames(case, folder, tmp_path / "cache")[0])


@pytest.mark.slow
def test_compiled_blocks_give_nearly_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The compiler leaves this behind; what was set is taken back to what it was, which is nothing.
    monkeypatch.setenv("_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR", "")
    monkeypatch.delenv("_TORCHINDUCTOR_PYOBJECT_TENSOR_DATA_PTR")
    case, folder = CASES["FluxPipeline"], tmp_path / "model"
    build(case, folder)
    plain, _ = frames(case, folder, tmp_path / "cache")
    made, status = frames(case, folder, tmp_path / "cache", compile="regional")
    assert status["denoise"] == "computed"
    torch.testing.assert_close(made, plain, atol=1e-3, rtol=1e-3)


def test_what_a_class_has_no_use_for_is_told_before_the_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    build(CASES["StableDiffusionXLPipeline"], folder)
    lines: dict[str, tuple[Any, str]] = {
        "step_cache": ("first_block:0.1", r"its line step_cache: no use for it; .* UNet2DConditionModel"),
        "dtypes": ({"transformer": "float16"}, r"its line dtypes: .* given transformer"),
    }
    for line, (value, message) in lines.items():
        with pytest.raises(FlowsynthError, match=message):
            graph_of(CASES["StableDiffusionXLPipeline"], folder, **{line: value})
    build(CASES["WanPipeline"], tmp_path / "wan")
    with pytest.raises(FlowsynthError, match=r"windows would share one memory"):
        graph_of(CASES["WanPipeline"], tmp_path / "wan", settings={"window": 5}, step_cache="first_block:0.1")
    for bad in ({"storage": "int4"}, {"offload": "model"}, {"step_cache": "deepcache"}, {"quantise": "x"}):
        with pytest.raises(FlowsynthError):
            parse_model("m", {"family": "diffusers", "source": str(folder), **bad})


def test_identity_holds_what_changes_bits_and_only_where_it_does(tmp_path: Path) -> None:
    build(CASES["FluxPipeline"], tmp_path / "model")

    def prints(**lines: Any) -> list[str]:
        spec = parse_model("m", {"family": "diffusers", "source": str(tmp_path / "model"), **lines})
        assert isinstance(spec, DiffusersSpec)
        return [Diffusers().fingerprint(spec, None, parts) for parts in (("text",), ("denoiser",), ("vae",))]

    plain = prints()
    changed = {
        "offload": ("group", []), "storage": ("float8", [1]), "step_cache": ("first_block:0.1", [1]),
        "compile": ("regional", [1]), "vae_tiling": (True, [2]), "vae_slicing": (True, [2]),
        "dtypes": ({"text_encoder": "bfloat16"}, [0]),
    }  # fmt: skip
    assert [a != b for a, b in zip(prints(offload="disk"), plain, strict=True)] == [True, True, False]
    for line, (value, places) in changed.items():
        other = prints(**{line: value})
        assert [i for i in range(3) if other[i] != plain[i]] == places, line

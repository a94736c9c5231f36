"""What `auto` makes of a network's numbers: by device, in the key, in the record, and that it acts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch

import flowsynth as fs
from flowsynth.core import devices
from flowsynth.core.context import RunContext
from flowsynth.core.devices import auto_precision
from flowsynth.core.errors import RequestError
from flowsynth.models import ModelManager, parse_model
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.diffusion.denoise import Denoise
from flowsynth.operators.diffusion.empty_latents import EmptyLatents
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.diffusion.vae_decode import VaeDecode
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from tests.tiny import as_sd, tiny_sd

MADE_FOR_IT, OLDER = frozenset({"avx512f", "avx512_bf16"}), frozenset({"avx2", "avx512f"})


@pytest.fixture
def cpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the processor is said to be able to do, with no word of the environment."""
    monkeypatch.delenv(devices.PRECISION_VARIABLE, raising=False)
    return lambda flags: monkeypatch.setattr(devices, "cpu_flags", lambda: flags)


def drawn(dtype: str = "auto") -> fs.Graph:
    """Text, latents, a denoising and a decoding by a tiny model."""
    graph = fs.Graph("drawn")
    base = graph.model("base", {"family": "sd", "source": str(tiny_sd() / "base"), "dtype": dtype})
    prompt = graph.add("prompt", TextEncode(prompt="a cat", negative_prompt="bad"), model=base)
    empty = graph.add("empty", EmptyLatents(height=32, width=32), model=base)
    denoise = Denoise(num_inference_steps=2)
    made = graph.add("denoise", denoise, model=base, latents=empty, conditioning=prompt)
    graph.add("frames", VaeDecode(), latents=made, model=base)
    return graph


def test_auto_is_the_device_s_and_the_environment_overrules_it(
    cpu: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cpu(MADE_FOR_IT)
    assert [auto_precision(d) for d in ("cpu", "sim:1", "cuda:1")] == ["bfloat16", "bfloat16", "float16"]
    assert auto_precision("cpu", half_on_cpu=False) == "float32"
    cpu(frozenset({"amx_bf16"}))
    assert auto_precision("cpu") == "bfloat16"
    cpu(OLDER)
    assert [auto_precision(d) for d in ("cpu", "cuda")] == ["float32", "float16"]
    monkeypatch.setenv(devices.PRECISION_VARIABLE, "float32")
    assert auto_precision("cuda") == "float32"
    monkeypatch.setenv(devices.PRECISION_VARIABLE, "half")
    with pytest.raises(RequestError, match=r"FLOWSYNTH_PRECISION: expected auto, bfloat16.* given 'half'"):
        auto_precision("cpu")


def test_keys_hold_what_auto_became_and_equal_those_of_the_same_word_written(
    cpu: Any, tmp_path: Path
) -> None:
    def keys(dtype: str) -> dict[str, str]:
        with fs.Session(tmp_path / "cache") as session:
            return {name: step.static.prefix for name, step in session.plan(drawn(dtype)).steps.items()}

    written = {dtype: keys(dtype) for dtype in ("float32", "bfloat16")}
    networks = ("prompt", "denoise", "frames")
    for flags, dtype in ((MADE_FOR_IT, "bfloat16"), (OLDER, "float32")):
        cpu(flags)
        assert keys("auto") == written[dtype]
    assert all(written["float32"][name] != written["bfloat16"][name] for name in networks)


@pytest.mark.parametrize(
    "operator", [Upscale(method="realesr-animevideo"), Interpolate(method="rife"), Annotate(detector="hed")]
)
def test_operators_with_networks_enter_the_key_with_their_numbers(
    cpu: Any, operator: Upscale | Interpolate | Annotate
) -> None:
    found = []
    for flags in (MADE_FOR_IT, OLDER):
        cpu(flags)
        found.append(operator.resolve(RunContext(), fetch=False))
    assert [one.key_params(())["precision"] for one in found] == ["bfloat16", "float32"]
    written = operator.model_copy(update={"precision": "float16"})
    assert written.resolve(RunContext(), fetch=False) is written


def test_a_run_computes_in_what_its_record_says(cpu: Any, tmp_path: Path) -> None:
    made = {}
    for flags, dtype in ((MADE_FOR_IT, "bfloat16"), (OLDER, "float32")):
        cpu(flags)
        run = drawn().run(cache_dir=tmp_path / dtype, outputs=["denoise", "frames"])
        nodes = run.record.nodes
        assert {n: nodes[n].dtypes for n in ("denoise", "frames")} == {
            n: {"model": dtype} for n in ("denoise", "frames")
        }
        assert str(run["denoise"].tensor.dtype) == f"torch.{dtype}"
        made[dtype] = run["frames"].tensor.float() / 255
    noise = (made["bfloat16"] - made["float32"]).square().mean()
    assert 0 < noise < 10**-4, "another result, and 40 dB near"


def test_a_model_is_loaded_in_what_auto_is_where_it_lies(cpu: Any) -> None:
    given = parse_model("base", {"family": "sd", "source": str(tiny_sd() / "base")})
    manager = ModelManager()
    for flags, dtype in ((MADE_FOR_IT, torch.bfloat16), (OLDER, torch.float32)):
        cpu(flags)
        unet = as_sd(manager.load(given)).unet
        assert {p.dtype for p in unet.parameters()} == {dtype}
        assert manager.resident([given])
    other = parse_model("m", {"family": "diffusers", "source": str(tiny_sd() / "base")})
    cpu(MADE_FOR_IT)
    assert other.on("cpu").dtype == "float32", "pipelines of any class were not tried in bfloat16"


def test_a_precision_without_a_network_is_refused_by_name() -> None:
    without = [
        Upscale(method="lanczos", precision="float32"),
        Interpolate(method="blend", precision="float16"),
        Annotate(detector="canny", precision="bfloat16"),
    ]
    for operator in without:
        (fault,) = operator.check({})
        assert str(fault).startswith("params.precision")


def test_the_shipped_model_is_as_good_in_bfloat16(cpu: Any) -> None:
    cpu(OLDER)
    latents = torch.randn(1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    decoded = []
    for dtype in ("float32", "bfloat16"):
        spec = parse_model("m", {"family": "sd", "source": "shipped:pocket", "dtype": dtype})
        vae = as_sd(ModelManager().load(spec)).vae
        with torch.no_grad():
            decoded.append(vae.decode(latents.to(vae.dtype)).sample.float())
    span = float(decoded[0].max() - decoded[0].min())
    for one, other in itertools.pairwise(decoded):
        assert float((one - other).square().mean().sqrt()) < span * 10 ** (-50 / 20)

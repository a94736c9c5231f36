"""Denoisers of fewer bits: the bits of the library called by hand, less memory, or a refusal that says why.

What needs torchao or gguf is skipped where those extras are not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from flowsynth.core.errors import FlowsynthError
from flowsynth.models.families.diffusers import line_checks
from flowsynth.models.families.diffusers.family import Diffusers
from flowsynth.models.families.diffusers.model import DiffusersModel
from flowsynth.models.families.diffusers.quantized import missing_library
from flowsynth.models.families.diffusers.spec import DiffusersSpec
from flowsynth.models.manager import ModelManager, unique_bytes
from flowsynth.models.parse import parse_model
from tests.models.families.diffusers.call import build, by_hand, graph_of
from tests.models.families.diffusers.zoo import clips, pictures
from tests.models.families.diffusers.zoo.case import CASES, Case

pytestmark = pytest.mark.filterwarnings(
    "ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"
)
__all__ = ["clips", "pictures"]


def frames(case: Case, folder: Path, **spec: Any) -> tuple[torch.Tensor, dict[str, str]]:
    run = graph_of(case, folder / "model", **spec).run(cache_dir=folder / "cache", outputs=["frames"])
    return run["frames"].tensor, {name: node.status for name, node in run.record.nodes.items()}


def spec_of(folder: Path, **lines: Any) -> DiffusersSpec:
    spec = parse_model("m", {"family": "diffusers", "source": str(folder / "model"), **lines})
    assert isinstance(spec, DiffusersSpec)
    return spec


def held(spec: DiffusersSpec, part: str) -> int:
    """Bytes that a loaded part takes."""
    model = ModelManager("cpu").load(spec)
    assert isinstance(model, DiffusersModel)
    return unique_bytes([model.network(part)])


@pytest.mark.parametrize(
    "name", ["FluxPipeline", pytest.param("StableDiffusionXLPipeline", marks=pytest.mark.slow)]
)
def test_matrices_in_int8_give_what_the_library_gives(name: str, tmp_path: Path) -> None:
    torchao = pytest.importorskip("torchao", reason="the extra torchao is not installed")
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    case, part = CASES[name], "transformer" if name == "FluxPipeline" else "unet"
    cls = build(case, tmp_path / "model")
    plain, _ = frames(case, tmp_path)
    given, status = frames(case, tmp_path, quantize="torchao:int8")
    assert (status["text"], status["denoise"]) == ("hit", "computed")
    change = lambda pipe: quantize_(getattr(pipe, part), Int8WeightOnlyConfig())  # noqa: E731
    expected = by_hand(cls, case, tmp_path / "model", change=change)
    assert torch.equal(given, expected.float())
    assert 0 < (given - plain).abs().mean() < 0.05
    _, status = frames(case, tmp_path, quantize="torchao:int8")
    assert set(status.values()) == {"hit"}
    narrow, wide = spec_of(tmp_path, quantize="torchao:int8"), spec_of(tmp_path)
    assert held(narrow, part) < 0.7 * held(wide, part)
    planned = [Diffusers().weight_bytes(spec, ("denoiser",)) or 0 for spec in (narrow, wide)]
    saved = held(wide, part) - held(narrow, part)
    assert abs(planned[1] - planned[0] - saved) < 0.05 * saved
    assert torchao.__version__ in str(narrow.identity(None))


def gguf_file(folder: Path, case: Case) -> Path:
    """The transformer of a case as llama.cpp's format has it: matrices in eight bits and a factor."""
    import gguf

    torch.manual_seed(0)
    net = case.build().transformer
    file = folder / "net.gguf"
    writer = gguf.GGUFWriter(str(file), "flux")
    for name, tensor in net.state_dict().items():
        data = tensor.float().numpy()
        if tensor.ndim == 2 and tensor.shape[1] % 32 == 0:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(data, kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


@pytest.fixture
def flux(tmp_path: Path) -> tuple[Case, type[Any], Path]:
    """A pipeline, its class, and its transformer in a GGUF file."""
    pytest.importorskip("gguf", reason="the extra gguf is not installed")
    case = CASES["FluxPipeline"]
    cls = build(case, tmp_path / "model")
    return case, cls, gguf_file(tmp_path, case)


def test_a_gguf_file_gives_what_the_library_gives(flux: tuple[Case, type[Any], Path], tmp_path: Path) -> None:
    import diffusers as d

    case, cls, file = flux
    plain, _ = frames(case, tmp_path)
    lines = {"components": {"transformer": str(file)}}
    given, status = frames(case, tmp_path, **lines)
    assert status["denoise"] == "computed"

    def change(pipe: Any) -> None:
        pipe.transformer = d.FluxTransformer2DModel.from_single_file(
            str(file), config=str(tmp_path / "model"), subfolder="transformer", torch_dtype=torch.float32,
            quantization_config=d.GGUFQuantizationConfig(compute_dtype=torch.float32),
        )  # fmt: skip

    assert torch.equal(given, by_hand(cls, case, tmp_path / "model", change=change).float())
    assert 0 < (given - plain).abs().mean() < 0.05
    _, status = frames(case, tmp_path, **lines, quantize="gguf")
    assert set(status.values()) == {"hit"}, "the line says no more than the file's name"
    assert held(spec_of(tmp_path, **lines), "transformer") < 0.6 * held(spec_of(tmp_path), "transformer")
    file.write_bytes(gguf_file(tmp_path, Case(lambda: d.FluxPipeline(**other()))).read_bytes())
    _, status = frames(case, tmp_path, **lines)
    assert status["denoise"] == "computed", "its content is in the key"


def other() -> dict[str, Any]:
    torch.manual_seed(9)
    return pictures.flux_parts(guidance_embeds=True)


def test_a_gguf_file_of_another_network_is_refused_with_names(
    flux: tuple[Case, type[Any], Path], tmp_path: Path
) -> None:
    import diffusers as d

    case, _, file = flux
    lines = {"components": {"transformer": str(file)}}
    gguf_file(tmp_path, Case(lambda: d.FluxPipeline(**pictures.flux_parts(guidance_embeds=False))))
    with pytest.raises(FlowsynthError, match=r"net.gguf: lacks the tensors .*guidance_embedder"):
        frames(case, tmp_path, **lines)
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(FlowsynthError, match=r"net.gguf: not a readable GGUF file"):
        frames(case, tmp_path, **lines)


def test_what_it_does_not_go_with_and_what_to_install_is_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["FluxPipeline"]
    int8: dict[str, Any] = {"quantize": "torchao:int8"}
    build(case, tmp_path / "model")
    monkeypatch.setattr(line_checks, "missing_library", lambda _: None)
    file = str(tmp_path / "a.gguf")
    (tmp_path / "a.gguf").touch()
    cases: list[tuple[dict[str, Any], str]] = [
        ({**int8, "storage": "float8"}, "its line storage: no use for it; expected nothing beside torchao"),
        ({**int8, "offload": "disk"}, "its line offload: no use for it; expected nothing beside torchao"),
        ({"quantize": "gguf"}, r"its line quantize: .* expected a .gguf file under components.transformer"),
        ({**int8, "components": {"transformer": file}}, "its line quantize: no use for it"),
        ({"components": {"vae": file}}, "its line components: .* GGUF is for denoisers alone"),
    ]
    for lines, message in cases:
        with pytest.raises(FlowsynthError, match=message):
            graph_of(case, tmp_path / "model", **lines)
    monkeypatch.setattr(line_checks, "missing_library", lambda line: f"pip install {line}")
    with pytest.raises(FlowsynthError, match=r"quantize: torchao:int8; expected the library torchao: pip"):
        graph_of(case, tmp_path / "model", **int8)
    with pytest.raises(FlowsynthError, match="quantize"):
        parse_model("m", {"family": "diffusers", "source": "x", "quantize": "int8"})
    assert missing_library("wheels:int8") == "pip install 'flowsynth-engine[wheels]'"
    assert missing_library("torch:int8") is None

"""Line art and depth: tiny real models of the published layouts, from files and out of the hub's cache."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.streams import Map, Scan
from flowsynth.models import ModelManager
from flowsynth.models.weights import tensor_bytes
from flowsynth.nets.lineart.drawings import DrawingGenerator
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.control.detectors.depth import _prepare, network_size
from tests.nets.tiny import randomised
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.operators.test_in_a_graph import LENGTH, MovingClip

COMMIT = "1" * 40
OFFLINE = RunContext(offline=True)


@pytest.fixture
def drawing(tmp_path: Path) -> str:
    torch.save(randomised(DrawingGenerator(width=4, blocks=1)).state_dict(), tmp_path / "sk.pth")
    return str(tmp_path / "sk.pth")


@pytest.fixture(scope="module")
def depth_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import DepthAnythingConfig, DepthAnythingForDepthEstimation, Dinov2Config
    from transformers import DPTImageProcessorPil as Processor

    folder = tmp_path_factory.mktemp("depth")
    torch.manual_seed(0)
    backbone = Dinov2Config(
        hidden_size=16,
        num_hidden_layers=4,
        num_attention_heads=2,
        mlp_ratio=2,
        image_size=28,
        patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"],
        apply_layernorm=True,
        reshape_hidden_states=False,
    )
    config = DepthAnythingConfig(
        backbone_config=backbone,
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=4,
        patch_size=14,
    )
    model = DepthAnythingForDepthEstimation(config).eval()
    for parameter in model.head.parameters():
        parameter.data = 20 * parameter.data.abs()  # else the last ReLU leaves nothing
    model.save_pretrained(folder)
    Processor(
        size={"height": 56, "width": 56},
        keep_aspect_ratio=True,
        ensure_multiple_of=14,
        resample=3,
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    ).save_pretrained(folder)
    return folder


def depth(folder: Path | str, **params: object) -> Annotate:
    return Annotate(detector="depth", weights=str(folder), **params)


def in_hub(monkeypatch: pytest.MonkeyPatch, cache: Path, files: dict[str, Path]) -> None:
    """Put files where the hub's own library keeps those of org/name."""
    folder = cache / "models--org--name" / "snapshots" / COMMIT
    folder.mkdir(parents=True)
    for name, path in files.items():
        shutil.copy(path, folder / name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    for module in ("file_download", "_snapshot_download"):
        monkeypatch.setattr(f"huggingface_hub.{module}.HF_HUB_CACHE", str(cache), raising=False)


def test_lines_are_white_on_black(drawing: str, dtype: str) -> None:
    clip = moving_clip(2, 22, 30, dtype=dtype)
    out = Annotate(detector="lineart", weights=drawing).run(RunContext(), frames=clip)
    network = randomised(DrawingGenerator(width=4, blocks=1))
    expected = clip.like(1 - network(clip.to_float())).tensor.expand(-1, 3, -1, -1)
    atol = 1.01 if dtype == "uint8" else 2e-3 if dtype == "float16" else 1e-4
    torch.testing.assert_close(out.tensor.float(), expected.float(), atol=atol, rtol=0)
    assert out.kind == "lineart"


def test_lines_in_chunks(drawing: str) -> None:
    clip, operator = moving_clip(5), Annotate(detector="lineart", weights=drawing)
    assert torch.equal(
        run_by_chunks(operator, clip, 2).tensor, operator.run(RunContext(), frames=clip).tensor
    )


def test_a_checkpoint_out_of_the_hubs_cache(
    drawing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_hub(monkeypatch, tmp_path / "hub", {"sk.pth": Path(drawing)})
    clip = moving_clip(1)
    local = Annotate(detector="lineart", weights=drawing).run(RunContext(), frames=clip)
    operator = Annotate(detector="lineart", weights="org/name/sk.pth", revision=COMMIT)
    assert torch.equal(operator.run(OFFLINE, frames=clip).tensor, local.tensor)
    assert operator.files(OFFLINE) == {}
    assert operator.key_params([])["revision"] == COMMIT
    missing = Annotate(detector="lineart", weights="org/name/other.pth", revision=COMMIT)
    with pytest.raises(InputError, match=r"hf download org/name other\.pth --revision 1111"):
        missing.run(OFFLINE, frames=clip)
    short = Annotate(detector="lineart", weights="org/name", revision=COMMIT)
    with pytest.raises(InputError, match="expected ORG/NAME/FILE"):
        short.run(OFFLINE, frames=clip)


@pytest.mark.parametrize("size", [(61, 83), (83, 61), (20, 30), (200, 57)])
def test_frames_are_prepared_as_transformers_does(depth_folder: Path, size: tuple[int, int]) -> None:
    """Its processor rounds to bytes after the resize, ours doesn't."""
    from transformers import DPTImageProcessorPil as Processor

    clip = moving_clip(1, *size)
    processor = Processor.from_pretrained(depth_folder)
    expected = processor(images=clip.tensor[0].permute(1, 2, 0).numpy(), return_tensors="pt")["pixel_values"]
    config = json.loads((depth_folder / "preprocessor_config.json").read_text())
    found = _prepare(clip.to_float(), config)
    assert network_size(*size, config) == tuple(found.shape[-2:]) == tuple(expected.shape[-2:])
    assert (found - expected).abs().max() < 3 / 255 / 0.224


def test_depth_is_what_the_model_says(depth_folder: Path) -> None:
    from transformers import AutoModelForDepthEstimation

    clip = moving_clip(1, 61, 83, dtype="float32")
    model = AutoModelForDepthEstimation.from_pretrained(depth_folder).eval()
    config = json.loads((depth_folder / "preprocessor_config.json").read_text())
    with torch.no_grad():
        found = model(_prepare(clip.tensor, config)).predicted_depth[:, None]
    expected = torch.nn.functional.interpolate(found, size=(61, 83), mode="bicubic")[0, 0]
    values = expected.flatten().sort().values
    low, high = (values[round(part * (len(values) - 1))] for part in (0.01, 0.99))
    assert high > low
    out = depth(depth_folder).run(RunContext(), frames=clip)
    assert (out.kind, out.tensor.shape) == ("depth", (1, 3, 61, 83))
    torch.testing.assert_close(
        out.tensor[0, 0], ((expected - low) / (high - low)).clamp(0, 1), atol=1e-4, rtol=0
    )


@pytest.mark.parametrize("size", [(1, 1), (9, 300), (56, 56)])
def test_depth_of_any_size(depth_folder: Path, size: tuple[int, int]) -> None:
    clip = moving_clip(1, *size, channels=1, dtype="float32")
    out = depth(depth_folder).run(RunContext(), frames=clip)
    assert out.tensor.shape == (1, 3, *size)


def test_depth_hands_its_range_on(depth_folder: Path) -> None:
    clip = moving_clip(6, dtype="float32")
    for steady, kind in ((0.9, Scan), (0.0, Map)):
        operator = depth(depth_folder, steady=steady)
        assert isinstance(operator.stream(), kind)
        ctx = RunContext()
        whole = operator.run(ctx, frames=clip).tensor
        assert (ctx.state is not None) == (steady > 0)
        assert torch.equal(run_by_chunks(operator, clip, 2).tensor, whole)
        batched = depth(depth_folder, steady=steady, batch_size=4).run(RunContext(), frames=clip).tensor
        torch.testing.assert_close(batched, whole, atol=1e-3, rtol=0)
    held, free = (depth(depth_folder, steady=s).run(RunContext(), frames=clip) for s in (0.9, 0.0))
    assert not torch.equal(held.tensor[1:], free.tensor[1:])
    assert torch.equal(held.tensor[0], free.tensor[0])


def test_a_depth_model_is_kept_by_the_manager_by_content(depth_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(depth_folder, tmp_path / "copy")
    manager, clip = ModelManager("cpu", 10**9), moving_clip(1)
    for folder in (depth_folder, tmp_path / "copy"):
        depth(folder).run(RunContext(models=manager), frames=clip)
    one = manager.resident_bytes
    assert one == tensor_bytes(depth_folder / "model.safetensors", 4)
    config = tmp_path / "copy" / "config.json"
    config.write_text(config.read_text() + " ")
    depth(tmp_path / "copy").run(RunContext(models=manager), frames=clip)
    assert manager.resident_bytes == 2 * one


def test_depth_under_the_engine(depth_folder: Path, tmp_path: Path) -> None:
    """The range is kept beside each chunk; other bytes in the folder are another key."""
    copy = tmp_path / "model"
    shutil.copytree(depth_folder, copy)
    graph = fs.Graph("depth")
    graph.add("depth", depth(copy), frames=graph.add("clip", MovingClip()))
    run = graph.run(cache_dir=tmp_path / "cache", executor="threads", outputs=["depth"])
    expected = depth(depth_folder).run(RunContext(), frames=moving_clip(LENGTH))
    assert torch.equal(run["depth"].tensor, expected.tensor)
    again = graph.run(cache_dir=tmp_path / "cache", outputs=["depth"])
    assert again.record.nodes["depth"].status == "hit"
    config = copy / "config.json"
    config.write_text(config.read_text() + " ")
    changed = graph.run(cache_dir=tmp_path / "cache", outputs=["depth"])
    assert changed.record.nodes["depth"].status != "hit"


def test_distance_is_shown_as_nearness(depth_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(depth_folder, tmp_path / "metric")
    config = tmp_path / "metric" / "config.json"
    text = config.read_text().replace(
        '"depth_estimation_type": "relative"', '"depth_estimation_type": "metric"'
    )
    assert '"metric"' in text
    config.write_text(text)
    clip = moving_clip(1, 56, 56, dtype="float32")
    near, far = (
        depth(f).run(RunContext(), frames=clip).tensor[0, 0] for f in (depth_folder, tmp_path / "metric")
    )
    together = torch.corrcoef(torch.stack((near.flatten(), far.flatten())))[0, 1]
    assert together < 0


def test_a_depth_model_out_of_the_hubs_cache(
    depth_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_hub(monkeypatch, tmp_path / "hub", {p.name: p for p in depth_folder.iterdir()})
    clip = moving_clip(1)
    local = depth(depth_folder).run(RunContext(), frames=clip)
    operator = depth("org/name", revision=COMMIT)
    assert torch.equal(operator.run(OFFLINE, frames=clip).tensor, local.tensor)
    with pytest.raises(InputError, match=r"hf download org/other --revision 1111"):
        depth("org/other", revision=COMMIT).run(OFFLINE, frames=clip)


def test_depth_enters_the_key_by_content(depth_folder: Path) -> None:
    operator = depth(depth_folder)
    files = operator.files(RunContext())
    assert sorted(path.name for path in files.values()) == [
        "config.json",
        "model.safetensors",
        "preprocessor_config.json",
    ]
    params = operator.key_params(files)
    assert "weights" not in params
    assert str(params["runs_by"]).startswith("transformers 5.")
    assert "runs_by" not in Annotate().key_params([])


def broken(folder: Path, target: Path, name: str, content: bytes | None) -> Annotate:
    shutil.copytree(folder, target, dirs_exist_ok=True)
    if content is None:
        (target / name).unlink()
    else:
        (target / name).write_bytes(content)
    return depth(target)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", None, r"no config\.json; expected a depth model's folder"),
        ("config.json", b'{"model_type": "bert"}', "not a model that estimates depth"),
        ("preprocessor_config.json", b'{"size": 384}', "expected a size with height and width"),
        ("preprocessor_config.json", b"{", "expected a size with height and width"),
        ("model.safetensors", None, "no weights"),
        ("model.safetensors", b"12345678901234567890", "not a whole safetensors file"),
    ],
)
def test_a_folder_that_is_something_else(
    depth_folder: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    operator = broken(depth_folder, tmp_path / "d", name, content)
    with pytest.raises(InputError, match=message):
        operator.run(RunContext(), frames=moving_clip(1))


def test_weights_that_do_not_fit_the_config(depth_folder: Path, tmp_path: Path) -> None:
    """transformers would go on with random numbers in their place."""
    from safetensors.torch import load_file, save_file

    shutil.copytree(depth_folder, tmp_path / "d")
    path = tmp_path / "d" / "model.safetensors"
    state = load_file(path)
    name = next(key for key in state if key.startswith("head"))
    del state[name]
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(InputError, match=f"its weights do not fit its config: {name}"):
        depth(tmp_path / "d").run(RunContext(), frames=moving_clip(1))


def test_pickled_weights_are_refused(depth_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(depth_folder, tmp_path / "d")
    (tmp_path / "d" / "model.safetensors").rename(tmp_path / "d" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"expected weights as \.safetensors, found pytorch_model\.bin"):
        depth(tmp_path / "d").files(RunContext())


@pytest.mark.parametrize("detector", ["lineart", "depth"])
def test_mistakes_are_named(detector: str, tmp_path: Path) -> None:
    (fault,) = Annotate(detector=detector).check({})
    assert f"params.weights: missing for detector {detector}; expected a local path" in str(fault)
    clip = moving_clip(1)
    with pytest.raises(InputError, match=r"params\.weights: missing for detector"):
        Annotate(detector=detector).run(RunContext(), frames=clip)
    (fault,) = Annotate(detector="hed", revision=COMMIT).check({})
    assert "params.revision: without weights" in str(fault)
    with pytest.raises(ValidationError, match="a commit of 40 hexadecimal digits"):
        Annotate(detector=detector, weights="org/name", revision="main")
    with pytest.raises(InputError, match="none"):
        Annotate(detector=detector, weights=str(tmp_path / "none")).files(RunContext())

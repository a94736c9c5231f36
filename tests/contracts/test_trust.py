"""What may change a result changes the key, and nothing else does: for every operator and every param it has.

Keys are made as a plan makes them. What a run then does with them is in the tests of the engine; files that
change are in `test_changed_files`, code in ``tests/core/test_live_code.py``, values in
``tests/api/test_by_value.py``.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import typing
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

import flowsynth as fs
from flowsynth.api.session import Session
from flowsynth.core.context import RunContext
from flowsynth.core.devices import key_device
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash
from flowsynth.core.keys import ClassKey, static_key
from flowsynth.core.operator import Operator
from flowsynth.core.registry import operator_class
from flowsynth.core.shipped import asset_folder, shipped_modules
from flowsynth.models import model_fingerprint, parse_model
from flowsynth.models.registry import family, family_names
from tests import streams
from tests.contracts.changing import CASES
from tests.contracts.changing_models import MODELS
from tests.contracts.test_operators import EXAMPLES
from tests.models.families.janus.tiny import save_janus
from tests.nets.judged import judged
from tests.tiny import tiny_sd

NAMES = sorted(shipped_modules())

#: Params that no result depends on, with why; everything else must change the key.
WITHOUT_EFFECT = {
    ("interpolate", "fallback"): "names what is taken in the operator's place; that has a key of its own",
    ("upscale", "fallback"): "as above",
    ("stylize", "words"): "only style auto looks for one in them",
    ("stylize", "otherwise"): "as above",
    **{
        (name, field): why
        for name in ("hosted_image", "hosted_text")
        for field, why in {
            "price": "what it costs changes no answer",
            "retries": "how often it is asked changes no answer",
            "timeout": "how long it is waited for changes no answer",
        }.items()
    },
}
#: Values that only stand for another one.
ALIASES = {("stylize", "style"): ("auto",)}
#: Values for params whose type alone does not say what is valid.
VALUES: dict[tuple[str, str], list[object]] = {
    ("annotate", "revision"): ["a" * 40],
    ("crop", "aspect"): ["16:9", "1:1"],
    ("resample_audio", "rate"): [8000, 48000],
    ("read_audio", "rate"): [8000, 48000],
    ("save_subtitles", "formats"): [("srt", "ass"), ("vtt",)],
    ("dream", "layers"): [("conv1",), ("conv5", "conv1"), ("conv1", "conv5")],
    ("denoise", "controlnets"): [("lines",), ("lines", "tile"), ("tile", "lines")],
    ("fit_clips", "folder"): [str(asset_folder("pictures")), str(asset_folder("clip"))],
    ("speak", "voice"): ["espeak:de"],
    ("hosted_image", "base_url"): ["http://127.0.0.1:1", "https://a.example/v1"],
    ("hosted_text", "base_url"): ["http://127.0.0.1:1", "https://a.example/v1"],
    ("frame_to_frame", "controlnets"): [("lines",), ("lines", "tile"), ("tile", "lines")],
}
#: Params that name files, or a program: those that are tried are not there.
FILES = ("path", "file", "font", "audio", "weights", "voice")
#: Operators whose defaults name no file.
READS: dict[str, dict[str, object]] = {
    "read_image": {"path": str(asset_folder("pictures") / "astronaut.jpg")},
    "read_audio": {"path": str(asset_folder("pictures") / "astronaut.jpg")},  # a key needs its bytes only
}


def key(operator: Operator, device: str = "cpu", models: dict[str, Any] | None = None) -> str:
    """The part of the key that does not come from inputs."""
    shared = ClassKey.of(type(operator), key_device(device), type(operator).__name__)
    source = lambda cls: cls.__name__  # noqa: E731
    return static_key(operator, shared, source, file_hash, models or {}, RunContext).prefix


def candidates(name: str, field: str, hint: Any, value: object) -> Iterator[object]:
    """Other values that a field may take."""
    yield from VALUES.get((name, field), ())
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        yield from (arg for arg in args if arg != value)
        return
    for arg in args if origin is not None else ():
        if arg is not type(None) and arg is not Ellipsis and not isinstance(arg, str):
            yield from candidates("", "", arg, value)
    if type(None) in args and value is not None:
        yield None
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, (int, float)):
        yield from (value + step for step in (1, -1, 0.125, -0.125, 2, 8, 16, 64))
    elif isinstance(value, str):
        yield from (value + "x", "#ff0000", "0.5", "1:02", "")
    elif isinstance(value, Path):
        yield value / "other"
    elif isinstance(value, (tuple, list)):
        yield from ([1], [1, 2], [0.5], [0.5, 0.25], ["a"], [[1, 2]], [0], [0, 1, 2], [])
    elif isinstance(value, dict):
        yield from ({"a": 1}, {"clip_sample": True})
    else:
        yield from (1, 2, 8, 16, 64, 0.5, "x", "red", "0.5", [1], True, {"a": 1})


def changed(name: str, field: str) -> list[tuple[Operator, Operator]]:
    """Pairs of operators that differ in one field."""
    cls, given = operator_class(name), {**EXAMPLES, **READS}.get(name, {})
    base = cls(**given)
    hint = cls.model_fields[field].annotation
    pairs = []
    for other in candidates(name, field, hint, getattr(base, field)):
        try:
            made = cls(**{**given, field: other})
        except (ValidationError, ValueError, TypeError):
            continue
        if made != base and other not in ALIASES.get((name, field), ()):
            pairs.append((base, made))
    return pairs


@pytest.mark.parametrize("name", NAMES)
def test_every_param_is_part_of_the_key(name: str) -> None:
    for field in operator_class(name).model_fields:
        pairs = changed(name, field)
        assert pairs, f"{name}.{field}: no other valid value was found; give one in VALUES"
        tried = 0
        for base, other in pairs:
            try:
                keys = key(base), key(other)
            except InputError:  # it names a file that is not there
                continue
            tried += 1
            shown = f"{name}.{field}: {getattr(base, field)!r} and {getattr(other, field)!r}"
            assert (keys[0] == keys[1]) is ((name, field) in WITHOUT_EFFECT), shown
        assert tried or field in FILES, f"{name}.{field} was not tried"


def test_the_table_of_params_without_effect_is_true() -> None:
    for name, field in WITHOUT_EFFECT:
        assert field in operator_class(name).model_fields


@pytest.mark.parametrize("name", NAMES)
def test_what_must_not_matter_to_an_operator(name: str) -> None:
    cls, given = operator_class(name), {**EXAMPLES, **READS}.get(name, {})
    base = cls(**given)
    full = json.loads(base.model_dump_json())
    spelt_out = cls.model_validate({field: full[field] for field in reversed(full)})
    assert key(base) == key(spelt_out), "defaults, and the order in which params are written"
    for kind in ("cpu", "sim"):
        assert key(base, f"{kind}:0") == key(base, f"{kind}:1"), "the number of a device"
    assert key(base) != key(base, models={"model": ["another"]})


#: Two of these files written one after another differ: their containers carry random numbers.
RANDOM = {"video", "sound", "track"}
KINDS = {**CASES, **MODELS}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in RANDOM])
def test_a_file_counts_by_its_content_and_not_by_its_place(kind: str, tmp_path: Path) -> None:
    def prints(folder: Path) -> dict[str, str]:
        folder.mkdir()
        case = KINDS[kind](folder)
        with Session(tmp_path / "cache", read_only=True) as session:
            steps = session.plan(case.graph).steps.values()
            before = {s.name: s.static.prefix for s in steps}
            case.file.write_bytes(case.other)
            steps = session.plan(case.graph).steps.values()
            after = {s.name: s.static.prefix for s in steps}
        assert before[case.node] != after[case.node]
        return before

    assert prints(tmp_path / "a") == prints(tmp_path / "b")


def test_a_video_elsewhere_is_the_same_video(tmp_path: Path) -> None:
    file = CASES["video"](tmp_path).file
    shutil.copy(file, tmp_path / "copy.mkv")
    for name, field in (("read_video", "path"), ("encode_video", "audio")):
        cls = operator_class(name)
        here, there = (cls.model_validate({field: str(p)}) for p in (file, tmp_path / "copy.mkv"))
        assert key(here) == key(there)


def test_names_order_chunks_and_formatting_do_not_matter(tmp_path: Path) -> None:
    assert streams.Counter.op == "t_source"
    file = tmp_path / "seeds.txt"
    file.write_text("1 2 3 4 5 6 7")
    text = """
nodes:
  source: {op: t_source, params: {path: FILE}}
  mean: {op: t_window, inputs: {frames: source}, params: {radius: 1}}
  inverse: {op: t_map, inputs: {frames: mean}}
outputs: [inverse]
"""
    again = """
# The same, written by somebody else.
outputs:
    - z
nodes:
    z:
        inputs: {"frames": "y"}
        params: {strength: 255}
        op: "t_map"
    y:
        cache: auto
        op: t_window
        inputs:
            frames: x
        params:
            "radius": 0x1
    x: {params: {path: 'FILE'}, op: t_source, device: cpu}
"""
    first = fs.Graph.from_yaml(text.replace("FILE", str(file)))
    moved = tmp_path / "moved.txt"
    shutil.copy(file, moved)
    second = fs.Graph.from_yaml(again.replace("FILE", str(moved)))
    one = first.run(cache_dir=tmp_path / "cache", chunk=2)
    two = second.run(cache_dir=tmp_path / "cache", chunk=3, executor="threads")
    assert {node.status for node in two.record.nodes.values()} == {"hit"}
    assert one.record.nodes["inverse"].objects == two.record.nodes["z"].objects
    file.write_text("1 2 3 4 5 6 8")
    third = first.run(cache_dir=tmp_path / "cache", chunk=2)
    assert {node.status for node in third.record.nodes.values()} == {"computed"}


def _sd(**extra: Any) -> dict[str, Any]:
    return {"family": "sd", "source": str(tiny_sd() / "base"), **extra}


def _lora(scale: float = 1.0) -> dict[str, Any]:
    return {"source": str(tiny_sd() / "lora"), "scale": scale}


@cache
def _other_config() -> Path:
    """A configuration for the same weights of the VAE, with another scale."""
    folder = Path(tempfile.mkdtemp(prefix="other-vae-"))
    told = json.loads((tiny_sd() / "base/vae/config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**told, "scaling_factor": 0.5}))
    return folder


def _sd_specs() -> list[dict[str, Any]]:
    root = tiny_sd()
    lines, tile, motion = (str(root / n) for n in ("controlnet_lines", "controlnet_tile", "motion_adapter"))
    weights = root / "base/vae/diffusion_pytorch_model.safetensors"
    vae = {"file": str(weights), "config": str(_other_config())}
    return [
        _sd(),
        _sd(dtype="float16"),
        _sd(clip_skip=1),
        _sd(step_cache="deepcache:2"),
        _sd(step_cache="deepcache:3"),
        _sd(scheduler="euler"),
        _sd(scheduler={"name": "euler", "use_karras_sigmas": True}),
        _sd(vae=vae),
        _sd(loras=[_lora()]),
        _sd(loras=[_lora(0.5)]),
        _sd(loras=[_lora(), _lora(0.5)]),
        _sd(loras=[_lora(0.5), _lora()]),
        _sd(motion=motion),
        _sd(motion=motion, motion_noise="shared"),
        _sd(motion=motion, motion_norm="frame"),
        _sd(controlnets={"a": lines}),
        _sd(controlnets={"a": tile}),
        _sd(controlnets={"b": lines}),
        _sd(controlnets=[lines, tile]),
        _sd(controlnets=[tile, lines]),
    ]


def _diffusers_specs() -> list[dict[str, Any]]:
    root = tiny_sd()
    base = {"family": "diffusers", "source": str(root / "base")}
    nets = [{"controlnet": str(root / name)} for name in ("controlnet_lines", "controlnet_tile")]
    return [
        base,
        {**base, "dtype": "float16"},
        {**base, "pipeline": "StableDiffusionImg2ImgPipeline"},
        *({**base, "pipeline": "StableDiffusionControlNetPipeline", "components": net} for net in nets),
        {**base, "loras": [_lora()]},
        {**base, "loras": [_lora(0.5)]},
        {**base, "loras": [_lora(), _lora(0.5)]},
        {**base, "loras": [_lora(0.5), _lora()]},
        {**base, "loras": [{**_lora(), "part": "unet"}]},
        {**base, "motion_norm": "frame"},
        {**base, "dtypes": {"unet": "bfloat16"}},
        {**base, "dtypes": {"vae": "bfloat16"}},
        {**base, "offload": "disk"},
        {**base, "storage": "float8"},
        {**base, "vae_tiling": True},
        {**base, "vae_slicing": True},
        {**base, "step_cache": "first_block:0.1"},
        {**base, "step_cache": "first_block:0.2"},
        {**base, "step_cache": "deepcache:3"},
        {**base, "compile": "regional"},
        {**base, "quantize": "torchao:int8"},
        {**base, "quantize": "gguf"},
        {**base, "ip_adapters": [_lora()]},
        {**base, "ip_adapters": [_lora(0.5)]},
        {**base, "ip_adapters": [_lora(0.5), _lora()]},
    ]


@cache
def _gans() -> Path:
    """Folders of checkpoints that differ in one tensor: two in one, one in the other."""
    folder = Path(tempfile.mkdtemp(prefix="gans-"))
    state = judged("pix2pix")[0]
    for number, place in enumerate(("one/a", "one/b", "two/a")):
        file = folder / f"{place}.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file(state | {"model.model.3.bias": torch.full((3,), number / 8)}, file)
    return folder


def _gan_specs() -> list[dict[str, Any]]:
    base = {"family": "gan", "source": str(_gans() / "one"), "weight_name": "a.safetensors"}
    return [
        base,
        {**base, "weight_name": "b.safetensors"},
        {**base, "source": str(_gans() / "two")},
        {**base, "dtype": "float16"},
    ]


@cache
def _videogpts() -> Path:
    """Folders of checkpoints that differ in one tensor: two in one, one in the other."""
    folder = Path(tempfile.mkdtemp(prefix="videogpts-"))
    state = judged("videogpt_class")[0]
    for number, place in enumerate(("one/a", "one/b", "two/a")):
        file = folder / f"{place}.safetensors"
        file.parent.mkdir(exist_ok=True)
        save_file(state | {"norm.w.weight": torch.full((24, 3), number / 8)}, file)
    return folder


def _videogpt_specs() -> list[dict[str, Any]]:
    base = {"family": "videogpt", "source": str(_videogpts() / "one"), "weight_name": "a.safetensors"}
    return [
        base,
        {**base, "weight_name": "b.safetensors"},
        {**base, "source": str(_videogpts() / "two")},
        {**base, "dtype": "float16"},
        {**base, "heads": 2},
        {**base, "strides": [2, 4, 4]},
        {**base, "fps": 5},
    ]


@cache
def _januses() -> Path:
    """Folders of two models with other weights."""
    folder = Path(tempfile.mkdtemp(prefix="januses-"))
    for seed in (0, 1):
        save_janus(folder / str(seed), seed)
    return folder


def _janus_specs() -> list[dict[str, Any]]:
    base = {"family": "janus", "source": str(_januses() / "0"), "dtype": "float32"}
    return [base, {**base, "source": str(_januses() / "1")}, {**base, "dtype": "bfloat16"}]


#: Family -> a spec, and others that load something else. A family that is not here fails the test below.
FAMILIES: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "sd": _sd_specs,
    "diffusers": _diffusers_specs,
    "gan": _gan_specs,
    "janus": _janus_specs,
    "videogpt": _videogpt_specs,
}


def test_every_family_is_in_the_table() -> None:
    shipped = {n for n in family_names() if type(family(n)).__module__.startswith("flowsynth.")}
    assert set(FAMILIES) >= shipped


@pytest.mark.parametrize("name", FAMILIES)
def test_whatever_a_spec_says_is_part_of_its_identity(name: str) -> None:
    specs = FAMILIES[name]()
    prints = [model_fingerprint(parse_model("m", spec)) for spec in specs]
    assert len(set(prints)) == len(prints)
    fields = {field for spec in specs for field in spec}
    assert fields >= set(family(name).spec_type.model_fields) - {"textual_inversion", "redraw", "draw"}
    for advice in ({"redraw": {"strength": 0.5}}, {"draw": {"steps": 4}}):
        advised = parse_model("m", {**specs[0], **advice})
        assert model_fingerprint(advised) == prints[0], "nothing that is loaded depends on it"


#: Folders of a pipeline that nothing is read of.
UNREAD = ("feature_extractor", "safety_checker")


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_elsewhere_is_the_same_model(name: str, tmp_path: Path) -> None:
    base = FAMILIES[name]()[0]
    moved = {**base, "source": str(tmp_path / "copy")}
    shutil.copytree(Path(str(base["source"])), tmp_path / "copy")
    first = model_fingerprint(parse_model("m", base))
    assert model_fingerprint(parse_model("m", moved)) == first
    for file in sorted((tmp_path / "copy").glob("*/*")):
        if file.is_file() and file.parent.name not in UNREAD:
            data = file.read_bytes()
            file.write_bytes(data + b" ")
            assert model_fingerprint(parse_model("m", moved)) != first, file
            file.write_bytes(data)

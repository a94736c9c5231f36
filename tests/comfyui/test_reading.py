"""Files that hold workflows, in every place that ComfyUI puts them; and files that hold none."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from flowsynth.comfyui.importing import import_workflow
from flowsynth.core.errors import RequestError
from tests.comfyui.build import as_ui
from tests.comfyui.flows import EVERY

API = EVERY["plain"]()
A1111 = "a cat\nNegative prompt: bad\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x512"


def png(file: Path, **texts: str) -> Path:
    info = PngImagePlugin.PngInfo()
    for name, text in texts.items():
        info.add_text(name, text)
    Image.new("RGB", (4, 4)).save(file, pnginfo=info)
    return file


def webp(file: Path, **texts: str) -> Path:
    picture = Image.new("RGB", (4, 4))
    exif = picture.getexif()
    for tag, (name, text) in zip((0x010F, 0x0110), texts.items(), strict=False):
        exif[tag] = f"{name}:{text}"
    picture.save(file, exif=exif)
    return file


def mp4(file: Path, **tags: str) -> Path:
    with av.open(str(file), "w", options={"movflags": "use_metadata_tags"}) as container:
        for name, text in tags.items():
            container.metadata[name] = text
        stream = container.add_stream("libx264", rate=8)
        stream.width = stream.height = 16
        for frame in (av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8)), None):
            container.mux(stream.encode(frame))
    return file


def text_of(file: Path) -> str:
    return import_workflow(file).text.partition("\n")[2]


def test_every_place_gives_the_same_graph(tmp_path: Path) -> None:
    prompt, workflow = json.dumps(API), json.dumps(as_ui(API))
    plain = tmp_path / "plain.json"
    plain.write_text(prompt)
    wrapped = tmp_path / "wrapped.json"
    wrapped.write_text(json.dumps({"client_id": "x", "prompt": API}))
    files = [
        plain,
        wrapped,
        png(tmp_path / "both.png", prompt=prompt, workflow=workflow),
        png(tmp_path / "editor.png", workflow=workflow),
        png(tmp_path / "cut.png", prompt=prompt[:-20], workflow=workflow),
        webp(tmp_path / "a.webp", workflow=workflow, prompt=prompt),
        mp4(tmp_path / "comment.mp4", comment=json.dumps({"prompt": prompt, "workflow": workflow})),
        mp4(tmp_path / "tags.mp4", prompt=prompt),
    ]
    assert len({text_of(file) for file in files}) == 1


def cut_png(folder: Path) -> Path:
    file = png(folder / "cut.png", prompt=json.dumps(API))
    file.write_bytes(file.read_bytes()[:200])
    return file


def hostile_png(folder: Path) -> Path:
    file = folder / "hostile.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4s", 2**31, b"tEXt") + b"prompt\0{}")
    return file


WRONG: dict[str, tuple[Any, str]] = {
    "empty": ("", "found an empty file"),
    "spaces": (" \n", "found an empty file"),
    "not_json": ("nodes: 3", "found no JSON"),
    "cut_json": (json.dumps(API)[:-3], "found no JSON"),
    "list": ([1, 2], "found JSON that is a list"),
    "text": ("a text", "found JSON that is a text"),
    "nothing": ({}, "found JSON without any node"),
    "other": ({"family": "sd", "source": "x"}, "JSON of another kind; expected a ComfyUI workflow"),
    "a1111": (A1111, "found generation parameters of AUTOMATIC1111's web UI"),
    "binary": (b"\xff\xfe\x00\x81", "found a file of another kind"),
    "no_nodes": ({"nodes": [], "links": []}, "the workflow has no node"),
    "damaged": ({"nodes": [{"id": 1}], "links": []}, "nodes or links are damaged"),
    "deep": ("[" * 100_000, "found (JSON that is nested too deeply|no JSON)"),
    "no_result": ({"1": {"class_type": "EmptyLatentImage", "inputs": {}}}, "the workflow saves nothing"),
    "cut_png": (cut_png, "found a picture that is cut off or damaged"),
    "hostile_png": (hostile_png, "found a picture that is cut off or damaged"),
    "plain_png": (lambda folder: png(folder / "a.png"), "found a picture or clip without a workflow inside"),
    "a1111_png": (
        lambda folder: png(folder / "a.png", parameters=A1111),
        "found a picture or clip of AUTOMATIC1111's web UI",
    ),
    "plain_mp4": (lambda folder: mp4(folder / "a.mp4"), "found a picture or clip without a workflow inside"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_file_is_one_message(name: str, tmp_path: Path) -> None:
    data, message = WRONG[name]
    file = tmp_path / "wrong.json"
    if callable(data):
        file = data(tmp_path)
    elif isinstance(data, bytes):
        file.write_bytes(data)
    elif isinstance(data, str) and name != "text":
        file.write_text(data)
    else:
        file.write_text(json.dumps(data))
    with pytest.raises(RequestError, match=message) as caught:
        import_workflow(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


def test_circles_are_named(tmp_path: Path) -> None:
    api = EVERY["latent_upscale"]()
    api["5"]["inputs"]["latent_image"] = ["6", 0]
    file = tmp_path / "round.json"
    file.write_text(json.dumps(api))
    with pytest.raises(RequestError, match=r"nodes in a circle: .*KSampler #5.*LatentUpscale #6"):
        import_workflow(file)

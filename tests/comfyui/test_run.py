"""Imported workflows run on tiny real checkpoints: as many pictures as ComfyUI would make, of its sizes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from flowsynth.cli import main
from flowsynth.media.probe import probe
from tests.comfyui.flows import RUN
from tests.comfyui.folder import comfy_folder


def sizes(folder: Path) -> list[tuple[int, int, int]]:
    """Number, width and height of what a run wrote, a result each."""
    found = []
    for result in sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name)):
        pictures = sorted(result.glob("*.png")) if result.is_dir() else []
        if pictures:
            with Image.open(pictures[0]) as first:
                found.append((len(pictures), *first.size))
        elif result.suffix in (".mp4", ".webp", ".webm"):
            found.append(clip_size(result))
    return found


def clip_size(file: Path) -> tuple[int, int, int]:
    if file.suffix == ".webp":
        with Image.open(file) as picture:
            return getattr(picture, "n_frames", 1), *picture.size
    info = probe(file)
    return info.frame_count, info.width, info.height


@pytest.mark.sample(5)
@pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")
@pytest.mark.parametrize("name", RUN)
def test_a_run_gives_what_comfyui_would(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make, expected = RUN[name]
    monkeypatch.chdir(tmp_path)
    Path("flow.json").write_text(json.dumps(make()))
    root = comfy_folder()
    folders = ["--models", str(root / "models"), "--inputs", str(root / "input")]
    assert main(["import", "comfyui", "flow.json", "-o", "graphs/flow.yaml", *folders]) == 0
    assert main(["run", "graph=flow", "output_dir=out", f"cache.dir={tmp_path}/cache", "--quiet"]) == 0
    assert sizes(Path("out")) == expected
    if name == "batch":
        assert len({path.read_bytes() for path in Path("out").rglob("*.png")}) == 3

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.streams import Span
from flowsynth.operators.files.read_image import ReadImage
from tests.operators.media_files import picture


def folder_of(tmp_path: Path, count: int) -> Path:
    folder = tmp_path / "shots"
    folder.mkdir()
    for k in range(count):
        Image.fromarray(picture(k)).save(folder / f"shot{k}.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_one_picture(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 1)
    frames = ReadImage(path=str(folder / "shot0.png")).run(RunContext())
    assert (frames.fps, frames.tensor.shape) == (None, (1, 3, 48, 64))
    assert (frames.frame(0).permute(1, 2, 0).numpy() == picture(0)).all()
    small = ReadImage(path=str(folder / "shot0.png"), width=32, height=32, dtype="float32").run(RunContext())
    assert small.tensor.shape == (1, 3, 32, 32)
    assert small.tensor.dtype == torch.float32


@pytest.mark.parametrize("pattern", ["", "*.png", "shot*"])
def test_many_pictures_in_the_order_of_their_numbers(tmp_path: Path, pattern: str) -> None:
    folder = folder_of(tmp_path, 12)
    operator = ReadImage(path=str(folder / pattern), fps=8)
    frames = operator.run(RunContext())
    assert (frames.fps, frames.num_frames) == (Fraction(8), 12)
    assert (frames.frame(10).permute(1, 2, 0).numpy() == picture(10)).all()
    assert (operator.run(RunContext(span=Span(9, 12, 12))).tensor == frames.tensor[9:]).all()
    assert operator.probe(RunContext()).length == 12
    assert [path.name for path in operator.files(RunContext()).values()] == [
        f"shot{k}.png" for k in range(12)
    ]
    assert ReadImage(path=str(folder / pattern), max_frames=3).run(RunContext()).num_frames == 3


def test_sizes_must_agree_unless_one_is_asked_for(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, 2)
    Image.fromarray(picture(2, 80, 80)).save(folder / "shot2.png")
    with pytest.raises(InputError, match=r"64x48 as shot0\.png .*found 80x80"):
        ReadImage(path=str(folder)).run(RunContext())
    with pytest.raises(InputError, match=r"64x48 as shot0\.png .*found 80x80"):
        ReadImage(path=str(folder)).probe(RunContext())
    assert ReadImage(path=str(folder), width=40).run(RunContext()).tensor.shape == (3, 3, 30, 40)
    assert ReadImage(path=str(folder), short_side=15).run(RunContext()).tensor.shape == (3, 3, 15, 20)


def test_a_turned_picture_has_the_size_that_is_seen(tmp_path: Path) -> None:
    folder, exif = folder_of(tmp_path, 2), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(2, 48, 64)).save(folder / "shot2.png", exif=exif)
    reader = ReadImage(path=str(folder))
    assert reader.probe(RunContext()).length == reader.run(RunContext()).num_frames == 3


def test_faults(tmp_path: Path) -> None:
    for path in (tmp_path / "none.png", tmp_path, tmp_path / "*.png"):
        with pytest.raises(InputError, match="expected"):
            ReadImage(path=str(path)).run(RunContext())

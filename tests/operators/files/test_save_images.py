from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from flowsynth.core.context import RunContext
from flowsynth.media.pictures import read_picture
from flowsynth.operators.files.save_images import SaveImages
from flowsynth.values import Frames
from tests.operators.media_files import picture


def clip(count: int) -> Frames:
    return Frames(torch.from_numpy(np.stack([picture(k) for k in range(count)]).transpose(0, 3, 1, 2).copy()))


@pytest.mark.parametrize(("format", "suffix"), [("png", ".png"), ("jpeg", ".jpg"), ("webp", ".webp")])
def test_files_are_numbered_over_all_segments(format: str, suffix: str) -> None:
    operator = SaveImages(format=format, prefix="shot_", start_number=7)
    saved = operator.run(RunContext(), frames=clip(5))
    assert list(saved.files) == [f"shot_{k:06d}{suffix}" for k in range(7, 12)]
    parts = [operator.segment(RunContext(), frames=clip(5).slice(a, b)) for a, b in ((0, 3), (3, 5))]
    assert operator.combine(RunContext(), parts).files == saved.files
    with Image.open(io.BytesIO(saved.files[f"shot_000009{suffix}"])) as image:
        error = np.abs(np.asarray(image.convert("RGB")).astype(int) - picture(2))
    assert error.mean() < (0.001 if format == "png" else 4)


def test_sixteen_bits(tmp_path: Path) -> None:
    ramp = torch.linspace(0, 1, 64 * 48).reshape(1, 1, 48, 64).expand(1, 3, -1, -1)
    saved = SaveImages(bits=16).run(RunContext(), frames=Frames(ramp))
    path = tmp_path / "a.png"
    path.write_bytes(saved.files["000000.png"])
    back = read_picture(path, deep=True)
    assert np.abs(back[:, :, 0] / 65_535 - ramp[0, 0].numpy()).max() < 1e-5


def test_names_stay_in_the_folder() -> None:
    with pytest.raises(ValueError, match="prefix"):
        SaveImages(prefix="../x")

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError
from flowsynth.core.streams import Span, chunk_spans
from flowsynth.operators.files.read_video import ReadVideo
from flowsynth.values import Frames
from tests.operators.media_files import picture, write_clip


def test_frames_rate_and_probe(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", 20)
    operator = ReadVideo(path=str(path))
    clip = operator.run(RunContext())
    assert (clip.fps, clip.tensor.shape, clip.tensor.dtype) == (
        Fraction(24),
        torch.Size((20, 3, 48, 64)),
        torch.uint8,
    )
    assert (clip.frame(7).permute(1, 2, 0).numpy() == picture(7)).all()
    info = operator.probe(RunContext())
    assert (info.length, info.fps) == (20, Fraction(24))
    assert operator.files(RunContext()) == {"path": path}
    assert "path" not in operator.key_params(frozenset({"path"}))


@pytest.mark.parametrize("chunk", [1, 7, 16])
def test_chunks_are_the_whole(tmp_path: Path, chunk: int) -> None:
    path = write_clip(tmp_path / "a.mkv", 40)
    operator = ReadVideo(path=str(path), fps=10, width=40, start=0.25)
    whole = operator.run(RunContext())
    assert whole.tensor.shape == (15, 3, 30, 40)
    parts = [operator.run(RunContext(span=Span(a, b, 15))) for a, b in chunk_spans(15, chunk)]
    assert (Frames.concat(parts).tensor == whole.tensor).all()
    assert whole.fps == 10


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_floats(tmp_path: Path, dtype: str) -> None:
    path = write_clip(tmp_path / "a.mkv", 2)
    clip = ReadVideo(path=str(path), dtype=dtype).run(RunContext())
    assert str(clip.tensor.dtype) == f"torch.{dtype}"
    assert np.allclose(clip.tensor[1].permute(1, 2, 0).float().numpy(), picture(1) / 255, atol=1e-3)


def test_a_replaced_file_is_read_anew(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mkv", 4)
    operator = ReadVideo(path=str(path))
    assert operator.run(RunContext()).num_frames == 4
    write_clip(path, 6, size=(32, 32))
    assert operator.run(RunContext()).tensor.shape == (6, 3, 32, 32)


def test_faults_name_path_expected_and_found(tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("hello, this is no video at all")
    for path, found in {tmp_path / "none.mp4": "no such file", text: "text", tmp_path: "a folder"}.items():
        with pytest.raises(InputError, match=found) as caught:
            ReadVideo(path=str(path)).probe(RunContext())
        assert str(caught.value).startswith(f"{path}: expected ")
    with pytest.raises(InputError, match="past its end"):
        ReadVideo(path=str(write_clip(tmp_path / "a.mkv", 4)), start=9).probe(RunContext())
    with pytest.raises(InputError, match="did you mean 'bikes'"):
        ReadVideo(path="clip:bike").probe(RunContext(cache_dir=tmp_path))
    with pytest.raises(InputError, match="offline"):
        ReadVideo(path="clip:bikes").probe(RunContext(cache_dir=tmp_path, offline=True))


@pytest.mark.parametrize("params", [{"fps": 0}, {"fps": "fast"}, {"start": -1}, {"end": "1:x"}, {"width": 0}])
def test_bad_parameters(params: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ReadVideo(path="a.mp4", **params)


def test_rates_as_people_write_them(tmp_path: Path) -> None:
    path = str(write_clip(tmp_path / "a.mkv", 4))
    for text, rate in {
        29.97: Fraction(30000, 1001),
        "24000/1001": Fraction(24000, 1001),
        12.5: Fraction(25, 2),
    }.items():
        assert ReadVideo(path=path, fps=text).probe(RunContext()).fps == rate


def test_importing_and_planning_needs_no_torch_and_no_numpy() -> None:
    script = (
        "import sys\nimport flowsynth.operators.files.read_video, flowsynth.operators.files.read_image\n"
        "import flowsynth.operators.files.encode_video, flowsynth.operators.files.save_images\n"
        "import flowsynth.media.fallback\n"
        "print(sorted({'torch', 'numpy', 'av', 'PIL'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_a_named_clip_may_say_where_to_start() -> None:
    named = ReadVideo(path="clip:default#5.5")
    assert (named.path, named.start) == ("clip:default", "5.5")
    assert ReadVideo(path="clip:default#5.5", start=2).start == 2
    assert ReadVideo(path="film#5.mp4").path == "film#5.mp4"
    with pytest.raises(ValueError, match="start"):
        ReadVideo(path="clip:default#later")


def test_streams_damage_and_what_was_left_out_are_told(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "a.mkv", 30)
    joined = tmp_path / "joined.ts"
    import av

    with av.open(str(whole)) as source, av.open(str(tmp_path / "a.ts"), "w") as output:
        stream = output.add_stream("libx264", rate=source.streams.video[0].average_rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in source.decode(video=0):
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    joined.write_bytes((tmp_path / "a.ts").read_bytes() * 2)
    ctx = RunContext()
    frames = ReadVideo(path=str(joined)).run(ctx)
    assert frames.num_frames == 60
    assert ctx.notes == [f"{joined}: its clock is set anew in the middle: the parts are joined"]
    assert ReadVideo(path=str(whole), video_stream=0, on_damage="skip").run(RunContext()).num_frames == 30
    with pytest.raises(InputError, match="video stream 1"):
        ReadVideo(path=str(whole), video_stream=1).run(RunContext())
    for wrong in ({"on_damage": "ignore"}, {"video_stream": -1}, {"tone_map": "reinhard"}, {"fps": 1e-9}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ReadVideo(path=str(whole), **wrong)

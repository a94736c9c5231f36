import json

import pytest

import flowsynth as fs
from flowsynth.operators.encode_video import EncodeVideo
from flowsynth.operators.temporal_smooth import TemporalSmooth
from tests.operators.test_in_a_graph import MovingClip


@pytest.fixture
def videos(home):
    """A clip and the same smoothed, as files."""
    graph = fs.Graph("two")
    clip = graph.add("clip", MovingClip())
    graph.add("plain", EncodeVideo(codec="ffv1"), frames=clip)
    soft = graph.add("soft", TemporalSmooth(radius=2), frames=clip)
    graph.add("smooth", EncodeVideo(codec="ffv1"), frames=soft)
    run = graph.run(outputs=["plain", "smooth"], output_dir=home / "out")
    return [str(home / "out" / run.record.outputs[name]) for name in ("plain", "smooth")]


def test_the_figures_and_the_video(cli, home, videos):
    code, out, err = cli("compare", *videos, "-o", "both")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()[1:-1]] == [
        "psnr",
        "ssim",
        "flicker",
        "warping_error",
        "sharpness",
    ]
    from flowsynth.media.probe import probe

    info = probe(out.splitlines()[-1])
    assert (info.width, info.height) == (66, 24)  # 31 + 4 + 31, made even


def test_json(cli, videos):
    code, out, _ = cli("compare", *videos, "--json", "--no-video")
    assert code == 0
    figures = json.loads(out)
    assert figures["frames"] == 37
    assert figures["a"]["psnr"] is None
    assert 10 < figures["b"]["psnr"] < 60
    assert figures["b"]["sharpness"] < figures["a"]["sharpness"]


def test_a_missing_file_is_one_message(cli, videos):
    code, _, err = cli("compare", videos[0], "nothing.mp4")
    assert code == 2
    assert "nothing.mp4" in err
    assert len(err.splitlines()) == 1

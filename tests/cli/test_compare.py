import json
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.operators.files.encode_video import EncodeVideo
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from tests.cli.conftest import Cli
from tests.odd_sources import pan, write
from tests.operators.test_in_a_graph import MovingClip


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A clip and the same smoothed, as files."""
    graph = fs.Graph("two")
    clip = graph.add("clip", MovingClip())
    graph.add("plain", EncodeVideo(codec="ffv1"), frames=clip)
    soft = graph.add("soft", TemporalSmooth(radius=2), frames=clip)
    graph.add("smooth", EncodeVideo(codec="ffv1"), frames=soft)
    home = tmp_path_factory.mktemp("videos")
    run = graph.run(outputs=["plain", "smooth"], output_dir=home / "out", cache_dir=home / "cache")
    return [str(home / "out" / str(run.record.outputs[name])) for name in ("plain", "smooth")]


def test_the_figures_and_the_video(cli: Cli, home: Path, videos: list[str]) -> None:
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


def test_json(cli: Cli, videos: list[str]) -> None:
    code, out, _ = cli("compare", *videos, "--json", "--no-video")
    assert code == 0
    figures = json.loads(out)
    assert figures["frames"] == 37
    assert set(figures["a"]) == {"flicker", "warping_error", "sharpness"}
    assert 10 < figures["b"]["psnr"] < 60
    assert figures["b"]["sharpness"] < figures["a"]["sharpness"]


def test_a_missing_file_is_one_message(cli: Cli, videos: list[str]) -> None:
    code, _, err = cli("compare", videos[0], "nothing.mp4")
    assert code == 2
    assert "nothing.mp4" in err
    assert len(err.splitlines()) == 1


def test_other_sizes_rates_and_lengths_are_brought_together(cli: Cli, home: Path) -> None:
    """B shows A from its tenth frame on, twice as large and at twice the rate."""
    from flowsynth.operators.size.upscale import Upscale
    from flowsynth.operators.timing.interpolate import Interpolate
    from flowsynth.operators.timing.trim import Trim

    graph = fs.Graph("two")
    clip = graph.add("clip", MovingClip())
    graph.add("a", EncodeVideo(codec="ffv1"), frames=clip)
    later = graph.add("later", Trim(start=10, stop=30), frames=clip)
    large = graph.add("large", Upscale(method="bicubic"), frames=later)
    quick = graph.add("quick", Interpolate(cut=0), frames=large)
    graph.add("b", EncodeVideo(codec="ffv1"), frames=quick)
    run = graph.run(outputs=["a", "b"], output_dir=home / "out")
    paths = [str(home / "out" / str(run.record.outputs[name])) for name in ("a", "b")]
    psnr = {}
    for start in ("0", "10f"):
        code, out, _ = cli("compare", *paths, "--start", start, "--json", "--no-video")
        assert code == 0
        figures = json.loads(out)
        assert figures["frames"] == 20
        psnr[start] = figures["b"]["psnr"]
    assert psnr["10f"] > psnr["0"] + 5


def test_the_two_are_named_in_the_video(cli: Cli, home: Path) -> None:
    from flowsynth.media.reader import VideoReader

    clip = str(write(home / "clip.mkv", pan(2, (160, 120))))
    code, out, _ = cli("compare", clip, clip, "-o", "both")
    assert code == 0
    frame = VideoReader(out.splitlines()[-1]).read(0, 1)[0].astype(int)
    apart = abs(frame[:, :160] - frame[:, 164:]).max(axis=2)
    assert (apart[:20, :20] > 100).sum() > 5  # the letters
    assert (apart[:, 24:] > 100).sum() == 0


@pytest.mark.parametrize("content", [b"no video", b""])
def test_a_file_that_is_no_video_is_one_message(
    cli: Cli, home: Path, videos: list[str], content: bytes
) -> None:
    (home / "text.mp4").write_bytes(content)
    for pair in ((videos[0], "text.mp4"), ("text.mp4", videos[0])):
        code, _, err = cli("compare", *pair)
        assert code == 2
        assert len(err.splitlines()) == 1
        assert "text.mp4: expected a video file" in err


@pytest.fixture
def pictures(home: Path) -> Path:
    """A run's folder with two pictures, and a picture beside it."""
    from PIL import Image

    graph = fs.Graph("shown")
    picture = graph.add("picture", "read_image", path="picture:astronaut", width=24, height=16, copies=2)
    graph.add("image", "save_images", frames=picture)
    graph.run(output_dir=home / "made", cache_dir=home / "c")
    with Image.open(home / "made" / "image" / "000000.png") as first:
        first.resize((48, 32)).save(home / "large.png")
    return home


@pytest.mark.parametrize(
    ("pair", "frames"),
    [
        (("made", "large.png"), 1),
        (("made/run.json", "made/image"), 2),
        (("made/image/000000.png", "made/image/000001.png"), 1),
        (("large.png", "made"), 1),
    ],
)
def test_pictures_and_runs_are_compared(cli: Cli, pictures: Path, pair: tuple[str, str], frames: int) -> None:
    from PIL import Image

    code, out, err = cli("compare", *pair, "--json", "-o", "both")
    assert (code, err) == (0, "")
    figures = json.loads(out)
    assert figures["frames"] == frames
    assert figures["b"]["ssim"] > 0.8
    made = sorted((pictures / "both" / "side_by_side").iterdir())
    assert [path.name for path in made] == [f"{k:06d}.png" for k in range(frames)]
    with Image.open(made[0]) as shown:
        assert shown.size == ((100, 32) if pair[0] == "large.png" else (52, 16))


def test_nothing_is_written_over(cli: Cli, pictures: Path) -> None:
    first, second = (
        cli("compare", "made", "large.png", "--cache-dir", "c")[1].splitlines()[-1] for _ in range(2)
    )
    assert first != second
    assert first.startswith("outputs/compare/")
    assert (pictures / first).is_file()
    assert cli("compare", "made", "large.png", "-o", "both")[0] == 0
    code, _, err = cli("compare", "large.png", "made", "-o", "both")
    assert code == 2
    assert "--out: both/side_by_side is there already; expected another folder" in err


def test_a_run_s_video_is_taken(cli: Cli, home: Path, videos: list[str]) -> None:
    folder = str(Path(videos[0]).parent)
    code, out, _ = cli("compare", folder, videos[0], "--json", "--no-video")
    assert code == 0
    assert json.loads(out)["b"]["psnr"] is None  # equal
    assert not (home / "outputs").exists()


def test_what_cannot_be_compared_is_one_message(cli: Cli, pictures: Path, videos: list[str]) -> None:
    (pictures / "empty").mkdir()
    (pictures / "broken").mkdir()
    (pictures / "broken" / "run.json").write_text("{}")
    for pair, words in (
        (("made", videos[0]), "expected two videos or two pictures; given pictures and a video"),
        (("empty", "made"), "empty: expected a video, a picture, a folder of pictures or of a run"),
        (("broken", "made"), "broken"),
        (("made", "made", "--start", "3"), "--start: only read with videos"),
        (("made", "nothing.png"), "nothing.png"),
    ):
        code, _, err = cli("compare", *pair)
        assert code == 2, pair
        assert words in err
        assert len(err.splitlines()) == 1
    assert not (pictures / "outputs").exists()

from fractions import Fraction
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageFont
from pydantic import ValidationError

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import InputError, RequestError
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.operators.picture._text import text_picture
from flowsynth.operators.picture.overlay import Overlay
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.streams import Counter, write_source

BADGE = torch.zeros(1, 4, 5, 7, dtype=torch.uint8)
BADGE[:, 0], BADGE[:, 3] = 255, 128


class Badge(fs.Operator):
    """A half transparent red picture."""

    op = "t_badge"
    version = 1

    def run(self, ctx: RunContext, /) -> Frames:
        return Frames(BADGE)


class Badges(fs.Operator):
    """A red picture that gets thicker from frame to frame."""

    op = "t_badges"
    version = 1
    positional = True
    length: int = 17

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return StreamInfo(self.length, Fraction(12))

    def run(self, ctx: RunContext, /) -> Frames:
        data = BADGE.repeat(self.length, 1, 1, 1)
        data[:, 3] = torch.arange(self.length).view(-1, 1, 1) * 10
        clip = Frames(data, fps=Fraction(12))
        return clip if ctx.span is None else clip.slice(ctx.span.start, ctx.span.stop)


def test_a_picture_lies_where_it_should() -> None:
    clip = moving_clip(2)
    out = Overlay(position="bottom_right", margin=2 / 23).run(
        RunContext(), frames=clip, picture=Frames(BADGE)
    )
    place = (..., slice(16, 21), slice(22, 29))
    assert (out.tensor[place][:, 0].int() - (clip.tensor[place][:, 0].int() + 255) / 2).abs().max() <= 1
    rest = out.tensor.clone()
    rest[place] = clip.tensor[place]
    assert torch.equal(rest, clip.tensor)
    moved = Overlay(position="bottom_right", margin=2 / 23, right=-22, down=-16)
    corner = moved.run(RunContext(), frames=clip, picture=Frames(BADGE))
    assert not torch.equal(corner.tensor[..., :5, :7], clip.tensor[..., :5, :7])
    assert torch.equal(corner.tensor[place], clip.tensor[place])


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_text_is_drawn_on_any_frames(channels: int, dtype: str) -> None:
    clip = moving_clip(1, height=67, width=121, channels=channels, dtype=dtype)
    out = Overlay(text="Gruesse", size=0.4, position="centre", outline=None).run(RunContext(), frames=clip)
    assert out.tensor.dtype == clip.tensor.dtype
    changed = (out.tensor != clip.tensor).any(1)[0]
    assert 0.02 < changed.float().mean() < 0.5
    assert not changed[:8].any()
    white = out.to_float()[:, :3].amin(1)
    assert white.max() == 1


def test_long_text_breaks_between_words() -> None:
    one = text_picture("a few words", 20, "white", None, 1000)
    three = text_picture("a few words", 20, "white", None, 60)
    assert three.shape[-1] <= 62 < one.shape[-1]
    assert three.shape[-2] > 1.5 * one.shape[-2]


@pytest.mark.parametrize("text", ["Moon", "two\nlines", "a\n\nb"])
def test_the_rim_lies_around_the_letters(text: str) -> None:
    shown = text_picture(text, 24, "#ff0000", "#0000ff", 500)
    plain = text_picture(text, 24, "#ff0000", None, 500)
    red, blue, alpha = shown[0, 0], shown[0, 2], shown[0, 3]
    assert torch.allclose((red + blue)[alpha > 0], torch.tensor(1.0))
    assert (red * alpha).sum() == pytest.approx(plain[0, 3].sum().item(), rel=0.02)
    assert alpha.sum() > 1.3 * plain[0, 3].sum()


def test_a_font_file_is_taken_and_enters_the_key_by_content(tmp_path: Path) -> None:
    built_in = ImageFont.load_default(10)
    assert isinstance(built_in, ImageFont.FreeTypeFont)
    (tmp_path / "a.ttf").write_bytes(built_in.font_bytes)
    clip, operator = moving_clip(1), Overlay(text="Moon", size=0.5, font=tmp_path / "a.ttf")
    out = operator.run(RunContext(), frames=clip)
    assert torch.equal(out.tensor, Overlay(text="Moon", size=0.5).run(RunContext(), frames=clip).tensor)
    assert "font" not in operator.key_params(operator.files(RunContext()))


def test_a_picture_file_keeps_its_alpha(tmp_path: Path) -> None:
    Image.fromarray(BADGE[0].permute(1, 2, 0).numpy()).save(tmp_path / "badge.png")
    clip, operator = moving_clip(2), Overlay(file=tmp_path / "badge.png", size=0.5)
    out = operator.run(RunContext(), frames=clip)
    expected = Overlay(size=0.5).run(RunContext(), frames=clip, picture=Frames(BADGE))
    assert torch.equal(out.tensor, expected.tensor)
    assert "file" not in operator.key_params(operator.files(RunContext()))
    (tmp_path / "no.png").write_text("no picture")
    with pytest.raises(InputError, match=r"no\.png: expected a picture; .* \(params\.file\)"):
        Overlay(file=tmp_path / "no.png").run(RunContext(), frames=clip)


def test_fonts_that_cannot_serve_are_named(tmp_path: Path) -> None:
    (tmp_path / "no.ttf").write_text("no font")
    with pytest.raises(InputError, match=r"no\.ttf: expected a TrueType or OpenType font"):
        Overlay(text="x", font=tmp_path / "no.ttf").run(RunContext(), frames=moving_clip(1))
    with pytest.raises(InputError, match=r"gone\.ttf: no such file \(params\.font\)"):
        Overlay(text="x", font=tmp_path / "gone.ttf").run(RunContext(), frames=moving_clip(1))
    with pytest.raises(RequestError, match="which has ASCII only, lacks 'üß'; params"):
        Overlay(text="Grüße").run(RunContext(), frames=moving_clip(1))


def test_text_by_chunks_equals_the_whole() -> None:
    operator, clip = Overlay(text="Moon", size=0.5, opacity=0.7), moving_clip(5)
    whole = operator.run(RunContext(), frames=clip)
    assert torch.equal(run_by_chunks(operator, clip, 2).tensor, whole.tensor)


@pytest.mark.parametrize("moving", [False, True])
def test_a_picture_is_held_and_a_clip_runs_along(tmp_path: Path, moving: bool) -> None:
    path = write_source(tmp_path / "s.txt", range(17))  # the last chunk has one frame
    picture = Badges() if moving else Badge()
    g = fs.Graph("badge")
    clip = g.add("clip", Counter(path=path))
    g.add("out", Overlay(margin=0, position="top_left"), frames=clip, picture=g.add("picture", picture))
    run = g.run(cache_dir=tmp_path / "cache")
    frames, shown = Counter(path=path).run(RunContext()), picture.run(RunContext())
    expected = Overlay(margin=0, position="top_left").run(RunContext(), frames=frames, picture=shown)
    assert torch.equal(run["out"].tensor, expected.tensor)
    assert run["out"].fps == 12


def test_mistakes_are_named(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="picture: expected 1 frame or as many as frames has, 3; given 2"):
        Overlay().run(RunContext(), frames=moving_clip(3), picture=moving_clip(2))
    with pytest.raises(RequestError, match="expected text, a file, or the input picture; given none"):
        Overlay().run(RunContext(), frames=moving_clip(1))
    (fault,) = Overlay().check({"frames": None})
    assert "expected text, a file, or the input picture; given none" in str(fault)
    (fault,) = Overlay(text="x").check({"frames": None, "picture": None})
    assert "given text 'x' and a picture" in str(fault)
    with pytest.raises(ValidationError, match="expected a colour"):
        Overlay(text="x", colour="whitish")
    path = write_source(tmp_path / "s.txt", range(20))
    g = fs.Graph("lengths")
    clip = g.add("clip", Counter(path=path))
    g.add("out", Overlay(), frames=clip, picture=g.add("picture", Badges()))
    (error,) = g.run(cache_dir=tmp_path / "cache", check=False).record.errors
    assert "overlay: picture: expected 1 frame or as many as frames has, 20; given 17" in error

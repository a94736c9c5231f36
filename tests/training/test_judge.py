"""The judge is right on drawings, clean or through the family's autoencoder, and notices what is wrong."""

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from flowsynth.training.judge import judge, overlap
from flowsynth.training.judge_clips import colour_drift, direction, frame_changes, judge_clip
from flowsynth.training.judge_lines import edge_f1
from flowsynth.training.shapes import COLOURS, SHAPES, SIDES, SIZES, Drawing, Shape, random_drawing

Picture = npt.NDArray[np.uint8]
POCKET = Path(str(files("flowsynth") / "assets" / "pocket"))
ATTRIBUTES = ("name", "colour", "size", "side")


def drawings(count: int, seed: int) -> tuple[list[Drawing], list[Picture]]:
    rng = np.random.default_rng(seed)
    made: list[Drawing] = []
    while len(made) < count:
        drawing = random_drawing(rng)
        if not drawing.shapes[0].moving:  # it has no side to read: clips are judged for that
            made.append(drawing)
    return made, [drawing.render(64, rng) for drawing in made]


def mistakes(
    drawn: Sequence[Drawing], pictures: Iterable[Picture]
) -> list[tuple[Drawing, str, set[tuple[str, ...]]]]:
    """What the judge says otherwise than the captions do."""
    wrong = []
    for drawing, picture in zip(drawn, pictures, strict=True):
        seen = judge(picture)
        said = {tuple(getattr(shape, name) for name in ATTRIBUTES) for shape in drawing.shapes}
        found = {tuple(getattr(shape, name) for name in ATTRIBUTES) for shape in seen.shapes}
        if (seen.background, found) != (drawing.background, said):
            wrong.append((drawing, seen.background, found))
    return wrong


def test_every_drawing_is_read_as_its_caption_says() -> None:
    drawn, pictures = drawings(250, 0)
    assert sum(len(drawing.shapes) == 2 for drawing in drawn) > 30
    assert mistakes(drawn, pictures) == []


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_is_known_in_every_size_and_place(name: str) -> None:
    rng = np.random.default_rng(1)
    every = [Drawing((Shape(name, "red", size, side),), "blue") for size in SIZES for side in SIDES]
    assert mistakes(every, [drawing.render(64, rng) for drawing in every]) == []


@pytest.mark.slow
def test_drawings_through_the_autoencoder_with_noise_are_still_read() -> None:
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(POCKET, subfolder="vae", local_files_only=True).float()
    drawn, pictures = drawings(60, 2)
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    noise = torch.Generator().manual_seed(0)
    with torch.no_grad():
        latents = vae.encode(pixels).latent_dist.mode()
        made = vae.decode(latents + 0.05 * torch.randn(latents.shape, generator=noise)).sample
    made += 0.04 * torch.randn(made.shape, generator=noise)  # five levels
    levels = ((made.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    wrong = [len(drawing.shapes) for drawing, _, _ in mistakes(drawn, levels)]
    pairs = sum(len(drawing.shapes) == 2 for drawing in drawn)
    assert wrong.count(1) <= 0.05 * (len(drawn) - pairs)
    assert wrong.count(2) <= 0.25 * pairs  # both are small: a star of 19 pixels is five latents wide


def test_a_plain_picture_shows_nothing() -> None:
    plain = np.full((64, 64, 3), COLOURS["cyan"], np.uint8)
    plain[30:33, 30:33] = 0  # a speck
    assert judge(plain).background == "cyan"
    assert judge(plain).shapes == ()
    assert judge(plain).first is None


def test_overlap_of_masks() -> None:
    one, other = np.zeros((4, 4), bool), np.zeros((4, 4), bool)
    assert overlap(one, other) == 1
    one[:2], other[1:3] = True, True
    assert overlap(one, other) == pytest.approx(1 / 3)


def moving(direction: str, jitter: int = 0) -> Picture:
    """A square that goes its way over a blue ground."""
    step = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1), "": (0, 0)}[direction]
    rng = np.random.default_rng(0)
    clip = np.empty((8, 64, 64, 3), np.uint8)
    clip[:] = COLOURS["blue"]
    for time, frame in enumerate(clip):
        share = time / (len(clip) - 1) - 0.5
        x, y = (round(64 * (0.5 + 0.4 * share * axis)) for axis in step)
        level = np.array(COLOURS["red"]) + rng.integers(-jitter, jitter + 1)
        frame[y - 10 : y + 10, x - 10 : x + 10] = level.clip(0, 255)
    return clip


@pytest.mark.parametrize("name", ["left", "right", "up", "down", ""])
def test_the_direction_of_a_clip_is_read(name: str) -> None:
    assert direction(judge_clip(moving(name))) == name
    assert direction(judge_clip(moving(name)[::-1])) == {
        "left": "right", "right": "left", "up": "down", "down": "up", "": ""
    }[name]  # fmt: skip


def test_a_clip_without_a_shape_has_no_direction() -> None:
    clip = moving("left")
    clip[:4] = COLOURS["blue"]
    assert direction(judge_clip(clip)) == "none"


def test_colour_drift_grows_with_the_change_of_colour() -> None:
    still, restless = (colour_drift(judge_clip(moving("right", jitter=j))) for j in (0, 20))
    assert still == 0
    assert 2 < restless < 20


def test_a_jump_shows_in_the_changes_between_frames() -> None:
    clip = moving("right")
    clip[4:] = np.roll(clip[4:], 16, axis=1)
    assert int(frame_changes(clip).argmax()) == 3


def test_edges_count_where_they_lie_near_each_other() -> None:
    edges = np.zeros((20, 20), bool)
    edges[:, 8] = True
    assert edge_f1(edges, edges) == 1
    assert edge_f1(np.roll(edges, 2, axis=1), edges) == 1
    assert edge_f1(np.roll(edges, 3, axis=1), edges) == 0
    half = edges.copy()
    half[10:] = False
    assert edge_f1(half, edges, reach=0) == pytest.approx(2 / 3)  # precision 1, recall 1/2
    assert edge_f1(np.zeros_like(edges), edges) == 0
    assert edge_f1(np.zeros_like(edges), np.zeros_like(edges)) == 1

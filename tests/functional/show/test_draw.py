import math

import pytest
import torch

from flowsynth.functional.landmarks.face_map import draw_face
from flowsynth.functional.landmarks.skeleton import JOINTS, body_joints, draw_skeleton
from flowsynth.functional.show.draw import draw_disc, draw_ellipse, draw_line

RED = (1.0, 0.0, 0.0)


def canvas() -> torch.Tensor:
    return torch.zeros(3, 40, 60)


def test_areas_are_those_of_the_shapes() -> None:
    line, disc, ellipse = canvas(), canvas(), canvas()
    draw_line(line, (10, 20), (50, 20), 4, RED)
    draw_disc(disc, (30, 20), 8, RED)
    draw_ellipse(ellipse, (10, 10), (50, 30), 8, RED)
    assert float(line[0].sum()) == pytest.approx(40 * 4 + math.pi * 4, rel=0.02)
    assert float(disc[0].sum()) == pytest.approx(math.pi * 64, rel=0.02)
    assert float(ellipse[0].sum()) == pytest.approx(math.pi * 4 * math.hypot(40, 20) / 2, rel=0.03)
    for made in (line, disc, ellipse):
        assert made[0].max() == 1
        assert made[1:].max() == 0


def test_a_line_lies_where_it_is_told() -> None:
    made = canvas()
    draw_line(made, (10.5, 5.5), (10.5, 30.5), 1, RED)
    assert torch.all(made[0, 6:30, 10] > 0.999)
    assert made[0, :, :9].sum() == made[0, :, 12:].sum() == 0


@pytest.mark.parametrize(
    "points", [((-90, -90), (-80, -80)), ((math.nan, 3), (4, 5)), ((math.inf, 3), (4, 5)), ((70, 5), (90, 5))]
)
def test_what_lies_outside_draws_nothing(points: tuple[tuple[float, float], tuple[float, float]]) -> None:
    made = canvas()
    draw_line(made, *points, 4, RED)
    draw_ellipse(made, *points, 4, RED)
    assert made.sum() == 0


def test_a_line_through_the_edge_is_cut() -> None:
    made = canvas()
    draw_line(made, (-1000, 20), (1000, 20), 2, RED)
    assert torch.all(made[0, 20] > 0.999)


def test_a_skeleton_has_openposes_colours() -> None:
    points = torch.rand(33, 2, generator=torch.Generator().manual_seed(2)) * 400 + 50
    joints, seen = body_joints(points, torch.ones(33))
    torch.testing.assert_close(joints[JOINTS.index("neck")], (points[11] + points[12]) / 2)
    torch.testing.assert_close(joints[JOINTS.index("left wrist")], points[15])
    made = torch.zeros(3, 500, 500)
    draw_skeleton(made, joints, seen > 0.5, 4)
    colours = {"nose": (255, 0, 0), "neck": (255, 85, 0), "right shoulder": (255, 170, 0)}
    colours |= {"left shoulder": (85, 255, 0), "left ankle": (85, 0, 255), "left ear": (255, 0, 85)}
    for name, colour in colours.items():
        x, y = joints[JOINTS.index(name)].int().tolist()
        assert made[:, y, x].mul(255).round().int().tolist() == list(colour)


def test_hidden_joints_and_their_limbs_are_left_out() -> None:
    sure = torch.zeros(33)
    sure[[12, 14]] = 1  # the right shoulder and elbow
    points = torch.full((33, 2), 250.0)
    points[12], points[14] = torch.tensor([100.0, 100]), torch.tensor([200.0, 100])
    made = torch.zeros(3, 300, 300)
    joints, seen = body_joints(points, sure)
    assert int((seen > 0.5).sum()) == 2
    draw_skeleton(made, joints, seen > 0.5, 4)
    assert made[:, 200:, 200:].sum() == 0
    limb = made[:, 100, 150].mul(255).round().int().tolist()
    assert limb == [153, 102, 0], "the third limb, dark orange"
    nothing = torch.zeros(3, 300, 300)
    draw_skeleton(nothing, joints, torch.zeros(18, dtype=torch.bool), 4)
    assert nothing.sum() == 0


def test_a_face_is_drawn_inside_of_its_points() -> None:
    angle = torch.linspace(0, 6.28, 468)
    points = torch.stack((100 + 40 * angle.cos(), 80 + 30 * angle.sin()), 1)
    made = torch.zeros(3, 160, 200)
    draw_face(made, points, 2)
    rows, columns = made.amax(0).nonzero().unbind(1)
    assert 48 <= rows.min() <= rows.max() <= 112
    assert 58 <= columns.min() <= columns.max() <= 142

import pytest
import torch

from flowsynth.functional.landmarks.detection import Detection, anchors, decode, merge, refine


def test_anchors_lie_in_the_middle_of_cells_row_by_row() -> None:
    centres = anchors([(2, 1), (1, 3)])
    expected = [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    assert centres.tolist() == expected


def test_decoding_keeps_the_sure_ones_the_surest_first() -> None:
    raw = torch.zeros(3, 6)
    raw[0] = torch.tensor([10.0, -20, 40, 20, 5, 50])
    found = decode(raw, torch.tensor([1.0, -3.0, 200.0]), anchors([(1, 3)]), side=100, least=0.5)
    assert [round(d.score, 3) for d in found] == [1.0, 0.731]
    torch.testing.assert_close(found[1].box, torch.tensor([0.4, 0.2, 0.8, 0.4]))
    torch.testing.assert_close(found[1].points, torch.tensor([[0.55, 1.0]]))
    assert decode(raw, torch.full((3,), -9.0), anchors([(1, 3)]), 100, 0.5) == []


def detection(score: float, left: float, side: float = 1.0) -> Detection:
    box = torch.tensor([left, 0.0, left + side, side])
    return Detection(score, box, torch.tensor([[left, 0.0]]))


def test_what_overlaps_is_one_thing_at_the_weighted_mean() -> None:
    found = [detection(0.9, 0.0), detection(0.8, 5.0), detection(0.3, 0.2), detection(0.2, 0.9)]
    first, second, third = merge(found, overlap=0.3, most=9)
    assert (first.score, second.score, third.score) == (0.9, 0.8, 0.2)
    assert float(first.box[0]) == pytest.approx(0.3 * 0.2 / 1.2)
    assert float(first.points[0, 0]) == pytest.approx(0.3 * 0.2 / 1.2)
    assert len(merge(found, 0.3, most=2)) == 2
    assert merge([], 0.3, 4) == []
    flat = detection(0.5, 0.0, side=0.0)
    assert len(merge([flat, flat], 0.3, 4)) == 2


def test_points_move_to_the_heat_near_them() -> None:
    heat = torch.zeros(3, 16, 16)
    heat[0, 8, 10] = heat[0, 8, 11] = 0.8
    heat[1, 2, 14] = 1.0
    heat[2, 8, 9] = 0.3
    points = torch.full((3, 2), 8.5 / 16)
    moved = refine(points, heat)
    torch.testing.assert_close(moved[0], torch.tensor([10.5 / 16, 0.5]))
    assert torch.equal(moved[1], points[1]), "too far"
    assert torch.equal(moved[2], points[2]), "too cold"
    outside = torch.tensor([[-3.0, 0.5]] * 3)
    assert torch.equal(refine(outside, heat), outside)

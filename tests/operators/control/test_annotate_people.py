"""Segmentation, faces and poses by the published models, on a photograph of one person, and on none."""

import pytest
import torch
from torch import Tensor

from flowsynth.core.context import RunContext
from flowsynth.models.networks import load_network
from flowsynth.nets.roles import PEOPLE
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.control.detectors.face import find_faces
from flowsynth.operators.control.detectors.pose import find_bodies
from flowsynth.values import Frames
from tests.published import published

pytestmark = pytest.mark.weights
DETECTORS = ("segmentation", "face", "pose")


@pytest.fixture(scope="module")
def ctx() -> RunContext:
    pytest.importorskip("ai_edge_litert", reason="NOT TESTED: pip install '.[litert]'")
    return RunContext(cache_dir=published("mediapipe-selfie", "mediapipe-face", "mediapipe-pose"))


@pytest.fixture(scope="module")
def person() -> Tensor:
    from skimage.data import astronaut

    return torch.from_numpy(astronaut()).permute(2, 0, 1)[None]


def annotate(ctx: RunContext, detector: str, picture: Tensor, **params: object) -> Tensor:
    operator = Annotate(detector=detector, **params)
    out = operator.run(ctx, frames=Frames(picture, fps=None))
    assert (out.kind, out.parts[0].dtype) == (detector, picture.dtype)
    return out.tensor


def test_the_mask_covers_the_person_and_not_the_flag_or_the_shuttle(ctx: RunContext, person: Tensor) -> None:
    mask = annotate(ctx, "segmentation", person).float() / 255
    assert torch.equal(mask[:, 0], mask[:, 2])
    mask = mask[0, 0]
    assert mask[40:170, 190:265].mean() > 0.98, "head"
    assert mask[300:420, 110:220].mean() > 0.98, "chest"
    assert mask[:180, :60].mean() < 0.02, "flag"
    assert mask[:250, 380:].mean() < 0.02, "shuttle"


def test_a_face_lies_in_the_face(ctx: RunContext, person: Tensor) -> None:
    (mesh,) = find_faces(load_network(ctx, PEOPLE, "mediapipe-face"), person.float() / 255, 0.5, 4)
    assert mesh.shape == (468, 2)
    assert mesh.amin(0)[0] > 165
    assert mesh.amin(0)[1] > 55
    assert mesh.amax(0)[0] < 285
    assert mesh.amax(0)[1] < 190
    for point, place in ((33, (189, 101)), (263, (260, 106)), (13, (224, 141)), (1, (223, 124))):
        torch.testing.assert_close(mesh[point], torch.tensor([float(p) for p in place]), atol=8, rtol=0)
    drawn = annotate(ctx, "face", person)[0].amax(0).nonzero()
    assert drawn.amin(0).tolist() >= [55, 165]
    assert len(drawn) > 500


def test_a_pose_has_shoulders_and_no_hidden_legs(ctx: RunContext, person: Tensor) -> None:
    ((points, sure),) = find_bodies(load_network(ctx, PEOPLE, "mediapipe-pose"), person.float() / 255, 0.5, 4)
    for point, place in ((0, (222, 127)), (11, (303, 250)), (12, (103, 242))):
        torch.testing.assert_close(points[point], torch.tensor([float(p) for p in place]), atol=25, rtol=0)
        assert sure[point] > 0.9
    assert sure[[25, 26, 27, 28]].max() < 0.5
    drawn = annotate(ctx, "pose", person)[0]
    assert drawn.amax(0)[230:260, 150:260].float().mean() > 20, "a bar from shoulder to shoulder"


@pytest.mark.parametrize("detector", DETECTORS)
def test_where_the_person_goes_the_map_goes(ctx: RunContext, person: Tensor, detector: str) -> None:
    moved = torch.nn.functional.pad(person, (200, 0, 60, 0), value=128)
    plain, other = annotate(ctx, detector, person), annotate(ctx, detector, moved)
    middles = [x.float().amax(1)[0].gt(100).nonzero().float().mean(0) for x in (plain, other)]
    torch.testing.assert_close(middles[1] - middles[0], torch.tensor([60.0, 200.0]), atol=35, rtol=0)


@pytest.mark.parametrize("detector", DETECTORS)
@pytest.mark.parametrize("size", [(1, 1), (37, 210), (240, 33)])
def test_a_frame_without_people_is_black(ctx: RunContext, detector: str, size: tuple[int, int]) -> None:
    ramp = torch.linspace(0.2, 0.7, size[1]).expand(1, 3, *size).contiguous()
    out = annotate(ctx, detector, ramp)
    assert out.shape == (1, 3, *size)
    assert out.max() == 0 if detector != "segmentation" else out.mean() < 0.2


@pytest.mark.parametrize("detector", ["face", "pose"])
def test_a_cup_of_coffee_has_no_face_and_no_limbs(ctx: RunContext, detector: str) -> None:
    from skimage.data import coffee

    cup = torch.from_numpy(coffee()).permute(2, 0, 1)[None].contiguous()
    assert annotate(ctx, detector, cup).max() == 0


def test_several_faces_and_the_most_that_count(ctx: RunContext, person: Tensor) -> None:
    two = torch.cat((person, person.flip(-1)), -1)[..., :260, :]
    both = annotate(ctx, "face", two).amax((0, 1))
    assert both[:, :512].max() > 0
    assert both[:, 512:].max() > 0
    one = annotate(ctx, "face", two, most=1).amax((0, 1))
    assert (one[:, :512].max() > 0) != (one[:, 512:].max() > 0)
    assert annotate(ctx, "face", two, score=1.0).max() == 0


@pytest.mark.parametrize("detector", DETECTORS)
def test_the_same_bytes_again_and_for_every_dtype(ctx: RunContext, person: Tensor, detector: str) -> None:
    first = annotate(ctx, detector, person)
    assert torch.equal(annotate(ctx, detector, person), first)
    exact = annotate(ctx, detector, person.float() / 255)
    assert (exact.mul(255).round() - first.float()).abs().max() <= 1

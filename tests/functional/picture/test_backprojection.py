import torch

from flowsynth.functional.picture.backprojection import back_project
from flowsynth.functional.picture.resize import bicubic


def test_a_tinted_and_blurred_picture_comes_back() -> None:
    truth = torch.nn.functional.interpolate(
        torch.rand(1, 3, 10, 12, generator=torch.Generator().manual_seed(1)), size=(40, 48), mode="bicubic"
    ).clamp(0.1, 0.9)
    small = bicubic(truth, (20, 24))
    large = bicubic(bicubic(truth, (10, 12)), (40, 48)) * 0.9 + 0.05
    errors = [float((back_project(large, small, steps) - truth).abs().mean()) for steps in (0, 1, 3)]
    assert errors[2] < errors[1] < 0.3 * errors[0]
    again = bicubic(back_project(large, small, 8), (20, 24))
    assert (again - small).abs().max() < 0.01


def test_no_steps_change_nothing() -> None:
    large = torch.rand(1, 1, 8, 8)
    assert back_project(large, torch.rand(1, 1, 4, 4), 0) is large

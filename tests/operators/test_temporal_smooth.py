import pytest
import torch
from pydantic import ValidationError

from flowsynth.core.context import RunContext
from flowsynth.core.streams import Scan, Window
from flowsynth.functional.smooth import gaussian
from flowsynth.operators.temporal_smooth import TemporalSmooth
from flowsynth.values import Tensors
from tests.operators.conftest import moving_clip


def test_the_kind_follows_the_method() -> None:
    assert TemporalSmooth(radius=3).stream() == Window(3, 3)
    assert TemporalSmooth(method="exponential").stream() == Scan()


def test_sigma_defaults_to_half_the_radius() -> None:
    clip = moving_clip(6, dtype="float32")
    out = TemporalSmooth(radius=4).run(RunContext(), frames=clip)
    torch.testing.assert_close(out.tensor, gaussian(clip.tensor, 0, 6, radius=4, sigma=2.0))


def test_radius_zero_changes_nothing() -> None:
    clip = moving_clip(3)
    for method in ("gaussian", "median", "histogram"):
        out = TemporalSmooth(method=method, radius=0).run(RunContext(), frames=clip)
        assert torch.equal(out.tensor, clip.tensor)


def test_the_state_is_kept_unrounded() -> None:
    ctx = RunContext()
    TemporalSmooth(method="exponential", alpha=0.3).run(ctx, frames=moving_clip(3))
    assert isinstance(ctx.state, Tensors)
    assert ctx.state.tensors["previous"].dtype == torch.float32


def test_smoothing_steadies_a_noisy_still() -> None:
    still = moving_clip(1, dtype="float32")
    noise = 0.05 * torch.randn(8, *still.frame_shape, generator=torch.Generator().manual_seed(0))
    clip = still.with_data((still.tensor + noise).clamp(0, 1))
    for method in ("gaussian", "median", "exponential"):
        out = TemporalSmooth(method=method, alpha=0.4).run(RunContext(), frames=clip)
        assert out.tensor.diff(dim=0).abs().mean() < 0.6 * clip.tensor.diff(dim=0).abs().mean()


@pytest.mark.parametrize(
    "params", [{"radius": -1}, {"sigma": 0}, {"alpha": 0}, {"alpha": 1.5}, {"radius": 2.5}]
)
def test_values_out_of_range_are_refused(params: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="1 validation error"):
        TemporalSmooth(**params)  # type: ignore[arg-type]

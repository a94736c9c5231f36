import numpy as np
import pytest
import torch
from PIL import Image

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.errors import GraphError
from flowsynth.core.shipped import asset_folder
from flowsynth.operators.picture.dream import Dream
from flowsynth.values import Frames
from tests.operators.chunked import run_by_chunks
from tests.operators.conftest import moving_clip
from tests.published import published

SHORT = Dream(octaves=2, num_steps=2)


def panned() -> Frames:
    """The astronaut, with a camera that goes 2 pixels a frame to the right."""
    image = Image.open(asset_folder("pictures") / "astronaut.jpg").convert("RGB").resize((128, 128))
    data = torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 255
    return Frames(torch.stack([data[:, 20:100, 2 * i : 2 * i + 96] for i in range(4)]), fps=12)


def test_its_weights_are_in_the_key_and_a_wrong_layer_is_named() -> None:
    assert "weights" in Dream().key_params(())
    with pytest.raises(GraphError, match=r"a.params.layers.0: .*conv5.*given 'conv9'"):
        fs.Graph.from_dict({"nodes": {"a": {"op": "dream", "params": {"layers": ["conv9"]}}}})


@pytest.mark.weights
@pytest.mark.parametrize("chunk", [1, 2])
def test_the_length_of_chunks_does_not_matter(chunk: int) -> None:
    ctx = RunContext(cache_dir=published("lpips-alex"))
    clip = moving_clip(3, 40, 48)
    whole = SHORT.run(ctx, frames=clip)
    assert torch.equal(run_by_chunks(SHORT, clip, chunk, cache=ctx.cache_dir).tensor, whole.tensor)
    assert whole.tensor.dtype == torch.uint8
    assert whole.tensor.shape == clip.tensor.shape


@pytest.mark.weights
def test_a_carried_dream_is_steadier_than_one_begun_anew() -> None:
    cache = published("lpips-alex")
    clip = panned()
    jumps = []
    for carry in (0.0, 0.7):
        ctx = RunContext(cache_dir=cache)
        dreamt = Dream(octaves=2, num_steps=4, carry=carry).run(ctx, frames=clip).tensor - clip.tensor
        jump = dreamt[1:, ..., :-2] - dreamt[:-1, ..., 2:]  # where the camera went
        jumps.append(float(jump.abs().mean() / dreamt.abs().mean()))
    assert jumps[1] < 0.7 * jumps[0]


@pytest.mark.weights
def test_grey_and_transparent_frames_become_pictures_in_colour() -> None:
    ctx = RunContext(cache_dir=published("lpips-alex"))
    color = moving_clip(1, 40, 48, dtype="float32")
    clear = color.with_data(torch.cat((color.tensor, torch.ones_like(color.tensor[:, :1])), dim=1))
    assert torch.equal(
        SHORT.run(ctx, frames=clear).tensor,
        SHORT.run(RunContext(cache_dir=ctx.cache_dir), frames=color).tensor,
    )
    grey = color.with_data(color.tensor[:, :1])
    assert SHORT.run(RunContext(cache_dir=ctx.cache_dir), frames=grey).tensor.shape[1] == 3

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from flowsynth.core.codec import Encoded
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.core.streams import Fold, chunk_spans
from flowsynth.operators.picture.contact_sheet import ContactSheet
from flowsynth.values import FileSet, Tensors
from tests.operators.chunked import make_span
from tests.operators.conftest import moving_clip


def picture(files: FileSet) -> Tensor:
    image = Image.open(io.BytesIO(files.files["contact_sheet.png"]))
    assert image.mode == "RGB"
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_one_clip_fills_a_grid() -> None:
    clip = moving_clip(9)
    out = picture(ContactSheet(count=5, columns=3, margin=2).run(RunContext(), frames=[clip]))
    assert out.shape == (3, 2 + 2 * 25, 2 + 3 * 33)
    assert torch.equal(out[:, 2:25, 2:33], clip.frame(0))
    assert torch.equal(out[:, 2:25, 35:66], clip.frame(2))
    assert torch.equal(out[:, 27:50, 35:66], clip.frame(8))
    assert (out[:, 27:, 68:] == 255).all()


def test_several_clips_lie_side_by_side() -> None:
    clip = moving_clip(4)
    twin = clip.with_data(255 - clip.tensor)
    out = picture(ContactSheet(count=2, margin=0).run(RunContext(), frames=[clip, twin]))
    assert out.shape == (3, 46, 62)
    assert torch.equal(out[:, :23, 31:], 255 - clip.frame(0))
    assert torch.equal(out[:, 23:, :31], clip.frame(3))


@pytest.mark.parametrize(("length", "segment"), [(1, 4), (7, 2), (12, 5)])
@pytest.mark.parametrize("count", [1, 4, 50])
def test_segments_give_the_bytes_of_the_whole(length: int, segment: int, count: int) -> None:
    clip, operator = moving_clip(length), ContactSheet(count=count, height=9)
    parts = []
    for start, stop in chunk_spans(length, segment):
        ctx = RunContext(span=make_span(operator, start, stop, length, {}))
        part = operator.segment(ctx, frames=[clip.slice(start, stop)])
        encoded: Encoded = part.encode()
        parts.append(Tensors.decode(encoded))  # as it comes back from the cache
    whole = operator.run(RunContext(), frames=[clip])
    assert operator.combine(RunContext(), parts).files == whole.files


def test_frames_are_reduced_to_the_height_never_enlarged() -> None:
    clip = moving_clip(1, 40, 80, dtype="float32", channels=1)
    assert picture(ContactSheet(height=20, margin=0).run(RunContext(), frames=[clip])).shape == (3, 20, 40)
    assert picture(ContactSheet(height=200, margin=0).run(RunContext(), frames=[clip])).shape == (3, 40, 80)


def test_it_is_a_fold() -> None:
    assert isinstance(ContactSheet().stream(), Fold)


def test_mistakes_are_named() -> None:
    with pytest.raises(RunError, match=r"expected clips of one length, given \[2, 3\] frames"):
        ContactSheet().run(RunContext(), frames=[moving_clip(2), moving_clip(3)])
    with pytest.raises(RunError, match="expected at least one frame, given none"):
        ContactSheet().run(RunContext(), frames=[moving_clip(1).slice(0, 0)])

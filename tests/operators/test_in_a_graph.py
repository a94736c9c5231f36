"""The operators on frames under the engine: a streamed graph gives the bits of plain calls."""

from fractions import Fraction
from pathlib import Path

import pytest
import torch

import flowsynth as fs
from flowsynth.core.context import RunContext
from flowsynth.core.streams import Source, StreamInfo, StreamKind
from flowsynth.operators.control.annotate import Annotate
from flowsynth.operators.motion.temporal_smooth import TemporalSmooth
from flowsynth.operators.picture.contact_sheet import ContactSheet
from flowsynth.operators.picture.stylize import Stylize
from flowsynth.operators.size.upscale import Upscale
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames
from tests.operators.conftest import moving_clip

LENGTH = 37


class MovingClip(fs.Operator):
    """A clip that is made rather than read."""

    op = "moving_clip"
    version = 1
    positional = True

    def stream(self) -> StreamKind:
        return Source()

    def probe(self, ctx: RunContext) -> StreamInfo:
        return StreamInfo(LENGTH, Fraction(24))

    def run(self, ctx: RunContext, /) -> Frames:
        clip = moving_clip(LENGTH)
        return clip if ctx.span is None else clip.slice(ctx.span.start, ctx.span.stop)


def chain() -> list[tuple[str, fs.Operator]]:
    return [
        ("toon", Stylize()),
        ("lag", TemporalSmooth(method="exponential")),
        ("calm", TemporalSmooth(radius=3)),
        ("large", Upscale(factor=1.5)),
        ("smooth", Interpolate(fps=40)),
    ]


@pytest.mark.sample(1)
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_a_streamed_graph_gives_the_bits_of_plain_calls(tmp_path: Path, executor: str) -> None:
    graph = fs.Graph("frames")
    last = clip = graph.add("clip", MovingClip())
    expected = moving_clip(LENGTH)
    for name, operator in chain():
        last = graph.add(name, operator, frames=last)
        expected = operator.run(RunContext(), frames=expected)
    lines = graph.add("lines", Annotate(), frames=clip)
    graph.add("sheet", ContactSheet(count=3), frames=[clip, lines])
    outputs = ["smooth", "sheet"]
    run = graph.run(cache_dir=tmp_path / "cache", executor=executor, outputs=outputs)
    assert torch.equal(run["smooth"].tensor, expected.tensor)
    assert run["smooth"].fps == 40
    drawn = Annotate().run(RunContext(), frames=moving_clip(LENGTH))
    sheet = ContactSheet(count=3).run(RunContext(), frames=[moving_clip(LENGTH), drawn])
    assert bytes(run["sheet"].files["contact_sheet.png"]) == sheet.files["contact_sheet.png"]
    again = graph.run(cache_dir=tmp_path / "cache", executor=executor, outputs=outputs)
    assert {node.status for node in again.record.nodes.values()} == {"hit"}

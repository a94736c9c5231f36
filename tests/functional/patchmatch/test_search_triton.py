"""The Triton kernels of patch match: interpreted beside torch, compiled for cards, run where there is one.

On whole numbers float32 adds up exactly whatever the order, so the kernels must give torch's field to the
bit, ties included. On pictures the two may part where two guesses tie but for rounding.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="triton is not installed: the kernels of patch match go untested")

from flowsynth.functional.patchmatch import search as patchmatch
from flowsynth.functional.patchmatch import search_torch
from flowsynth.functional.patchmatch.field import Field, identity
from flowsynth.functional.patchmatch.search import MatchSettings, match
from tests import processes
from tests.functional.patchmatch.interpreted import Interpreter, interpreter

Example = tuple[Tensor, Tensor, Field, Tensor]


@pytest.fixture(scope="module")
def kernels() -> Iterator[Interpreter]:
    with interpreter() as running:
        yield running


def whole_numbers(pairs: int, channels: int, height: int, width: int, draws: int = 2) -> Example:
    """Features with many ties, a random field, and guesses that leave the picture."""
    draw = torch.Generator().manual_seed(height * width)
    source, target = (torch.randint(0, 3, (pairs, channels, height, width), generator=draw) for _ in "st")
    guesses = torch.randint(-4, 5, (draws, 2, height, width), generator=draw)
    return source.float(), target.float(), random_field(pairs, height, width), guesses


def random_field(pairs: int, height: int, width: int, seed: int = 0) -> Field:
    draw = torch.Generator().manual_seed(seed)
    shape = (pairs, height, width)
    return Field(*(torch.randint(0, side, shape, generator=draw) for side in (height, width)))


def assert_equal(ours: Field, theirs: Field) -> None:
    assert torch.equal(ours.rows, theirs.rows)
    assert torch.equal(ours.columns, theirs.columns)


def true_errors(source: Tensor, target: Tensor, field: Field, patch: int) -> Tensor:
    """SSD of the patches at each match, `(B, H, W)`, in float64."""
    border = (patch // 2,) * 4
    height, width = source.shape[-2:]
    s, t = (torch.nn.functional.pad(x, border, mode="replicate").double() for x in (source, target))
    pair = torch.arange(len(source))[:, None, None]
    total = torch.zeros(field.rows.shape, dtype=torch.float64)
    for dy in range(patch):
        for dx in range(patch):
            there = t[:, :, dy : dy + height, dx : dx + width].movedim(1, -1)
            total += (s[pair, :, field.rows + dy, field.columns + dx] - there).square().sum(-1)
    return total


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("pairs", "channels", "size", "patch"),
    [
        (1, 1, (1, 1), 5),
        (1, 2, (1, 40), 3),
        (2, 1, (3, 2), 7),
        (3, 6, (13, 37), 3),
        (2, 1, (34, 35), 5),
        (1, 4, (9, 11), 1),
        (1, 1, (24, 21), 21),
    ],
)
def test_a_pass_gives_torchs_field_to_the_bit(
    kernels: Interpreter, pairs: int, channels: int, size: tuple[int, int], patch: int
) -> None:
    source, target, start, draws = whole_numbers(pairs, channels, *size)
    args = source, target, start, patch, (), draws
    ours = kernels.improve(*args)
    assert_equal(ours, search_torch.improve(*args))
    moved = (ours.columns != start.columns).float().mean()
    assert size == (1, 1) or moved > 0.3


@pytest.mark.parametrize("draws", [0, 3])
def test_hints_are_tried_first(kernels: Interpreter, draws: int) -> None:
    source, target, start, guesses = whole_numbers(2, 2, 15, 18, draws)
    hints = (random_field(2, 15, 18, seed=3), identity(source))
    args = source, target, start, 3, hints, guesses
    assert_equal(kernels.improve(*args), search_torch.improve(*args))


def test_a_pass_on_pictures_differs_in_ties_alone(kernels: Interpreter, pictures: dict[str, Tensor]) -> None:
    scene = pictures["chelsea"]
    source = torch.cat((scene[:, :, 10:40, 20:52], scene[:, :, 50:80, 100:132]))
    target = torch.cat((scene[:, :, 12:42, 23:55], scene[:, :, 51:81, 98:130]))
    draws = torch.randint(-4, 5, (2, 2, 30, 32), generator=torch.Generator().manual_seed(4))
    args = source, target, identity(source), 5, (), draws
    ours, theirs = kernels.improve(*args), search_torch.improve(*args)
    differ = (ours.rows != theirs.rows) | (ours.columns != theirs.columns)
    assert differ.float().mean() < 1e-3
    mine, other = (true_errors(source, target, field, 5) for field in (ours, theirs))
    torch.testing.assert_close(mine, other, rtol=1e-5, atol=1e-7)
    assert other.mean() < 0.7 * true_errors(source, target, identity(source), 5).mean()


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("guided", "tracked"), [(True, False), (False, False), (True, True)], ids=["guided", "unguided", "hinted"]
)
def test_a_match_is_torchs(
    kernels: Interpreter, pictures: dict[str, Tensor], guided: bool, tracked: bool
) -> None:
    grey = pictures["coffee"].mean(1, keepdim=True)
    source, target, style = grey[:, :, 40:65, 40:72], grey[:, :, 42:67, 44:76], 1 - grey[:, :, 40:65, 40:72]
    settings = MatchSettings(patch=3, iterations=2, guide_weight=10.0 if guided else 0.0)
    shifted = Field(*(x.clamp(0, side) for x, side in zip(_shifted(source), (24, 31), strict=True)))
    hints = [shifted] if tracked else []
    ours, carried = kernels.match(source, target, style, settings, hints)
    theirs, expected = match(source, target, style, settings, hints)
    equal = (ours.rows == theirs.rows) & (ours.columns == theirs.columns)
    assert equal.float().mean() > 0.995
    assert (carried - expected).abs().mean() < 1e-4


def _shifted(picture: Tensor) -> tuple[Tensor, Tensor]:
    here = identity(picture)
    return here.rows + 2, here.columns + 4


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    ("channels", "patch", "size"), [(3, 5, (17, 21)), (1, 3, (1, 9)), (4, 3, (20, 33)), (6, 1, (5, 4))]
)
def test_remap_gives_torchs_bits(
    kernels: Interpreter, channels: int, patch: int, size: tuple[int, int]
) -> None:
    picture = torch.rand(2, channels, *size, generator=torch.Generator().manual_seed(5))
    field = random_field(2, *size)
    assert torch.equal(kernels.remap(picture, field, patch), search_torch.remap(picture, field, patch))


def test_neither_batch_nor_tile_nor_repetition_changes_a_bit(kernels: Interpreter) -> None:
    draw = torch.Generator().manual_seed(6)
    source, target = (torch.rand(2, 2, 6, 33, generator=draw) for _ in "st")
    draws = torch.randint(-4, 5, (1, 2, 6, 33), generator=draw)
    start = random_field(2, 6, 33)
    together = kernels.improve(source, target, start, 3, (), draws)
    assert_equal(kernels.improve(source, target, start, 3, (), draws, tile=(4, 32)), together)
    one = Field(start.rows[1:], start.columns[1:])
    alone = kernels.improve(source[1:], target[1:], one, 3, (), draws)
    assert torch.equal(alone.rows[0], together.rows[1])
    assert torch.equal(alone.columns[0], together.columns[1])


def test_nothing_comes_from_numbers_that_are_not(kernels: Interpreter) -> None:
    source, target, start, draws = whole_numbers(1, 1, 9, 9)
    source[0, 0, 4, 4] = float("nan")
    args = source, target, start, 3, (), draws
    assert_equal(kernels.improve(*args), search_torch.improve(*args))


def test_the_proof_on_first_use_passes(kernels: Interpreter) -> None:
    kernels.prove()


def test_the_proof_on_first_use_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    from flowsynth.functional.patchmatch import search_triton

    monkeypatch.setattr(search_triton, "improve", lambda source, *rest: identity(source))
    with pytest.raises(RuntimeError, match="field is not torch's"):
        search_triton.prove(torch.device("cpu"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_without_a_working_device_torch_does_the_work_and_says_so() -> None:
    with pytest.warns(UserWarning, match="torch instead of Triton kernels: ."):
        steps = patchmatch._steps.__wrapped__(torch.device("cuda"))
    assert steps.improve is search_torch.improve


def test_a_cpu_takes_torch_and_never_imports_triton() -> None:
    code = (
        "import sys, torch; from flowsynth.functional.patchmatch.search import MatchSettings, match; "
        "x = torch.rand(1, 3, 9, 9); match(x, x, x, MatchSettings(iterations=1)); "
        "assert 'triton' not in sys.modules"
    )
    processes.python(code)


class _Card:
    """What Triton asks of a driver before it launches: here a card that is compiled for and not there."""

    def __init__(self, capability: int) -> None:
        self.capability = capability

    def get_current_device(self) -> int:
        return self.capability

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_current_target(self) -> object:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", self.capability, 32)


@pytest.mark.sample(1)
@pytest.mark.parametrize("capability", [80, 90])
def test_the_launches_compile_for_cards(
    capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that a match launches, to machine code by ptxas; sizes and patches share the binaries."""
    from triton import knobs
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    from flowsynth.functional.patchmatch import search_triton

    made: dict[int, object] = {}
    launch = JITFunction.run

    def compile_only(self, *args, grid, warmup, **options) -> None:  # type: ignore[no-untyped-def]
        kernel = launch(self, *args, grid=grid, warmup=True, **options)
        made[id(kernel)] = kernel

    monkeypatch.setattr(JITFunction, "run", compile_only)
    monkeypatch.setattr(driver, "_active", _Card(capability))
    with knobs.cache.scope():
        knobs.cache.dir = str(tmp_path)
        for patch in range(1, 22, 2):
            for height, width in ((1, 1), (16, 32), (17, 33)):
                source, target, start, draws = whole_numbers(2, 6, height, width)
                search_triton.improve(source, target, start, patch, (start,), draws)
                search_triton.improve(source, target, start, patch, (), draws)
                search_triton.remap(source[:, :3], start, patch)
    code = [kernel.asm for kernel in made.values()]  # type: ignore[attr-defined]
    assert len(code) == 3  # the first launch of a pass, the others, and remap
    assert all(asm["cubin"] for asm in code)
    assert all(f".target sm_{capability}" in asm["ptx"] for asm in code)
    assert not any(contracted in asm["ptx"] for asm in code for contracted in ("fma.rn.f32", ".ftz"))


@pytest.mark.gpu
def test_a_card_gives_the_interpreters_bits(kernels: Interpreter) -> None:
    draw = torch.Generator().manual_seed(7)
    source, target = (torch.rand(2, 2, 14, 37, generator=draw) for _ in "st")
    draws = torch.randint(-4, 5, (2, 2, 14, 37), generator=draw)
    expected = kernels.improve(source, target, random_field(2, 14, 37), 5, (), draws)
    card = torch.device("cuda", 0)
    start = random_field(2, 14, 37)
    start = Field(start.rows.to(card), start.columns.to(card))
    steps = patchmatch._steps(card)
    assert steps.improve is not search_torch.improve
    found = steps.improve(source.to(card), target.to(card), start, 5, (), draws.to(card))
    assert_equal(Field(found.rows.cpu(), found.columns.cpu()), expected)


@pytest.mark.gpu
def test_a_match_on_a_card_is_that_of_the_cpu(pictures: dict[str, Tensor]) -> None:
    scene = pictures["chelsea"]
    source, target = scene[:, :, 10:130, 20:180], scene[:, :, 13:133, 27:187]
    theirs, expected = match(source, target, source, MatchSettings())
    here, there = source.cuda(), target.cuda()
    made = [match(here, there, here, MatchSettings()) for _ in range(2)]
    (field, carried), (again, twice) = made
    assert_equal(field, again)
    assert torch.equal(carried, twice)
    equal = (field.rows.cpu() == theirs.rows) & (field.columns.cpu() == theirs.columns)
    assert equal.float().mean() > 0.99
    assert (carried.cpu() - expected).abs().mean() < 1e-3

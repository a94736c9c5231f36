"""CPU seconds of a nearest-neighbour field: flowsynth's patch match beside a straightforward one in numpy.

The numpy version does what the method says, patch by patch and guess by guess, with whole-array indexing: for
each offset within the patch it gathers the source pixels of all matches. It is given the same random guesses,
so the two should agree. Writes results/patch_match.md.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

from flowsynth.core.context import RunContext
from flowsynth.functional.patchmatch.search import MatchSettings, match, patch_sizes, pyramid_sizes
from flowsynth.operators.files.read_video import ReadVideo

RESULTS = Path(__file__).parent / "results" / "patch_match.md"
Array = npt.NDArray[Any]


def naive_match(
    source_guide: Array, target_guide: Array, style: Array, settings: MatchSettings
) -> tuple[Array, Array, Array]:
    """Rows, columns and the remapped picture of one pair of `(H, W, C)` float32 pictures."""
    rows = columns = remapped = style
    before: tuple[int, int] | None = None
    for size in pyramid_sizes(source_guide.shape[0], source_guide.shape[1], settings.patch):
        sg, tg, st = (reduce(x, size) for x in (source_guide, target_guide, style))
        own_rows, own_columns = np.mgrid[: size[0], : size[1]]
        if before is None:
            rows, columns = own_rows, own_columns
        else:
            coarse = own_rows * before[0] // size[0], own_columns * before[1] // size[1]
            down = np.round((rows[coarse] - coarse[0]) * (size[0] / before[0])).astype(int)
            right = np.round((columns[coarse] - coarse[1]) * (size[1] / before[1])).astype(int)
            rows = np.clip(own_rows + down, 0, size[0] - 1)
            columns = np.clip(own_columns + right, 0, size[1] - 1)
        rows, columns, remapped = naive_level(sg, tg, st, rows, columns, settings)
        before = size
    return rows, columns, remapped


def naive_level(
    source_guide: Array,
    target_guide: Array,
    style: Array,
    rows: Array,
    columns: Array,
    settings: MatchSettings,
) -> tuple[Array, Array, Array]:
    """All passes at one size."""
    height, width = rows.shape
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + height * 4099 + width)
    weight = np.float32(settings.guide_weight)
    remapped = naive_remap(style, rows, columns, patch_sizes(settings)[0])
    for patch in patch_sizes(settings):

        def error(r: Array, c: Array, patch: int = patch, remapped: Array = remapped) -> Array:
            guide = naive_error(source_guide, target_guide, r, c, patch)
            both: Array = weight * guide + naive_error(style, remapped, r, c, patch)
            return both

        best = error(rows, columns)
        for step in range(4 + settings.searches):
            if step < 4:
                dy, dx = ((0, -1), (0, 1), (-1, 0), (1, 0))[step]
                r, c = (np.roll(x, (-dy, -dx), (0, 1)) for x in (rows, columns))
                r, c = r - dy, c - dx
            else:
                span = settings.reach
                draws = torch.randint(-span, span + 1, (2, 1, height, width), generator=generator).numpy()
                r, c = rows + draws[0, 0], columns + draws[1, 0]
            r, c = np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)
            found = error(r, c)
            better = found < best
            rows, columns = np.where(better, r, rows), np.where(better, c, columns)
            best = np.where(better, found, best)
        remapped = naive_remap(style, rows, columns, patch)
    return rows, columns, remapped


def naive_error(source: Array, target: Array, rows: Array, columns: Array, patch: int) -> Array:
    """Sum of squared differences of the patches, borders repeated."""
    radius, (height, width) = patch // 2, rows.shape
    pads = ((radius, radius), (radius, radius), (0, 0))
    s, t = np.pad(source, pads, mode="edge"), np.pad(target, pads, mode="edge")
    total = np.zeros(rows.shape, np.float32)
    for dy in range(patch):
        for dx in range(patch):
            gap = s[rows + dy, columns + dx] - t[dy : dy + height, dx : dx + width]
            total += (gap * gap).sum(axis=-1)
    return total


def naive_remap(style: Array, rows: Array, columns: Array, patch: int) -> Array:
    """Mean of what the covering patches propose."""
    radius, (height, width) = patch // 2, rows.shape
    own_rows, own_columns = np.mgrid[:height, :width]
    total, count = np.zeros_like(style), np.zeros((height, width, 1), np.float32)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            r, c = own_rows - dy, own_columns - dx
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            r, c = np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)
            r, c = rows[r, c] + dy, columns[r, c] + dx
            inside &= (r >= 0) & (r < height) & (c >= 0) & (c < width)
            proposal = style[np.clip(r, 0, height - 1), np.clip(c, 0, width - 1)]
            total += proposal * inside[..., None]
            count += inside[..., None]
    return total / count


def reduce(picture: Array, size: tuple[int, int]) -> Array:
    """Reduce by averaging areas."""
    tensor = torch.from_numpy(picture).permute(2, 0, 1)[None]
    small = tensor if tensor.shape[-2:] == size else F.interpolate(tensor, size=size, mode="area")
    return small[0].permute(1, 2, 0).contiguous().numpy()


def seconds(call: Callable[[], object], repetitions: int) -> float:
    """Median CPU seconds."""
    times = []
    for _ in range(repetitions):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--widths", type=int, nargs="+", default=[160, 320])
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings, lines = MatchSettings(), []
    for width in args.widths:
        clip = ReadVideo(path="clip:bikes", start="86f", max_frames=3, width=width).run(RunContext())
        source, target = clip.to_float()[:1], clip.to_float()[2:3]
        a, b = (x[0].permute(1, 2, 0).contiguous().numpy() for x in (source, target))
        ours = seconds(partial(match, source, target, source, settings), args.repetitions)
        naive = seconds(partial(naive_match, a, b, a, settings), 1)
        field, carried = match(source, target, source, settings)
        rows, columns, remapped = naive_match(a, b, a, settings)
        same = np.mean((field.rows[0].numpy() == rows) & (field.columns[0].numpy() == columns))
        gap = np.abs(carried[0].permute(1, 2, 0).numpy() - remapped).mean()
        lines.append(
            f"| {width}x{clip.height} | {naive:.2f} | {ours:.2f} | {naive / ours:.1f} "
            f"| {same:.2%} | {gap:.1e} |"
        )
        print(lines[-1], flush=True)
    table = [
        "# Patch match: CPU seconds a field, one thread",
        "",
        "Two frames apart in `bikes`, patches 13 to 5, five passes a level, guide and style.",
        "",
        "| size | numpy, straightforward | flowsynth | times faster | equal matches | mean difference |",
        "|---|---|---|---|---|---|",
        *lines,
        "",
        "On CUDA Triton kernels do the same: [what is proven of them](patch_match_kernels.md).",
        "",
        f"torch {torch.__version__}, numpy {np.__version__}, {platform.machine()}",
        "",
    ]
    RESULTS.write_text("\n".join(table))


if __name__ == "__main__":
    main()

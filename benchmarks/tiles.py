"""Memory and CPU time of RIFE on large frames, in one piece and in tiles.

python benchmarks/tiles.py > benchmarks/results/tiles.md    (some three minutes on one thread)

Each case is a process of its own: two frames of a picture that moves by 8 pixels, one frame made between.
"Memory" is what the process took at most beyond what it had after a first, small frame.
"""

from __future__ import annotations

import multiprocessing
import time
from fractions import Fraction

import torch
from skimage.data import astronaut
from torch import Tensor
from torch.nn import functional as F

from flowsynth.cache.location import default_cache_dir
from flowsynth.core.context import RunContext
from flowsynth.executors.memory import peak_rss
from flowsynth.operators.timing.interpolate import Interpolate
from flowsynth.values import Frames

CONTEXT = RunContext(cache_dir=default_cache_dir())
SIZES = ((1080, 1920), (2160, 3840))
#: What users may ask for: everything at once, what 1 GiB holds (the default), and less than that.
TILES = (0, None, 512)


def views(height: int, width: int) -> Frames:
    """The picture enlarged, seen 4 pixels to the left and to the right: 2, 3, H, W."""
    picture = torch.from_numpy(astronaut()).permute(2, 0, 1)[None].float()
    large = F.interpolate(picture, size=(height, width + 8), mode="bilinear").round().to(torch.uint8)
    return Frames(torch.cat((large[..., :width], large[..., 8:])), fps=Fraction(12))


def measure(size: tuple[int, int], refine: bool, tile: int | None) -> tuple[float, float, Tensor]:
    """MiB, CPU seconds, and the frame made."""
    torch.set_num_threads(1)
    operator = Interpolate(method="rife", refine=refine, tile=tile)
    clip = views(*size)
    operator.run(CONTEXT, frames=clip.with_data(clip.tensor[..., :64, :64].contiguous()))
    before, start = peak_rss(), time.process_time()
    made = operator.run(CONTEXT, frames=clip).tensor[1]
    return (peak_rss() - before) / 2**20, time.process_time() - start, made


def main() -> None:
    print(f"# RIFE on large frames\n\ntorch {torch.__version__}, one CPU thread of a shared machine\n")
    print("| size | refine | tile | memory, MiB | CPU s | levels that differ |")
    print("| --- | --- | --- | --- | --- | --- |")
    for size in SIZES:
        for refine in (False, True):
            whole: Tensor | None = None
            for tile in TILES:
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    memory, seconds, made = pool.apply(measure, (size, refine, tile))
                whole = made if whole is None else whole
                apart = int((made.int() - whole.int()).abs().max())
                name = {0: "all at once", None: "default"}.get(tile, str(tile))
                cells = f"{size[1]}x{size[0]} | {'yes' if refine else 'no'} | {name}"
                print(f"| {cells} | {memory:.0f} | {seconds:.1f} | {apart} |", flush=True)


if __name__ == "__main__":
    main()

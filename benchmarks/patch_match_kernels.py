"""The Triton kernels of patch match beside torch: what each asks of a device, and where their fields differ.

Without a card the kernels run in Triton's interpreter, which gives their bits and says nothing of their
speed, and are compiled for cards by ptxas. With one, a field is timed both ways too. Writes
results/patch_match_kernels.md.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from flowsynth.core.context import RunContext
from flowsynth.functional.patchmatch import search as patchmatch
from flowsynth.functional.patchmatch import search_torch
from flowsynth.functional.patchmatch.search import Field, MatchSettings, match
from flowsynth.operators.files.read_video import ReadVideo

RESULTS = Path(__file__).parent / "results" / "patch_match_kernels.md"
CARDS = {75: "T4", 80: "A100", 86: "RTX 30", 89: "RTX 40", 90: "H100", 100: "B200"}
BY_TORCH = patchmatch._Steps(search_torch.improve, search_torch.remap)


class Asked(TorchDispatchMode):
    """Counts torch's operations, views left out, and those of them whose result has a size to wait for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types for it
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts["operations"] += not func.is_view
        self.counts["waits"] += func.overloadpacket is torch.ops.aten.nonzero
        return func(*args, **(kwargs or {}))


def frames(width: int) -> tuple[Tensor, Tensor]:
    """Two frames apart in a clip, `(1, 3, H, W)`."""
    clip = ReadVideo(path="clip:bikes", start="86f", max_frames=3, width=width).run(RunContext())
    return clip.to_float()[:1], clip.to_float()[2:3]


def choose(steps: patchmatch._Steps) -> None:
    """Have matches done this way."""
    patchmatch._steps = lambda _: steps  # type: ignore[assignment]


def agreement(source: Tensor, target: Tensor, settings: MatchSettings) -> list[str]:
    """Match two frames by torch and by the kernels in the interpreter."""
    from flowsynth.functional.patchmatch import search_triton as kernels

    with Asked() as asked:
        theirs, expected = match(source, target, source, settings)
    kernels._TILE = (64, 256)  # the interpreter's time goes with programs; tiles change no bit
    launches: Counter[str] = Counter()

    def counted(name: str, step: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            launches[name] += 1
            return step(*args, **kwargs)

        return call

    kernels._Pass.launch = counted("search", kernels._Pass.launch)  # type: ignore[method-assign]
    steps = patchmatch._Steps(kernels.improve, counted("carry", kernels.remap))
    choose(steps)
    ours, carried = match(source, target, source, settings)
    same = ((ours.rows == theirs.rows) & (ours.columns == theirs.columns)).float().mean().item()
    return [
        f"| {source.shape[3]}x{source.shape[2]} | {asked.counts['operations']:,} | {asked.counts['waits']:,} "
        f"| {launches.total()} | 0 | {same:.2%} | {(carried - expected).abs().mean():.1e} |"
    ]


def compiled() -> list[str]:
    """Compile what a match launches for each kind of card; registers and spills as cuobjdump tells them."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.runtime.driver import driver
    from triton.runtime.jit import JITFunction

    from flowsynth.functional.patchmatch import search_triton as kernels

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    launch = JITFunction.run
    made: dict[str, Any] = {}

    def compile_only(self: Any, *args: Any, **options: Any) -> None:
        name = self.__name__ + (" first" if options.get("FIRST") else "")
        made[name] = launch(self, *args, **{**options, "warmup": True})

    JITFunction.run = compile_only
    features, field = torch.zeros(1, 6, 32, 32), Field(*torch.zeros(2, 1, 32, 32, dtype=torch.int64))
    rows = []
    for capability, card in CARDS.items():
        driver._active = Card(GPUTarget("cuda", capability, 32))
        kernels.improve(features, features, field, 5, (), torch.zeros(3, 2, 32, 32, dtype=torch.int64))
        kernels.remap(features[:, :3], field, 5)
        used = []
        for name in ("_search first", "_search", "_carry"):
            with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
                file.write(made[name].asm["cubin"])
                file.flush()
                told = subprocess.run(
                    [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
                )
            words = dict(x.split(":")[:2] for x in told.stdout.split() if x.startswith(("REG:", "STACK:")))
            used.append(f"{words['REG']}, {words['STACK']}")
        rows.append(f"| sm_{capability} ({card}) | {' | '.join(used)} |")
    return rows


class Card:
    """A card that is compiled for and not there."""

    def __init__(self, target: Any) -> None:
        self.get_current_target = lambda: target
        self.get_current_device = lambda: target.arch
        self.get_current_stream = lambda _: 0


def timed(source: Tensor, target: Tensor, settings: MatchSettings) -> list[str]:
    """Milliseconds of a field on a card by torch and by the kernels."""
    source, target = source.cuda(), target.cuda()
    kernels, figures = patchmatch._steps(source.device), []
    for steps in (BY_TORCH, kernels):
        choose(steps)
        times = []
        for _ in range(6):
            torch.cuda.synchronize()
            start = time.perf_counter()
            match(source, target, source, settings)
            torch.cuda.synchronize()
            times.append((time.perf_counter() - start) * 1000)
        figures.append(statistics.median(times[1:]))
    card = torch.cuda.get_device_name()
    size = f"{source.shape[3]}x{source.shape[2]}"
    return ["", f"A field of {size} on {card}, ms: torch {figures[0]:.1f}, kernels {figures[1]:.2f}."]


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=160)
    parser.add_argument("--part", choices=["compiled", "timed"], help="print one part only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    settings = MatchSettings()
    if args.part:
        rows = compiled() if args.part == "compiled" else timed(*frames(args.width), settings)
        print("\n".join(rows))
        return
    # The interpreter and the compiler can't share a process: triton reads this when it is imported.
    command = [sys.executable, __file__, "--width", str(args.width), "--part"]
    parts = ["compiled", *(["timed"] if torch.cuda.is_available() else [])]
    rest = [
        subprocess.run([*command, x], stdout=subprocess.PIPE, text=True, check=True).stdout for x in parts
    ]
    os.environ["TRITON_INTERPRET"] = "1"
    rows = agreement(*frames(args.width), settings)
    from importlib.metadata import version

    table = [
        "# Patch match: the Triton kernels",
        "",
        "Two frames apart in `bikes`, patches 13 to 5, five passes a level, guide and style: one field. "
        "What torch asks of the device (operations, views not counted; results that the host waits for, "
        "`nonzero`), how often the kernels are launched, and how the field that they give in Triton's "
        "interpreter differs from torch's.",
        "",
        "| size | torch: operations | waits | kernels: launches | waits | equal matches | mean difference |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
        "Compiled to machine code by ptxas, without a card: registers a thread, bytes of stack. All "
        "patches and sizes share these binaries; each takes about half a second to compile, once.",
        "",
        "| for | search, first launch of a pass | search, the others | remap |",
        "|---|---|---|---|",
        *"".join(rest).splitlines(),
        "",
        *([] if torch.cuda.is_available() else ["No card was at hand: the kernels were never timed.", ""]),
        f"torch {torch.__version__}, triton {version('triton')}, {platform.machine()}",
        "",
    ]
    RESULTS.write_text("\n".join(table))
    print("\n".join(table))


if __name__ == "__main__":
    main()

"""Precision and recall of the cut detector on a film that is fetched by name, and ghosts in what is rendered.

Run::

    python benchmarks/cuts.py [--out benchmarks/results/cuts.md] [--only-ghosts] [--by fastblend]

The film is Big Buck Bunny (CC BY 3.0, Blender Foundation), whole, 1280x720, a member of moviepy's source
archive on PyPI: downloaded by pip, read, never run. Its cuts were found by jumps of colour, each looked at
on contact sheets; they are listed here by the last frame before the cut. Beside them: pairs of frames inside
shots, 1, 3 and 6 frames apart. The threshold was chosen with this film in view.

Held out: scikit-image's pictures, each against each other; frames of the clips bikes and carphone 1, 3 and 6
apart; text and pictures that scroll by a tenth to a half of their height.

Ghosts are counted by `ghosts.py`, which says how: at bikes' five cuts, at 25 of the film, and along pans.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch
from ghosts import HALF, Scene, pans, rows
from report import machine, publish
from torch import Tensor
from torch.nn import functional as F

from flowsynth.core.context import RunContext
from flowsynth.functional.cut.shots import same_shot
from flowsynth.operators.files.read_video import ReadVideo

ARCHIVE = "moviepy==2.2.1"
INNER, FILM = "moviepy_10_minutes.zip", "moviepy_10_minutes/resources/bbb.mp4"
PICTURES = ("astronaut", "chelsea", "coffee", "rocket", "page", "text", "camera", "coins", "brick", "grass")
#: Cuts of the clips, by eye: the last frame before each.
CLIP_CUTS = {"bikes": (29, 75, 136, 186, 241), "carphone": ()}
FLASHES = range(4690, 4716)  # of white, in a fight: neither cut nor shot
CUTS = (
    284,
    377,
    552,
    1144,
    1345,
    1455,
    1530,
    1665,
    1710,
    1762,
    1812,
    1918,
    2153,
    2193,
    2393,
    2493,
    2703,
    2830,
    2900,
    2962,
    3044,
    3512,
    3577,
    3743,
    3859,
    3894,
    3918,
    3988,
    4031,
    4068,
    4226,
    4265,
    4331,
    4462,
    4543,
    4611,
    4671,
    4696,
    4725,
    4795,
    4899,
    4941,
    4978,
    5012,
    5078,
    5130,
    5291,
    5306,
    5370,
    5429,
    5517,
    5578,
    5808,
    5843,
    6017,
    6047,
    6087,
    6127,
    6167,
    6207,
    6227,
    6267,
    6307,
    6347,
    6387,
    6487,
    6622,
    6669,
    6712,
    6752,
    6832,
    7012,
    7092,
    7130,
    7324,
    7399,
    7499,
    7545,
    7612,
    7660,
    7731,
    7768,
    8023,
    8084,
    8090,
    8153,
    8944,
    9008,
    9079,
    9147,
    9378,
    9419,
    9467,
    9506,
    9574,
    9583,
    9592,
    9718,
    9794,
    9849,
    9890,
    9986,
    10015,
    10080,
    10096,
    10124,
    10183,
    10233,
    10259,
    10302,
    10338,
    10408,
    10452,
    10467,
    10573,
    10611,
    10636,
    10841,
    10998,
    11311,
    11348,
    11523,
    11559,
    11611,
    11670,
)


def film(folder: Path) -> Path:
    """Fetch the film into a folder, once."""
    made = folder / "bbb.mp4"
    if not made.exists():
        command = ["-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
        subprocess.run([sys.executable, *command, ARCHIVE, "-d", str(folder)], check=True)
        with tarfile.open(next(folder.glob("moviepy-*.tar.gz"))) as tar:
            member = next(m for m in tar.getmembers() if m.name.endswith(INNER))
            opened = tar.extractfile(member)
            assert opened is not None
            with zipfile.ZipFile(opened) as inner:
                made.write_bytes(inner.read(FILM))
    return made


def wanted_pairs(count: int) -> dict[str, list[tuple[int, int]]]:
    """Pairs of frame numbers: across each cut, and inside shots at three distances."""
    draw = random.Random(1)
    pairs = {"cut": [(i, i + 1) for i in CUTS]}
    for apart in (1, 3, 6):
        inside: list[tuple[int, int]] = []
        while len(inside) < count:
            i = draw.randrange(300, 11_000)  # up to a fade to black
            if i not in FLASHES and not any(cut in CUTS for cut in range(i - 1, i + apart + 1)):
                inside.append((i, i + apart))
        pairs[f"{apart} apart"] = inside
    return pairs


def frames(path: Path, numbers: set[int]) -> dict[int, Tensor]:
    """Decode some frames, 320 pixels wide."""
    import av

    found = {}
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i in numbers:
                array = frame.reformat(width=320, height=180, format="rgb24").to_ndarray()
                found[i] = torch.from_numpy(array.copy()).permute(2, 0, 1)[None]
            if i >= max(numbers):
                break
    return found


def picture(name: str) -> Tensor:
    """One of scikit-image's pictures, `(1, 3, H, W)` in [0, 1]."""
    from skimage import data

    array = torch.from_numpy(getattr(data, name)().copy()).float() / 255
    return array[None, None].expand(1, 3, -1, -1) if array.ndim == 2 else array.permute(2, 0, 1)[None]


def unrelated() -> list[tuple[Tensor, Tensor]]:
    """Each picture beside each other, in one size."""
    found = [F.interpolate(picture(name), size=(180, 320), mode="area") for name in PICTURES]
    return list(combinations(found, 2))


def of_clip(name: str, apart: int) -> list[tuple[Tensor, Tensor]]:
    """Frames of a clip, inside its shots; 0 apart gives the frames around its cuts."""
    clip = ReadVideo(path=f"clip:{name}", width=320).run(RunContext()).tensor
    cuts = CLIP_CUTS[name]
    if not apart:
        return [(clip[i : i + 1], clip[i + 1 : i + 2]) for i in cuts]
    inside = [i for i in range(0, len(clip) - apart, 5) if not any(i <= cut < i + apart for cut in cuts)]
    return [(clip[i : i + 1], clip[i + apart : i + apart + 1]) for i in inside]


def scrolls() -> list[tuple[Tensor, Tensor]]:
    """Pages and pictures that scroll."""
    found = []
    for name in ("page", "text", "astronaut", "coffee"):
        sheet = picture(name)
        height = sheet.shape[-2] // 2
        for share in (0.1, 0.2, 0.3, 0.4, 0.5):
            down = int(share * height)
            pair = sheet[..., :height, :], sheet[..., down : down + height, :]
            first, second = (F.interpolate(x, scale_factor=180 / height, mode="area") for x in pair)
            found.append((first, second))
    return found


def row(kind: str, name: str, pairs: Sequence[tuple[Tensor, Tensor]], *, cut: bool) -> str:
    """Judge pairs of frames, of which all or none are of two shots."""
    start = time.process_time()
    wrong = [i for i, pair in enumerate(pairs) if same_shot(*pair) == cut]
    spent = 1000 * (time.process_time() - start) / len(pairs)
    if wrong:
        print(name, wrong)
    line = (
        f"| {kind} | {name} | {'cuts' if cut else 'one shot'} | {len(pairs)} | {len(wrong)} | {spent:.0f} |"
    )
    print(line, flush=True)
    return line


def rendered_cuts(count: int) -> list[int]:
    """Choose cuts of the film that no other cut and no flash is close to."""
    near = range(-2 * HALF, 2 * HALF)
    alone = [cut for cut in CUTS if sum(cut + i in CUTS for i in near) == 1]
    calm = [cut for cut in alone if not any(cut + i in FLASHES for i in near)]
    return calm[:: len(calm) // count][:count]


def scenes(seen: dict[int, Tensor], chosen: Sequence[int]) -> list[Scene]:
    """Frames around cuts of the film and of bikes."""
    clip = ReadVideo(path="clip:bikes", width=320).run(RunContext()).tensor
    of_bikes = [(cut, clip[cut + 1 - HALF : cut + 1 + HALF]) for cut in CLIP_CUTS["bikes"]]
    of_film = [(cut, torch.cat([seen[cut + 1 + i] for i in range(-HALF, HALF)])) for cut in chosen]
    return [
        Scene(f"{name} {cut}", frames, HALF, None)
        for name, found in (("film", of_film), ("bikes", of_bikes))
        for cut, frames in found
    ]


def judged(seen: dict[int, Tensor], pairs: dict[str, list[tuple[int, int]]]) -> list[str]:
    """Judge the detector: pairs of frames held out, and those of the film."""
    lines = [
        "A fault is a cut that is missed, or two frames of one shot that are taken for two.",
        "",
        "| | pairs | are | number | faults | CPU ms a pair |",
        "|---|---|---|---:|---:|---:|",
    ]
    lines.append(row("held out", "pictures, each against each", unrelated(), cut=True))
    lines.append(row("held out", "bikes, around its cuts", of_clip("bikes", 0), cut=True))
    for name in CLIP_CUTS:
        lines += [row("held out", f"{name}, {n} apart", of_clip(name, n), cut=False) for n in (1, 3, 6)]
    lines.append(row("held out", "scrolling text and pictures", scrolls(), cut=False))
    for name, group in pairs.items():
        found = [(seen[a], seen[b]) for a, b in group]
        lines.append(row("tuned on", f"film, {name}", found, cut=name == "cut"))
    return [*lines, ""]


def main() -> None:
    """Measure, print, and write the report if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--pairs", type=int, default=120, help="inside shots, at each distance")
    parser.add_argument("--cuts", type=int, default=25, help="of the film, to render across")
    parser.add_argument("--only-ghosts", action="store_true", help="judge no pairs of frames")
    parser.add_argument("--by", default="", help="part of the names of those whose ghosts are counted")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "flowsynth_bench")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    lines = ["# Cuts", ""]
    pairs = {} if args.only_ghosts else wanted_pairs(args.pairs)
    chosen = rendered_cuts(args.cuts)
    around = {cut + 1 + i for cut in chosen for i in range(-HALF, HALF)}
    seen = frames(film(args.folder), around | {i for group in pairs.values() for pair in group for i in pair})
    if pairs:
        lines += judged(seen, pairs)
    found = pans([(name, picture(name)) for name in PICTURES])
    lines += ["## Ghosts", "", *rows(scenes(seen, chosen), found, args.by)]
    publish([*lines, "", machine("torch"), "- `python benchmarks/cuts.py`"], args.out)


if __name__ == "__main__":
    main()

"""Networks are known by their tensors, by role; plug-ins join by distribution, all of one or none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flowsynth.nets import roles
from flowsynth.nets.architecture import SizeNeeds
from flowsynth.nets.clip_generation.videogpt import VideoGpt
from flowsynth.nets.clip_upscaling.basicvsr import BasicVSR
from flowsynth.nets.generator import PictureGenerator
from flowsynth.nets.likeness.lpips import Lpips
from flowsynth.nets.lineart.drawings import DrawingGenerator
from flowsynth.nets.motion.spynet import SPyNet
from flowsynth.nets.registry import build_network, known, shipped
from flowsynth.nets.roles import EDGES, LINEART, UPSCALING, Role
from tests import processes
from tests.nets.judged import judged
from tests.nets.tiny import lpips_state, picture, tiny_hed, tiny_ifnet, tiny_rrdbnet, tiny_srvgg

STATES: dict[str, Any] = {
    "srvgg": lambda: tiny_srvgg().state_dict(),
    "rrdbnet": lambda: tiny_rrdbnet().state_dict(),
    "basicvsr": lambda: BasicVSR(width=6, blocks=1).state_dict(),
    "spynet": lambda: SPyNet().state_dict(),
    "ifnet": lambda: tiny_ifnet().state_dict(),
    "hed": lambda: tiny_hed().state_dict(),
    "drawings": lambda: DrawingGenerator(width=4, blocks=1).state_dict(),
    "lpips": lambda: lpips_state(Lpips()),
    "niqe": lambda: {"pop_mu": torch.zeros(1, 36), "pop_cov": torch.eye(36)},
    **{name: lambda name=name: judged(name)[0] for name in ("biggan", "stylegan2", "pix2pix", "spade")},
    "videogpt": lambda: judged("videogpt_class")[0],
    "litert": lambda: {"model": torch.zeros(9, dtype=torch.uint8)},
}
ALL = {name: (role, a) for role, found in known().by_role.items() for name, a in found.items()}


def test_every_role_has_a_folder_and_every_network_a_tiny_one_here() -> None:
    named = {value.name for value in vars(roles).values() if isinstance(value, Role)}
    assert named == set(known().by_role)
    assert set(ALL) == set(STATES)
    for role, found in known().by_role.items():
        assert set(shipped(role)) == set(found), "a file is named after its architecture"


@pytest.mark.parametrize("name", list(STATES))
def test_a_checkpoint_fits_one_network(name: str) -> None:
    state = STATES[name]()
    fitting = {other for other, (_, architecture) in ALL.items() if architecture.fits(state)}
    assert fitting == ({"basicvsr", "spynet"} if name == "basicvsr" else {name}), "BasicVSR holds a SPyNet"


@pytest.mark.parametrize("name", [name for name in STATES if name != "litert"])
def test_it_is_built_whole_and_says_what_sizes_it_takes(name: str) -> None:
    role, state = ALL[name][0], STATES[name]()
    network = build_network(Role[nn.Module](role), state)
    assert not any(parameter.is_meta for parameter in network.parameters())
    makes = isinstance(network, (PictureGenerator, VideoGpt))  # sizes of their own
    assert makes or isinstance(network.needs, SizeNeeds)
    assert not network.training


def test_sizes_come_from_the_weights() -> None:
    for unshuffle in (1, 2, 4):
        network = build_network(UPSCALING, tiny_rrdbnet(2, unshuffle).state_dict())
        assert network.needs == SizeNeeds(multiple=unshuffle, tiled=True)


@pytest.mark.parametrize("needs", [SizeNeeds(), SizeNeeds(4, 8), SizeNeeds(64), SizeNeeds(3, 10)])
def test_pictures_are_filled_to_the_least_size_that_fits(needs: SizeNeeds) -> None:
    for height, width in ((1, 1), (7, 12), (64, 65)):
        x = picture(height, width)
        filled = needs.filled(x)
        assert torch.equal(filled[..., :height, :width], x)
        for old, new in zip((height, width), filled.shape[-2:], strict=True):
            fitting = [side for side in range(old, old + 200) if side % needs.multiple == 0]
            assert new == next(side for side in fitting if side >= needs.least)
        assert torch.equal(filled[..., -1, -1], x[..., -1, -1])


def test_a_checkpoint_of_another_role_is_named() -> None:
    with pytest.raises(ValueError, match=r"not a HED checkpoint.*it is one of srvgg \(upscaling\)"):
        build_network(EDGES, STATES["srvgg"]())
    with pytest.raises(ValueError, match=r"expected rrdbnet .*srvgg .*it is one of ifnet \(interpolation\)"):
        build_network(UPSCALING, STATES["ifnet"]())
    with pytest.raises(
        ValueError, match=r"^not a checkpoint of Informative Drawings.*'model0.1.weight'[^;]*$"
    ):
        build_network(LINEART, {"a": torch.ones(1)})


PLUGIN = """
import torch
from torch import nn

from flowsynth.nets.architecture import Architecture, SizeNeeds
from flowsynth.nets.staged import Stage, StagedNetwork

class Doubler(StagedNetwork):
    scale = 2
    def __init__(self, gain):
        super().__init__()
        self.gain = nn.Parameter(gain, requires_grad=False)
    def run(self, x, each):
        return each(Stage(self.larger, 0, 2, 9), x)
    def larger(self, x):
        return FACTOR * self.gain * x.repeat_interleave(2, -1).repeat_interleave(2, -2)

FACTOR = 0.5
KEY = "doubler.gain"
ARCHITECTURE = Architecture("NAME", KEY, lambda state: KEY in state, lambda state: Doubler(state[KEY]))
"""
SCRIPT = """
import json, sys
import torch
from safetensors.torch import save_file
import flowsynth as fs
from flowsynth.nets.registry import known
from flowsynth.core.errors import FlowsynthError
from tests.nets.plugged import graph

save_file({"doubler.gain": torch.ones(1)}, "gain.safetensors")
save_file({"other": torch.ones(1)}, "other.safetensors")
run = graph("gain.safetensors").run(cache_dir="cache")
try:
    graph("other.safetensors").run(cache_dir="cache")
except FlowsynthError as error:
    print(error, file=sys.stderr)
print(json.dumps({
    "known": sorted(known().by_role["upscaling"]), "broken": dict(known().broken),
    "status": run.record.nodes["large"].status, "pixel": int(run["large"].tensor.max()),
}))
"""


def distribution(site: Path, name: str, points: dict[str, str], files: dict[str, str]) -> None:
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}" for point, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[flowsynth.nets]", *lines, ""]))
    for file, text in files.items():
        (site / file).write_text(text)


def run_in(folder: Path, site: Path) -> tuple[dict[str, Any], str]:
    paths = os.pathsep.join([str(site), str(Path(__file__).parents[2])])
    done = processes.run("-c", SCRIPT, folder=folder, environment={"PYTHONPATH": paths}, afresh=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


def test_plug_ins_join_by_distribution_and_their_code_enters_the_key(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    good = PLUGIN.replace("NAME", "doubler")
    distribution(site, "doublers", {"upscaling.doubler": "doublers:ARCHITECTURE"}, {"doublers.py": good})
    halves = {"upscaling.fine": "halves:ARCHITECTURE", "upscaling.missing": "halves:NONE"}
    distribution(site, "halves", halves, {"halves.py": PLUGIN.replace("NAME", "fine")})
    again = {"upscaling.mine": "again:ARCHITECTURE"}
    distribution(site, "again", again, {"again.py": PLUGIN.replace("NAME", "srvgg")})
    distribution(site, "lost", {"painting.x": "doublers:ARCHITECTURE"}, {})
    found, message = run_in(tmp_path, site)
    assert found["known"] == ["doubler", "rrdbnet", "srvgg"]
    assert set(found["broken"]) == {"halves", "again", "lost"}
    assert "there is a network srvgg of that role already" in found["broken"]["again"]
    assert "plug-in halves is left out: AttributeError" in message
    assert (found["status"], found["pixel"]) == ("computed", 100)
    assert run_in(tmp_path, site)[0]["status"] == "hit"
    (site / "doublers.py").write_text(good.replace("FACTOR = 0.5", "FACTOR = 0.25"))
    changed, _ = run_in(tmp_path, site)
    assert (changed["status"], changed["pixel"]) == ("computed", 50)


def test_what_there_is_is_known_without_torch() -> None:
    code = "import sys, flowsynth.nets.registry as r; from flowsynth.nets.roles import UPSCALING;"
    code += "print(r.networks_code(UPSCALING), 'torch' in sys.modules)"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert made.strip().endswith("'flowsynth.nets.upscaling.srvgg:ARCHITECTURE') False")

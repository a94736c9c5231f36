"""Classes of devices, and rules that place what leaves it to the run."""

from __future__ import annotations

from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.config import compose_request
from flowsynth.core.errors import GraphError
from flowsynth.core.rules import Rule, class_memory
from flowsynth.operators.diffusion.text_encode import TextEncode
from flowsynth.operators.size.upscale import Upscale
from flowsynth.planning.placement import DeviceSpec, others, place
from tests.executors.dags import Plus
from tests.streams import Counter, Invert, write_source

GB = 1 << 30
CARDS = [
    DeviceSpec("cuda:0", 8 * GB, "sm_90"),
    DeviceSpec("cuda:1", 23 * GB, "sm_90"),  # sold as 24 GB
    DeviceSpec("cuda:2", 40 * GB, "sm_90"),
    DeviceSpec("cpu", 64 * GB, "x86_64"),
]


def graph(folder: Path, device: str = "auto") -> fs.Graph:
    g = fs.Graph("rules")
    clip = g.add("clip", Counter(path=write_source(folder / "s.txt", range(8))))
    small = g.add("small", Invert(), frames=clip, device=device)
    g.add("up", Upscale(), frames=small)
    base = g.model("base", {"family": "sd", "source": "/nowhere/1"})
    g.add("text", TextEncode(prompt="x"), model=base)
    return g


def test_a_class_is_an_accelerator_with_so_much_memory(tmp_path: Path) -> None:
    assert class_memory("gpu") == 0
    assert class_memory("cuda:0") is None
    assert place(graph(tmp_path, "gpu_24g"), devices=CARDS)["small"] == "cuda:2"
    g = graph(tmp_path, "gpu_8g")
    assert others(g, place(g, devices=CARDS[:2]), devices=CARDS[:2]) == {}, "the smaller one has less"
    same = [CARDS[1], DeviceSpec("cuda:3", 23 * GB, "sm_90"), CARDS[3]]
    g = graph(tmp_path, "gpu_24g")
    assert others(g, place(g, devices=same), devices=same)["small"] == ("cuda:3",)
    with pytest.raises(GraphError, match=r"small\.device: no such device here; expected .*given gpu_80g"):
        place(graph(tmp_path, "gpu_80g"), devices=CARDS)
    with pytest.raises(GraphError, match=r"nodes\.small\.device: no such device here"):
        place(graph(tmp_path, "gpu"), devices=CARDS[3:])


def test_the_first_rule_that_fits_decides(tmp_path: Path) -> None:
    rules = [
        Rule(op="upscale", device="cuda:0"),
        Rule(family="sd", device="gpu_24g"),
        Rule(op="text_encode", device="cpu"),
    ]
    places = place(graph(tmp_path), devices=CARDS, rules=rules)
    assert places == {"clip": "cpu", "small": "cuda:2", "up": "cuda:0", "text": "cuda:2"}
    assert place(graph(tmp_path), devices=CARDS, rules=rules[::-1])["text"] == "cpu"
    assert place(graph(tmp_path), "cuda:1", CARDS, rules)["up"] == "cuda:1", "the run says more"
    named = graph(tmp_path, "cuda:1")
    assert place(named, devices=CARDS, rules=[Rule(op="t_map", device="cpu")])["small"] == "cuda:1"


def test_a_rule_about_what_there_is_not_is_a_fault(tmp_path: Path) -> None:
    rules = [Rule(op="upscael", device="gpu"), Rule(family="sdd", device="cpu")]
    with pytest.raises(GraphError) as caught:
        place(graph(tmp_path), devices=CARDS, rules=rules)
    paths = {fault.path: fault.nearest for fault in caught.value.faults}
    assert paths == {"placement.rules[0].op": "upscale", "placement.rules[1].family": "sd"}


def test_rules_are_a_group_of_the_configuration(tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "placement"
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text(
        "rules:\n- {op: upscale, device: gpu_8g}\n- {family: sd, device: 'cuda:1'}\n"
    )
    given = ["graph=upscale_video"]
    assert compose_request(given, tmp_path).settings.placement.rules == ()
    chosen = compose_request([*given, "placement=mine"], tmp_path).settings.placement.rules
    assert chosen == (Rule(op="upscale", device="gpu_8g"), Rule(family="sd", device="cuda:1"))
    (folder / "bad.yaml").write_text("rules:\n- {op: upscale, devise: cpu}\n- {device: gpu}\n")
    with pytest.raises(GraphError, match=r"placement\.rules"):
        compose_request([*given, "placement=bad"], tmp_path)


def test_rules_place_what_runs(tmp_path: Path) -> None:
    g = fs.Graph("run")
    g.add("n", Plus(step=5))
    from flowsynth.api import Session

    with Session(tmp_path, rules=[Rule(op="g_plus", device="sim:4")]) as session:
        run = g.run(session=session)
    assert run.record.nodes["n"].device == "sim:4"

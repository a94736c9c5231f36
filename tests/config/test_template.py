"""Jobs composed on a template are Hydra's own, and what cannot be proved to be is Hydra's own."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from flowsynth.api import Graph
from flowsynth.config import Composer, compose_request
from flowsynth.config.folders import graph_names, shipped_folders
from flowsynth.core.errors import RequestError
from tests.config.conftest import Writer

KNOWN: dict[tuple[str, ...], Any] = {}


@pytest.fixture(autouse=True)
def forgotten() -> None:
    KNOWN.clear()


def whole(graph: Graph) -> Any:
    """All of a graph."""
    nodes = {
        name: (node.operator, type(node.operator), node.inputs, node.device, node.cache)
        for name, node in graph.nodes.items()
    }
    return graph.name, nodes, graph.models, graph.outputs, graph.stages, graph.request


def by_hydra(overrides: list[str]) -> Any:
    key = tuple(overrides)
    if key not in KNOWN:
        KNOWN[key] = composed(overrides)
    return KNOWN[key]


def composed(overrides: list[str]) -> Any:
    try:
        composition = compose_request(overrides)
        graph = Graph.from_dict(composition.graph)
    except RequestError as error:
        return str(error)
    graph.request = composition.request()
    return whole(graph), composition.settings


def by_template(composer: Composer, overrides: list[str]) -> Any:
    try:
        made = composer.compose(overrides)
    except RequestError as error:
        return str(error)
    return whole(made.graph), made.settings


def check(varying: list[str], jobs: list[list[str]]) -> int:
    """See that all jobs are the same by both ways; how many of them Hydra had to compose."""
    composer = Composer(varying)
    for job in jobs:
        assert by_template(composer, job) == by_hydra(job), job
    return composer.by_hydra


def swept(name: str) -> dict[str, list[str]]:
    """Keys that make sense for a shipped graph, with values that do and some that do not."""
    text = (shipped_folders().graphs / f"{name}.yaml").read_text()
    tried = {"prompt": ["a", "'b, c'"], "graph.nodes.video.params.crf": ["3", "4", "x"], "chunk": ["4", "8"]}
    for key, value in yaml.safe_load(text).get("settings", {}).items():
        if type(value) in (int, float):
            tried[key] = [str(value), str(value + 1), "0", "x"]
    return tried


def check_graph(name: str, tried: dict[str, list[str]]) -> None:
    for key, values in tried.items():
        jobs = [[f"graph={name}", f"{key}={value}"] for value in values]
        if isinstance(by_hydra(jobs[0]), str):
            check([key], jobs[:1])  # nothing in this graph reads it
        else:
            wrong = sum(isinstance(by_hydra(job), str) for job in jobs)
            assert check([key], jobs) == 1 + wrong


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", graph_names())
def test_every_shipped_graph(folder: Writer, name: str) -> None:
    key = "seed" if name == "toon" else random.Random(name).choice(sorted(swept(name)))
    check_graph(name, {key: [*swept(name).get(key, ["1", "2"])][:3]})


@pytest.mark.slow
@pytest.mark.parametrize("name", graph_names())
def test_every_setting_of_every_shipped_graph(folder: Writer, name: str) -> None:
    check_graph(name, swept(name))


MORE = [
    ["strength=0.1", "strength='${frames}'"],
    ["strength=0.1", "strength=???"],
    ["strength=0.1", "strength=[1]"],
    ["model=pocket", "model=pocket_motion"],
    ["graph.nodes.guide.op=stylize", "graph.nodes.guide.op=styliz"],
    ["graph.name=a", "graph.name=b/c"],
    ["graph.outputs=[video]", "graph.outputs=[vide]"],
    ["++frames=1", "++frames=2"],
    ["+more=1", "+more=2"],
    ["device=cpu", "device=gpu"],
    ["input.video=a.mp4", "input.video=b c.mp4"],
    ["seed=01", "seed=1e3", "seed=-5", "seed=+5", "seed=1_000", "seed=true", "seed=99999999999999999999"],
    ["graph.nodes.finish/upscale.params.scale=2", "graph.nodes.finish/upscale.params.scale=3"],
    ["graph.nodes={}", "graph.nodes=1"],
]


@pytest.mark.sample(3)
@pytest.mark.parametrize(
    "lines",
    [
        ["strength=0.1", "strength=0.9", "strength=7"],  # the last is a fault of the operator's
        ["model.source=builtin:pocket", "model.source=nowhere"],
        ["graph.nodes.video.device=cpu", "graph.nodes.video.device=cuda:99"],
        ["take=whole", "take=detail", "take=hole"],
        *(pytest.param(lines, marks=pytest.mark.slow) for lines in MORE),
    ],
)
def test_what_may_be_swept(folder: Writer, lines: list[str]) -> None:
    key = lines[0].partition("=")[0]
    check([key.lstrip("+"), "fps"], [["fps=5", line, "prompt=a"] for line in lines])


def test_numbers_are_read_as_hydra_reads_them(folder: Writer) -> None:
    from flowsynth.config.hydra_overrides import parse_overrides
    from flowsynth.config.lines import Line, Lines

    lines = Lines(["k", "prompt"])
    texts = [
        "0",
        "-0",
        "-7",
        "07",
        "1.50",
        "-0.25",
        "00.5",
        "1.",
        ".5",
        "1e3",
        "123456789012345678901",
        "0.1000",
    ]
    for text in texts:
        for key in ("k", "prompt"):  # a text key takes what it is given as a text
            found = (lines.of([f"{key}={text}"]) or [Line("")])[0]
            value = parse_overrides([f"{key}={text}"], sweeping=False)[0].value()
            assert (type(found.value), found.value) == (type(value), value), (key, text)


def test_overrides_that_meet_are_left_to_hydra(folder: Writer) -> None:
    jobs = [["model.source=builtin:pocket", f"model={{motion_noise: {i}}}", f"seed={i}"] for i in "ab"]
    assert check(["model", "seed"], jobs) == 2
    assert check(["seed"], [["seed=1", "seed=2"], ["seed=3", "seed=4"]]) == 2


def random_config(rng: random.Random) -> tuple[str, list[str]]:
    """A graph whose values name one another, and the keys of its settings."""
    keys = [f"k{i}" for i in range(6)]
    settings: dict[str, Any] = {}
    for i, key in enumerate(keys):
        below = [f"${{{other}}}" for other in keys[:i]]
        texts = [*below, rng.randint(0, 9), "t", *(f"x{text}y" for text in below)]
        if below:
            texts.append(f"${{oc.select:{rng.choice(keys)},7}}")
            texts.append(f"${{oc.select:k{below[-1]},{rng.choice(below)}}}")
        settings[key] = rng.choice(texts)
    value: Callable[[], Any] = lambda: rng.choice([*(f"${{{key}}}" for key in keys), 3])  # noqa: E731
    nodes = {
        "a": {"op": "resize", "inputs": {"frames": "clip"}, "params": {"width": value(), "height": 8}},
        "clip": {"op": "read_video", "params": {"path": "p${k1}.mp4", "max_frames": value()}},
        "t": {"op": "trim", "inputs": {"frames": "a"}, "params": {"start": value()}},
    }
    return yaml.safe_dump({"settings": settings, "nodes": nodes, "outputs": ["t"]}), keys


@pytest.mark.seeds(2, 400)
def test_random_interpolations(folder: Writer, seed: int) -> None:
    rng = random.Random(seed)
    text, keys = random_config(rng)
    folder("graphs/r.yaml", text)
    swept = rng.sample(keys, 2)
    values = ["1", "2", "17", "t", "'a b'", "null", "0.5", "${k0}", "x", "3"]
    jobs = [["graph=r", *(f"{key}={rng.choice(values)}" for key in swept)] for _ in range(4)]
    check(swept, jobs)


def test_a_resolver_of_somebody_elses_is_asked_for_every_job(folder: Writer) -> None:
    from omegaconf import OmegaConf

    calls = iter(range(100))
    OmegaConf.register_new_resolver("own_count", lambda: next(calls))
    try:
        folder(
            "graphs/g.yaml", "nodes: {c: {op: read_video, params: {path: 'p${own_count:}', max_frames: 1}}}\n"
        )
        composer = Composer(["graph.nodes.c.params.max_frames"])
        jobs = [composer.compose(["graph=g", f"graph.nodes.c.params.max_frames={i}"]) for i in (1, 2, 3)]
        assert composer.by_hydra == 3
        assert len({job.graph.nodes["c"].operator.path for job in jobs}) == 3  # type: ignore[attr-defined]
    finally:
        OmegaConf.clear_resolver("own_count")

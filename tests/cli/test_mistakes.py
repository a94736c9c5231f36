"""Malformed graphs, overrides and files: one message each, with place, expectation and what was given."""

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

A = "a: {op: step}"
FRAMES = "f: {op: read_video, params: {path: clip.mp4}}"
BOMB = "x0: &x0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 10)}]\n" for i in range(1, 8)
)

#: what is wrong -> (the graph file, what the one message must say)
GRAPHS: dict[str, tuple[str | bytes, list[str]]] = {
    "unknown op": ("nodes: {a: {op: stepp}}", ["nodes.a.op", "given 'stepp'", "did you mean 'step'"]),
    "no op": ("nodes: {a: {params: {by: 1}}}", ["nodes.a.op", "expected the name of an operator"]),
    "typo in a param": (
        "nodes: {a: {op: step, params: {bye: 1}}}",
        ["nodes.a.params.bye", "expected by, fail", "did you mean 'by'"],
    ),
    "wrong type of param": (
        "nodes: {a: {op: step, params: {by: many}}}",
        ["nodes.a.params.by", "expected a valid integer", "given 'many'"],
    ),
    "params as a list": ("nodes: {a: {op: step, params: [1]}}", ["nodes.a.params", "expected param: value"]),
    "a port among the params": (
        "nodes: {a: {op: step}, b: {op: step, params: {x: 3}}}",
        ["nodes.b.params.x", "that is a port: put it under inputs"],
    ),
    "a param among the inputs": (
        "nodes: {a: {op: step}, b: {op: step, inputs: {by: a}}}",
        ["nodes.b.inputs.by", "that is a param: put it under params"],
    ),
    "missing input": ("nodes: {j: {op: join}}", ["nodes.j.inputs.a", "missing input", "expected int"]),
    "unknown port": (
        f"nodes: {{{A}, j: {{op: join, inputs: {{a: a, bb: a}}}}}}",
        ["nodes.j.inputs.bb", "expected one of a, b", "did you mean 'b'"],
    ),
    "dangling reference": (
        "nodes: {first: {op: step}, j: {op: join, inputs: {a: frist}}}",
        ["nodes.j.inputs.a", "no such node", "given 'frist'", "did you mean 'first'"],
    ),
    "unknown output of a node": (
        f"nodes: {{{A}, j: {{op: join, inputs: {{a: a.value}}}}}}",
        ["nodes.j.inputs.a", "expected one of out", "given 'value'"],
    ),
    "cycle": (
        "nodes: {a: {op: step, inputs: {x: b}}, b: {op: step, inputs: {x: a}}}",
        ["cycle", "a -> b -> a", "expected a graph without cycles"],
    ),
    "wrong type of edge": (
        f"nodes: {{{A}, s: {{op: upscale, inputs: {{frames: a}}}}}}",
        ["nodes.s.inputs.frames", "expected Frames", "given int from a"],
    ),
    "two edges into one port": (
        f"nodes: {{{A}, j: {{op: join, inputs: {{a: [a, a]}}}}}}",
        ["nodes.j.inputs.a", "takes one edge", "given 2 edges"],
    ),
    "a value as an edge": (
        f"nodes: {{{A}, j: {{op: join, inputs: {{a: 3}}}}}}",
        ["nodes.j.inputs.a", "expected"],
    ),
    "unknown model": (
        "nodes: {t: {op: step, inputs: {x: models.base}}}",
        ["nodes.t.inputs.x", "unknown model", "given 'base'"],
    ),
    "nodes as a list": ("nodes: [{op: step}]", ["nodes", "expected name: {op: ...}", "given a list"]),
    "no nodes": ("outputs: [a]", ["nodes", "expected name: {op: ...}", "given nothing"]),
    "unknown key of a node": (
        "nodes: {a: {op: step, param: {by: 1}}}",
        ["nodes.a.param", "unknown key", "did you mean 'params'"],
    ),
    "unknown key of a graph": (f"nodes: {{{A}}}\noutput: [a]", ["output", "did you mean 'outputs'"]),
    "unknown output": (
        f"nodes: {{{A}}}\noutputs: [b]",
        ["outputs[0]", "unknown node", "expected one of a", "given 'b'"],
    ),
    "outputs as a text": (f"nodes: {{{A}}}\noutputs: a", ["outputs", "expected [node, node.port]"]),
    "unknown device": (
        "nodes: {a: {op: step, device: tpu}}",
        ["nodes.a.device", "expected auto, cpu", "given tpu"],
    ),
    "unknown cache policy": ("nodes: {a: {op: step, cache: maybe}}", ["nodes.a.cache", "given maybe"]),
    "a bad name": ("nodes: {'../a': {op: step}}", ["nodes.../a", "bad name", "expected letters"]),
    "negative size": (
        f"nodes: {{{FRAMES}, s: {{op: upscale, inputs: {{frames: f}}, params: {{width: -8}}}}}}",
        ["nodes.s.params.width", "greater than or equal to 1", "given -8"],
    ),
    "NaN": (
        f"nodes: {{{FRAMES}, s: {{op: upscale, inputs: {{frames: f}}, params: {{factor: .nan}}}}}}",
        ["nodes.s.params.factor", "expected", "given nan"],
    ),
    "zero frames": (
        "nodes: {f: {op: read_video, params: {path: clip.mp4, max_frames: 0}}}",
        ["nodes.f.params.max_frames", "greater than or equal to 1", "given 0"],
    ),
    "YAML that is none": ("nodes: {a: [", ["bad.yaml:", "not YAML"]),
    "duplicate key": ("nodes:\n  a: {op: step}\n  a: {op: join}", ["bad.yaml:3", "duplicate key 'a'"]),
    "YAML bomb": (BOMB, ["bad.yaml:", "unfold too far", "expected at most"]),
    "code in YAML": ("nodes: {a: {_target_: os.system}}", ["bad.yaml:1", "given _target_"]),
    "a Python tag": ("nodes: !!python/object/apply:os.system [ls]", ["bad.yaml:1", "a tag", "python/object"]),
    "a list for a file": ("[1, 2]", ["bad.yaml", "expected a mapping", "given a list"]),
    "not a text": (b"\xff\xfe\x00\x01", ["bad.yaml", "expected YAML in UTF-8"]),
    "interpolation of nothing": (
        "nodes: {a: {op: step, params: {by: '${sed}'}}}",
        ["nodes.a.params.by", "given ${sed}", "did you mean 'seed'"],
    ),
    "interpolation in a circle": (
        "nodes: {a: {op: step, params: {by: '${graph.nodes.a.params.by}'}}}",
        ["nodes.a.params.by", "circle"],
    ),
}

#: what is wrong -> (overrides, what the one message must say)
OVERRIDES = {
    "unknown graph": (["graph=smal"], ["graph", "unknown", "given 'smal'", "did you mean 'small'"]),
    "a path for a graph": (["graph=../../../etc/passwd"], ["graph", "unknown", "expected one of"]),
    "unknown key": (["promt=x"], ["promt", "did you mean 'prompt'"]),
    "unknown node": (["graph.nodes.frist.params.by=1"], ["graph.nodes.frist", "did you mean 'first'"]),
    "no value": (["seed"], ["seed", "expected KEY=VALUE"]),
    "bad grammar": (["seed={1"], ["seed", "cannot be read", "given 'seed={1"]),
    "several values": (["by=1,2"], ["by", "several values", "--multirun"]),
    "unknown executor": (["executor=thread"], ["executor", "did you mean 'threads'"]),
    "unknown model": (["model=pockett"], ["model", "did you mean 'pocket'"]),
    "a device that is not here": (["device=cuda:9"], ["device", "expected cpu", "given cuda:9"]),
    "a cache in a file": (["cache.dir=my_ops.py"], ["my_ops.py"]),
    "missing video": (
        ["graph=upscale_video", "input.video=nope.mp4"],
        ["nodes.clip", "nope.mp4", "no such file"],
    ),
    "a video almost there": (["graph=upscale_video", "input.video=fale.mp4"], ["did you mean 'fake.mp4'"]),
    "fake video": (["graph=upscale_video", "input.video=fake.mp4"], ["fake.mp4", "expected a video"]),
    "empty video": (["graph=upscale_video", "input.video=empty.mp4"], ["empty.mp4", "expected"]),
    "a folder for a video": (
        ["graph=upscale_video", "input.video=graphs"],
        ["graphs", "is a folder", "expected a file"],
    ),
    "a file for an output folder": (["output_dir=my_ops.py"], ["output_dir", "my_ops.py: that is a file"]),
    "a folder in a file": (
        ["output_dir=my_ops.py/x"],
        ["output_dir", "my_ops.py/x: ", "expected a folder", "my_ops.py is a file"],
    ),
    "code in an override": (["+_target_=os.system"], ["_target_", "expected an operator's name"]),
    "a port that is not there": (
        ["graph=upscale_video", "+graph.nodes.clip.inputs.x=clip"],
        ["nodes.clip.inputs.x", "unknown port", "expected none"],
    ),
    "a rate that is none": (
        ["graph=upscale_video", "graph.nodes.clip.params.fps=fast"],
        ["nodes.clip.params.fps", "\"30000/1001\"; given 'fast'"],
    ),
}


def check(code: int, err: str, words: list[str]) -> None:
    assert code in (1, 2)
    assert "Traceback" not in err
    assert err.count("flowsynth: ") == 1
    assert not [word for word in words if word not in err], err


@pytest.mark.sample(15)
@pytest.mark.parametrize("name", GRAPHS)
def test_graphs(cli: Cli, home: Path, name: str) -> None:
    text, words = GRAPHS[name]
    data = text if isinstance(text, bytes) else text.encode()
    (home / "graphs" / "bad.yaml").write_bytes(data)
    code, out, err = cli("run", "graph=bad", "cache.dir=c", "-q")
    assert code == 2
    assert out == ""
    check(code, err, words)
    assert not (home / "c").exists(), "nothing is touched before the request is right"


@pytest.mark.sample(10)
@pytest.mark.parametrize("name", OVERRIDES)
def test_overrides_and_files(cli: Cli, home: Path, name: str) -> None:
    overrides, words = OVERRIDES[name]
    (home / "fake.mp4").write_text("this is a text, not a video")
    (home / "empty.mp4").write_bytes(b"")
    graph = [] if overrides[0].startswith("graph=") else ["graph=small"]
    code, _, err = cli("run", *graph, "cache.dir=c", *overrides, "-q")
    check(code, err, words)
    assert code == 2
    assert not list((home / "c").glob("objects/*")), "and nothing was computed"


def test_all_faults_of_a_graph_come_at_once(cli: Cli, home: Path) -> None:
    (home / "graphs" / "bad.yaml").write_text(
        "nodes: {a: {op: stepp}, b: {op: step, params: {bye: 1}}, c: {op: join, inputs: {a: d}}}\n"
        "outputs: [e]"
    )
    _, _, err = cli("validate", "graph=bad")
    assert "4 faults" in err
    assert all(
        place in err for place in ("nodes.a.op", "nodes.b.params.bye", "nodes.c.inputs.a", "outputs[0]")
    )


@pytest.mark.parametrize(
    ("command", "missing"), [("reproduce", "FILE"), ("explain", "NODE"), ("cache", "action")]
)
def test_a_missing_argument_is_named_alone(cli: Cli, command: str, missing: str) -> None:
    code, _, err = cli(command)
    assert code == 2
    assert f"required: {missing};" in err

"""A hundred wrong requests: each ends with one message that says where, what was expected and what was given.

They run in one interpreter, by the command line's own entry. A message's parts are written down here as a
person would look for them; `-` stands for "nothing was given", as where a key is missing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli

NODE = "nodes: {{a: {{op: step}}, b: {}}}"
#: (what the graph file says, path, expected, given); `nearest` is in the text of expected, after ` ? `
GRAPHS = [
    (NODE.format("{op: Step}"), "nodes.b.op", "a name from `ops` ? 'step'", "'Step'"),
    (NODE.format("{op: read-video}"), "nodes.b.op", "a name from `ops` ? 'read_video'", "'read-video'"),
    (NODE.format("{op: [step]}"), "nodes.b.op", "the name of an operator", "['step']"),
    (NODE.format("{op: null}"), "nodes.b.op", "the name of an operator", "None"),
    (NODE.format("{operator: step}"), "nodes.b.operator", "? 'op'", "'operator'"),
    (NODE.format("{op: step, input: {x: a}}"), "nodes.b.input", "? 'inputs'", "'input'"),
    (NODE.format("{op: step, Params: {by: 1}}"), "nodes.b.Params", "? 'params'", "'Params'"),
    (NODE.format("{op: step, inputs: [a]}"), "nodes.b.inputs", "port: node or [node, node]", "list"),
    (NODE.format("{op: step, inputs: a}"), "nodes.b.inputs", "port: node or [node, node]", "str"),
    (NODE.format("{op: step, inputs: {x: {op: a}}}"), "nodes.b.inputs.x", "node, node.port", "{'op': 'a'}"),
    (NODE.format("{op: step, inputs: {x: a.b.c}}"), "nodes.b.inputs.x", "one of", "'a.b.c'"),
    (NODE.format("{op: step, inputs: {x: ''}}"), "nodes.b.inputs.x", "one of a, b", "''"),
    (NODE.format("{op: step, inputs: {x: b}}"), "nodes.b", "a graph without cycles", "b -> b"),
    (NODE.format("{op: step, inputs: {y: a}}"), "nodes.b.inputs.y", "one of x", "'y'"),
    (NODE.format("{op: step, inputs: {X: a}}"), "nodes.b.inputs.X", "one of x", "'X'"),
    (NODE.format("{op: step, params: 3}"), "nodes.b.params", "param: value", "int"),
    (NODE.format("{op: step, params: {by: 1.5}}"), "nodes.b.params.by", "a valid integer", "1.5"),
    (NODE.format("{op: step, params: {by: [1]}}"), "nodes.b.params.by", "a valid integer", "[1]"),
    (NODE.format("{op: step, params: {by: null}}"), "nodes.b.params.by", "a valid integer", "None"),
    (NODE.format("{op: step, params: {by: .inf}}"), "nodes.b.params.by", "finite number", "inf"),
    (NODE.format("{op: step, params: {fail: maybe}}"), "nodes.b.params.fail", "a valid boolean", "'maybe'"),
    (NODE.format("{op: step, params: {BY: 1}}"), "nodes.b.params.BY", "by, fail", "'BY'"),
    (NODE.format("{op: step, params: {'': 1}}"), "nodes.b.params.", "by, fail", "''"),
    (NODE.format("{op: step, device: cuda:-1}"), "nodes.b.device", "auto, cpu, cuda", "cuda:-1"),
    (NODE.format("{op: step, device: 0}"), "nodes.b.device", "auto, cpu, cuda", "0"),
    (NODE.format("{op: step, device: [cpu]}"), "nodes.b.device", "auto, cpu, cuda", "['cpu']"),
    (NODE.format("{op: step, cache: yes}"), "nodes.b.cache", "auto or always or never", "yes"),
    (NODE.format("{op: step, cache: true}"), "nodes.b.cache", "auto or always or never", "True"),
    (NODE.format("step"), "nodes.b", "a mapping with op, inputs, params", "str"),
    (NODE.format("null"), "nodes.b", "a mapping with op, inputs, params", "NoneType"),
    (NODE.format("[]"), "nodes.b", "a mapping with op, inputs, params", "list"),
    (NODE.format("{nodes: {}}"), "nodes.b.nodes", "name: {op: ...}", "{}"),
    (NODE.format("{nodes: {c: {op: step}}, output: d}"), "nodes.b.output", "c", "'d'"),
    (NODE.format("{nodes: {c: {op: step}}, op: step}"), "nodes.b.op", "nodes, output", "'op'"),
    (NODE.format("{nodes: {c: {op: step}}, params: {}}"), "nodes.b.params", "inputs, nodes", "'params'"),
    (NODE.format("{nodes: {c: {op: stepp}}}"), "nodes.b.nodes.c.op", "? 'step'", "'stepp'"),
    (NODE.format("{nodes: {c: {op: join}}}"), "nodes.b.nodes.c.inputs.a", "int", "-"),
    (NODE.format("{op: join, inputs: {a: []}}"), "nodes.b.inputs.a", "int", "-"),
    (NODE.format("{op: join, params: {a: 1}}"), "nodes.b.params.a", "put it under inputs", "'a'"),
    (NODE.format("{op: join, inputs: {a: model.base}}"), "nodes.b.inputs.a", "one of", "'model.base'"),
    (NODE.format("{op: join, inputs: {a: models.}}"), "nodes.b.inputs.a", "none", "''"),
    (
        NODE.format("{op: vae_decode, inputs: {latents: a, model: a}}"),
        "nodes.b.inputs.latents",
        "Latents",
        "int",
    ),
    (NODE.format("{op: resize, inputs: {frames: [a, a]}}"), "nodes.b.inputs.frames", "Frames", "2 edges"),
    ("nodes: {1a: {op: step}}", "nodes.1a", "letters, digits, _ and -", "'1a'"),
    ("nodes: {a b: {op: step}}", "nodes.a b", "letters, digits", "'a b'"),
    ("nodes: {models: {op: step}}", "nodes.models", "not 'models'", "'models'"),
    ("nodes: {é: {op: step}}", "nodes.é", "letters, digits", "'é'"),
    ("nodes: {}", "nodes", "name: {op: ...}", "a dict"),
    ("nodes: 3", "nodes", "name: {op: ...}", "a int"),
    ("node: {a: {op: step}}", "node", "? 'nodes'", "'node'"),
    ("nodes: {a: {op: step}}\noutputs: [a.x]", "outputs[0]", "one of out", "'x'"),
    ("nodes: {a: {op: step}}\noutputs: [A]", "outputs[0]", "one of a", "'A'"),
    ("nodes: {a: {op: step}}\noutputs: [1]", "outputs", "[node, node.port]", "a list"),
    ("nodes: {a: {op: step}}\noutputs: {a: 1}", "outputs", "[node, node.port]", "a dict"),
    ("nodes: {a: {op: step}}\nmodels: [x]", "models", "name: {family: ..., source: ...}", "a list"),
    ("nodes: {a: {op: step}}\nmodels: {m: pocket}", "models.m", "family, source", "a str"),
    ("nodes: {a: {op: step}}\nversion: 2", "version", "description, models, name", "'version'"),
    ("nodes: {a: {op: step}}\nname: [x]", "name", "the name of a folder", "['x']"),
    ("nodes: {a: {op: step, params: {by: '${by}'}}}", "graph.nodes.a.params.by", "a key", "${by}"),
    (
        "nodes: {a: {op: step, params: {by: '${input.vidoe}'}}}",
        "graph.nodes.a.params.by",
        "? 'input.video'",
        "${",
    ),
    ("nodes: {a: {op: step, params: {by: '${nope:1}'}}}", "graph.nodes.a.params.by", "oc.env", "'nope'"),
    ("nodes: {a: {op: step, params: {by: '${..}'}}}", "bad.yaml", "${KEY}", "-"),
    ("nodes: {a: {op: step, params: {by: '${prompt'}}}", "bad.yaml", "${KEY}", "-"),
    (
        "settings: {by: '???'}\nnodes: {a: {op: step, params: {by: '${by}'}}}",
        "nodes.a.params.by",
        "by=...",
        "???",
    ),
    ("nodes: {a: {op: step, params: {by: '???'}}}", "graph.nodes.a.params.by", "a value, such as", "???"),
    ("nodes: {a: {op: step}}\nsettings: 3", "settings", "a mapping", "3"),
    ("nodes: {a: {op: step}}\nsettings: {chunks: 3}", "settings.chunks", "? 'chunk'", "3"),
    ("nodes: {a: {op: step}}\nsettings: {chunk: many}", "chunk", "a valid integer", "'many'"),
    ("nodes: {a: {op: step}}\ndefaults: [stages/clp@nodes.c]", "stages", "clip ? 'clip'", "'clp'"),
    ("nodes:\n\ta: {op: step}", "bad.yaml:2", "not YAML", "-"),
    ("nodes: {a: {op: step}}\n---\nnodes: {}", "bad.yaml:2", "one YAML document", "-"),
    ("nodes: {a: *x}", "bad.yaml:1", "an anchor &x above", "-"),
    ("nodes: {a: !!set {op: step}}", "bad.yaml:1", "plain values", "set"),
    ("nodes: {? [a] : {op: step}}", "bad.yaml:1", "a name", "-"),
    ("nodes: {a: {<<: 3}}", "bad.yaml:1", "a mapping or a list of mappings", "-"),
    ("[" * 60 + "]" * 60, "bad.yaml:1", "at most 50 levels", "-"),
    ("'just a text'", "bad.yaml", "a mapping of names to values", "'just a text'"),
    ("nodes: {a: {op: step, _call_: x}}", "bad.yaml:1", "an operator's name under 'op'", "_call_"),
]
#: (the command line after the program's name, path, expected, given)
LINES: list[tuple[list[str], str, str, str]] = [
    (["run", "graph=small", "by"], "graph", "quotes around all of it: 'graph=small by'", "'by'"),
    (["run", "graph="], "graph", "dream, dream_video", "''"),
    (["run", "graph=small.yml"], "graph", "? 'small'", "'small.yml'"),
    (["run", "graph=SMALL"], "graph", "one of", "'SMALL'"),
    (["run", "graph=small", "by=x"], "nodes.first.params.by", "a valid integer", "'x'"),
    (["run", "graph=small", "graph.nodes.first=3"], "nodes.first", "a mapping with op", "int"),
    (["run", "graph=small", "~graph.nodes.first"], "nodes.second.inputs.x", "one of", "'first'"),
    (["run", "graph=small", "graph.node.first.params.by=3"], "node", "? 'nodes'", "'node'"),
    (["run", "graph=small", "graph.outputs=last"], "outputs", "[node, node.port]", "a str"),
    (["run", "graph=small", "graph.outputs=[lst]"], "outputs[0]", "? 'last'", "'lst'"),
    (["run", "graph=small", "--outputs", "lst"], "outputs[0]", "? 'last'", "'lst'"),
    (["run", "graph=small", "seed=3"], "seed", "one of by, cache", "3"),
    (["run", "graph=small", "++zeed=3"], "zeed", "one of by, cache", "3"),
    (["run", "graph=small", "workers=0"], "workers", "greater than or equal to 1", "0"),
    (["run", "graph=small", "workers=two"], "workers", "a valid integer", "'two'"),
    (["run", "graph=small", "chunk=1.5"], "chunk", "a valid integer", "1.5"),
    (["run", "graph=small", "chunk=5000"], "chunk", "less than or equal to 4096", "5000"),
    (["run", "graph=small", "offline=perhaps"], "offline", "a valid boolean", "'perhaps'"),
    (["run", "graph=small", "executor=Threads"], "executor", "? 'threads'", "'Threads'"),
    (["run", "graph=small", "device=gpu:0"], "device", "auto, cpu, cuda", "'gpu:0'"),
    (["run", "graph=small", "cache=c"], "cache", "mapping|dictionary", "'c'"),
    (["run", "graph=small", "cache.max_bytes=-1"], "cache.max_bytes", "20GB|greater than 0", "-1"),
    (["run", "graph=small", "cache.max_bytes=0"], "cache.max_bytes", "greater than 0", "0"),
    (["run", "graph=small", "output_dir="], "output_dir", "the path of a folder", "''"),
    (["run", "graph=small", "experiment=nope"], "experiment", "one of diffutoon", "'nope'"),
    (["run", "graph=toon", "model="], "model", "expected one of", "''"),
    (["run", "graph=toon", "model.family=sdd"], "models.base.family", "? 'sd'", "'sdd'"),
    (["run", "graph=toon", "model.dtype=float8"], "models.base.dtype", "'float32'", "'float8'"),
    (["run", "graph=toon", "input=nope"], "input", "one of default", "'nope'"),
    (["run", "graph=small", "@x"], "graph", "quotes around all of it", "'@x'"),
    (["run", "--multirun", "graph=small", "by=range(1)x"], "by", "KEY=VALUE", "range(1)x"),
    (["run", "--multirun", "graph=small", "by=interval(0,1)"], "by", "choices or range(...)", "interval"),
    (["run", "--multirun", "graph=smal,nope"], "graph", "? 'small'", "'smal'"),
    (["runn", "graph=small"], "runn", "expected one of", "did you mean 'run'"),
    (["run", "--quite", "graph=small"], "--quite", "run --help", "-"),
    (["explain", "graph=small"], "explain", "a node first", "'graph=small'"),
    (["explain", "frist", "graph=small"], "'frist'", "? 'first'", "'frist'"),
    (["cache", "prun"], "prun", "cache --help", "'prun'"),
    (["cache", "stats", "cache.dri=x"], "cache", "? 'cache.dir'", "'cache.dri=x'"),
    (["cache", "stats", "cache.dir=nowhere"], "cache.dir", "one that a run has made", "nowhere"),
    (["cache", "prune", "cache.max_bytes=much"], "cache.max_bytes", "20GB", "'much'"),
    (["cache", "clear", "cache.dir="], "cache.dir", "the path of a folder", "''"),
    (["weights", "fetch"], "weights fetch", "names, or 'all'", "-"),
    (["weights", "verify", "rife-v5"], "rife-v5", "? 'rife-v4'", "-"),
    (["weights", "list", "cache.dir="], "cache.dir", "the path of a folder", "''"),
    (["show", "nowhere.png"], "nowhere.png", "an output of flowsynth", "no such file"),
    (["show", "my_ops.py"], "my_ops.py", "expected", "-"),
    (["reproduce", "graphs"], "graphs", "an output of flowsynth", "a folder"),
    (["ops", "stepp"], "'stepp'", "? 'step'", "'stepp'"),
    (["graph", "graph=small", "--format", "pdf"], "--format", "'mermaid'", "'pdf'"),
    (["graph", "graph=small", "-o", "nowhere/x.svg"], "-o", "a file to write", "'nowhere/x.svg'"),
    (["graph", "graph=small", "-o", "graphs"], "-o", "a file to write", "'graphs'"),
    (["compare", "a.mp4"], "compare", "required: B", "-"),
    (["compare", "a.mp4", "b.mp4", "--no-video"], "a.mp4", "a video file", "no such file"),
    (["--operators", "nope.py", "ops"], "--operators", "a Python file", "'nope.py'"),
    (["--operators"], "--operators", "a Python file after it", "-"),
]


def said(err: str, path: str, expected: str, given: str) -> list[str]:
    """The parts that a message lacks."""
    words, _, near = expected.partition("? ")
    parts = [path, *([f"did you mean {near}"] if near else []), *([] if given == "-" else [given])]
    lacking = [part for part in parts if part not in err]
    return lacking + ([words] if not any(word.strip() in err for word in words.split("|")) else [])


def require_refused(ended: tuple[int, str, str], path: str, expected: str, given: str) -> None:
    """A wrong request: exit code 2, nothing on stdout, one message, which says all its parts."""
    code, out, err = ended
    assert (code, out) == (2, ""), err
    assert "Traceback" not in err
    assert err.count("flowsynth: ") == 1
    assert not said(err, path, expected, given), err


def test_there_are_a_hundred() -> None:
    assert len(GRAPHS) + len(LINES) >= 100
    assert len({text for text, *_ in GRAPHS}) == len(GRAPHS)


@pytest.mark.sample(25)
@pytest.mark.parametrize("case", GRAPHS, ids=range(len(GRAPHS)))
def test_graphs(cli: Cli, home: Path, case: tuple[str, str, str, str]) -> None:
    text, path, expected, given = case
    (home / "graphs" / "bad.yaml").write_text(text, encoding="utf-8")
    require_refused(cli("run", "graph=bad", "cache.dir=c", "-q"), path, expected, given)
    assert not (home / "c").exists()


@pytest.mark.sample(20)
@pytest.mark.parametrize("case", LINES, ids=[" ".join(line[0]) for line in LINES])
def test_command_lines(cli: Cli, home: Path, case: tuple[list[str], str, str, str]) -> None:
    line, *parts = case
    require_refused(cli(*line), *parts)
    assert not (home / "outputs").exists()


def test_all_faults_of_one_graph_come_at_once(cli: Cli, home: Path) -> None:
    """Every kind of fault in one file: each is there, and none is said that is another's shadow."""
    (home / "graphs" / "bad.yaml").write_text(
        """
nodes:
  op: {op: stepp}
  none: {params: {by: 1}}
  text: hello
  both: {op: join, inputs: {a: op, c: op}, params: {bye: 1}}
  port: {op: join, params: {a: 1}}
  wrong: {op: resize, inputs: {frames: params}, params: {width: -1, height: x}}
  params: {op: step, params: {by: x}}
  lost: {op: step, inputs: {x: nowhere}, device: tpu, cache: no}
  below: {op: step, inputs: {x: none}}
  stage: {nodes: {in: {op: step, inputs: {x: text}}}, output: out}
outputs: [op, none, text, lots]
"""
    )
    _, _, err = cli("validate", "graph=bad")
    places = {line.strip().split(": ")[0] for line in err.splitlines()[1:]}
    assert places == {
        "nodes.op.op",
        "nodes.none.op",
        "nodes.text",
        "nodes.both.params.bye",
        "nodes.both.inputs.c",
        "nodes.port.params.a",
        "nodes.wrong.params.width",
        "nodes.wrong.params.height",
        "nodes.wrong.inputs.frames",
        "nodes.params.params.by",
        "nodes.lost.inputs.x",
        "nodes.lost.device",
        "nodes.lost.cache",
        "nodes.stage.output",
        "outputs[3]",
    }, err

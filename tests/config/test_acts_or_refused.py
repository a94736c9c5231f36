"""What a user writes acts, or is refused by name: experiments, groups, settings, the environment."""

import time
from typing import Any

import pytest

from flowsynth.config import compose_graph, compose_request
from flowsynth.config.interpolation import Values
from flowsynth.config.resolvers import ALLOWED_ENVIRONMENT
from flowsynth.core.errors import GraphError, RequestError
from tests.config.conftest import Writer

GLOBAL = "# @package _global_\n"
READS = ["prompt", "strength", "seed"]


def refused(overrides: list[str]) -> str:
    with pytest.raises(RequestError) as caught:
        compose_request(["graph=small", *overrides])
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "prompt: x",
            ["conf/experiment/e.yaml: experiment.prompt", "'# @package _global_' as the first"],
        ),
        (GLOBAL + "promt: x", ["conf/experiment/e.yaml: promt", "did you mean 'prompt'?", *READS]),
        (GLOBAL + "prompt: x\ninput: {vidio: y}", ["e.yaml: input.vidio", "given 'y'"]),
        (GLOBAL + "hydra: {mode: MULTIRUN}", ["e.yaml: hydra.mode", "expected --multirun"]),
        (GLOBAL + "graph: other", ["e.yaml: graph", "expected defaults: [override /graph: other]"]),
        (GLOBAL + "model: sd15", ["e.yaml: model", "expected defaults: [override /model: sd15]"]),
        (GLOBAL + "experiment: other", ["e.yaml: experiment", "experiment=NAME"]),
        (GLOBAL + "cache: {dri: x}", ["cache.dri", "unknown setting"]),
        (GLOBAL + "graph: {nodse: {}}\nprompt: x", ["nodse"]),
    ],
)
def test_a_file_that_does_nothing_is_named_with_its_key(small: Writer, text: str, words: list[str]) -> None:
    small("conf/experiment/e.yaml", text)
    try:
        graph = compose_request(["graph=small", "experiment=e"]).graph
    except RequestError as error:
        message = str(error)
    else:  # a key of the graph: its own checker names it
        import flowsynth as fs

        with pytest.raises(GraphError) as caught:
            fs.Graph.from_dict(graph)
        message = str(caught.value)
    assert not [word for word in words if word not in message], message


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{graph: x}", ["graphs/own.yaml: settings.graph", "beside settings"]),
        ("{experiment: x}", ["settings.experiment", "experiment=NAME"]),
        ("{model: pocket}", ["settings.model", "override /model@_global_.model: pocket"]),
        ("{promt: x}", ["graphs/own.yaml: settings.promt", "did you mean 'prompt'?"]),
        ("{hydra: {sweep: 1}}", ["settings.hydra.sweep", "not used here"]),
    ],
)
def test_settings_that_nothing_reads(folder: Writer, settings: str, words: list[str]) -> None:
    folder("graphs/own.yaml", f"settings: {settings}\nnodes: {{a: {{op: x, params: {{p: '${{prompt}}'}}}}}}")
    with pytest.raises(RequestError) as caught:
        compose_graph("own")
    assert not [word for word in words if word not in str(caught.value)], caught.value


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("+foo=1", ["foo: nothing in the graph 'small' reads it", *READS, "given 1"]),
        ("+input.extra=1", ["input.extra: nothing"]),
        ("input.video=x.mp4", ["input.video: nothing in the graph 'small'"]),
        ("input={video: x}", ["input.video: nothing"]),
        ("model=pocket_motion", ["model: nothing in the graph 'small'"]),
        ("model=[pocket,sd15]", ["model: several values", "expected one of"]),
        ("input=[default]", ["input: several values"]),
        ("graph={name: x}", ["graph: chosen by its name", "graph.KEY=VALUE"]),
        ("experiment={prompt: x}", ["experiment: chosen by its name"]),
        ("+style=noir", ["style: nothing in the graph 'small'", "given 'noir'"]),
        ("device=cpuu", ["device: bad value", "cuda:N", "did you mean 'cpu'?", "given 'cpuu'"]),
        ("device=cuda:x", ["device: bad value"]),
        ("cache.dir=", ["cache.dir", "the path of a folder"]),
        ("output_dir='~nosuchuser/x'", ["output_dir", "no user ~nosuchuser"]),
        ("cache.max_bytes=1 XB", ["cache.max_bytes", "20GB"]),
        ("=x", ["=x: not an override", "KEY=VALUE"]),
        ("+=", ["+=: not an override"]),
        ("@x=1", ["@x: not a key"]),
        ("", ["not an override"]),
        ("seed='1", ["seed: cannot be read", "a quote that is not closed"]),
        ("~promt", ["promt: no such key", "did you mean 'prompt'?"]),
    ],
)
def test_an_override_that_does_nothing(small: Writer, override: str, words: list[str]) -> None:
    small("conf/style/noir.yaml", "grain: 1")
    message = refused([override])
    assert not [word for word in words if word not in message], message
    assert "LexerNoViableAlt" not in message


def test_what_does_something_is_taken(small: Writer) -> None:
    small("conf/style/noir.yaml", "grain: 0.5\nunused: 1")
    small("conf/experiment/a.yaml", GLOBAL + "strength: '${style.grain}'\ndefaults: [/style@style: noir]\n")
    small("conf/experiment/b.yaml", GLOBAL + "prompt: b\nchunk: 4\ngraph: {nodes: {a: {cache: never}}}")
    made = compose_request(["graph=small", "experiment=[a,b]"])
    assert made.experiments == ("a", "b")
    assert made.graph["nodes"]["a"] == {"op": "first", "params": {"text": "b"}, "cache": "never"}
    assert made.graph["nodes"]["b"]["params"]["strength"] == 0.5
    assert made.settings.chunk == 4
    assert compose_request(["graph=small", "cache.max_bytes=1 PB"]).settings.cache.max_bytes == 2**50
    # What a file sets may be read by what an override replaces: the override wins, and nothing is wrong.
    compose_request(["graph=small", "experiment=a", "graph.nodes.b.params.strength=1"])


def test_words_that_a_shell_cut_off_are_put_together_in_the_message(small: Writer) -> None:
    message = refused(["prompt=HELLO", "on", "a", "sign", "seed=2"])
    assert "prompt: words after it" in message
    assert "quotes around all of it: 'prompt=HELLO on a sign'" in message


@pytest.mark.parametrize("text", ['"HELLO" on a sign', "'a' and 'b'", '"', "it's", '"a" "b'])
def test_quotes_inside_of_a_prompt_stay(small: Writer, text: str) -> None:
    assert compose_graph("small", [f"prompt={text}"])["nodes"]["a"]["params"]["text"] == text


@pytest.mark.parametrize(
    "text",
    [
        "${oc.env:HUSH}",
        "a ${oc.env:HUSH} b",
        "${oc.env:HUSH,default}",
        "${oc.decode:${oc.env:HUSH}}",
        "${oc.select:strength,${oc.env:HUSH}}",
        "${oc.create:${oc.env:HUSH}}",
        "${${way}:HUSH}",
        "${oc.env:${name}}",
    ],
)
def test_the_environment_is_read_only_where_it_was_allowed(
    small: Writer, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("HUSH", "secret-value")
    small("conf/experiment/e.yaml", GLOBAL + f"way: oc.env\nname: HUSH\nprompt: '{text}'")
    message = refused(["experiment=e"]) if "way" in text or "name" in text else refused([f"prompt='{text}'"])
    assert "secret-value" not in message
    assert f"expected a variable that {ALLOWED_ENVIRONMENT} names" in message
    monkeypatch.setenv(ALLOWED_ENVIRONMENT, "OTHER, HUSH")
    if text == "${oc.env:HUSH}":
        values = compose_request(["graph=small", f"prompt='{text}'"])
        assert values.graph["nodes"]["a"]["params"]["text"] == "secret-value"


def chain(first: str, link: str, length: int = 40) -> dict[str, str]:
    """Values w0 to w39, each made of the one before, which ``@`` stands for."""
    return {"w0": first, **{f"w{i}": link.replace("@", f"${{w{i - 1}}}") for i in range(1, length)}}


#: name -> values of which the last one is read
BOMBS = {
    "of text": chain("'lollollol'", "'@@'"),
    "of mappings": chain("{x: 1}", "{a: '@', b: '@'}"),
    "of lists": chain("[1, 2]", "['@', '@']"),
    "of resolvers": chain("x", "'${oc.create:@}${oc.create:@}'"),
    "of a long chain": chain("x", "'@'", 400),
    "in a circle": chain("'${w39}'", "'@'"),
    "in itself": {"w39": "{a: '${w39}'}"},
    "in its part": {"w39": "{a: {b: '${w39.a}'}}"},
    "of brackets": {"w39": f"'{'${' * 4000}'"},
}


@pytest.mark.sample(12)
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("override", ["", "graph.nodes.a.params.p.deep=1", "+w39=1", "~w39"])
def test_a_bomb_ends_with_a_message(folder: Writer, name: str, override: str) -> None:
    if override in ("+w39=1", "~w39") and name != "of text":
        return
    last = max(BOMBS[name], key=lambda key: int(key[1:]))
    lines = [f"{key}: {text}" for key, text in BOMBS[name].items()]
    folder("conf/experiment/bomb.yaml", GLOBAL + "\n".join(lines))
    folder("graphs/small.yaml", f"nodes: {{a: {{op: x, params: {{p: '${{{last}}}'}}}}}}")
    overrides = ["experiment=bomb", *([override] if override else [])]
    if "deep" in override and name == "of a long chain":  # it ends at a text, which gives way to the mapping
        assert compose_graph("small", overrides)["nodes"]["a"]["params"]["p"] == {"deep": 1}
        return
    began = time.process_time()
    with pytest.raises(RequestError) as caught:
        compose_graph("small", overrides)
    assert time.process_time() - began < 10
    assert len(str(caught.value)) < 20_000
    assert str(caught.value).startswith(("configuration: ", "YAML: "))


def test_sharing_within_reason_is_no_bomb(folder: Writer) -> None:
    folder(
        "graphs/small.yaml",
        "settings: {a: 'x', b: '${a}${a}', c: '${b}${b}'}\nnodes: {n: {op: x, params: {p: ['${c}', 1]}}}",
    )
    assert compose_graph("small")["nodes"]["n"]["params"]["p"] == ["xxxx", 1]


def test_interpolations_agree_with_omegaconf() -> None:
    from omegaconf import OmegaConf

    text = """
a: {b: 1, c: [10, {d: deep}], e: null, f: 2.5, g: true}
abs: ${a.b}
brackets: ${a[c][1].d}
rel: {x: '${.y}', y: 3, z: '${..a.f}'}
text: "b=${a.b} e=${a.e} f=${a.f} g=${a.g} list=${a.c}"
escaped: 'no \\${a.b} here'
half: 'a\\\\${a.b}'
whole: ${a}
item: ${a.c.0}
nested: ${a.${which}}
which: b
decoded: "${oc.decode:'[1, {x: 2}]'}"
selected: ${oc.select:nope,7}
keys: ${oc.dict.keys:a}
values: ${oc.dict.values:rel}
created: "${oc.create:{k: 1}}"
through: ${whole.c.1.d}
dollar: '$5 and $x'
"""
    raw = OmegaConf.create(text)
    expected: Any = OmegaConf.to_container(raw, resolve=True)
    plain: Any = OmegaConf.to_container(raw, resolve=False)
    values = Values(plain)
    assert {key: values.get(key) for key in expected} == expected
    assert not values.faults


@pytest.mark.parametrize(
    ("written", "right"),
    [
        ("${max:${a},16}", 16),
        ("${min:${a},16}", 8),
        ("${max:2.5,${a},null}", 8),
        ("${max:${nothing},${nothing}}", None),
        ("${min:-1,${nothing}}", -1),
    ],
)
def test_the_larger_and_the_smaller_of_numbers(written: str, right: float | None) -> None:
    values = Values({"a": 8, "nothing": None, "got": written})
    assert (values.get("got"), values.faults) == (right, [])


@pytest.mark.parametrize("written", ["${max:x,1}", "${max:}", "${min:true}", "${max:[1,2]}", "${max:nan,1}"])
def test_what_is_no_number_is_not_compared(written: str) -> None:
    values = Values({"got": written})
    values.get("got")
    assert [fault.path for fault in values.faults] == ["got"]
    assert "expected numbers or null" in str(values.faults[0])

import threading
from pathlib import Path
from typing import Any

import pytest

from flowsynth.config import compose_graph, compose_request, sweep
from flowsynth.config.folders import graph_names, shipped_folders
from flowsynth.core.errors import RequestError
from tests.config.conftest import Writer


def params(graph: dict[str, Any], node: str) -> Any:
    return graph["nodes"][node]["params"]


def test_a_users_graph_is_found_and_named_after_its_file(small: Writer) -> None:
    graph = compose_graph("small")
    assert graph["name"] == "small"
    assert "settings" not in graph
    assert params(graph, "a") == {"text": "from the graph"}


def test_a_users_graph_comes_before_the_shipped_one(folder: Writer) -> None:
    folder("graphs/toon.yaml", "nodes: {only: {op: mine}}")
    assert list(compose_graph("toon")["nodes"]) == ["only"]
    assert list(compose_request().graph["nodes"]) == ["only"]


def test_a_linked_graph_is_found_and_a_path_out_of_the_folder_is_not(folder: Writer, tmp_path: Path) -> None:
    folder("elsewhere/real.yaml", "nodes: {only: {op: mine}}")
    (tmp_path / "graphs").mkdir()
    (tmp_path / "graphs" / "linked.yaml").symlink_to(tmp_path / "elsewhere" / "real.yaml")
    assert list(compose_graph("linked")["nodes"]) == ["only"]
    for name in ("../elsewhere/real", "stages/../../elsewhere/real"):
        with pytest.raises(RequestError, match="unknown graph"):
            compose_graph(name)


def test_shipped_graphs_are_found_from_an_empty_folder(folder: Writer) -> None:
    assert "toon" in graph_names()
    assert compose_request().graph["name"] == "toon"


def test_an_override_beats_the_settings_of_the_graph(small: Writer) -> None:
    graph = compose_graph("small", ["prompt=typed", "strength=0.9"])
    assert params(graph, "a")["text"] == "typed"
    assert params(graph, "b")["strength"] == 0.9


def test_a_param_that_the_file_does_not_mention_is_set_without_plus(small: Writer) -> None:
    graph = compose_graph("small", ["graph.nodes.b.params.new=3", "graph.nodes.a.device=cpu"])
    assert params(graph, "b")["new"] == 3
    assert graph["nodes"]["a"]["device"] == "cpu"


def test_an_experiment_chooses_the_graph_and_its_values_beat_the_main_config(small: Writer) -> None:
    folder = small
    folder(
        "conf/experiment/mine.yaml",
        "# @package _global_\ndefaults: [{override /graph: small}]\nseed: 7\nprompt: from experiment\n",
    )
    made = compose_request(["experiment=mine"])
    assert made.graph["name"] == "small"
    assert made.values["seed"] == 7
    assert params(made.graph, "a")["text"] == "from experiment"
    assert params(compose_request(["experiment=mine", "prompt=x"]).graph, "a")["text"] == "x"


def test_a_users_own_primary_config_is_refused_and_a_copy_of_ours_does_no_harm(small: Writer) -> None:
    small("conf/config.yaml", "nothing: here")
    small("conf/flowsynth_main.yaml", (shipped_folders().conf / "flowsynth_main.yaml").read_text())
    assert params(compose_graph("small"), "a")["text"] == "from the graph"
    small("conf/flowsynth_main.yaml", "defaults: [_self_]\nprompt: hijacked")
    with pytest.raises(RequestError, match=r"flowsynth_main\.yaml: .*expected conf/experiment/NAME\.yaml"):
        compose_graph("small")


def test_a_users_group_is_merged_with_the_shipped_choices(small: Writer) -> None:
    small("conf/model/mine.yaml", "family: sd\nsource: ./weights\n")
    small("graphs/small.yaml", "models: {base: '${model}'}\nnodes: {a: {op: first}}")
    assert compose_request(["graph=small", "model=mine"]).values["model"]["source"] == "./weights"
    assert compose_request(["graph=small", "model=pocket"]).values["model"]["family"] == "sd"


def test_a_graph_may_choose_its_model(small: Writer) -> None:
    small("conf/model/mine.yaml", "family: sd\nsource: ./weights\n")
    small(
        "graphs/own.yaml",
        "defaults: [{override /model@_global_.model: mine}]\nmodels: {base: '${model}'}\nnodes: {}",
    )
    assert compose_graph("own")["models"]["base"]["source"] == "./weights"
    assert compose_graph("own", ["model=pocket"])["models"]["base"]["source"] != "./weights"


def test_stages_are_files_mounted_under_names_of_the_graphs_choice(folder: Writer) -> None:
    folder("graphs/stages/soft.yaml", "op: blur\nparams: {radius: 2}\n")
    folder(
        "graphs/two.yaml",
        "defaults: ['stages/soft@nodes.one', 'stages/soft@nodes.two']\n"
        "settings: {radius: 5}\n"
        "nodes:\n  one: {params: {radius: '${radius}'}, inputs: {x: two}}\n",
    )
    nodes = compose_graph("two", ["graph.nodes.two.params.radius=9"])["nodes"]
    assert nodes["one"] == {"op": "blur", "params": {"radius": 5}, "inputs": {"x": "two"}}
    assert nodes["two"]["params"] == {"radius": 9}


def test_a_node_of_a_stage_goes_by_the_name_that_plans_give_it(folder: Writer) -> None:
    graph = compose_graph("toon", ["graph.nodes.finish/upscale.params.factor=4"])
    assert graph["nodes"]["finish"]["nodes"]["upscale"]["params"]["factor"] == 4
    with pytest.raises(RequestError, match=r"finish\.nodes\.upscal: .* did you mean 'upscale'"):
        compose_graph("toon", ["graph.nodes.finish/upscal.params.factor=4"])


@pytest.mark.parametrize(
    "text",
    [
        "oil painting, sea",
        "a (cat:1.3), [b]",
        "[cat] on a mat",
        "[cat]",
        "{cat}",
        'it\'s "quoted"',
        "C:\\dir\\",
        "back\\'tick",
        "a=b",
        "42",
        "true",
        "50% {x}",
        "naïve 漫画",
        "a: b",
    ],
)
def test_a_prompt_is_taken_as_typed(small: Writer, text: str) -> None:
    assert params(compose_graph("small", [f"prompt={text}"]), "a")["text"] == text


def test_a_quoted_prompt_and_a_travelling_one_follow_the_grammar(small: Writer) -> None:
    assert params(compose_graph("small", ["prompt='x, y'"]), "a")["text"] == "x, y"
    assert params(compose_graph("small", ["prompt={0:day,48:night}"]), "a")["text"] == {
        "0": "day",
        "48": "night",
    }


def test_settings_are_typed(small: Writer) -> None:
    settings = compose_request(["graph=small", "cache.dir=c", "cache.max_bytes=2GB", "output_dir=o"]).settings
    assert (str(settings.cache.dir), settings.cache.max_bytes) == ("c", 2 * 2**30)
    assert str(settings.output_dir) == "o"
    assert compose_request(["graph=small"]).settings.output_dir is None


def test_sweeps_come_to_jobs(small: Writer) -> None:
    small("graphs/other.yaml", "nodes: {a: {op: x}}")
    assert sweep(["seed=1,2", "prompt=a,b"]) == [
        ["seed=1", "prompt=a"],
        ["seed=1", "prompt=b"],
        ["seed=2", "prompt=a"],
        ["seed=2", "prompt=b"],
    ]
    assert sweep(["seed=range(3)"]) == [["seed=0"], ["seed=1"], ["seed=2"]]
    jobs = sweep(["graph=glob([small,oth*])", "prompt='x, y'"])
    assert jobs == [["graph=other", "prompt='x, y'"], ["graph=small", "prompt='x, y'"]]


def test_a_sweep_that_has_no_end_is_refused(small: Writer) -> None:
    with pytest.raises(RequestError, match="cannot be counted"):
        sweep(["seed=interval(0,1)"])


def test_no_state_of_hydras_is_left_behind(small: Writer) -> None:
    from hydra import version
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.global_hydra import GlobalHydra

    before = version.VersionBase.instance().version_base
    compose_request(["graph=small"])
    with pytest.raises(RequestError):
        compose_request(["graph=nope"])
    assert version.VersionBase.instance().version_base is before
    assert "graphs" not in SourcesRegistry.instance().types
    assert not GlobalHydra.instance().is_initialized()


def test_it_composes_inside_another_hydra_application(small: Writer, tmp_path: Path) -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    small("theirs/config.yaml", "value: 1\n")
    with initialize_config_dir(str(tmp_path / "theirs"), version_base="1.2"):
        assert compose_graph("small")["name"] == "small"
        assert hydra_compose("config").value == 1


def test_compositions_in_several_threads_agree(small: Writer) -> None:
    results = {}

    def work(index: int) -> None:
        results[index] = params(compose_graph("small", [f"prompt=p{index}"]), "a")["text"]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {i: f"p{i}" for i in range(6)}

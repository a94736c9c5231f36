"""Options of Hydra's own command line."""

from __future__ import annotations

import pytest
import yaml

from tests.cli.conftest import Cli


def test_a_composed_configuration_is_printed(cli: Cli) -> None:
    code, out, _ = cli("run", "--cfg", "job", "-cn", "small", "by=7")
    values = yaml.safe_load(out)
    assert code == 0
    assert values["by"] == 7
    assert values["graph"]["nodes"]["first"]["params"] == {"by": "${by}"}
    assert "hydra" not in values
    code, out, _ = cli("run", "--cfg", "all", "--resolve", "graph=small", "by=7")
    values = yaml.safe_load(out)
    assert values["graph"]["nodes"]["first"]["params"] == {"by": 7}
    assert values["hydra"]["runtime"]["choices"]["graph"] == "small"
    code, out, _ = cli("run", "-c", "job", "-p", "graph.nodes.first", "graph=small")
    assert out.startswith("# @package graph.nodes.first\nop: step\n")


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("searchpath", ["user ", "shipped ", "graphs"]),
        ("defaults", ["flowsynth_main", "_global_", "graph/small"]),
        ("defaults-tree", ["  flowsynth_main\n", "    graph: small\n", "    hydra/launcher: basic"]),
        ("plugins", ["hydra/launcher=basic: ours, the default", "hydra/sweeper=ax: not supported"]),
        ("config", ["graph:", "hydra:"]),
        ("all", ["# searchpath", "# plugins", "# defaults", "# defaults-tree", "# config"]),
    ],
)
def test_where_it_comes_from_is_printed(cli: Cli, what: str, words: list[str]) -> None:
    code, out, _ = cli("run", "graph=small", "--info", what)
    assert code == 0
    assert not [word for word in words if word not in out], out


def test_a_config_s_name_is_the_graph_s(cli: Cli) -> None:
    assert cli("run", "-q", "--config-name", "small.yaml", "cache.dir=c")[0] == 0


def test_a_folder_that_hydra_s_key_names_is_the_same_when_the_request_is_recalled(cli: Cli) -> None:
    given = ("run", "-q", "graph=small", "cache.dir=c", "hydra.run.dir=there")
    assert [cli(*given)[:2] for _ in range(2)] == [(0, "last = 112\nthere/run.json\n")] * 2


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["-cn", "smal"], "did you mean 'small'"),
        (["-cn", "small", "graph=small"], "--config-name: the graph is named twice"),
        (["-cp", "conf", "graph=small"], "--config-path: not used here; expected graphs/ and conf/"),
        (["--config-dir", "conf", "graph=small"], "--config-dir: not used here; expected graphs/ and conf/"),
        (["--hydra-help"], "--hydra-help: not used here"),
        (["--experimental-rerun", "x.pickle"], "flowsynth reproduce FILE"),
        (["--cfg", "jobs"], "invalid choice"),
        (["--info", "everything"], "invalid choice"),
        (["--resolve", "graph=small"], "--resolve: not used without --cfg"),
        (["--package", "x", "graph=small"], "--package: not used without --cfg"),
        (["--cfg", "job", "--package", "graph.nods", "graph=small"], "did you mean 'nodes'"),
        (["--cfg", "job", "--resolve", "graph=small", "by=${x}"], "interpolates a key that is not there"),
        (["--cfg", "job", "-m", "graph=small", "by=1,2"], "--cfg: not used with --multirun"),
        (["--info", "-m", "graph=small", "by=1,2"], "--info: not used with --multirun"),
        (["-m", "graph=small", "by=1,2", "sweep.objective=last"], "expected hydra/sweeper=optuna beside it"),
    ],
)
def test_what_would_not_act_is_refused(cli: Cli, argv: list[str], words: str) -> None:
    code, out, err = cli("run", *argv)
    assert code == 2
    assert not out
    assert words in err


def test_a_search_cannot_be_planned(cli: Cli) -> None:
    code, _, err = cli("plan", "-m", "graph=small", "by=1,2", "hydra/sweeper=optuna", "sweep.objective=last")
    assert code == 2
    assert "hydra/sweeper=optuna makes its jobs up as it goes" in err
    code, out, _ = cli("plan", "-m", "graph=small", "by=1,2", "hydra/launcher=joblib")
    assert code == 0
    assert "2 jobs" in out

"""Completion: what may follow, in which shell, how quickly, and without torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowsynth.cli.complete.shells import SCRIPTS, for_bash, words_of
from flowsynth.cli.complete.words import candidates
from tests.cli.conftest import Cli, assert_quick
from tests.processes import ROOT


@pytest.mark.parametrize(
    ("words", "some", "none"),
    [
        ("", ["run", "list", "--operators"], ["graph="]),
        ("ru", ["run"], ["list"]),
        ("help pl", ["plan"], ["run"]),
        ("run ", ["graph=", "graph.", "seed=", "cache.", "model="], ["run", "hydra/launcher="]),
        ("run graph=t", ["graph=toon", "graph=text_to_image"], ["graph=small"]),
        ("run graph=s", ["graph=small", "graph=story_video"], []),
        ("run graph=small ", ["by="], ["short_side="]),
        ("run graph=toon ", ["short_side="], ["by="]),
        ("run experiment=mine sh", ["short_side="], []),
        ("run experiment=", ["experiment=diffutoon", "experiment=mine"], []),
        ("run cache.", ["cache.dir=", "cache.keep="], ["cache.cache="]),
        ("run cache.keep=", ["cache.keep=costly"], []),
        ("run offline=", ["offline=true", "offline=false"], []),
        ("run graph=toon graph.nodes.fin", ["graph.nodes.finish."], []),
        ("run graph.nodes.finish.nodes.", ["graph.nodes.finish.nodes.upscale."], []),
        ("run graph.nodes.denoise.", ["graph.nodes.denoise.params.", "graph.nodes.denoise.device="], []),
        ("run graph.nodes.denoise.params.gu", ["graph.nodes.denoise.params.guidance_scale="], []),
        (
            "run graph.nodes.denoise.params.deflicker_method=",
            ["graph.nodes.denoise.params.deflicker_method=flow"],
            [],
        ),
        ("run graph.nodes.lay.inputs.", ["graph.nodes.lay.inputs.redrawn="], []),
        ("run graph.nodes.lay.inputs.frames=", ["graph.nodes.lay.inputs.frames=guide"], []),
        ("run -m graph=toon,dr", ["graph=toon,dream"], ["graph=toon,toon"]),
        ("plan ++mod", ["++model=", "++model."], []),
        ("run input.video=c", ["input.video=clip.mp4", "input.video=clips/"], ["input.video=my_ops.py"]),
        ("run --mul", ["--multirun"], ["--cfg"]),
        ("run --cfg ", ["job", "hydra", "all"], ["graph="]),
        ("run -q -", ["--json"], []),
        ("explain graph=toon fin", [], []),
        ("explain fin", ["finish/smooth"], []),
        ("ops den", ["denoise"], []),
        ("list ", ["graphs", "operators"], ["graph="]),
        ("new graph x --like to", ["toon"], []),
        ("show cl", ["clip.mp4", "clips/"], []),
        ("--operators my", ["my_ops.py"], []),
        ("--operators my_ops.py ru", ["run"], []),
        ("nonsense ", [], ["run"]),
    ],
)
def test_what_may_follow(home: Path, words: str, some: list[str], none: list[str]) -> None:
    (home / "clips").mkdir()
    (home / "clip.mp4").touch()
    (home / "conf" / "experiment").mkdir(parents=True)
    (home / "conf" / "experiment" / "mine.yaml").write_text("# @package _global_\nshort_side: 64\n")
    found = candidates(words.split(" "))
    assert not [word for word in some if word not in found], found
    assert not [word for word in none if word in found], found
    assert all(word.startswith(words.rsplit(" ", maxsplit=1)[-1]) for word in found)


def test_a_broken_file_completes_what_the_others_say(home: Path) -> None:
    (home / "graphs" / "bad.yaml").write_text("nodes: [")
    assert "seed=" in candidates(["run", "graph=bad", "se"])
    assert "graph=bad" in candidates(["run", "graph=b"])


def test_every_graph_s_settings_and_nodes_are_those_of_the_composition() -> None:
    """The quick sketch knows the keys that Hydra's composition has."""
    from flowsynth.config.catalogue import names
    from flowsynth.config.composition import composed_values
    from flowsynth.config.sketch import sketch

    for graph in names("graphs"):
        lines = [f"graph={graph}"]
        real = composed_values(lines)
        assert set(sketch(lines)) == set(real) - {"hydra"}
        assert _keys(sketch(lines)["graph"]["nodes"]) == _keys(real["graph"]["nodes"])


def _keys(tree: object, path: str = "") -> set[str]:
    if not isinstance(tree, dict):
        return {path}
    return {leaf for key, value in tree.items() for leaf in _keys(value, f"{path}.{key}")} | {path}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("flowsynth ", [""]),
        ("flowsynth run gr", ["run", "gr"]),
        (r"flowsynth run input.video=my\ c", ["run", "input.video=my c"]),
        ("flowsynth run prompt='oil pa", ["run", "prompt=oil", "pa"]),
    ],
)
def test_a_line_is_cut_into_words(line: str, words: list[str]) -> None:
    assert words_of(line) == words


def test_bash_gets_what_stands_after_its_own_cut() -> None:
    assert for_bash(["graph=toon"], "graph=to", "=:") == ["toon"]
    assert for_bash(["a=my clip's.mp4"], "a=m", "=:") == [r"my\ clip\'s.mp4"]


@pytest.fixture
def shell_env(home: Path) -> dict[str, str]:
    """An environment in which ``flowsynth`` is this checkout's."""
    (home / "bin").mkdir()
    program = home / "bin" / "flowsynth"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m flowsynth "$@"\n')
    program.chmod(0o755)
    (home / "my clip.mp4").touch()
    path = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "HOME": str(home)}


BASH = """
eval "$(flowsynth completion bash)"
t() {
    COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; COMPREPLY=()
    _flowsynth
    printf '[%s]' "${COMPREPLY[@]}"; echo
}
t "flowsynth ru"; t "flowsynth run graph=too"; t 'flowsynth run input.video=my\\ c'; t "flowsynth run --c"
"""


def test_bash_itself(shell_env: dict[str, str]) -> None:
    done = subprocess.run(["bash", "-c", BASH], env=shell_env, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        "[run]", "[toon][toon_edit]", r"[my\ clip.mp4]", "[--cfg][--config-name]"
    ]  # fmt: skip


ZSH = """
autoload -U compinit; compinit -D -u
eval "$(flowsynth completion zsh)"
compadd() { print -r -- "$*: $open $closed" }
words=(flowsynth run graph=too); CURRENT=3; $_comps[flowsynth]
words=(flowsynth run graph.nod); CURRENT=3; $_comps[flowsynth]
"""
FISH = """
flowsynth completion fish | source
complete -C "flowsynth run graph=too"
complete -C "flowsynth run graph.nod"
"""


@pytest.mark.parametrize(
    ("program", "script", "expected"),
    [
        ("zsh", ZSH, ["-a closed:  graph=toon graph=toon_edit", "-S  -a open: graph.nodes. "]),
        ("fish", FISH, ["graph=toon", "graph=toon_edit", "graph.nodes."]),
    ],
)
def test_other_shells(shell_env: dict[str, str], program: str, script: str, expected: list[str]) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed: its script was not tried")
    done = subprocess.run([program, "-c", script], env=shell_env, capture_output=True, text=True, check=False)
    assert [line.rstrip() for line in done.stdout.splitlines()] == [line.rstrip() for line in expected], (
        done.stderr
    )


@pytest.mark.parametrize("shell", list(SCRIPTS))
def test_the_script_is_printed(cli: Cli, shell: str) -> None:
    code, out, _ = cli("completion", shell)
    assert (code, out) == (0, SCRIPTS[shell])


def test_it_is_quick_and_without_torch() -> None:
    code = (
        "import sys; from flowsynth.cli import main; main(['completion', 'fish', '--words', 'run', "
        "'graph.nodes.denoise.params.']); assert not {'torch', 'hydra', 'networkx'} & set(sys.modules)"
    )
    assert "guidance_scale=" in assert_quick(["-c", code]).stdout

import subprocess
import sys
from pathlib import Path

import pytest

from flowsynth._version import __version__
from flowsynth.cli.commands import COMMANDS, command_module
from tests.cli.conftest import Cli, Shell


def test_help_names_every_command(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    assert all(f"  {name} " in out for name in COMMANDS)


def test_version(cli: Cli) -> None:
    assert cli("--version")[1].strip() == f"flowsynth {__version__}"


@pytest.mark.parametrize(
    "argv", [["runn"], ["ops", "annotat"], ["ops", "--jsn"], ["cache", "stat"], ["graph", "--format", "png"]]
)
def test_a_wrong_request_is_one_message_and_code_two(cli: Cli, argv: list[str]) -> None:
    code, out, err = cli(*argv)
    assert code == 2
    assert out == ""
    assert err.startswith("flowsynth: ")
    assert "expected" in err or "choose from" in err or "unrecognized" in err
    assert "Traceback" not in err


def test_no_command_prints_help_and_fails(cli: Cli) -> None:
    code, out, _ = cli()
    assert code == 2
    assert "usage: flowsynth" in out


def test_options_may_stand_between_overrides(cli: Cli) -> None:
    code, out, _ = cli("graph", "graph=small", "--format", "dot", "by=3")
    assert code == 0
    assert out.startswith("digraph")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no such file"),
        ("import nothing_of_that_name\n", "ModuleNotFoundError"),
        ("x = 1\nclass A(\n", "my_ops2.py:"),
        (
            "import flowsynth as fs\n\nclass U(fs.Operator):\n    op = 'upscale'\n    version = 1\n",
            "shipped operator",
        ),
    ],
)
def test_an_operators_file_that_cannot_be_used(cli: Cli, home: Path, text: str, words: str) -> None:
    if text is not None:
        (home / "my_ops2.py").write_text(text)
    code, _, err = cli("--operators", "my_ops2.py", "ops")
    assert code == 2
    assert words in err
    assert "Traceback" not in err


def test_a_reader_that_goes_away_is_no_error(shell: Shell) -> None:
    code = "import sys; sys.argv[0] = 'flowsynth'\nfrom flowsynth.cli import entry\nentry()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "ops", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert err == ""


HEAVY = ("torch", "diffusers", "transformers", "hydra", "rich", "networkx", "av", "triton")


def test_help_needs_no_pydantic(home: Path) -> None:
    """A tenth of a second; importing the package alone makes nothing of what it offers."""
    code = (
        "import sys\nfrom flowsynth.cli import main\n"
        "code = main(['--help']) or main(['--version'])\n"
        "sys.exit(code or ', '.join({'pydantic', 'flowsynth.core.operator'} & set(sys.modules)) or 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_light_commands_import_nothing_heavy(home: Path) -> None:
    commands = [["--help"], ["ops"], ["ops", "upscale"], ["schema"], ["cache", "stats"]]
    code = (
        "import sys\nfrom flowsynth.cli import main\n"
        f"for argv in {commands!r}:\n"
        "    code = main(argv)\n"
        f"    heavy = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    if code or heavy:\n"
        "        sys.exit(f'{argv}: {code}, {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_has_a_parser_with_help(capsys: pytest.CaptureFixture[str]) -> None:
    for name in COMMANDS:
        with pytest.raises(SystemExit) as caught:
            command_module(name).parser().parse_args(["--help"])
        assert caught.value.code == 0
        assert f"flowsynth {name}" in capsys.readouterr().out

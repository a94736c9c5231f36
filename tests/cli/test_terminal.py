"""Control characters out of files never reach the terminal raw."""

import io
import json
from pathlib import Path
from typing import cast

import pytest

from flowsynth.cli.live import LiveTable
from flowsynth.cli.terminal import Visible, bare, safe_streams, visible
from flowsynth.core.events import NodeOutline
from tests.cli.conftest import Cli

EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj\r"
RAW = ("\x1b", "\x07", "\x9b", "\u202e", "\r")


@pytest.mark.parametrize("char", [chr(code) for code in range(0xA0)] + ["\u202e", "\u2066", "\u2028"])
def test_what_steers_a_terminal_is_spelt_out(char: str) -> None:
    steers = (ord(char) < 32 and char not in "\n\t") or 0x7F <= ord(char) <= 0x9F or ord(char) > 0x2000
    assert visible(f"a{char}b") == (f"a\\u{ord(char):04x}b" if steers else f"a{char}b")


def test_texts_of_all_languages_stay() -> None:
    text = "naïve 漫画 עברית 🐈‍⬛ e\u0301\n\ttabbed"
    assert visible(text) == text


def test_faults_outputs_and_records_are_safe(cli: Cli, home: Path) -> None:
    (home / "my_ops.py").write_text(
        (home / "my_ops.py").read_text()
        + '''

class Say(fs.Operator):
    """Says a text."""

    op = "say"
    version = 1
    text: str = ""
    fail: bool = False

    def run(self, ctx, /) -> str:
        ctx.note(self.text)
        if self.fail:
            raise ValueError(self.text)
        return self.text
'''
    )
    escaped = json.dumps(EVIL)
    (home / "graphs" / "say.yaml").write_text(f"nodes: {{a: {{op: say, params: {{text: {escaped}}}}}}}\n")
    runs = [
        ("run", "graph=say", "cache.dir=c", "output_dir=o"),
        ("run", "graph=say", "cache.dir=c", "output_dir=o", "graph.nodes.a.params.fail=true"),
        ("run", "graph=say", "cache.dir=c", f"output_dir=o{EVIL.replace('/', '')}"),
        (
            "run",
            "--multirun",
            "graph=say",
            "cache.dir=c",
            "output_dir=o",
            "graph.nodes.a.params.fail=true,false",
        ),
        ("explain", "a", "graph=say", "cache.dir=c", "graph.nodes.a.params.fail=true"),
        ("validate", f"graph={EVIL}"),
        ("ops", EVIL),
        (f"{EVIL}",),
        ("show", EVIL),
        ("graph", "graph=say"),
    ]
    for run in runs:
        _, out, err = cli(*run)
        assert not [char for char in RAW if char in out + err], run
    code, out, _ = cli("run", "graph=say", "cache.dir=c", "output_dir=o", "--json")
    assert code == 0
    assert json.loads(out)["outputs"] == {"a": EVIL}, "JSON is still JSON, with the very text in it"


def test_the_live_table_is_safe_and_still_draws() -> None:
    stream = io.StringIO()
    table = LiveTable(stream)
    table.run_started(f"g{EVIL}", [NodeOutline(f"n{EVIL}", "op", "run")])
    table.node_started(f"n{EVIL}", "cpu")
    table.note(f"n{EVIL}", EVIL)
    table.node_finished(f"n{EVIL}", "failed", 1.0, EVIL)
    table._live.refresh() if table._live else None
    table.close()
    text = stream.getvalue()
    assert "\\u001b]0;owned" in text
    assert not [char for char in ("\x07", "\x9b", "\u202e", "\x1b]") if char in text]


def test_streams_are_put_back_and_can_be_had_bare(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    before = sys.stdout
    with safe_streams(), safe_streams():
        print("a\x1bb")
        sys.stdout.writelines(["c\x1bd\n"])
        inside: object = sys.stdout
        assert isinstance(inside, Visible)
        assert bare(cast("io.TextIOWrapper", inside)) is before
        assert inside.isatty() is before.isatty()
    assert sys.stdout is before
    assert capsys.readouterr().out == "a\\u001bb\nc\\u001bd\n"

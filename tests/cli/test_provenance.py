import json
import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

GRAPH = """
nodes:
  look: {op: paint, params: {size: 32}}
  sheet: {op: contact_sheet, inputs: {frames: [look]}, params: {count: 4}}
outputs: [sheet, look]
"""

PAINT = '''
from pathlib import Path

import flowsynth as fs
from flowsynth.values import Frames


class Paint(fs.Operator):
    """Paints a ramp."""

    op = "paint"
    version = 1
    size: int = 16
    file: str | None = None

    def run(self, ctx, /) -> Frames:
        import torch

        level = 0 if self.file is None else int(Path(self.file).read_text())
        ramp = torch.arange(self.size, dtype=torch.uint8) + level
        return Frames(ramp.expand(4, 3, self.size, self.size).contiguous(), fps=8)
'''


@pytest.fixture
def made(cli: Cli, home: Path) -> Path:
    """A PNG with its provenance inside."""
    (home / "graphs" / "paint.yaml").write_text(GRAPH)
    with (home / "my_ops.py").open("a") as file:
        file.write(PAINT)
    code, out, err = cli("run", "graph=paint", "cache.dir=c", "output_dir=o")
    assert code == 0, err
    path = Path(out.splitlines()[-1])
    assert path.suffix == ".png"
    return path


def test_show_says_how_a_file_was_made(cli: Cli, made: Path) -> None:
    code, out, _ = cli("show", str(made))
    assert code == 0
    assert "op: contact_sheet" in out
    data = json.loads(cli("show", str(made), "--json")[1])
    assert data["output"] == "sheet"
    assert data["graph"]["nodes"]["look"]["params"] == {"size": 32}
    assert set(data["keys"]) == {"look", "sheet"}


def test_a_copied_file_still_knows_and_is_reproduced_bit_for_bit(
    cli: Cli, made: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere.png"
    shutil.copy(made, copy)
    code, out, err = cli("reproduce", str(copy), "--json", "-q")
    assert code == 0, err
    result = json.loads(out)
    assert result["content_agrees"] is True
    assert result["file_agrees"] is True
    assert result["versions_changed"] == {}


def test_reproduce_says_where_it_differs(cli: Cli, made: Path, home: Path) -> None:
    source = (home / "my_ops.py").read_text()
    (home / "my_ops.py").write_text(source.replace("+ level", "+ level + 1"))
    code, out, _ = cli("reproduce", str(made), "-q")
    assert code == 1
    assert "DIFFERS, first at look.out" in out


def test_relative_paths_start_where_the_run_did(
    cli: Cli, home: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "level.txt").write_text("7")
    assert (
        cli("run", "graph=paint", "cache.dir=c", "output_dir=p", "graph.nodes.look.params.file=level.txt")[0]
        == 0
    )
    (tmp_path / "other").mkdir()
    shutil.copy(home / "my_ops.py", tmp_path / "other")
    monkeypatch.chdir(tmp_path / "other")
    code, out, err = cli("reproduce", str(home / "p" / "sheet" / "contact_sheet.png"), "-q")
    assert code == 0, err
    assert "agrees bit for bit" in out


@pytest.mark.parametrize("name", ["none.png", "plain.png", "text.txt", "bad.safetensors", "long.safetensors"])
def test_files_without_provenance(cli: Cli, home: Path, name: str) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(home / "plain.png")
    (home / "text.txt").write_text("hello")
    (home / "bad.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{}")
    (home / "long.safetensors").write_bytes(b"\xff" * 64)
    code, _, err = cli("show", name)
    assert code == 2
    assert name in err
    assert "expected" in err
    assert "Traceback" not in err

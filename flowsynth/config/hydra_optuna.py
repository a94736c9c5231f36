"""The overrides of a sweep as Optuna's plugin takes them, so that each means what it means elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.types import Override, RangeSweep

from flowsynth.config.composition import LOCK
from flowsynth.config.folders import search_path
from flowsynth.config.hydra_compose import Repository
from flowsynth.config.hydra_overrides import hydra_version, parse_overrides
from flowsynth.config.hydra_sweep import is_paired, values_of
from flowsynth.core.errors import Fault, GraphError

#: Values of a range that goes down, which are written out.
MOST = 10_000


def search_lines(lines: Sequence[str], grid: bool) -> list[str]:
    """The overrides for the plugin.

    The plugin takes the end of ``range(1,5)`` for a value, which Hydra does not, and its grid leaves the end
    of an interval out: ranges end with their last value here, and a grid gets its values one by one.

    Args:
        lines: in Hydra's grammar and ours.
        grid: whether every combination is wanted.

    Raises:
        GraphError: nothing to search in, or a sweep that the sweeper cannot make.
    """
    with LOCK, hydra_version():
        options = Repository(search_path())
        parsed = parse_overrides(lines, sweeping=True, options=options, counted=grid)
        faults = [_zip_fault(override) for override in parsed if is_paired(override)]
        if not any(override.is_sweep_override() for override in parsed):
            expected = (
                "several values of a key, such as seed=range(1,9) or graph.nodes.N.params.P=interval(0,1)"
            )
            faults.append(Fault("hydra/sweeper", "nothing to search in", expected))
        if faults:
            raise GraphError(faults, "--multirun")
        return [_line(override, grid) for override in parsed]


def swept_keys(lines: Sequence[str]) -> list[str]:
    """The keys that have several values."""
    with LOCK, hydra_version():
        parsed = parse_overrides(lines, sweeping=True, options=Repository(search_path()), counted=False)
        return [override.get_key_element() for override in parsed if override.is_sweep_override()]


def _zip_fault(override: Override) -> Fault:
    expected = "choices, range(...) or interval(...): a sampler takes each key by itself"
    return Fault(override.key_or_group, "zip in a search", expected, repr(override.input_line))


def _line(override: Override, grid: bool) -> str:
    key, value = override.get_key_element(), override.value() if override.is_sweep_override() else None
    if isinstance(value, RangeSweep) and not value.shuffle:
        found = values_of(override)
        if len(found) == 1:
            return f"{key}={found[0]}"
        if grid or (value.step or 0) < 0:
            return f"{key}={','.join(found[:MOST])}"
        return f"{key}=range({found[0]},{found[-1]},{value.step})"
    return str(override.input_line)

"""Money that a run would cost: what a vendor is paid for answers of a hosted model."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flowsynth.core.errors import RequestError, listing


@dataclass(frozen=True, slots=True)
class Spending:
    """What one run of an operator asks of a vendor.

    Attributes:
        requests: how many answers it pays for.
        each: US dollars for one, as the user says.
        keys: names of environment variables, one of which holds the key; empty where none is sent.
        package: the distribution that asks.
        module: what is imported of it.
    """

    requests: int
    each: float
    keys: tuple[str, ...] = ()
    package: str = ""
    module: str = ""

    @property
    def total(self) -> float:
        """US dollars."""
        return self.requests * self.each


def dollars(amount: float) -> str:
    """An amount for a person: cents, and what is less in full."""
    text = f"{amount:.2f}"
    return f"{text if float(text) == round(amount, 9) else f'{amount:.6f}'.rstrip('0')} USD"


def require_paid(spent: Mapping[str, Spending], max_cost: float, *, offline: bool) -> None:
    """See that what would be asked of vendors may be paid for and can be asked, before anything is sent.

    Args:
        spent: node -> what it would ask.
        max_cost: US dollars that the run may cost.
        offline: the network must not be touched.

    Raises:
        RequestError: it costs more, the network may not be touched, a client or a key is missing.
    """
    if not spent:
        return
    if offline:
        raise RequestError(
            f"offline: {listing(spent)} would have to ask a hosted model, and is not in the cache"
        )
    for node, asked in spent.items():
        if asked.module and not _installed(asked.module):
            install = "pip install 'flowsynth-engine[hosted]'"
            raise RequestError(f"nodes.{node}: {asked.package} is not installed; expected {install}")
        if asked.keys and not any(os.environ.get(name) for name in asked.keys):
            raise RequestError(
                f"nodes.{node}: no key; expected it in the environment variable {' or '.join(asked.keys)}"
            )
    require_affordable(spent.values(), max_cost, listing(spent))


def require_affordable(spent: Iterable[Spending], max_cost: float, who: str) -> None:
    """See that answers cost no more than is allowed.

    Raises:
        RequestError: they do.
    """
    asked = list(spent)
    total, count = sum(each.total for each in asked), sum(each.requests for each in asked)
    if total > max_cost * (1 + 1e-9):
        answers = f"{count} answer{'s' * (count != 1)} of hosted models"
        raise RequestError(
            f"max_cost: {who} would cost {dollars(total)} ({answers});"
            f" expected max_cost={total:.6g} or more, given {max_cost:g}. Nothing was sent"
        )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package around it
        return False

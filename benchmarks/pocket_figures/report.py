"""Figures with their goals, and the report that they make."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Figure:
    """One number, and what it should be.

    Attributes:
        what: it is.
        value: it has.
        goal: the bound that it should keep; None where it is only told.
        at_least: whether the goal is a lower bound.
        form: how numbers are shown, a format specification.
    """

    what: str
    value: float
    goal: float | None = None
    at_least: bool = True
    form: str = ".0%"

    @property
    def met(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def row(self) -> str:
        wanted, verdict = "", ""
        if self.goal is not None:
            wanted = f"{'at least' if self.at_least else 'at most'} {self.goal:{self.form}}"
            verdict = "yes" if self.met else "**missed**"
        return f"| {self.what} | {self.value:{self.form}} | {wanted} | {verdict} |"


@dataclass
class Section:
    """One goal's figures.

    Attributes:
        title: of the section.
        how: the figures were taken, in a sentence or two.
        figures: in order.
        more: Markdown below the table.
        seconds: CPU time that it took; what was in the cache took none.
    """

    title: str
    how: str
    figures: list[Figure] = field(default_factory=list)
    more: str = ""
    seconds: float = 0.0

    def add(
        self, what: str, value: float, goal: float | None = None, *, most: bool = False, form: str = ".0%"
    ) -> None:
        """Add a figure; with `most` its goal is an upper bound."""
        self.figures.append(Figure(what, round(float(value), 4), goal, not most, form))

    def markdown(self) -> str:
        table = ["| | measured | goal | met |", "|---|---:|---:|---|", *(f.row() for f in self.figures)]
        parts = [f"## {self.title}", self.how, "\n".join(table) if self.figures else "", self.more]
        return "\n\n".join(part for part in parts if part)


def save(section: Section, path: Path) -> None:
    """Keep a section's figures, so that parts may be measured one at a time."""
    path.write_text(json.dumps(asdict(section), indent=1))


def load(path: Path) -> Section:
    """A section that was kept."""
    data: dict[str, Any] = json.loads(path.read_text())
    return Section(**{**data, "figures": [Figure(**figure) for figure in data["figures"]]})


def report(sections: list[Section], facts: list[str]) -> str:
    """The report as Markdown: missed goals first, then every section."""
    figures = [(section, figure) for section in sections for figure in section.figures]
    judged = [(section, figure) for section, figure in figures if figure.met is not None]
    missed = [f"- {s.title}: {f.what}: {f.value:{f.form}}" for s, f in judged if not f.met]
    counted = f"{len(judged) - len(missed)} of {len(judged)} goals are met."
    head = ["# What pocket obeys", "The judge is arithmetic on pixels; no model judges a model.", counted]
    if missed:
        head.append("Missed:\n\n" + "\n".join(missed))
    tail = "\n".join(f"- {fact}" for fact in facts)
    return "\n\n".join([*head, *(section.markdown() for section in sections), tail]) + "\n"

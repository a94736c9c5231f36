"""What share of ComfyUI's workflows is imported: by kind of model, and what the others lack.

Run::

    python benchmarks/comfyui_import.py FOLDER [FOLDER ...] [--out benchmarks/results/comfyui_import.md]

Folders hold workflows as JSON, PNG, WebP or MP4, such as checkouts of ComfyUI_examples, cog-comfyui, cubiq's
ComfyUI_Workflows and of custom nodes with their examples. Nothing is loaded and nothing runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from flowsynth.comfyui.flow import Flow
from flowsynth.comfyui.mapping.architectures import arch_of
from flowsynth.comfyui.mapping.classes import CLASSES, WIDGETS
from flowsynth.comfyui.mapping.errors import CannotMapError
from flowsynth.comfyui.mapping.walk import sketch_of
from flowsynth.comfyui.normal.normalise import normalise
from flowsynth.comfyui.reading.files import read_workflow
from flowsynth.core.errors import RequestError

_SUFFIXES = (".json", ".png", ".webp", ".mp4")
_GROUPS = {"sd1": "SD 1.x, 2.x", "sd2": "SD 1.x, 2.x", "sdxl": "SDXL", "refiner": "SDXL"}


@dataclass
class Coverage:
    """Counts over workflows.

    Attributes:
        read: workflows by kind of model.
        whole: of them, imported without a fault.
        near: of them, imported where the nearest sampler may be taken.
        lacking: reasons, by how many workflows each keeps from being imported.
        classes: node classes, by how many workflows have each.
    """

    read: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)
    near: Counter[str] = field(default_factory=Counter)
    lacking: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, flow: Flow) -> None:
        """Count a workflow."""
        groups = ("all", group_of(flow))
        self.read.update(groups)
        self.classes.update({step.kind for step in flow.steps.values()})
        for near, counted in ((False, self.whole), (True, self.near)):
            reasons = _reasons(flow, near=near)
            if not reasons:
                counted.update(groups)
            elif near:
                self.lacking.update(reasons)

    def table(self) -> str:
        """The counts as Markdown."""
        lines = ["| kind | workflows | imported | with `--nearest` |", "|---|---|---|---|"]
        for group in sorted(self.read, key=lambda name: (name != "all", -self.read[name], name)):
            count = self.read[group]
            shares = (f"{n} ({n / count:.0%})" for n in (self.whole[group], self.near[group]))
            lines.append(f"| {group} | {count} | {' | '.join(shares)} |")
        known = sum(1 for name in self.classes if name in CLASSES)
        lines += [
            "",
            f"{known} of {len(self.classes)} node classes are mapped, of {len(CLASSES)} in the table.",
        ]
        lines += ["", "| what most of the others lack | workflows |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in self.lacking.most_common(25)]
        return "\n".join(lines) + "\n"


def coverage_of(folders: Iterable[Path]) -> Coverage:
    """Count all workflows below some folders."""
    found = Coverage()
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.suffix.lower() in _SUFFIXES and file.is_file():
                try:
                    found.add(normalise(read_workflow(file), WIDGETS))
                except RequestError:
                    continue  # no workflow
    return found


def group_of(flow: Flow) -> str:
    """The kind of model of a workflow's first denoiser."""
    kinds = {step.kind for step in flow.steps.values()}
    for step in flow.steps.values():
        name = step.inputs.get("ckpt_name") or step.inputs.get("unet_name")
        if isinstance(name, str):
            try:
                arch = arch_of(name, kinds).name
            except CannotMapError:
                return "others"
            return _GROUPS.get(arch, "others")
    return "without a model"


def _reasons(flow: Flow, *, near: bool) -> set[str]:
    try:
        _, places = sketch_of(flow, near=near)
    except RequestError as error:
        return {str(error).partition(";")[0]}
    return {f"{place.step.kind}: {place.reason.partition(';')[0]}" for place in places}


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description="Count what of some workflows is imported.")
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    head = "# ComfyUI's workflows that are imported\n\nMade by `benchmarks/comfyui_import.py` over "
    names = ", ".join(folder.name.replace("+", "/") for folder in args.folders)
    text = f"{head}{names}.\n\n{coverage_of(args.folders).table()}"
    if args.out is None:
        print(text, end="")
    else:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

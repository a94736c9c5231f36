"""What `flowsynth new` writes: texts in which ``@name@`` and ``@Name@`` stand for the name that is given."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).resolve().parent


def skeleton(file: str, **texts: str) -> str:
    """One of the files of this folder, filled in.

    Args:
        file: its name, without the ``.txt`` that keeps it from being taken for code of ours.
        texts: placeholder -> what takes its place.
    """
    text = (_FOLDER / f"{file}.txt").read_text(encoding="utf-8")
    for placeholder, filled in texts.items():
        text = text.replace(f"@{placeholder}@", filled)
    return text

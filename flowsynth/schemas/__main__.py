"""Write the JSON Schemas anew, next to this file."""

from __future__ import annotations

import json
from pathlib import Path

from flowsynth.core.record import SCHEMAS, json_schema

FOLDER = Path(__file__).resolve().parent


def main(folder: Path = FOLDER) -> None:
    """Write every schema of `flowsynth.core.record` to a folder."""
    for name, model in SCHEMAS.items():
        (folder / name).write_text(json.dumps(json_schema(model), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

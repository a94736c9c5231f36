"""Writing YAML: one text for one value, in the order given."""

from __future__ import annotations

from typing import Any

import yaml

from flowsynth.core.yaml_text import scalar


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Plain data only, and no aliases: the text says everything where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write an alias."""
        del data
        return True


def _text(dumper: Any, value: str) -> Any:
    """A text, in quotes where YAML 1.2 would take it for something else, such as ``1e5`` or ``09``."""
    style = None if scalar(value) == value else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(value: Any) -> str:
    """The YAML text of plain values; reading it back gives the same values and the same text again."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text)

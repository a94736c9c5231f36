"""Writing YAML: one text for one value, in the order given."""

from __future__ import annotations

from typing import Any

import yaml


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Plain data only, and no aliases: the text says everything where it stands."""

    def ignore_aliases(self, data: Any) -> bool:
        """Never write an alias."""
        del data
        return True


def dump_yaml(value: Any) -> str:
    """The YAML text of plain values; reading it back gives the same values and the same text again."""
    text = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return str(text)

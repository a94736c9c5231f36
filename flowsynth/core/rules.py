"""Where nodes run that leave it to the run: rules by operator and family, and classes of devices."""

from __future__ import annotations

import re
from collections.abc import Collection

from pydantic import BaseModel, ConfigDict, Field, model_validator

from flowsynth.core.options import Device

#: A class of accelerators, with the gigabytes that they have at least.
_CLASS = re.compile(r"gpu(?:_(\d+)g)?")
#: A card that is sold as 24 GB may have a little less to give.
_NEARLY = 0.92


class Rule(BaseModel):
    """The first rule that fits a node decides where it runs, where the node and the run say `auto`.

    Attributes:
        op: the node's operator; any unless given.
        family: of a model that feeds it; any unless given.
        device: a device, or a class of them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: str | None = None
    family: str | None = None
    device: Device = Field()

    @model_validator(mode="after")
    def _says_which(self) -> Rule:
        if self.op is None and self.family is None:
            raise ValueError("expected op or family beside device, else use the setting device")
        return self

    def fits(self, op: str, families: Collection[str]) -> bool:
        """Whether it is about a node."""
        return self.op in (None, op) and (self.family is None or self.family in families)


def class_memory(device: str) -> int | None:
    """Bytes of memory that the devices of a class have at least; None for what names no class."""
    match = _CLASS.fullmatch(device)
    return None if match is None else int(int(match[1] or 0) * 2**30 * _NEARLY)

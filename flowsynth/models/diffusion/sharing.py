"""Copies of networks that share the original's tensors: a variant costs what it changes."""

from __future__ import annotations

import copy
from typing import Any


def sharing_copy(net: Any) -> Any:
    """A copy of a module on the original's memory, whose parameters are its own objects."""
    from torch import nn

    memo: dict[int, Any] = {id(buffer): buffer for buffer in net.buffers()}
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach(), requires_grad=parameter.requires_grad)
    return copy.deepcopy(net, memo)

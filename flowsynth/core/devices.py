"""Names of devices, and what of a device may change the last bits of a result."""

from __future__ import annotations

import platform
from functools import cache


def torch_name(device: str) -> str:
    """Torch's name of a device; a simulated one (``sim:0``) computes on the CPU."""
    return "cpu" if device.startswith("sim:") else device


@cache
def device_arch(device_type: str) -> str:
    """Architecture of an accelerator: compute capability for CUDA, else the machine's name."""
    if device_type != "cuda":
        return platform.machine().lower()
    try:
        from pynvml import (  # type: ignore[import-not-found,unused-ignore]
            nvmlDeviceGetCudaComputeCapability,
            nvmlDeviceGetHandleByIndex,
            nvmlInit,
        )
    except ImportError:
        return "cuda"
    nvmlInit()
    return "sm_{}{}".format(*nvmlDeviceGetCudaComputeCapability(nvmlDeviceGetHandleByIndex(0)))


def device_type(device: str) -> str:
    """``cuda`` of ``cuda:1``; a simulated device computes on the CPU."""
    kind = device.partition(":")[0]
    return "cpu" if kind == "sim" else kind

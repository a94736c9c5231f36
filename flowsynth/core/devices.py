"""Names of devices, and what of a device may change the last bits of a result."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from flowsynth.core.errors import RequestError, listing

#: Dtypes that networks compute in.
NumberType: TypeAlias = Literal["float32", "float16", "bfloat16"]
#: What `auto` means for networks in this process, where it is set.
PRECISION_VARIABLE = "FLOWSYNTH_PRECISION"
#: Instructions that multiply bfloat16; without them it is emulated, 10 to 80 times slower than float32.
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16"})


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


def auto_precision(device: str, *, half_on_cpu: bool = True) -> NumberType:
    """What the dtype ``auto`` of a network is on a device.

    float16 on a GPU; bfloat16 on a CPU that multiplies it by instructions of its own, at about half the time;
    else float32. The environment's FLOWSYNTH_PRECISION overrules it.

    Args:
        device: a node's, or torch's name of it.
        half_on_cpu: whether the network was found to be as good in bfloat16, and quicker.

    Raises:
        RequestError: that names no dtype.
    """
    forced = os.environ.get(PRECISION_VARIABLE)
    if forced and forced != "auto":
        for name in get_args(NumberType):
            if forced == name:
                return name  # type: ignore[no-any-return]
        expected = listing(["auto", *get_args(NumberType)])
        raise RequestError(f"{PRECISION_VARIABLE}: expected {expected}, given {forced!r}")
    kind = device_type(device)
    if kind == "cpu":
        return "bfloat16" if half_on_cpu and _BFLOAT16_FLAGS & cpu_flags() else "float32"
    return "float16" if kind == "cuda" else "float32"


@cache
def cpu_flags() -> frozenset[str]:
    """What Linux says that this machine's processors can do; empty elsewhere."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(flags.partition(":")[2].split())

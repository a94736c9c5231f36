"""Names of devices, and what of a device may change the last bits of a result."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

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


class Facts(NamedTuple):
    """What of a device decides the last bits of results, and what ``auto`` is there.

    Attributes:
        arch: compute capability of a CUDA device, else the machine's name.
        bfloat16: whether a CPU multiplies it by instructions of its own.
    """

    arch: str
    bfloat16: bool


#: The devices of other machines by name, while something is planned for these.
_ELSEWHERE: ContextVar[Mapping[str, Facts] | None] = ContextVar("elsewhere", default=None)


@contextmanager
def devices_of(others: Mapping[str, Facts] | None) -> Iterator[None]:
    """Plan for the devices of other machines; None for this machine's own.

    Args:
        others: by name; ``sim:N`` is their ``cpu``.
    """
    token = _ELSEWHERE.set(others)
    try:
        yield
    finally:
        _ELSEWHERE.reset(token)


def device_facts(device: str) -> Facts:
    """What results depend on, of a device here or where it is planned for.

    Args:
        device: such as ``cuda:1``; ``cuda`` is the first.
    """
    named = key_device(device)
    others = _ELSEWHERE.get()
    found = (others or {}).get(f"{named}:0" if named == "cuda" else named)
    return own_facts(named) if found is None else found


def own_facts(device: str) -> Facts:
    """What results depend on, of a device of this machine."""
    kind = device_type(device)
    return Facts(_own_arch(device), kind == "cpu" and bool(_BFLOAT16_FLAGS & cpu_flags()))


def device_arch(device: str) -> str:
    """Architecture of a device: see `Facts`."""
    return device_facts(device).arch


def _own_arch(device: str) -> str:
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return platform.machine().lower()
    found = [arch for number, (_, arch) in enumerate(cuda_devices()) if number == int(index or 0)]
    return found[0] if found else "cuda"


@cache
def cuda_devices() -> tuple[tuple[int, str], ...]:
    """(bytes of memory, architecture) of each CUDA device that this process may use, as CUDA counts them."""
    try:
        import pynvml  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
        return tuple(_described(pynvml, handle) for handle in _handles(pynvml))
    except pynvml.NVMLError:
        return ()


def _handles(nvml: Any) -> list[Any]:
    """The devices as CUDA numbers them: those that ``CUDA_VISIBLE_DEVICES`` names, in its order."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is None:
        return [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
    found = []
    for text in filter(None, (part.strip() for part in named.split(","))):
        if text.lstrip("-").isdigit():
            if not 0 <= int(text) < nvml.nvmlDeviceGetCount():
                break  # CUDA sees none of those after one that is not there
            found.append(nvml.nvmlDeviceGetHandleByIndex(int(text)))
        else:
            found.append(nvml.nvmlDeviceGetHandleByUUID(text))
    return found


def _described(nvml: Any, handle: Any) -> tuple[int, str]:
    memory = int(nvml.nvmlDeviceGetMemoryInfo(handle).total)
    return memory, "sm_{}{}".format(*nvml.nvmlDeviceGetCudaComputeCapability(handle))


def key_device(device: str) -> str:
    """What of a device's name its results may depend on: a simulated one computes on the CPU."""
    return "cpu" if device.startswith("sim:") else device


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
        return "bfloat16" if half_on_cpu and device_facts(device).bfloat16 else "float32"
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

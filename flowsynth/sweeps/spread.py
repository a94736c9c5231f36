"""Several like devices: each job's own nodes go to one of them, what jobs share stays where it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from flowsynth.planning.placement import DeviceSpec, accelerators, alike
from flowsynth.sweeps.merge import Placed


def spread(jobs: Sequence[Placed], sharers: Mapping[int, int], devices: Sequence[DeviceSpec]) -> None:
    """Move what only one job needs to the device whose turn it is; so the load is even.

    Only nodes that were placed by ``auto`` move, and only to devices of the same architecture with as much
    memory: what they give is the same there, and their keys are.

    Args:
        jobs: in the order in which they run; their places change.
        sharers: identity of a node -> how many jobs need it.
        devices: the inventory.
    """
    fast = accelerators(devices)
    for turn, job in enumerate(job for job in jobs if job.free):
        for name, number in job.numbers.items():
            if sharers[number] == 1 and job.graph.nodes[name].device == "auto":
                like = [device.name for device in alike(job.places[name], fast)]
                if len(like) > 1:
                    job.places[name] = like[turn % len(like)]

"""A Slurm of one node on this machine: the real daemons, in a folder and on ports of their own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

#: The daemons; Debian has them as slurm-wlm and munge.
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "sinfo")

CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES State=UP
"""


def missing() -> str:
    """Why there can be no Slurm here; empty where there can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    if absent:
        return f"no {', '.join(absent)} here: apt-get install slurm-wlm munge"
    return "" if os.geteuid() == 0 else "slurmd runs as root alone"


@contextmanager
def slurm(folder: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which its programs find it.

    Args:
        folder: an empty one of a short path, since a socket lies in it.
    """
    (folder / "state").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    config = folder / "slurm.conf"
    ports = [_free_port(), _free_port()]
    filled = CONFIG.format(host=socket.gethostname(), ports=ports, folder=folder, cores=os.cpu_count())
    config.write_text(filled)
    environment = {"SLURM_CONF": str(config)}
    files = [f"--{name}={folder}/munge.{name.split('-')[0]}" for name in ("socket", "pid-file", "seed-file")]
    munge = ["munged", "--force", "--foreground", f"--key-file={key}", f"--log-file={folder}/munge.log"]
    with ExitStack() as stack:
        for command in ([*munge, *files], ["slurmctld", "-D", "-c"], ["slurmd", "-D", "-c"]):
            stack.enter_context(_daemon(command, environment))
        _wait(environment)
        yield environment


@contextmanager
def _daemon(command: list[str], environment: Mapping[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait(environment: Mapping[str, str]) -> None:
    """Until the node takes jobs."""
    said = ""
    for _ in range(120):
        asked = subprocess.run(
            ["sinfo", "-h", "-o", "%T"],
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            check=False,
        )
        said = asked.stdout.strip() or asked.stderr
        if said == "idle":
            return
        time.sleep(0.5)
    raise TimeoutError(f"Slurm's node is not idle: {said}")

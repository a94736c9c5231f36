"""Downloads by pip, as a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from flowsynth.fetch.archive import Archive, Progress
from flowsynth.fetch.errors import OfflineError

#: Seconds to wait for a server's answer, and for a whole download.
_CONNECT_SECONDS, _DOWNLOAD_SECONDS = 10, 600
_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
#: First version of pip that prints its progress for programs.
_RAW_SINCE = (24, 1)


def download_by_pip(archive: Archive, folder: Path, who: str, progress: Progress | None) -> None:
    """Download a wheel for whatever platform it was built, into a folder.

    Raises:
        OfflineError: pip could not get it.
    """
    command = [sys.executable, *_options(archive), "--dest", str(folder.resolve()), archive.requirement]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        try:
            _follow(process, progress)
            code = process.wait(_DOWNLOAD_SECONDS)
        except subprocess.TimeoutExpired as error:
            expected = f"{archive.requirement} within {_DOWNLOAD_SECONDS} s"
            raise OfflineError(who, expected, "no end") from error
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if code:
            errors.seek(0)
            lines = [line.strip() for line in errors if line.startswith("ERROR")] or ["no reason given"]
            raise OfflineError(who, f"{archive.requirement} from PyPI by pip", lines[0])


def _options(archive: Archive) -> list[str]:
    # `-I` keeps a pip.py in the current folder from being run.
    options = "-I -m pip download --no-deps --only-binary=:all: --no-input --disable-pip-version-check"
    made = [*options.split(), "--retries", "1", "--timeout", str(_CONNECT_SECONDS)]
    python, abi, platform = archive.tags
    if platform != "any":
        digits = re.search(r"\d+", python)
        for one in platform.split("."):  # a wheel may name several, with dots between
            made += ["--platform", one]
        made += ["--abi", abi, "--implementation", python[:2]]
        made += ["--python-version", digits[0] if digits else "3"]
    known = tuple(int(part) for part in re.findall(r"\d+", version("pip"))[:2]) >= _RAW_SINCE
    return [*made, "--progress-bar", "raw" if known else "off"]


def _follow(process: subprocess.Popen[str], progress: Progress | None) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if progress is not None and (found := _PROGRESS.match(line)):
            progress(int(found[1]), int(found[2]))

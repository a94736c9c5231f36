"""One file of a package on PyPI, taken as an archive of data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

#: Called with (bytes so far, bytes in all).
Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True)
class Archive:
    """A wheel, or a source archive (.tar.gz).

    Attributes:
        package: The package's name on PyPI.
        version: Its exact version.
        file: Name of the file.
        sha256: Checksum of the file.
        url: Where it lies; empty where only an index knows.
    """

    package: str
    version: str
    file: str
    sha256: str
    url: str = ""

    @property
    def requirement(self) -> str:
        """The package as pip takes it."""
        return f"{self.package}=={self.version}"

    @property
    def tags(self) -> tuple[str, str, str]:
        """Python, ABI and platform of the wheel."""
        python, abi, platform = self.file.removesuffix(".whl").split("-")[-3:]
        return python, abi, platform

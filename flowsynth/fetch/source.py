"""Where files come from, as a person names it: a folder, a single file, or the hub at a pinned commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

_COMMIT = re.compile(r"[0-9a-f]{40}")
_SINGLE_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")


class Source(BaseModel):
    """One source of files. Exactly one of ``path``, ``file`` and ``hub`` is set.

    In YAML a plain string stands for ``file`` where it ends as a checkpoint does, else for ``path``;
    ``shipped:NAME`` and ``shipped:NAME/SUBFOLDER`` are models that the package ships.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str | None = Field(default=None, description="local folder in diffusers' layout, or shipped:NAME")
    file: str | None = Field(default=None, description="single-file checkpoint, best as .safetensors")
    config: str | None = Field(
        default=None, description="local diffusers folder that describes the single file"
    )
    hub: str | None = Field(default=None, description="organisation/name on the Hugging Face hub")
    revision: str | None = Field(
        default=None, description="commit of the hub's repository, 40 hexadecimal digits"
    )
    variant: str | None = Field(default=None, description="weights' variant in a folder, such as fp16")
    subfolder: str | None = Field(default=None, description="folder inside the source")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, data: Any) -> Any:
        if not isinstance(data, str):
            return data
        is_file = data.endswith(_SINGLE_FILES) and not data.startswith("shipped:")
        return {"file" if is_file else "path": data}

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        given = [name for name in ("path", "file", "hub") if getattr(self, name)]
        if len(given) != 1:
            raise ValueError(
                "expected exactly one of path, file and hub; given " + (" and ".join(given) or "none")
            )
        if self.hub and not _HUB_ID.fullmatch(self.hub):
            raise ValueError(f"hub is an organisation/name, given {self.hub!r}")
        if self.hub and not _COMMIT.fullmatch(self.revision or ""):
            raise ValueError(
                f"hub model {self.hub!r} needs revision: a commit of 40 hexadecimal digits (branches move);"
                f" given {self.revision!r}"
            )
        if self.subfolder and (Path(self.subfolder).is_absolute() or ".." in Path(self.subfolder).parts):
            raise ValueError(f"subfolder must lie inside the source, given {self.subfolder!r}")
        return self

    def __str__(self) -> str:
        """The source as a person names it."""
        inner = f"/{self.subfolder}" if self.subfolder else ""
        if self.hub:
            return f"{self.hub}{inner} at {self.revision}"
        return f"{self.path or self.file}{inner}"

    def child(self, subfolder: str) -> Source:
        """The same source, one folder deeper."""
        inner = f"{self.subfolder}/{subfolder}" if self.subfolder else subfolder
        return self.model_copy(update={"subfolder": inner})

"""How a Janus model is declared, and its options."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from flowsynth.core.canonical import Json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash, watch_folder
from flowsynth.models.locate import locate
from flowsynth.models.options import Options
from flowsynth.models.spec import ModelSpec
from flowsynth.models.weights import weight_files

#: Files of a model that are no weights.
_TEXTS = (".json", ".txt", ".model", ".jinja")


class JanusSpec(ModelSpec):
    """A folder in transformers' layout, such as hub: deepseek-community/Janus-Pro-1B at a commit."""

    family: Literal["janus"] = "janus"

    def folder(self, *, offline: bool = True) -> Path:
        """The folder.

        Raises:
            InputError: it is not here, or a file.
        """
        place = locate(self.source, offline=offline)
        if not (place / "config.json").is_file():
            raise InputError(f"{place}: no config.json; expected a folder of Janus in transformers' layout")
        return place

    def weights(self) -> list[Path]:
        """The files of weights, all safetensors.

        Raises:
            InputError: there are none.
        """
        files = weight_files(self.folder(), self.source.variant)
        if files[0].suffix != ".safetensors":
            raise InputError(f"{files[0]}: expected weights as .safetensors")
        return files

    def identity(self, memo: Path | None) -> Json:
        """Names and hashes of all files that are read."""
        folder = self.folder()
        watch_folder(folder)
        texts = [path for path in sorted(folder.iterdir()) if path.suffix in _TEXTS]
        return [[path.name, file_hash(path, memo)] for path in (*texts, *self.weights())]


class JanusOptions(Options):
    """How tokens are drawn."""

    guidance_scale: float = Field(
        default=5.0, ge=1, description="classifier-free guidance on each token, off at 1"
    )
    temperature: float = Field(default=1.0, gt=0, le=10, description="of the draw; less is surer")
    top_k: int = Field(default=0, ge=0, description="likeliest tokens that a draw chooses from; 0 takes all")
    top_p: float = Field(default=1.0, gt=0, le=1, description="probability that these sum up to")

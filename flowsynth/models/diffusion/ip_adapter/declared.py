"""How a graph declares an IP-Adapter, what its file holds, and what identifies it. No torch here."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from flowsynth.core.canonical import Json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash
from flowsynth.fetch.hub import hub_file
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.declared import adapter_file
from flowsynth.models.diffusion.lora.file import some_of
from flowsynth.models.weights import tensor_bytes, tensor_shapes

#: The two halves of a file by what their tensors' names begin with, XLabs' names for Flux among them.
HALVES = {
    "image_proj.": "image_proj",
    "ip_adapter.": "ip_adapter",
    "ip_adapter_proj_model.": "image_proj",
    "double_blocks.": "ip_adapter",
}
_RENAMED = {
    "processor.": "",
    "ip_adapter_double_stream_k_proj": "to_k_ip",
    "ip_adapter_double_stream_v_proj": "to_v_ip",
}


class IpAdapter(BaseModel):
    """An IP-Adapter (arXiv 2308.06721) on the denoiser, which a picture at `image_prompt` feeds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Source = Field(description="folder or .safetensors file")
    scale: float = Field(default=1.0, description="factor on what the picture adds")
    weight_name: str | None = Field(default=None, description="file inside the folder")


def ip_adapter_file(adapter: IpAdapter, *, offline: bool = False) -> Path:
    """The file of an adapter; of the hub that alone is fetched, as many lie beside each other there.

    Raises:
        InputError: no file, or several to choose from.
    """
    source = adapter.source
    if source.hub and adapter.weight_name:
        name = f"{source.subfolder}/{adapter.weight_name}" if source.subfolder else adapter.weight_name
        return hub_file(source.hub, str(source.revision), name, offline=offline)
    return adapter_file(adapter, offline=offline)


def ip_adapter_identity(adapter: IpAdapter, memo: Path | None) -> Json:
    """Content and scale of an adapter."""
    if adapter.source.hub:
        return [adapter.source.model_dump(mode="json"), adapter.weight_name, adapter.scale]
    return [file_hash(ip_adapter_file(adapter), memo), adapter.scale]


def ip_adapter_bytes(adapter: IpAdapter, itemsize: int) -> int:
    """Bytes that an adapter takes once it is loaded with numbers of a size."""
    return tensor_bytes(ip_adapter_file(adapter, offline=True), itemsize)


def half_of(name: str) -> tuple[str, str] | None:
    """The half that a tensor belongs to, and its name there; None for one that belongs to neither."""
    for prefix, half in HALVES.items():
        if name.startswith(prefix):
            inner = name.removeprefix(prefix)
            for theirs, ours in _RENAMED.items() if prefix == "double_blocks." else ():
                inner = inner.replace(theirs, ours)
            return half, inner
    return None


def require_halves(path: Path, names: Collection[str]) -> None:
    """Refuse a file by the names of its tensors.

    Raises:
        InputError: it is no IP-Adapter, or one of a face's identity, which no picture of it feeds.
    """
    found = {name: half_of(name) for name in names}
    foreign = [name for name, half in found.items() if half is None]
    halves = {half[0] for half in found.values() if half}
    if foreign or halves != {"image_proj", "ip_adapter"}:
        said = f"it has {some_of(foreign or list(names))}" if names else "it is empty"
        raise InputError(f"{path}: not an IP-Adapter (image_proj.* and ip_adapter.*); {said}")
    faces = [name for name in names if "_lora." in name]
    if faces:
        raise InputError(f"{path}: an IP-Adapter of a face's identity ({some_of(faces)}) takes no picture")


def header_fault(adapter: IpAdapter) -> str | None:
    """What the header of a local file shows to be wrong, if anything.

    Raises:
        InputError: the file is missing.
    """
    if adapter.source.hub:
        return None
    path = ip_adapter_file(adapter)
    if path.suffix != ".safetensors":
        return None
    try:
        require_halves(path, tensor_shapes(path))
    except InputError as error:
        return str(error)
    return None

"""Lines of a model's declaration that say how its parts are held and run, put into effect on networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.deep_cache import interval_of, put_deep_cache
from flowsynth.models.diffusion.sharing import sharing_copy
from flowsynth.models.families.diffusers.clips import DENOISERS
from flowsynth.models.families.diffusers.moving import set_norm
from flowsynth.models.families.diffusers.quantized import to_int8
from flowsynth.models.families.diffusers.spec import INT8, VAE_PARTS, DiffusersSpec

if TYPE_CHECKING:
    import torch
    from torch import nn


@dataclass(frozen=True, slots=True)
class Lines:
    """What a declaration asks of its networks.

    Attributes:
        spec: the declaration.
        device: on which networks run.
        dtype_of: dtype of a part.
        spill: folder of a part for weights that lie on the disk while they are not used.
        offline: never touch the network.
    """

    spec: DiffusersSpec
    device: str
    dtype_of: Callable[[str], torch.dtype]
    spill: Callable[[str], Path]
    offline: bool = False

    def held_on(self, name: str) -> str:
        """Where a part lies while it is not used; a VAE is small, and called by itself."""
        return self.device if self.spec.offload == "none" or is_vae(name) else "cpu"

    def loaded(self, name: str, load: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        """What loads a part, in the form in which it is held."""
        int8 = self.spec.quantize == INT8
        if name not in DENOISERS or not (int8 or self.spec.storage):
            return load

        def narrow() -> nn.Module:
            network = load()
            if self.spec.storage is not None:
                self._store_narrow(name, network)
            if int8:
                to_int8(network)
            return network

        return narrow

    def built(self, name: str, build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        """What makes a network without weights, with the layers of the adapters that it gets."""
        if name not in DENOISERS or not self.spec.ip_adapters:
            return build

        def adapted() -> nn.Module:
            from flowsynth.models.diffusion.ip_adapter.apply import put_empty

            network = build()
            put_empty(network, self.spec.ip_adapters, offline=self.offline)
            return network

        return adapted

    def begin(self, name: str, network: Any) -> None:
        """Make a network of one call, without weights yet, run as declared."""
        if is_vae(name):
            self._in_parts(network)
        if name == "unet":
            set_norm(network, self.spec.motion_norm)
        if name in DENOISERS and self.spec.step_cache is not None:
            if interval := interval_of(self.spec.step_cache):
                put_deep_cache(network, interval)
            else:
                self._skip_blocks(network, float(self.spec.step_cache.partition(":")[2]))

    def ready(self, name: str, network: nn.Module) -> None:
        """The same, where it takes weights: they have just come."""
        if name in DENOISERS:
            if self.spec.storage is not None:
                self._store_narrow(name, network)
            if self.spec.compile == "regional":
                compile_blocks: Any = network.compile_repeated_blocks
                compile_blocks()
        if self.spec.offload != "none" and not is_vae(name):
            self._offload(name, network)

    def vae(self, network: Any) -> Any:
        """A VAE that works in parts, if it shall; its network belongs to all calls and stays as it is."""
        if not self.spec.vae_tiling and not self.spec.vae_slicing:
            return network
        variant = sharing_copy(network)
        self._in_parts(variant)
        return variant

    def _in_parts(self, network: Any) -> None:
        if self.spec.vae_tiling:
            network.enable_tiling()
        if self.spec.vae_slicing:
            network.enable_slicing()

    def _store_narrow(self, name: str, network: Any) -> None:
        import torch

        if not hasattr(network, "enable_layerwise_casting"):
            raise RequestError(f"storage: a {type(network).__name__} cannot be held in float8")
        network.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=self.dtype_of(name))

    def _skip_blocks(self, network: Any, threshold: float) -> None:
        from diffusers import FirstBlockCacheConfig

        try:
            network.enable_cache(FirstBlockCacheConfig(threshold=threshold))
        except (ValueError, AttributeError, KeyError) as error:
            first = str(error).partition("\n")[0]
            raise RequestError(f"step_cache: not for a {type(network).__name__} ({first})") from None

    def _offload(self, name: str, network: nn.Module) -> None:
        import torch
        from diffusers.hooks import apply_group_offloading

        apply_group_offloading(
            network,
            onload_device=torch.device(self.device),
            offload_device=torch.device("cpu"),
            offload_type="leaf_level",
            # Prefetching follows the layers of the first pass; those that are skipped would be waited for.
            use_stream=self.device.startswith("cuda") and self.spec.step_cache is None,
            offload_to_disk_path=str(self.spill(name)) if self.spec.offload == "disk" else None,
        )


def is_vae(name: str) -> bool:
    """Whether a part turns pixels into latents and back."""
    return name in VAE_PARTS

"""The models of one device: loaded once, shared, and dropped by least use under a byte budget."""

from __future__ import annotations

import gc
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import WeakValueDictionary

from flowsynth.core.errors import DeviceMemoryError
from flowsynth.core.filehash import FileWatch, watching
from flowsynth.models.parse import model_fingerprint
from flowsynth.models.registry import family
from flowsynth.models.spec import ModelSpec

if TYPE_CHECKING:
    import torch

    from flowsynth.core.context import RunContext
    from flowsynth.models.protocol import LoadedModel

T = TypeVar("T")
#: The libraries patch torch's modules while they load, process-wide: one load at a time in a process.
LOADING = threading.RLock()


class ModelManager:
    """Loaded models and networks of one device.

    A model is made of parts (text encoder, UNet, VAE, each ControlNet), loaded on first use and shared
    between models that name the same files: one node's LoRA is a variant of the UNet that shares the base's
    tensors and never touches them. Parts are dropped by least recent use once their bytes exceed the budget;
    a part that a running node still holds is freed when that node ends.
    """

    def __init__(
        self,
        device: str = "cpu",
        budget_bytes: int | None = None,
        *,
        limit_bytes: int | None = None,
        cache_dir: Path | None = None,
        offline: bool = False,
    ) -> None:
        """Make an empty manager.

        Args:
            device: torch's name of the device.
            budget_bytes: most bytes of parts to keep; None is 80 % of a CUDA device, half the memory else.
            limit_bytes: what the device has in all, where it is simulated; a real one says so itself.
            cache_dir: folder under which hashes of weight files are remembered.
            offline: never touch the network.
        """
        self.device, self.cache_dir, self.offline = device, cache_dir, offline
        self._budget, self._limit = budget_bytes, limit_bytes
        self._parts: OrderedDict[str, Any] = OrderedDict()
        self._alive: WeakValueDictionary[str, Any] = WeakValueDictionary()
        self._said: dict[str, int] = {}  # bytes of parts, as those who load them say
        self._stores: dict[str, _CheckedStore] = {}
        self._models: dict[str, LoadedModel] = {}
        self._known: dict[str, LoadedModel] = {}  # by the text of a spec: found without looking at files
        self._lock = threading.RLock()

    def load(self, spec: ModelSpec) -> LoadedModel:
        """The loaded model of a spec; the same object for equal specs.

        Raises:
            InputError: files are missing, damaged or refused.
        """
        spec = spec.on(self.device)
        with watching() as watch:
            content = model_fingerprint(spec, self.cache_dir)
        text = spec.model_dump_json()
        key = content + text  # an equal model elsewhere is read from there, though its parts are shared
        with self._lock:
            if key not in self._models:
                store = self._stores[key] = _CheckedStore(self, watch)
                self._models[key] = family(spec.family).open(spec, store)
            self._stores[key].watch = watch
            self._known[text] = self._models[key]
            return self._models[key]

    def part(self, key: str, load: Callable[[], T], nbytes: Callable[[], int] | None = None) -> T:
        """The part under a key, loaded if it is not resident.

        Args:
            key: identity of the part.
            load: makes it, in eval mode, on the device.
            nbytes: asked, before it is loaded, what it will need, so that room is made; a part without
                tensors counts for so much afterwards too.
        """
        with self._lock:
            if key in self._parts:
                self._parts.move_to_end(key)
                found: T = self._parts[key]
                return found
            part = self._alive.get(key)
            if part is None:
                self._said[key] = 0 if nbytes is None else nbytes()
                self._shrink(self.budget_bytes - self._said[key])
                with LOADING:
                    part = load()
                self._require_room(part)
            self._parts[key] = self._alive[key] = part
            self._shrink(self.budget_bytes, keep=key)
            return part

    def _require_room(self, part: object) -> None:
        """See that a simulated device holds a part beside all that is in use there.

        Raises:
            DeviceMemoryError: it does not.
        """
        if self._limit is None:
            return
        self._shrink(max(0, self._limit - unique_bytes([part])))
        needed = unique_bytes([*self._alive.values(), part])
        if needed > self._limit:
            raise DeviceMemoryError(f"out of memory: {needed:,} bytes of {self._limit:,}")

    def relieve(self) -> None:
        """Drop all parts, and what the device keeps for later; what is in use stays."""
        with self._lock:
            self._parts.clear()
        gc.collect()
        if self.device.startswith("cuda"):
            import torch

            torch.cuda.empty_cache()

    @property
    def budget_bytes(self) -> int:
        """Most bytes of parts to keep."""
        if self._budget is None:
            self._budget = default_budget(self.device)
        return self._budget

    @property
    def resident_bytes(self) -> int:
        """Bytes of the resident parts; tensors that variants share count once."""
        with self._lock:
            bare = (self._said[key] for key, part in self._parts.items() if not _has_tensors(part))
            return unique_bytes(self._parts.values()) + sum(bare)

    def resident(self, specs: Iterable[ModelSpec]) -> bool:
        """Whether some part of every one of these models is loaded, so that a node would find it warm.

        It never waits and reads no file: while something is being loaded the answer is no.
        """
        if not self._lock.acquire(blocking=False):
            return False
        try:
            return all(self._has_part(spec) for spec in specs)
        finally:
            self._lock.release()

    def _has_part(self, spec: ModelSpec) -> bool:
        model = self._known.get(spec.on(self.device).model_dump_json())
        return model is not None and any(key in self._parts for key in model.part_keys())

    def _shrink(self, budget: int, keep: str | None = None) -> None:
        """Drop parts by least recent use until the rest fits; the part just loaded stays.

        Pipelines that ran hold each other in circles, and with them the memory of what is dropped.
        """
        dropped = False
        while self._parts and self.resident_bytes > budget:
            key = next((k for k in self._parts if k != keep), None)
            if key is None:
                break
            del self._parts[key]
            dropped = True
        if dropped:
            gc.collect()


class _CheckedStore:
    """The parts of one model: none is kept if a file of the model changed while it was loaded.

    Attributes:
        watch: the model's files as they were when it was last asked for.
    """

    def __init__(self, manager: ModelManager, watch: FileWatch) -> None:
        self._manager, self.watch = manager, watch
        self.device, self.cache_dir, self.offline = manager.device, manager.cache_dir, manager.offline

    def part(self, key: str, load: Callable[[], T], nbytes: Callable[[], int] | None = None) -> T:
        """The part under a key, loaded if it is not resident.

        Raises:
            RunError: a file changed meanwhile, so that the key may not be what was loaded.
        """

        def checked() -> T:
            part = load()
            self.watch.check()
            return part

        return self._manager.part(key, checked, nbytes)


def unique_bytes(parts: Iterable[Any]) -> int:
    """Bytes of the tensors of some modules, each storage counted once."""
    sizes: dict[tuple[torch.device, int], int] = {}
    for part in parts:
        for tensor in _tensors(part):
            storage = tensor.untyped_storage()
            sizes[tensor.device, storage.data_ptr()] = storage.nbytes()
    return sum(sizes.values())


def _tensors(part: Any) -> Iterator[torch.Tensor]:
    """Parameters and buffers; of networks, which have thousands of modules, without making their names."""
    layers = part.modules() if hasattr(part, "modules") else ()
    for layer in layers:
        for tensor in (*layer._parameters.values(), *layer._buffers.values()):
            if tensor is not None:
                yield from _inner(tensor)


def _inner(tensor: Any) -> Iterator[torch.Tensor]:
    """What holds a tensor's numbers: quantised ones are made of several."""
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from _inner(getattr(tensor, name))


def _has_tensors(part: Any) -> bool:
    return next(iter(_tensors(part)), None) is not None


def default_budget(device: str) -> int:
    """80 % of a CUDA device's memory, or half of the machine's."""
    if device.startswith("cuda"):
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory * 0.8)
    import psutil

    return int(psutil.virtual_memory().total // 2)


_of_plain_calls: dict[tuple[str, Path | None, bool], ModelManager] = {}


def manager_of(ctx: RunContext) -> ModelManager:
    """The manager of a node's device; in a plain call one that the process keeps for the next."""
    if ctx.models is None:
        place = ctx.device, ctx.cache_dir, ctx.offline
        own = ModelManager(ctx.device, cache_dir=ctx.cache_dir, offline=ctx.offline)
        ctx.models = _of_plain_calls.setdefault(place, own)
    manager: ModelManager = ctx.models
    return manager

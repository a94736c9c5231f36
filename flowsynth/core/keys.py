"""The key of a task: everything that its result depends on, and nothing else."""

from __future__ import annotations

import platform
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from flowsynth.core.canonical import Json, canonical_json, digest_text, plain_json
from flowsynth.core.context import RunContext
from flowsynth.core.devices import device_arch, device_type
from flowsynth.core.errors import FlowsynthError, ParamError
from flowsynth.core.exact import MARK, NoFormError, exact_fields
from flowsynth.core.operator import Operator
from flowsynth.core.refs import Ref

#: Stands for the core and the cache in every key; raised when their meaning changes.
TAG = "flowsynth/2"

#: What the text of params holds that are not all plain JSON.
MARKED = f'"{MARK}'

#: Libraries that compute on one type of device: on others, having them or not changes nothing.
_ONLY_ON = {"triton": "cuda"}


@cache
def library_version(name: str) -> str:
    """Major.minor of an installed distribution (``absent`` if it isn't), without importing it."""
    try:
        return ".".join(version(name).split("+")[0].split(".")[:2])
    except PackageNotFoundError:
        return "absent"


@cache
def numerics(cls: type[Operator], device_type: str) -> str:
    """The numerics class: what may change the last bits of a result though no parameter does.

    Device type and architecture, and major.minor of the libraries that the operator declares. The index of a
    device is no part of it.
    """
    names = [name for name in cls.libraries if _ONLY_ON.get(name, device_type) == device_type]
    libraries = {name: library_version(name) for name in names}
    arch = platform.machine().lower() if device_type == "cpu" else device_arch(device_type)
    return canonical_json([device_type, arch, libraries] if libraries else [])


class StaticKey:
    """What is known of a node's key before its inputs are: computed once a node.

    Args:
        operator: the operator with its parameters.
        device: where it is placed.
        source: source fingerprint of a class: the operator's, or that of an object among its params.
        file_hash: content hash of a file that a parameter names.
        models: model port -> fingerprint(s) of what feeds it.
        context: makes a context, for operators that find their files by name.

    Raises:
        ParamError: a parameter has a value that no key can hold.
    """

    __slots__ = ("parts", "positional", "prefix")

    def __init__(
        self,
        operator: Operator,
        device: str,
        source: Callable[[type], str],
        file_hash: Callable[[Path], str],
        models: Mapping[str, Json],
        context: Callable[[], RunContext],
    ) -> None:
        cls = type(operator)
        files = operator.files(context()) if cls.files is not Operator.files else {}
        try:
            params = plain_json(operator.key_params(files))
            if MARKED in params:
                params = _with_code(params, operator, files, source)
        except NoFormError as error:
            raise ParamError(str(error)) from error
        except (TypeError, ValueError) as error:
            raise FlowsynthError(f"{cls.op}: {error}") from error
        named = {name: file_hash(path) for name, path in files.items()}
        self.positional = cls.positional
        self.parts: dict[str, str] = {
            "op": cls.op,
            "version": str(cls.version),
            "source": source(cls),
            "params": params,
            "files": canonical_json(named) if named else "",
            "models": canonical_json(dict(models)) if models else "",
            "numerics": numerics(cls, device_type(device)),
        }
        self.prefix = "\0".join([TAG, *self.parts.values()])

    def key(self, inputs: Sequence[tuple[str, str]], span: Json = None) -> str:
        """The key, given (port, hash) of every input in the order of the ports, and the task's span."""
        text = "\1".join(f"{port}={hash_}" for port, hash_ in inputs)
        tail = "" if span is None else canonical_json(span)
        return digest_text(f"{self.prefix}\0{text}\0{tail}")

    def why(self, inputs: Sequence[tuple[str, str]]) -> str:
        """The parts of the key as JSON, for `explain`."""
        return plain_json({**self.parts, "inputs": dict(inputs)})


def _with_code(params: str, operator: Operator, files: Collection[str], source: Callable[[type], str]) -> str:
    """The params and the code of the classes whose objects are among them."""
    classes: set[type] = set()
    exact_fields(operator, files, classes)
    if not classes:
        return params
    prints = sorted([f"{cls.__module__}:{cls.__qualname__}", source(cls)] for cls in classes)
    return f'{params[:-1]},"{MARK}code":{plain_json(prints)}}}'


def whole_hash(refs: Sequence[Ref], many: bool) -> str:
    """Hash of what one port gets in full: one reference, or the list of a fan-in port."""
    return "[" + ",".join(ref.hash for ref in refs) + "]" if many else refs[0].hash

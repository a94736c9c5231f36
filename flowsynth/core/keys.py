"""The key of a task: everything that its result depends on, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from flowsynth.core.canonical import Json, canonical_json, digest_text, json_text, plain_json
from flowsynth.core.context import RunContext
from flowsynth.core.devices import device_arch
from flowsynth.core.errors import FlowsynthError, ParamError
from flowsynth.core.exact import MARK, NoFormError, exact_fields
from flowsynth.core.operator import Operator
from flowsynth.core.refs import Ref

#: Stands for the core and the cache in every key; raised when their meaning changes.
TAG = "flowsynth/2"

#: What the text of params holds that are not all plain JSON.
MARKED = f'"{MARK}'

_NO_FILES: Mapping[str, Path] = {}

#: Libraries that compute on one type of device: on others, having them or not changes nothing.
_ONLY_ON = {"triton": "cuda"}


@cache
def library_version(name: str) -> str:
    """Major.minor of an installed distribution (``absent`` if it isn't), without importing it."""
    try:
        return ".".join(version(name).split("+")[0].split(".")[:2])
    except PackageNotFoundError:
        return "absent"


def numerics(cls: type[Operator], device: str) -> str:
    """The numerics class: what may change the last bits of a result though no parameter does.

    Device type and architecture, and major.minor of the libraries that the operator declares. The index of a
    device is no part of it.
    """
    return _numerics(cls, device.partition(":")[0], device_arch(device))


@cache
def _numerics(cls: type[Operator], kind: str, arch: str) -> str:
    names = [name for name in cls.libraries if _ONLY_ON.get(name, kind) == kind]
    libraries = {name: library_version(name) for name in names}
    return canonical_json([kind, arch, libraries] if libraries else [])


class ClassKey(NamedTuple):
    """What the nodes of one operator class share of their keys on one type of device.

    Attributes:
        op: the operator.
        version: its version.
        source: fingerprint of its code.
        numerics: see `numerics`.
        positional: where a chunk lies in its stream may matter.
        head: the text of a key before what differs from node to node.
        why: the JSON of these parts, before and after that of the params.
    """

    op: str
    version: str
    source: str
    numerics: str
    positional: bool
    head: str
    why: tuple[str, str]

    @classmethod
    def of(cls, operator: type[Operator], device: str, source: str) -> ClassKey:
        """The share of a class.

        Args:
            operator: the class.
            device: where it is placed, see `key_device`.
            source: its fingerprint.
        """
        op, version, of_device = operator.op, str(operator.version), numerics(operator, device)
        before = f',"numerics":{json_text(of_device)},"op":{json_text(op)},"params":'
        after = f',"source":{json_text(source)},"version":{json_text(version)}}}'
        head = f"{TAG}\0{op}\0{version}\0{source}\0"
        return cls(op, version, source, of_device, operator.positional, head, (before, after))


class StaticKey(NamedTuple):
    """What is known of a node's key before its inputs are: computed once a node.

    Attributes:
        shared: what it shares with other nodes.
        params: canonical JSON of the parameters.
        files: canonical JSON of the hashes of the files that parameters name; empty without any.
        models: canonical JSON of the fingerprints of its models; empty without any.
    """

    shared: ClassKey
    params: str
    files: str = ""
    models: str = ""

    @property
    def parts(self) -> dict[str, str]:
        """The parts of the key by name."""
        shared = self.shared
        return {
            "op": shared.op,
            "version": shared.version,
            "source": shared.source,
            "params": self.params,
            "files": self.files,
            "models": self.models,
            "numerics": shared.numerics,
        }

    @property
    def prefix(self) -> str:
        """The text of the key as far as it is known."""
        shared = self.shared
        return f"{shared.head}{self.params}\0{self.files}\0{self.models}\0{shared.numerics}"

    def key(self, inputs: Sequence[tuple[str, str]], span: Json = None) -> str:
        """The key, given (port, hash) of every input in the order of the ports, and the task's span."""
        text = "\1".join([f"{port}={hash_}" for port, hash_ in inputs])
        tail = "" if span is None else canonical_json(span)
        return digest_text(f"{self.prefix}\0{text}\0{tail}")

    @property
    def code(self) -> str:
        """What of the key holds whatever the params and inputs are: operator, source, models and numerics."""
        held = {name: text for name, text in self.parts.items() if name not in ("params", "files")}
        return digest_text("\0".join([TAG, *held.values()]))

    @property
    def identity(self) -> dict[str, str]:
        """The parts of the key as hashes: who would compute something else differs in one."""
        return {name: digest_text(text) for name, text in self.parts.items()}

    def why(self, inputs: Sequence[tuple[str, str]]) -> str:
        """The parts of the key as canonical JSON, for `explain`."""
        before, after = self.shared.why
        read = plain_json(dict(inputs)) if inputs else "{}"
        files, models, params = json_text(self.files), json_text(self.models), json_text(self.params)
        return f'{{"files":{files},"inputs":{read},"models":{models}{before}{params}{after}'


def static_key(
    operator: Operator,
    shared: ClassKey,
    source: Callable[[type], str],
    file_hash: Callable[[Path], str],
    models: Mapping[str, Json],
    context: Callable[[], RunContext],
) -> StaticKey:
    """What is known of a node's key.

    Args:
        operator: the operator with its parameters.
        shared: what its class says.
        source: source fingerprint of a class whose object is among its params.
        file_hash: content hash of a file that a parameter names.
        models: model port -> fingerprint(s) of what feeds it.
        context: makes a context, for operators that find their files by name.

    Raises:
        ParamError: a parameter has a value that no key can hold.
    """
    files = operator.files(context()) if type(operator).files is not Operator.files else _NO_FILES
    try:
        params = plain_json(operator.key_params(files))
        if MARKED in params:
            params = _with_code(params, operator, files, source)
    except NoFormError as error:
        raise ParamError(str(error)) from error
    except (TypeError, ValueError) as error:
        raise FlowsynthError(f"{shared.op}: {error}") from error
    named = canonical_json({name: file_hash(path) for name, path in files.items()}) if files else ""
    return StaticKey(shared, params, named, canonical_json(dict(models)) if models else "")


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

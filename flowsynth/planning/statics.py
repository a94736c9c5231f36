"""What is known of a node's key before its inputs are: its code, params, files, models and numerics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flowsynth.core.canonical import Json
from flowsynth.core.devices import key_device
from flowsynth.core.errors import InputError, RequestError
from flowsynth.core.filehash import FileWatch, watching
from flowsynth.core.keys import ClassKey, StaticKey, static_key
from flowsynth.core.operator import Operator
from flowsynth.planning.host import PlanHost
from flowsynth.planning.moment import Code, Moment

_NO_PRINTS: Mapping[str, Json] = {}


class Statics:
    """Finds what a node's key begins with; what nodes share is found once.

    Args:
        specs: the entries under ``models:``.
        host: what keys are made of.
        moment: what this and others share.
    """

    def __init__(self, specs: Mapping[str, Mapping[str, object]], host: PlanHost, moment: Moment) -> None:
        self._specs, self._host, self._moment = specs, host, moment

    def of(
        self, name: str, operator: Operator, device: str, models: Mapping[str, tuple[str, ...]]
    ) -> tuple[StaticKey, Code]:
        """What is known of a node's key, and the code and all files that it holds the bytes of.

        Args:
            name: the node's.
            operator: its operator.
            device: where it is placed.
            models: model port -> names of models.

        Raises:
            RequestError: a model or a file that cannot be had.
        """
        host = self._host
        cls = type(operator)
        found = self._code_of(cls)

        def source(other: type) -> str:
            nonlocal found
            code = self._code_of(other)
            found = found.joined(code)
            return code.sources[0].fingerprint

        def made(prints: Mapping[str, Json]) -> StaticKey:
            context = lambda: host.context(name, "cpu")  # noqa: E731
            return static_key(
                operator, self._shared_key(cls, device), source, host.file_hash, prints, context
            )

        if not models and cls.files is Operator.files:
            return made(_NO_PRINTS), found
        files = FileWatch()
        prints = self._model_prints(cls, models, device, files)
        with watching() as watch:
            static = made(prints)
        watch.chosen(lambda: _all_seen(operator.files(host.context(name, "cpu")), watch), True)
        files.join(watch)
        return static, found.joined(Code((), files))

    def _code_of(self, cls: type) -> Code:
        """The code of an operator's class, or of that of an object among params."""
        known = self._moment.code
        if cls not in known:
            with watching() as watch:
                known[cls] = Code((self._host.source(cls),), watch)
        return known[cls]

    def _shared_key(self, cls: type[Operator], device: str) -> ClassKey:
        shared = self._moment.shared.get((cls, device))
        if shared is None:
            source = self._code_of(cls).sources[0].fingerprint
            shared = self._moment.shared[cls, device] = ClassKey.of(cls, key_device(device), source)
        return shared

    def _model_prints(
        self, cls: type[Operator], models: Mapping[str, tuple[str, ...]], device: str, files: FileWatch
    ) -> dict[str, Json]:
        """Model port -> fingerprints of what feeds it."""
        prints: dict[str, Json] = {}
        for port, names in models.items():
            found = [self._model_print(name, cls.model_parts.get(port, ()), device) for name in names]
            for _, watch in found:
                files.join(watch)
            prints[port] = [text for text, _ in found]
        return prints

    def _model_print(self, name: str, parts: tuple[str, ...], device: str) -> tuple[str, FileWatch]:
        spec, known = self._specs[name], self._moment.models
        look, asked = self._host.model_fingerprint, (id(spec), parts, device)
        if asked not in known:
            try:
                with watching() as watch:
                    text = look(name, spec, parts, device)
                watch.chosen(lambda: look(name, spec, parts, device), text)
            except InputError as error:
                raise RequestError(f"models.{name}: {error}") from error
            known[asked] = spec, text, watch
        return known[asked][1:]


def _all_seen(files: Mapping[str, Path], watch: FileWatch) -> bool:
    return all(path.absolute() in watch.seen for path in files.values())

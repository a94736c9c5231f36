"""From a composed configuration to plain values, or everything that cannot be resolved in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flowsynth.core.errors import Fault, GraphError, nearest

if TYPE_CHECKING:
    from omegaconf import DictConfig

_MAX_DEPTH = 60


def resolve(config: DictConfig) -> dict[str, Any]:
    """The configuration as plain dicts, lists and scalars, interpolations replaced.

    A value still ``???`` is a fault in the graph; elsewhere it is one that this graph has no use for.

    Raises:
        GraphError: interpolations that lead nowhere or in a circle, and values that must be set.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        plain: Any = OmegaConf.to_container(config, resolve=True, throw_on_missing=False)
    except (OmegaConfBaseException, RecursionError):
        faults = list(_faults(config, ""))
        if not faults:
            faults = [Fault("configuration", "interpolations run in a circle")]
        raise GraphError(faults, "configuration") from None
    if missing := list(_missing(plain.get("graph"), "graph")):
        raise GraphError(missing, "configuration")
    return {str(key): _text_keys(value) for key, value in plain.items()}


def _text_keys(value: Any) -> Any:
    """The value with texts for keys, as JSON has them: ``{0: day, 48: night}`` is a prompt that travels."""
    if isinstance(value, dict):
        return {str(key): _text_keys(part) for key, part in value.items()}
    return [_text_keys(part) for part in value] if isinstance(value, list) else value


def _missing(value: Any, path: str) -> Iterator[Fault]:
    if value == "???":
        yield Fault(path, "must be set", f"a value, such as {path}=...", "???")
    elif isinstance(value, (dict, list)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _missing(part, f"{path}.{key}")


def _faults(config: Any, path: str) -> Iterator[Fault]:
    from omegaconf import OmegaConf

    if path.count(".") > _MAX_DEPTH:
        yield Fault(path, "interpolations run in a circle")
        return
    keys = list(config.keys()) if OmegaConf.is_dict(config) else range(len(config))
    for key in keys:
        raw, where = config._get_node(key), f"{path}.{key}".lstrip(".")
        if raw is not None and raw._is_interpolation():
            yield from _interpolation_faults(config, key, where, str(raw._value()))
        elif OmegaConf.is_config(raw) and not raw._is_none():
            yield from _faults(raw, where)


def _interpolation_faults(config: Any, key: Any, where: str, text: str) -> Iterator[Fault]:
    from omegaconf.errors import InterpolationKeyError, InterpolationToMissingValueError
    from omegaconf.errors import OmegaConfBaseException as AnyError

    try:
        config[key]
    except InterpolationKeyError:
        names = [str(name) for name in config._get_root()]
        name = text.strip("${} ")
        yield Fault(where, "interpolates a key that is not there", "a key", text, nearest(name, names))
    except InterpolationToMissingValueError:
        name = text.strip("${} ")
        yield Fault(where, f"needs {name}, which is not set", f"{name}=...", "???")
    except (AnyError, RecursionError) as error:
        if "ecurs" in str(error):
            yield Fault(where, "interpolations run in a circle", "a value", text)
        else:
            yield Fault(where, "cannot be interpolated", "a key or a resolver", f"{text} ({_line(error)})")


def _line(error: Exception) -> str:
    return (str(error).splitlines() or ["unknown"])[0][:120]

"""``flowsynth model MODEL``: what a model can do, and what it needs, without loading it."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth.cli.options import command_parser
from flowsynth.cli.reference import params_schema, type_text
from flowsynth.core.errors import FlowsynthError, RequestError, did_you_mean, listing
from flowsynth.core.readable import bytes_text
from flowsynth.fetch.hub import HubError

if TYPE_CHECKING:
    from flowsynth.models import ModelSpec


def parser() -> argparse.ArgumentParser:
    """The options of `model`."""
    made = command_parser("model", "What a model can do, without loading it.", "print the same as JSON")
    made.add_argument(
        "model",
        metavar="MODEL",
        help="a name that model=NAME takes, the folder of a diffusers pipeline, or a .safetensors checkpoint",
    )
    return made


def execute(args: argparse.Namespace) -> int:
    """Print the page of a model."""
    spec, about = _found(args.model)
    data = {"about": about, **describe(spec)}
    print(json.dumps(data, indent=2, default=str) if args.json else "\n".join(_page(data)))
    return 0


def describe(spec: ModelSpec) -> dict[str, Any]:
    """A model as data: family, source, verbs with their options, sizes, and what its family adds."""
    from flowsynth.models.registry import family

    kind = family(spec.family)
    verbs = {name: verb for name in kind.verbs if (verb := kind.verb(spec, name)) is not None}
    sizes, missing = None, None
    try:
        form = kind.latent_format(spec, offline=True)
        sizes = None if form is None else form.rules()
    except HubError as error:
        missing = f"not on this machine; it is fetched when a run needs it, or by: {error.command}"
    except FlowsynthError as error:
        missing = str(error)
    return {
        "family": spec.family,
        "source": str(spec.source),
        "missing": missing,
        **kind.describe(spec),
        "sizes": sizes,
        "options": {name: params_schema(verb.options).get("properties", {}) for name, verb in verbs.items()},
        "schedulers": list(kind.scheduler_names(spec)),
    }


def _found(name: str) -> tuple[ModelSpec, str | None]:
    """The model of a configuration's name, of a folder or a single file; what a configuration says of it.

    Raises:
        RequestError: none of them; says the nearest name.
    """
    from flowsynth.config.folders import search_path
    from flowsynth.models import parse_model

    if (Path(name) / "model_index.json").is_file():
        return parse_model(name, {"family": "diffusers", "source": name}), None
    if name.endswith(".safetensors") and Path(name).is_file():
        return parse_model(name, {"family": _family_of(name), "source": name}), None
    files = {
        path.stem: path
        for place in reversed(search_path(Path.cwd()))
        for path in sorted((place.conf / "model").glob("*.yaml"))
    }
    if name not in files:
        raise RequestError(
            f"model: no model {name!r}; expected one of {listing(sorted(files))}, the folder of a diffusers"
            f" pipeline (with a model_index.json), or a checkpoint that ends in .safetensors"
            f"{did_you_mean(name, files)}"
        )
    data = _composed(name)
    if data.get("source") == "???":
        raise RequestError(
            f"model: {name!r} says no source; expected its folder or file: flowsynth model FOLDER"
        )
    return parse_model(name, data), _head(files[name])


def _family_of(name: str) -> str:
    """The family that a checkpoint in one file belongs to, by its tensors."""
    from flowsynth.models import parse_model
    from flowsynth.models.diffusion.single_file.known import checkpoint_of
    from flowsynth.models.families.gan.family import known_role
    from flowsynth.models.families.gan.spec import GanSpec
    from flowsynth.models.weights import tensor_shapes

    shapes = tensor_shapes(Path(name))
    if "attn_stack.right_shift.sos" in shapes:
        return "videogpt"
    gan = parse_model(name, {"family": "gan", "source": name})
    if isinstance(gan, GanSpec) and known_role(gan) is not None:
        return "gan"
    return "sd" if checkpoint_of(Path(name)).pipeline == "StableDiffusionPipeline" else "diffusers"


def _head(file: Path) -> str | None:
    """The comment that a configuration begins with, up to its first empty line."""
    lines = takewhile(re.compile("# .").match, file.read_text(encoding="utf-8").splitlines())
    return " ".join(line.removeprefix("#").strip() for line in lines) or None


def _composed(name: str) -> dict[str, Any]:
    """What ``model=NAME`` comes to, with the configurations that it builds on."""
    from flowsynth.config.folders import search_path
    from flowsynth.config.hydra_compose import compose_config
    from flowsynth.config.interpolation import Values

    values = Values(compose_config([f"model={name}"], search_path(Path.cwd())).values)
    data: dict[str, Any] = values.get("model")
    if values.faults:
        raise RequestError(f"model {name}: {values.faults[0]}")
    return data


def _page(data: Mapping[str, Any]) -> Iterator[str]:
    yield f"family    {data['family']}"
    yield f"source    {data['source']}"
    for name in ("about", "missing", "class", "licence"):
        if data.get(name):
            yield f"{name:<9} {data[name]}"
    if data["sizes"]:
        yield "sizes     " + "; ".join(f"{name} {text}" for name, text in data["sizes"].items())
    for name, part in data.get("parts", {}).items():
        size = f"  {bytes_text(part['bytes'])}" if part["bytes"] else ""
        yield f"part      {name:<18} {part['class']}{size}"
    for port, argument in data.get("ports", {}).items():
        yield f"port      {port:<18} {argument}"
    for verb, options in data["options"].items():
        yield f"{verb}"
        for name, schema in options.items():
            yield f"  options.{name}: {type_text(schema)} = {json.dumps(schema.get('default'))}"
    if data["schedulers"]:
        yield "schedulers " + ", ".join(data["schedulers"])

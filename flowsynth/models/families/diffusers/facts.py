"""What a pipeline class can do, read from its source without importing diffusers or torch: a plan is quick.

The arguments of ``__call__`` with their defaults, where its text is encoded and its latents are decoded, and
whether it decodes inside its loop (then it cannot be cut there and gives pixels).
"""

from __future__ import annotations

import ast
import importlib.util
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flowsynth.core.errors import InputError, did_you_mean, listing

#: Names under which pipelines encode prompts, the present one first.
_TEXT_METHODS = ("encode_prompt", "_encode_prompt")
#: Parts whose ``decode`` turns latents into pixels.
_DECODERS = ("vae", "movq", "vqvae")
#: The part whose ``decode`` turns further latents into a spectrogram of sound.
SOUND = "audio_vae"
#: Pixels are changed after decoding, or a clip is decoded piece by piece: listed by hand.
_FUSED = frozenset(
    {"AllegroPipeline", "HunyuanVideoImageToVideoPipeline", "SkyReelsV2DiffusionForcingVideoToVideoPipeline"}
)
#: Arguments of ``encode_prompt`` that are no words of the user's.
_INNER = re.compile(
    r"device|dtype|num_\w+_per_prompt|do_classifier_free_guidance|lora_scale|.*embeds?\w*|.*_mask|image\w*"
)
_PROMPT = re.compile(r"(negative_)?prompt(_\d)?")
#: Pipelines that the library has no class for.
_OWN = Path(__file__).parent / "own"
#: Stands for a default that is no literal.
COMPUTED = "..."


@dataclass(frozen=True, slots=True)
class Facts:
    """A pipeline class as its source says.

    Attributes:
        name: of the class.
        arguments: of ``__call__``, each with its default (`COMPUTED` where that is no literal).
        required: those of them without a default.
        text_method: the method that encodes prompts; empty if there is none.
        text_arguments: arguments of the call that the text depends on.
        decoder: the part whose ``decode`` ends the call; empty if it has none.
        fused: it decodes inside its loop, or goes on after decoding: it gives pixels.
        annotations: source of each argument's annotation.
        parts: arguments of the constructor: the names of its parts and constants.
        converts_loras: it has a loader of LoRAs that knows further names of its layers.
        sounds: its call decodes sound too, after the pictures.
    """

    name: str
    arguments: dict[str, Any]
    required: tuple[str, ...]
    text_method: str
    text_arguments: tuple[str, ...]
    decoder: str
    fused: bool
    annotations: dict[str, str]
    parts: tuple[str, ...] = ()
    converts_loras: bool = False
    sounds: bool = False

    @property
    def space_is_pixels(self) -> bool:
        """Whether denoising gives pixels, which `vae_decode` passes on."""
        return self.fused or not self.decoder


@cache
def facts(name: str) -> Facts:
    """What is known of a pipeline class.

    Raises:
        InputError: diffusers has no such class; says the nearest one.
    """
    methods = _methods(name)
    call = methods.get("__call__")
    if call is None:
        raise InputError(f"{name} cannot be called: it is no pipeline for inference")
    arguments, annotations = _arguments(call)
    text = next((m for m in _TEXT_METHODS if m in methods and _calls(call, "self", m)), "")
    decoder = _decoder(call, methods)
    return Facts(
        name=name,
        arguments=arguments,
        required=tuple(_required(call)),
        text_method=text,
        text_arguments=_text_arguments(methods.get(text), arguments),
        decoder=decoder,
        fused=name in _FUSED or (bool(decoder) and _decodes_in_loop(call, decoder)),
        annotations=annotations,
        parts=_part_names(methods.get("__init__")),
        converts_loras="LoraLoaderMixin" in ast.unparse(_definition(name)),
        sounds=_calls(call, "self", SOUND, "decode"),
    )


@cache
def _places() -> dict[str, Path]:
    """Source file of every class under ``diffusers.pipelines``."""
    found = importlib.util.find_spec("diffusers")
    if found is None or not found.submodule_search_locations:
        raise InputError("family diffusers needs the library diffusers: pip install diffusers")
    root = Path(next(iter(found.submodule_search_locations))) / "pipelines"
    own = (path for path in sorted(_OWN.glob("*.py")) if path.stem != "__init__")
    return {
        match[1]: path
        for path in (*sorted(root.rglob("*.py")), *own)
        for match in re.finditer(r"^class (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }


def pipeline_class(name: str) -> type[Any]:
    """A pipeline class: the library's, or one that is here."""
    import diffusers

    own = own_module(name)
    found: type[Any] = getattr(import_module(own) if own else diffusers, name)
    return found


def own_module(name: str) -> str:
    """The module of a pipeline class that the library does not have; empty for the library's."""
    place = _places().get(name)
    return f"{__package__}.own.{place.stem}" if place and place.parent == _OWN else ""


def pipeline_names() -> list[str]:
    """Names of all pipeline classes of the installed diffusers."""
    return sorted(name for name in _places() if "Pipeline" in name and not name.endswith(("Output", "Mixin")))


@cache
def library_versions() -> dict[str, str]:
    """Full versions of the libraries whose code a pipeline is: they belong to its identity."""
    return {name: version(name) for name in ("diffusers", "transformers", "peft")}


def _part_names(start: ast.FunctionDef | None) -> tuple[str, ...]:
    return () if start is None else tuple(a.arg for a in (*start.args.args, *start.args.kwonlyargs))[1:]


def _definition(name: str) -> ast.ClassDef:
    """A class of the pipelines.

    Raises:
        InputError: diffusers has no such class; says the nearest one.
    """
    if name not in _places():
        known = pipeline_names()
        raise InputError(
            f"diffusers {version('diffusers')} has no pipeline class {name!r};"
            f" expected one of {listing(known, 8)}{did_you_mean(name, known)}"
        )
    tree = ast.parse(_places()[name].read_text(encoding="utf-8"))
    return next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == name)


def _methods(name: str) -> dict[str, ast.FunctionDef]:
    """Methods of a class by name, those of its bases among the pipelines included."""
    node = _definition(name)
    own = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    bases = [
        b.id
        for b in node.bases
        if isinstance(b, ast.Name) and b.id in _places() and b.id != "DiffusionPipeline"
    ]
    inherited: dict[str, ast.FunctionDef] = {}
    for base in reversed(bases):
        inherited |= _methods(base)
    return inherited | own


def _arguments(call: ast.FunctionDef) -> tuple[dict[str, Any], dict[str, str]]:
    given = [*call.args.posonlyargs, *call.args.args][1:]
    defaults: list[ast.expr | None] = [*[None] * (len(given) - len(call.args.defaults)), *call.args.defaults]
    pairs = [
        *zip(given, defaults, strict=True),
        *zip(call.args.kwonlyargs, call.args.kw_defaults, strict=True),
    ]
    values = {arg.arg: None if default is None else _literal(default) for arg, default in pairs}
    return values, {arg.arg: ast.unparse(arg.annotation) if arg.annotation else "" for arg, _ in pairs}


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return COMPUTED


def _required(call: ast.FunctionDef) -> list[str]:
    given = [arg.arg for arg in (*call.args.posonlyargs, *call.args.args)][1:]
    return given[: len(given) - len(call.args.defaults)]


def _calls(where: ast.AST, *path: str) -> bool:
    """Whether a dotted name such as ``self.vae.decode`` is called somewhere within."""
    return any(isinstance(n, ast.Call) and _dotted(n.func) == path for n in ast.walk(where))


def _dotted(node: ast.expr) -> tuple[str, ...]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return (*([node.id] if isinstance(node, ast.Name) else [""]), *reversed(parts))


def _decoder(call: ast.FunctionDef, methods: dict[str, ast.FunctionDef]) -> str:
    reached = [call, *(methods[n] for n in _called_methods(call) if n in methods)]
    return next((d for d in _DECODERS if any(_calls(m, "self", d, "decode") for m in reached)), "")


def _called_methods(call: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(call):
        if isinstance(node, ast.Call) and (path := _dotted(node.func))[:1] == ("self",) and len(path) == 2:
            yield path[1]


def _decodes_in_loop(call: ast.FunctionDef, decoder: str) -> bool:
    loops = [n for n in ast.walk(call) if isinstance(n, (ast.For, ast.While))]
    return any(
        _calls(loop, "self", decoder, "decode") or _calls(loop, "self", "decode_latents") for loop in loops
    )


def _text_arguments(method: ast.FunctionDef | None, call: dict[str, Any]) -> tuple[str, ...]:
    if method is None:
        return ()
    names = [a.arg for a in (*method.args.args, *method.args.kwonlyargs)][1:]
    prompts = [name for name in call if _PROMPT.fullmatch(name)]
    return tuple(dict.fromkeys(n for n in (*names, *prompts) if n in call and not _INNER.fullmatch(n)))

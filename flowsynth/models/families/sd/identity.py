"""What identifies a Stable Diffusion model: everything that its parts read, by content. No torch here.

A hub model is named by its commit. A test opens every kind of part and holds what it reads against this.
"""

from __future__ import annotations

from pathlib import Path

from flowsynth.core.canonical import Json, digest_json
from flowsynth.core.errors import InputError
from flowsynth.core.filehash import file_hash, watch_folder
from flowsynth.fetch.source import Source
from flowsynth.models.diffusion.lora.declared import adapter_file, lora_identity
from flowsynth.models.diffusion.single_file.vocabulary import vocabulary_file
from flowsynth.models.families.sd.components import COMPONENTS, component_source, config_dir
from flowsynth.models.families.sd.spec import SdSpec, TextualInversion
from flowsynth.models.locate import locate
from flowsynth.models.weights import weight_files

#: Components that are configuration only.
_NO_WEIGHTS = ("tokenizer", "scheduler")
#: Endings of configurations and of tokenizers' files.
_TEXTS = (".json", ".txt", ".model", ".jinja")


def model_identity(spec: SdSpec, memo: Path | None, parts: tuple[str, ...] = ()) -> Json:
    """Everything that decides what is loaded, as JSON.

    Args:
        spec: the model.
        memo: folder in which hashes of large files are remembered.
        parts: ``text``, ``vae``, ``denoiser``: only what those depend on; all unless given.
    """

    def part(name: str) -> Json:
        return part_identity(component_source(spec, name), name, memo)

    loras: list[Json] = [[lora_identity(lora, memo), lora.scale] for lora in spec.loras]
    found: dict[str, Json] = {"family": spec.family, "dtype": spec.dtype}
    if not parts or "text" in parts:
        words: list[Json] = [word_identity(word, memo) for word in spec.textual_inversion]
        found["text"] = [part("text_encoder"), part("tokenizer"), loras, words, spec.clip_skip]
    if not parts or "vae" in parts:
        found["vae"] = part("vae")
    if not parts or "denoiser" in parts:
        motion: Json = (
            [part_identity(spec.motion, "motion", memo), spec.motion_noise, spec.motion_norm]
            if spec.motion
            else None
        )
        nets: list[Json] = [
            [name, part_identity(net, "controlnet", memo)] for name, net in spec.controlnets.items()
        ]
        scheduler = spec.scheduler.model_dump(mode="json")
        found["denoiser"] = [part("unet"), part("scheduler"), motion, nets, loras, scheduler]
        if spec.step_cache is not None:
            found["step_cache"] = spec.step_cache
    return found


def part_identity(source: Source, kind: str, memo: Path | None) -> Json:
    """Identity of what is read for one part: its weights, and the configuration that describes them.

    Args:
        source: the part's own folder or file, or the single file that holds it among others.
        kind: name of the component, or ``controlnet`` or ``motion``.
        memo: folder in which hashes of large files are remembered.

    Raises:
        InputError: something is missing.
    """
    if source.hub:
        return [kind, source.model_dump(mode="json")]
    path = locate(source)
    if path.is_file():
        folder = config_dir(source, kind)
        own: list[Json] = [file_hash(vocabulary_file())] if kind == "tokenizer" else []
        return [file_hash(path, memo), _texts(folder) if folder else own]
    if not path.is_dir():
        raise InputError(f"{path}: no such folder; a Stable Diffusion model holds {', '.join(COMPONENTS)}")
    weights = [] if kind in _NO_WEIGHTS else weight_files(path, source.variant)
    return [[file_hash(file, memo) for file in weights], _texts(path)]


def _texts(folder: Path) -> list[Json]:
    """Hashes of the configurations and tokenizer files of a folder, with their names."""
    watch_folder(folder)
    files = sorted(p for p in folder.iterdir() if p.suffix in _TEXTS)
    return [[path.name, file_hash(path)] for path in files]


def word_identity(word: TextualInversion, memo: Path | None) -> Json:
    """Identity of a learned word: its file, and the word, which may be the file's own name."""
    if word.source.hub:
        return [word.source.model_dump(mode="json"), word.weight_name, word.token]
    file = adapter_file(word)
    return [file_hash(file, memo), word.token or file.stem]


def part_key(*parts: Json) -> str:
    """Key of a loaded part."""
    return digest_json(list(parts))

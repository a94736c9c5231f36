"""CLIP's vocabulary, for single files: they come without a tokenizer, and all of this family share one."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

from flowsynth.core.shipped import asset_folder

_LENGTH = 77


def vocabulary_file() -> Path:
    """The pairs that CLIP's byte-pair encoding merges, in order (OpenAI, MIT licence)."""
    return asset_folder("clip") / "merges.txt.gz"


def clip_tokenizer(pad: str) -> Any:
    """CLIP's tokenizer.

    Args:
        pad: the token that fills a prompt up: SD 1.x takes the end's mark, SD 2.x an exclamation mark.
    """
    from transformers import CLIPTokenizer

    lines = gzip.decompress(vocabulary_file().read_bytes()).decode("utf-8").splitlines()
    merges = [(left, right) for left, right in (line.split() for line in lines)]
    letters = _letters()
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), *(a + b for a, b in merges)]
    table = {piece: i for i, piece in enumerate([*pieces, "<|startoftext|>", "<|endoftext|>"])}
    return CLIPTokenizer(vocab=table, merges=merges, pad_token=pad, model_max_length=_LENGTH)


def _letters() -> list[str]:
    """A visible character for every byte: those that print stand for themselves, the others follow 255."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return [chr(byte) for byte in plain] + [chr(256 + i) for i in range(len(others))]

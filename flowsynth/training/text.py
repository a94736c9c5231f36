"""Stage 2a: a CLIP tokenizer over a small vocabulary, and a small CLIP text encoder."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from torch import Tensor

_END = "</w>"


def byte_symbols() -> list[str]:
    """Returns the 256 printable stand-ins that byte-level BPE (GPT-2, CLIP) uses for bytes."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    symbols = {byte: chr(byte) for byte in printable}
    spare = 256
    for byte in range(256):
        if byte not in symbols:
            symbols[byte] = chr(spare)
            spare += 1
    return [symbols[byte] for byte in range(256)]


def learn_merges(words: Sequence[str]) -> list[tuple[str, str]]:
    """Learns byte-pair merges until every word is one symbol (Sennrich et al., arXiv 1508.07909).

    Args:
        words: Lower-case ASCII words; each counts once.

    Returns:
        Merges in order of priority.
    """
    pieces = [[*word[:-1], word[-1] + _END] for word in words]
    merges: list[tuple[str, str]] = []
    while True:
        pairs = Counter(pair for word in pieces for pair in pairwise(word))
        if not pairs:
            return merges
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = [_merge(word, best) for word in pieces]


def _merge(word: list[str], pair: tuple[str, str]) -> list[str]:
    merged: list[str] = []
    for symbol in word:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return merged


def build_tokenizer(words: Sequence[str]) -> Any:
    """Returns a ``CLIPTokenizer`` that knows any text, with one token for each of ``words``."""
    from transformers import CLIPTokenizer

    symbols = byte_symbols()
    merges = learn_merges(words)
    entries = [*symbols, *(s + _END for s in symbols), *(a + b for a, b in merges)]
    entries = [*dict.fromkeys(entries), "<|startoftext|>", "<|endoftext|>"]
    vocab = {entry: index for index, entry in enumerate(entries)}
    return CLIPTokenizer(vocab=vocab, merges=merges, model_max_length=77)


def build_text_encoder(tokenizer: Any, width: int, layers: int, heads: int) -> Any:
    """Returns an untrained ``CLIPTextModel`` for a tokenizer."""
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        max_position_embeddings=tokenizer.model_max_length,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=width,
        hidden_act="quick_gelu",
    )
    # Plain attention: in bfloat16 the fused backward pass is slower on a CPU.
    config._attn_implementation = "eager"
    return CLIPTextModel(config)


def drop_captions(captions: Sequence[str], dropout: float, rng: np.random.Generator) -> list[str]:
    """Leaves a share of the captions empty, for guidance."""
    return ["" if rng.random() < dropout else caption for caption in captions]


def caption_states(encoder: Any, tokenizer: Any, captions: Sequence[str]) -> Tensor:
    """Returns text states (B, 77, D)."""
    states: Tensor = encoder(tokenize(tokenizer, captions)).last_hidden_state
    return states


def tokenize(tokenizer: Any, captions: Sequence[str]) -> Tensor:
    """Returns token ids (B, 77) as the Stable Diffusion pipelines make them."""
    encoded = tokenizer(
        list(captions), padding="max_length", max_length=tokenizer.model_max_length, truncation=True
    )
    return torch.tensor(encoded["input_ids"])

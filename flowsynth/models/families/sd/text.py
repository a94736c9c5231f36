"""Prompts to CLIP text states, with weights, long prompts, learned words, skipped layers and travel.

Written out instead of taken from a pipeline because weights and long prompts are not in diffusers, and
because its ``clip_skip`` reads ``text_encoder.text_model``, which transformers 5.23 no longer has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from flowsynth.core.errors import RequestError
from flowsynth.models.diffusion.comfy_syntax import parse_comfy
from flowsynth.models.diffusion.prompt_syntax import Piece, parse_prompt, taken_as_words

if TYPE_CHECKING:
    import torch

#: States 1 x 77 x D and weights 1 x 77 x 1 -> weighed states.
Weigh: TypeAlias = "Callable[[torch.Tensor, torch.Tensor], torch.Tensor]"
#: Words of so many tokens may be cut by the end of a chunk (``comfy``).
_LONG_WORD = 8


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """A CLIP text encoder with its tokenizer and learned words.

    Attributes:
        net: ``CLIPTextModel``, with or without an inner ``text_model``.
        tokenizer: ``CLIPTokenizer``.
        words: learned word in small letters, as CLIP reads all words -> its token ids in the net's enlarged
            embedding table.
    """

    net: Any
    tokenizer: Any
    words: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    @property
    def chunk_tokens(self) -> int:
        """Tokens of a chunk without its begin and end marks: 75 for CLIP."""
        return int(self.tokenizer.model_max_length) - 2


@dataclass(frozen=True, slots=True)
class Chunk:
    """One input of the encoder: 77 ids, and the weight of each."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def encode_prompts(
    encoder: TextEncoder, prompts: Sequence[str], *, clip_skip: int = 0, syntax: str = "weights"
) -> torch.Tensor:
    """Encode prompts to states of equal length.

    A prompt longer than 75 tokens becomes several chunks of 77 (begin and end marks included), encoded apart
    and concatenated; ``BREAK`` starts a new chunk. Shorter prompts are filled with empty chunks to the
    longest one's number, so positive and negative prompts fit each other.

    A weight multiplies a token's states; then the chunk is rescaled to the mean it had before, as
    AUTOMATIC1111's "original" emphasis does. Under ``comfy`` it moves the token's states away from those that
    the empty prompt has in its place, z0 + w (z - z0), and the mean is left as it comes out. A prompt without
    weights is left exactly as it is, and one of at most 75 tokens equals diffusers' ``encode_prompt`` bit for
    bit.

    Args:
        encoder: the text encoder.
        prompts: one or more prompts.
        clip_skip: layers left out at the end, as diffusers counts: 0 takes the last layer, 1 the one before
            it (then the final layer norm). It is one less than the "clip skip" of AUTOMATIC1111's web UI and
            of Diffutoon (arXiv 2401.16224): their 2 is 1 here. It holds for negative prompts too, as theirs.
        syntax: ``weights`` reads brackets (see :mod:`flowsynth.models.diffusion.prompt_syntax`), ``comfy``
            ComfyUI's (see :mod:`flowsynth.models.diffusion.comfy_syntax`), ``plain`` takes the text as it
            stands.

    Returns:
        N x (77 k) x D in the encoder's dtype.

    Raises:
        RequestError: ``clip_skip`` leaves no layer.
    """
    import torch

    chunked = [split_chunks(encoder, prompt, syntax) for prompt in prompts]
    longest = max(len(chunks) for chunks in chunked)
    empty = _chunk(encoder, [], [])
    rows = [chunks + [empty] * (longest - len(chunks)) for chunks in chunked]
    with torch.no_grad():
        weigh = _against(encoder, empty, clip_skip) if syntax == "comfy" else _with_mean_kept
        encoded = {chunk: _encode_chunk(encoder, chunk, clip_skip, weigh) for row in rows for chunk in row}
        return torch.cat([torch.cat([encoded[chunk] for chunk in row], dim=1) for row in rows])


def split_chunks(encoder: TextEncoder, prompt: str, syntax: str = "weights") -> list[Chunk]:
    """A prompt's chunks of token ids and weights.

    Args:
        encoder: the text encoder.
        prompt: the text.
        syntax: ``weights``, ``comfy`` or ``plain``.
    """
    if syntax == "comfy":
        pieces = parse_comfy(prompt)
    else:
        pieces = parse_prompt(prompt) if syntax == "weights" else [Piece(prompt)]
    chunks: list[Chunk] = []
    ids: list[int] = []
    weights: list[float] = []

    def close() -> None:
        chunks.append(_chunk(encoder, ids, weights))
        ids.clear()
        weights.clear()

    for piece in pieces:
        if piece.text is None:
            close()
            continue
        for group in _kept_together(encoder, token_groups(encoder, piece.text), syntax):
            if len(ids) + len(group) > encoder.chunk_tokens and ids:
                close()
            ids += group[: encoder.chunk_tokens]
            weights += [piece.weight] * min(len(group), encoder.chunk_tokens)
    close()
    return chunks


def _kept_together(encoder: TextEncoder, groups: list[list[int]], syntax: str) -> list[list[int]]:
    """Under ``comfy`` the tokens of a word of fewer than eight stay in one chunk."""
    whole = [token for group in groups for token in group]
    if syntax != "comfy" or len(whole) >= _LONG_WORD or len(whole) > encoder.chunk_tokens:
        return groups
    return [whole] if whole else []


def token_groups(encoder: TextEncoder, text: str) -> list[list[int]]:
    """Token ids of a text; the vectors of a learned word stay in one group, all others stand alone."""
    groups: list[list[int]] = []
    for run in _split_words(text, encoder.words):
        if run.lower() in encoder.words:
            groups.append(list(encoder.words[run.lower()]))
        elif run.strip():
            found = encoder.tokenizer(run, add_special_tokens=False, truncation=False, verbose=False)
            groups += [[token] for token in found.input_ids]
    return groups


def prompt_notes(words: Sequence[str], prompts: Sequence[str], syntax: str) -> list[str]:
    """What a user should know of prompts: what is not understood in them, and learned words that none uses.

    Args:
        words: the learned words, as they are written in prompts.
        prompts: all of a node, negative ones too.
        syntax: ``weights``, ``comfy`` or ``plain``.
    """
    notes = []
    commands = [c for prompt in prompts for c in taken_as_words(prompt)] if syntax == "weights" else []
    if commands:
        notes.append(f"read as plain words, not as commands: {', '.join(dict.fromkeys(commands))}")
    table = {word.lower(): () for word in words}
    used = {run.lower() for prompt in prompts for run in _split_words(prompt, table)}
    notes += [f"no prompt uses the learned word {word!r}" for word in words if word.lower() not in used]
    return notes


def _split_words(text: str, words: Mapping[str, Any]) -> list[str]:
    if not words:
        return [text]
    names = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.split(rf"(?<!\w)({names})(?!\w)", text, flags=re.IGNORECASE)


def _chunk(encoder: TextEncoder, ids: Sequence[int], weights: Sequence[float]) -> Chunk:
    tokenizer = encoder.tokenizer
    fill = encoder.chunk_tokens - len(ids)
    return Chunk(
        (tokenizer.bos_token_id, *ids, tokenizer.eos_token_id, *[tokenizer.pad_token_id] * fill),
        (1.0, *weights, 1.0, *[1.0] * fill),
    )


def _encode_chunk(encoder: TextEncoder, chunk: Chunk, clip_skip: int, weigh: Weigh) -> torch.Tensor:
    """States of one chunk, 1 x 77 x D."""
    import torch

    states = _plain_states(encoder, chunk, clip_skip)
    if all(weight == 1.0 for weight in chunk.weights):
        return states
    weights = torch.tensor(chunk.weights, device=states.device, dtype=states.dtype)
    return weigh(states, weights[None, :, None])


def _plain_states(encoder: TextEncoder, chunk: Chunk, clip_skip: int) -> torch.Tensor:
    """States of one chunk without its weights."""
    import torch

    net = encoder.net
    ids = torch.tensor([chunk.ids], device=net.device)
    mask = None
    if getattr(net.config, "use_attention_mask", False):
        end = chunk.ids.index(encoder.tokenizer.eos_token_id, 1)
        mask = torch.tensor([[1] * (end + 1) + [0] * (len(chunk.ids) - end - 1)], device=net.device)
    found: torch.Tensor = _states(net, ids, mask, clip_skip)
    return found


def _with_mean_kept(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """States times their weights, brought back to their mean."""
    return _with_mean_of(states * weights, states)


def _against(encoder: TextEncoder, empty: Chunk, clip_skip: int) -> Weigh:
    """States moved by their weights away from those of an empty prompt."""

    def weigh(states: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        nothing = _plain_states(encoder, empty, clip_skip)
        return (states - nothing) * weights + nothing

    return weigh


def _with_mean_of(weighted: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """Rescale to the mean that the states had; left alone where that mean is no more than rounding."""
    before, after = states.mean(), weighted.mean()
    if min(before.abs(), after.abs()) < 0.01 * states.std():
        return weighted
    return weighted * (before / after)


def _states(net: Any, ids: torch.Tensor, mask: Any, clip_skip: int) -> torch.Tensor:
    if clip_skip == 0:
        last: torch.Tensor = net(ids, attention_mask=mask)[0]
        return last
    layers = net.config.num_hidden_layers
    if clip_skip >= layers:
        raise RequestError(
            f"clip_skip is {clip_skip}, but the text encoder has {layers} layers; at most {layers - 1}"
        )
    hidden = net(ids, attention_mask=mask, output_hidden_states=True).hidden_states
    inner = getattr(net, "text_model", net)
    skipped: torch.Tensor = inner.final_layer_norm(hidden[-(clip_skip + 1)])
    return skipped

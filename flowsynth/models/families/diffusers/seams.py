"""A pipeline's own call, cut at its text encoder and at its decoder.

Nothing between the cuts is written again, so that a result is the pipeline's own.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flowsynth.core.canonical import Json
from flowsynth.core.errors import RunError
from flowsynth.models.diffusion.passes import once
from flowsynth.models.families.diffusers.postponed import once_there

#: Arguments of `encode_prompt` that say nothing of its result.
_PLACES = frozenset({"device", "dtype", "lora_scale", "self"})


class Cut(BaseException):
    """Ends a pipeline's call at a seam. No Exception, so that no pipeline takes it for a fault of its own.

    Attributes:
        args: what the seam was given, in order.
        kwargs: what it was given by name.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self.args, self.kwargs = args, kwargs


@dataclass
class TextCalls:
    """Calls of `encode_prompt` with their results, found again by their arguments.

    Attributes:
        results: the call's arguments as text -> its result.
    """

    results: dict[str, Any] = field(default_factory=dict)

    def record(self, pipe: Any, name: str) -> None:
        """Have a pipeline's text encoding remember what it gives."""
        method = getattr(pipe, name)
        signature = inspect.signature(method)

        def encode(*args: Any, **kwargs: Any) -> Any:
            key = call_key(signature, args, kwargs)
            if key not in self.results:
                self.results[key] = method(*args, **kwargs)
            return self.results[key]

        setattr(pipe, name, encode)

    def replay(self, pipe: Any, name: str) -> None:
        """Have a pipeline's text encoding give what was recorded; its encoders are never called."""
        signature = inspect.signature(getattr(pipe, name))

        def encode(*args: Any, **kwargs: Any) -> Any:
            key = call_key(signature, args, kwargs)
            if key not in self.results:
                raise RunError(
                    f"the conditioning holds no text encoded as {key};"
                    f" it has {', '.join(self.results) or 'none'}"
                )
            return self.results[key]

        setattr(pipe, name, encode)


def call_key(signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The arguments of a call as text: plain values by value, the others by their shape."""
    bound = signature.bind_partial(*args, **kwargs)
    bound.apply_defaults()
    named = {k: v for k, v in bound.arguments.items() if k not in _PLACES}
    return repr(sorted((name, _plain(value)) for name, value in named.items()))


def _plain(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return repr([_plain(item) for item in value])
    if isinstance(value, Mapping):
        return repr(sorted((str(k), _plain(v)) for k, v in value.items()))
    return type(value).__name__


def encode_once(pipe: Any) -> None:
    """Have a pipeline's text encoders see each text once, however often its call encodes it."""
    for name, part in pipe.components.items():
        if name.startswith("text_encoder") and part is not None:
            part.forward = once(part.forward)


def padding_sides(pipe: Any) -> dict[str, Json]:
    """On which side each tokenizer pads: text encoding may set it, and what comes after reads it."""
    parts = pipe.components.items()
    return {name: str(part.padding_side) for name, part in parts if hasattr(part, "padding_side")}


def pad_as(pipe: Any, sides: Json) -> None:
    """Have tokenizers pad as they did after the text was encoded."""
    for name, side in sides.items() if isinstance(sides, dict) else ():
        getattr(pipe, name).padding_side = side


#: Methods of a pipeline that come after its text, or before it in a few classes.
_AFTER_TEXT = (
    "prepare_latents", "prepare_image", "prepare_control_image", "encode_image", "_encode_image",
    "_encode_vae_image",
)  # fmt: skip


def stop_after_text(pipe: Any, texts: TextCalls) -> None:
    """Have a pipeline's call end at the first thing that comes after its text."""
    from torch import nn

    for name in _AFTER_TEXT:
        _guard(pipe, name, texts)
    for part in pipe.components.values():
        if isinstance(part, nn.Module):
            if _is_no_text_encoder(pipe, part):
                once_there(part, lambda network: _guard_all(network, ("encode", "forward"), texts))
        elif part is not None:
            _guard(part, "set_timesteps", texts)
    pipe.check_inputs = lambda *_, **__: None


def _is_no_text_encoder(pipe: Any, part: Any) -> bool:
    named = [name for name, value in pipe.components.items() if value is part]
    return all(
        name.startswith(("vae", "unet", "transformer", "controlnet", "prior", "image_encoder", "connectors"))
        for name in named
    )


def _guard_all(owner: Any, names: tuple[str, ...], texts: TextCalls) -> None:
    for name in names:
        _guard(owner, name, texts)


def _guard(owner: Any, name: str, texts: TextCalls) -> None:
    """Have a method end the call, once there is a text."""
    method = getattr(owner, name, None)
    if not callable(method):
        return

    @functools.wraps(method)
    def stop(*args: Any, **kwargs: Any) -> Any:
        if texts.results:
            raise Cut(*args, **kwargs)
        return method(*args, **kwargs)

    setattr(owner, name, stop)


def stop_at_decoder(decoder: Any) -> None:
    """Have a decoder end the call with what it was about to get."""

    def stop(*args: Any, **kwargs: Any) -> Any:
        raise Cut(*args, **kwargs)

    _decode_by(decoder, stop)


def stop_at_sound(decoder: Any, sound: Any) -> list[Cut]:
    """Have a decoder of sound end the call, and that of pictures before it note what it was about to get.

    Returns:
        What the decoder of pictures was about to get, once the call has ended.
    """
    import torch

    noted: list[Cut] = []

    def note(*args: Any, **kwargs: Any) -> Any:
        noted.append(Cut(*args, **kwargs))
        return (torch.zeros(1, 3, 1, 8, 8),)  # made into pictures that nobody sees

    _decode_by(decoder, note)
    stop_at_decoder(sound)
    return noted


def _decode_by(decoder: Any, instead: Callable[..., Any]) -> None:
    def put(network: Any) -> None:
        network.decode = functools.wraps(network.decode)(instead)

    once_there(decoder, put)

"""Self-attention across the pictures of a batch: they come to show the same people and the same style.

StoryDiffusion's consistent self-attention (Zhou et al., arXiv 2405.01434, equations 1 to 3): the queries of a
picture see its own tokens and a sample of the tokens of all others. With every token of all others it is the
cross-frame attention of Diffutoon's editing stage (arXiv 2401.16224). No weight is added or trained.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import Field

from flowsynth.core.errors import RequestError

if TYPE_CHECKING:
    import torch

Share: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Layers: TypeAlias = Literal["up", "all"]
SHARE_TEXT = (
    "share of the other pictures' tokens that self-attention sees too (StoryDiffusion); 0 is off,"
    " 1 sees all of them"
)
LAYERS_TEXT = "self-attention that sees other pictures: where the UNet goes up again, or everywhere"


class Sample:
    """Which tokens of the other pictures each picture sees: the same in every pass.

    So a pass of a network depends on its arguments alone, as it does without.

    Args:
        share: of the others' tokens, above 0 and up to 1.
        layers: ``up``, as StoryDiffusion, or ``all``, as Diffutoon's editing stage.
        seed: of the draw.
        pictures: pictures of a group that belong together, from the length of the batch, which holds the
            groups of guidance one after the other.
    """

    def __init__(self, share: float, layers: Layers, seed: int, pictures: Callable[[int], int]) -> None:
        self.share, self.layers, self.seed, self._pictures = share, layers, seed, pictures
        self._known: dict[tuple[str, int, int], torch.Tensor] = {}

    @property
    def name(self) -> str:
        """What a pass depends on besides its arguments."""
        return f"consistent {self.share} {self.seed} {self.layers}"

    def seen(self, layer: str, tokens_BLD: torch.Tensor) -> torch.Tensor:
        """What each picture of a batch sees at a layer: its own tokens, then those of others, B x K x D."""
        import torch

        batch, length, width = tokens_BLD.shape
        count = self._pictures(batch)
        if count < 2:
            return tokens_BLD
        index = self._index(layer, count, length).to(tokens_BLD.device)
        groups = tokens_BLD.reshape(batch // count, count * length, width)
        others = groups[:, index.flatten()].reshape(batch, -1, width)
        return torch.cat((tokens_BLD, others), dim=1)

    def _index(self, layer: str, count: int, length: int) -> torch.Tensor:
        """Rows among the tokens of a whole group, count x K, drawn once for each layer and size."""
        key = layer, count, length
        if key not in self._known:
            self._known[key] = self._drawn(layer, count, length)
        return self._known[key]

    def _drawn(self, layer: str, count: int, length: int) -> torch.Tensor:
        import torch

        generator = torch.Generator("cpu").manual_seed(zlib.crc32(f"{self.seed}:{layer}".encode()))
        rows = torch.arange(count * length)
        others = (count - 1) * length
        kept = max(round(self.share * others), 1)
        made = []
        for own in range(count):
            foreign = rows[(rows < own * length) | (rows >= (own + 1) * length)]
            chosen = torch.randperm(others, generator=generator)[:kept].sort().values
            made.append(foreign[chosen])
        return torch.stack(made)


class _Consistent:
    """An attention processor that has another one see more than the picture's own tokens."""

    def __init__(self, inner: Any, layer: str, sample: Sample) -> None:
        self._inner, self._layer, self._sample = inner, layer, sample

    def __call__(
        self,
        attn: Any,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
    ) -> Any:
        """Attend; where something else than the picture itself is attended to it is left as it is."""
        if encoder_hidden_states is None:
            encoder_hidden_states = self._sample.seen(self._layer, hidden_states)
        return self._inner(attn, hidden_states, encoder_hidden_states, attention_mask, temb)


def put_consistent(unet: Any, sample: Sample) -> None:
    """Have a UNet of pictures see the pictures of a batch together.

    Args:
        unet: whose modules, not weights, belong to this call alone.
        sample: what is seen, and where.

    Raises:
        RequestError: it has no such layers.
    """
    begin = "" if sample.layers == "all" else "up_blocks."
    layers = {name: layer for name, layer in unet.named_modules() if name.endswith(".attn1")}
    if not any(name.startswith(begin) for name in layers):
        raise RequestError(
            f"denoise: options.consistent: a {type(unet).__name__} with self-attention"
            f" {'in its up blocks (or consistent_layers: all)' if layers else 'is expected, this has none'}"
        )
    for name, layer in layers.items():
        if name.startswith(begin):
            layer.set_processor(_Consistent(layer.processor, name, sample))

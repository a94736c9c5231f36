"""Parts that are kept and copied for each call: a copy shares nothing, and most are never made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from flowsynth.models.families.diffusers.copying import can_be_copied, network_copy
from flowsynth.models.families.diffusers.lazy import skeleton
from flowsynth.models.families.diffusers.postponed import once_there, postponed
from flowsynth.models.families.diffusers.templates import Templates
from tests.models.families.diffusers.zoo.parts import clip_text, clip_tokenizer, kl_vae


def bare(build: Callable[[], nn.Module]) -> nn.Module:
    build()  # imports its code, which no skeleton may
    return skeleton(build, torch.float32, "cpu")


@pytest.fixture(scope="module")
def template() -> nn.Module:
    return bare(kl_vae)


def looks(network: nn.Module) -> list[Any]:
    """All that a call could change of a network: by value, and what its tensors are."""
    found: list[Any] = []
    for layer in network.modules():
        for name, value in vars(layer).items():
            plain = isinstance(value, (bool, int, float, str, tuple, list))
            found.append((name, value if plain else len(value) if hasattr(value, "__len__") else None))
        held = [*layer._parameters.values(), *layer._buffers.values()]
        found += [(t.dtype, t.requires_grad, id(t), t._version) for t in held if t is not None]
    return found


def test_what_a_call_does_to_a_network_stays_with_its_copy(template: nn.Module) -> None:
    before, config = looks(template), dict(template.config)  # type: ignore[arg-type]
    copied: Any = network_copy(template)
    assert issubclass(type(copied), type(template))
    assert [name for name, _ in copied.named_parameters()] == [n for n, _ in template.named_parameters()]
    assert not {id(m) for m in copied.modules()} & {id(m) for m in template.modules()}
    copied.enable_tiling()
    copied.requires_grad_(False).to(torch.float16).train()
    copied.decoder.conv_in = nn.Identity()
    copied.encoder.register_forward_hook(lambda *_: None)
    copied.register_to_config(scaling_factor=3.0)
    for layer in copied.modules():
        layer.added = 1
        if hasattr(layer, "processor"):
            layer.processor.touched = True
    assert looks(template) == before
    assert dict(template.config) == config  # type: ignore[arg-type]
    assert not any(hasattr(getattr(m, "processor", None), "touched") for m in template.modules())


def test_tied_weights_stay_tied() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    net[1].weight = net[0].weight
    copied: Any = network_copy(net)
    assert copied[1].weight is copied[0].weight is not net[0].weight


def test_a_network_comes_into_being_when_it_is_more_than_looked_at(template: nn.Module) -> None:
    begun: list[nn.Module] = []
    later: Any = postponed(template, begun.append)
    once_there(later, lambda network: begun.append(network))
    assert issubclass(type(later), type(template))
    assert later.dtype == torch.float32
    assert later.config.latent_channels == 4
    assert not hasattr(later, "padding_side")
    assert not begun
    later.use_tiling = True
    assert begun == [later, later]
    assert later.__class__ is template.__class__
    assert later.use_tiling
    assert not template.use_tiling
    other: Any = postponed(template, begun.append)
    assert len(list(other.modules())) == len(list(template.modules()))
    assert begun[-1] is other


def test_a_network_whose_code_holds_on_to_a_layer_is_made_anew() -> None:
    def make() -> nn.Module:
        net: Any = nn.Sequential(nn.Linear(2, 2))
        net.again = lambda: net
        made: nn.Module = net
        return made

    templates = Templates()
    begun: list[nn.Module] = []
    assert not can_be_copied(make())
    nets: list[Any] = [templates.network("net", make, begun.append) for _ in range(2)]
    first, second = nets
    assert first.again() is first
    assert second.again() is second
    assert begun == [first, second]


def test_words_that_a_call_adds_are_gone_in_the_next() -> None:
    templates = Templates()
    first = templates.tool("tokenizer", clip_tokenizer)
    size, side = len(first), first.padding_side
    assert templates.tool("tokenizer", clip_tokenizer)._tokenizer is first._tokenizer, "else it is read again"
    first.padding_side = "left" if side == "right" else "right"
    assert templates.tool("tokenizer", clip_tokenizer).padding_side == side
    first.add_tokens(["<new>"])
    assert len(first) == size + 1
    assert len(templates.tool("tokenizer", clip_tokenizer)) == size


def test_a_copy_of_a_text_encoder_has_a_configuration_of_its_own() -> None:
    net = bare(clip_text)
    copied: Any = network_copy(net)
    copied.config.hidden_size = 1
    assert net.config.hidden_size != 1  # type: ignore[union-attr]
    assert copied.encoder.layers[0].self_attn.config is copied.config

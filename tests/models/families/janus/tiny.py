"""A tiny Janus of the real classes, with random weights, saved as the published ones are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from tests.models.families.diffusers.zoo.parts import _byte_tokenizer

TEMPLATE = (
    "{% for message in messages %}<|User|>: {{ message['content'][0]['text'] }}\n{% endfor %}<|Assistant|>:"
)
MARKS = {"image_token": "<image_placeholder>", "boi_token": "<begin_of_image>", "eoi_token": "<end_of_image>"}


def tokenizer() -> Any:
    from transformers import Qwen2Tokenizer

    base = _byte_tokenizer()
    made = Qwen2Tokenizer(vocab=base.get_vocab(), merges=[], extra_special_tokens=MARKS)
    made.add_special_tokens({"pad_token": "<|endoftext|>", "bos_token": "<|begin|>", "eos_token": "<|end|>"})
    made.chat_template = TEMPLATE
    return made


def save_janus(folder: Path, seed: int = 0) -> Path:
    """Its folder."""
    from transformers import (
        JanusConfig,
        JanusForConditionalGeneration,
        JanusVisionConfig,
        JanusVQVAEConfig,
        LlamaConfig,
    )
    from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

    words = tokenizer()
    ids = {name: words.convert_tokens_to_ids(mark) for name, mark in MARKS.items()}
    text = LlamaConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=len(words) + 8,
        max_position_embeddings=512,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
        pad_token_id=words.pad_token_id,
    )
    vision = JanusVisionConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=16,
        patch_size=4,
        mlp_ratio=2,
        projection_dim=16,
        num_image_tokens=16,
    )
    picture = JanusVQVAEConfig(
        embed_dim=4,
        num_embeddings=32,
        latent_channels=8,
        base_channels=32,
        channel_multiplier=[1, 1],
        num_res_blocks=1,
        projection_dim=16,
        image_token_embed_dim=16,
        num_patches=4,
    )
    config = JanusConfig(
        text_config=text.to_dict(),
        vision_config=vision.to_dict(),
        vq_config=picture.to_dict(),
        image_token_id=ids["image_token"],
    )
    torch.manual_seed(seed)
    net = JanusForConditionalGeneration(config).eval()
    # Drawn so small that all tokens are as likely, whatever the words are, it would draw one picture for all.
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if parameter.ndim == 2 and ("language_model" in name or "generation" in name):
                parameter.mul_(10)
    net.generation_config.bos_token_id = words.bos_token_id
    net.generation_config.pad_token_id = words.pad_token_id
    net.save_pretrained(folder)
    words.save_pretrained(folder)
    JanusImageProcessorPil(size={"height": 16, "width": 16}).save_pretrained(folder)
    file = folder / "generation_config.json"
    held = json.loads(file.read_text())
    held.pop("_from_model_config", None)  # as published: settings of its own
    settings = {**held, "generation_kwargs": {"boi_token_id": ids["boi_token"]}}
    file.write_text(json.dumps(settings))
    return folder

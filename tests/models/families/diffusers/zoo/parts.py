"""Parts that many tiny pipelines share: tokenizers, encoders, autoencoders, schedulers."""

from __future__ import annotations

import string
from typing import Any

import torch

from tests.tiny import WORDS, _tokenizer

__all__ = [
    "bert",
    "clip_text",
    "clip_tokenizer",
    "clip_vision",
    "flow",
    "gemma",
    "kl_vae",
    "qwen",
    "t5",
    "wan_vae",
]


def clip_tokenizer() -> Any:
    return _tokenizer()


def clip_text(*, projection: bool = False, width: int = 32, **config: Any) -> Any:
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = clip_tokenizer()
    made = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=3,
        num_attention_heads=4,
        max_position_embeddings=77,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        projection_dim=width,
        **config,
    )
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(made)


def clip_vision(width: int = 32, size: int = 32, patch: int = 8) -> tuple[Any, Any]:
    """A picture encoder and its processor."""
    from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

    config = CLIPVisionConfig(
        hidden_size=width,
        projection_dim=width,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=size,
        intermediate_size=16,
        patch_size=patch,
    )
    return CLIPVisionModelWithProjection(config), CLIPImageProcessor(crop_size=size, size=size)


def t5(width: int = 32) -> tuple[Any, Any]:
    """A text encoder and its tokenizer."""
    from transformers import T5Config, T5EncoderModel, T5Tokenizer

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -2.0)]
    pieces += [(mark + letter, -3.0) for mark in ("", "\u2581") for letter in string.ascii_lowercase]
    tokenizer = T5Tokenizer(vocab=pieces, extra_ids=0)
    config = T5Config(
        vocab_size=len(pieces) + 8,
        d_model=width,
        d_kv=8,
        d_ff=37,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
    )
    return T5EncoderModel(config), tokenizer


def bert(width: int = 32) -> tuple[Any, Any]:
    """A text encoder and its tokenizer."""
    from transformers import BertConfig, BertModel, BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *string.ascii_lowercase]
    words += [f"##{letter}" for letter in string.ascii_lowercase]
    tokenizer = BertTokenizer(
        vocab={word: i for i, word in enumerate(dict.fromkeys(words))}, model_max_length=77
    )
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=37,
        max_position_embeddings=128,
    )
    return BertModel(config), tokenizer


def _byte_tokenizer() -> Any:
    """Qwen's tokenizer with a vocabulary of bytes."""
    from transformers import Qwen2Tokenizer

    letters = [chr(c) for c in range(33, 127)] + ["\u0120", "\u010a"]
    vocab = {letter: i for i, letter in enumerate(letters)}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=[])
    tokenizer.add_special_tokens({"pad_token": "<|endoftext|>"})
    tokenizer.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }} {{ message['content'] }}<|im_end|>"
        "{% endfor %}<|im_start|>assistant "
    )
    return tokenizer


def qwen(width: int = 16) -> tuple[Any, Any]:
    """A causal text encoder (Qwen 3) and its tokenizer."""
    from transformers import Qwen3Config, Qwen3Model

    tokenizer = _byte_tokenizer()
    config = Qwen3Config(
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        vocab_size=len(tokenizer) + 8,
        max_position_embeddings=1024,
        head_dim=8,
    )
    return Qwen3Model(config), tokenizer


def qwen_causal(width: int = 16) -> tuple[Any, Any]:
    """The same with its head, as Flux 2 has it."""
    from transformers import Qwen3ForCausalLM

    base, tokenizer = qwen(width)
    return Qwen3ForCausalLM(base.config), tokenizer


def qwen_vl(width: int = 16) -> tuple[Any, Any]:
    """A text and picture encoder (Qwen 2.5 VL) and its tokenizer."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = _byte_tokenizer()
    rope = {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default", "rope_theta": 1e6}
    text = {
        "hidden_size": width,
        "intermediate_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_parameters": rope,
        "vocab_size": len(tokenizer) + 8,
    }
    vision = {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_heads": 2,
        "out_hidden_size": width,
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, hidden_size=width)
    return Qwen2_5_VLForConditionalGeneration(config), tokenizer


def chatglm(width: int = 8) -> tuple[Any, Any]:
    """ChatGLM 3, as Kolors has it, and its tokenizer on a sentence-piece model of a few words."""
    import io
    import tempfile
    from pathlib import Path

    import pytest
    from diffusers.pipelines.kolors.text_encoder import ChatGLMConfig, ChatGLMModel
    from diffusers.pipelines.kolors.tokenizer import ChatGLMTokenizer

    sentencepiece = pytest.importorskip("sentencepiece", reason="Kolors reads its words by it")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([" ".join(WORDS), string.ascii_lowercase] * 20),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    file = Path(tempfile.mkdtemp(prefix="chatglm-")) / "tokenizer.model"
    file.write_bytes(model.getvalue())
    tokenizer = ChatGLMTokenizer(str(file))
    config = ChatGLMConfig(
        num_layers=2,
        padded_vocab_size=128,
        hidden_size=width,
        ffn_hidden_size=12,
        kv_channels=4,
        num_attention_heads=2,
        seq_length=256,
        multi_query_attention=True,
        multi_query_group_num=1,
        original_rope=True,
        use_cache=True,
    )
    network = ChatGLMModel(config)
    for name, parameter in network.named_parameters():  # its class leaves them as memory was
        torch.nn.init.normal_(parameter, mean=float("norm" in name), std=0.1)
    return network, tokenizer


def gemma(width: int = 8) -> tuple[Any, Any]:
    """A causal text encoder (Gemma 2) and a tokenizer for it."""
    from transformers import Gemma2Config, Gemma2Model

    tokenizer = _byte_tokenizer()
    config = Gemma2Config(
        head_dim=4,
        hidden_size=width,
        intermediate_size=8,
        num_attention_heads=2,
        num_hidden_layers=2,
        num_key_value_heads=2,
        sliding_window=2,
        vocab_size=len(tokenizer) + 8,
        attn_implementation="eager",
    )
    return Gemma2Model(config), tokenizer


def llama(width: int = 16) -> tuple[Any, Any]:
    """A causal text encoder (Llama) and a tokenizer for it."""
    from transformers import LlamaConfig, LlamaModel

    tokenizer = _byte_tokenizer()
    config = LlamaConfig(
        hidden_size=width,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=3,
        vocab_size=len(tokenizer) + 8,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaModel(config), tokenizer


def kl_vae(channels: int = 4, *, levels: int = 2, quant: bool = True, **config: Any) -> Any:
    """The autoencoder of pictures, half as large at every level but the first."""
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=[8] * levels,
        down_block_types=["DownEncoderBlock2D"] * levels,
        up_block_types=["UpDecoderBlock2D"] * levels,
        latent_channels=channels,
        sample_size=32,
        norm_num_groups=4,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
        **config,
    )


def flow_vae(channels: int = 4, **config: Any) -> Any:
    """The same as flow-matching models have it."""
    return kl_vae(channels, quant=False, shift_factor=0.0609, scaling_factor=1.5035, **config)


def wan_vae() -> Any:
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=3,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
    )


def flow(**config: Any) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler

    return FlowMatchEulerDiscreteScheduler(**config)


def ddim(**config: Any) -> Any:
    from diffusers import DDIMScheduler

    return DDIMScheduler(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", **config)


def gemma3(width: int = 16) -> tuple[Any, Any]:
    """A text and picture encoder (Gemma 3) and its tokenizer."""
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        SiglipVisionConfig,
    )

    tokenizer = _byte_tokenizer()
    text = Gemma3TextConfig(
        hidden_size=width,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        vocab_size=len(tokenizer) + 8,
        max_position_embeddings=1024,
    )
    vision = SiglipVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
    )
    config = Gemma3Config(text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4)
    return Gemma3ForConditionalGeneration(config), tokenizer

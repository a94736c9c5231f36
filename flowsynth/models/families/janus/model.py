"""A loaded Janus: words to tokens of a picture, one after the other, and those to pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from flowsynth.core.canonical import digest_json
from flowsynth.core.errors import InputError
from flowsynth.models.families.janus.spec import JanusOptions, JanusSpec
from flowsynth.models.options import options_of
from flowsynth.models.pretrained import read_pretrained
from flowsynth.models.protocol import Generated, PartStore
from flowsynth.models.quiet import ignore_library_warnings, quiet
from flowsynth.models.requests import GenerateRequest
from flowsynth.models.weights import check_safetensors, tensor_bytes

if TYPE_CHECKING:
    import torch

_CLASS = "JanusForConditionalGeneration"


class JanusModel:
    """A model of family ``janus``."""

    def __init__(self, spec: JanusSpec, store: PartStore) -> None:
        """Open it; nothing is read yet."""
        self.spec, self._store = spec.on(store.device), store
        self._keys: set[str] = set()

    def part_keys(self) -> frozenset[str]:
        """The network's key, once it was used."""
        return frozenset(self._keys)

    def generate(self, request: GenerateRequest) -> Generated:
        """Pictures, one after the other, each by a seed of its own; see `Generates.generate`."""
        import torch

        asked, options = request.settings, options_of(request.settings, JanusOptions)
        net, processor = self._network(), self._processor()
        given = processor(text=_spoken(processor, asked.prompt), generation_mode="image", return_tensors="pt")
        given = given.to(self._store.device)
        made = []
        for number in range(asked.num_images):
            follow = _follower(net, request, number)
            with torch.random.fork_rng(), torch.inference_mode(), quiet():
                torch.manual_seed((asked.seed + number) % 2**32)
                tokens = net.generate(
                    **given,
                    generation_mode="image",
                    do_sample=True,
                    guidance_scale=options.guidance_scale,
                    temperature=options.temperature,
                    top_k=options.top_k,
                    top_p=options.top_p,
                    logits_processor=follow,
                )
                pixels = net.decode_image_tokens(tokens)
            made.append(_shown(processor, pixels))
        return Generated(torch.cat(made))

    def _network(self) -> Any:
        import torch

        memo = None if self._store.cache_dir is None else self._store.cache_dir / "file_hashes"
        folder = self.spec.folder(offline=self._store.offline)
        dtype: torch.dtype = getattr(torch, self.spec.dtype)
        key = digest_json(["janus", self.spec.identity(memo), str(dtype)])
        self._keys.add(key)

        def load() -> Any:
            for path in self.spec.weights():
                check_safetensors(path)
            net = read_pretrained(_CLASS, "draws pictures out of tokens", folder, dtype)
            return net.to(self._store.device).eval().requires_grad_(False)

        def nbytes() -> int:
            return sum(tensor_bytes(path, dtype.itemsize) for path in self.spec.weights())

        return self._store.part(key, load, nbytes)

    def _processor(self) -> Any:
        """Tokenizer and template of the folder; the library's own needs torchvision for pictures."""
        from transformers import AutoTokenizer, JanusProcessor
        from transformers.models.janus.image_processing_pil_janus import JanusImageProcessorPil

        folder = self.spec.folder(offline=self._store.offline)
        ignore_library_warnings()
        with quiet():
            try:
                tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
                pictures = JanusImageProcessorPil.from_pretrained(folder, local_files_only=True)
                return JanusProcessor(pictures, tokenizer, chat_template=tokenizer.chat_template)
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                first = str(error).strip().partition("\n")[0]
                raise InputError(f"{folder}: not the tokenizer of a Janus ({first})") from None


def _spoken(processor: Any, prompt: str) -> str:
    """A prompt as the model is asked, in its own template if it has one."""
    if not processor.chat_template:
        return prompt
    said = [{"role": "user", "content": [{"type": "text", "text": prompt}]}]
    text: str = processor.apply_chat_template(said, add_generation_prompt=True)
    return text


def _follower(net: Any, request: GenerateRequest, number: int) -> Any:
    """What is called at every token and changes nothing: progress, and whether to go on."""
    from transformers import LogitsProcessorList

    count = net.model.vision_model.config.num_image_tokens
    total, hooks = count * request.settings.num_images, request.hooks
    done = number * count

    def follow(_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        nonlocal done
        hooks.check()
        done += 1
        hooks.progress(done, total)
        return scores

    called: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] = follow
    return LogitsProcessorList([called])


def _shown(processor: Any, pixels_NHWC: torch.Tensor) -> torch.Tensor:
    """Pictures N x 3 x H x W in [0, 1], in steps of 1/255 as the model's image processor gives them.

    By hand: the processor's version without torchvision refuses what the decoder gives (transformers 5.23).
    """
    import torch

    kind = processor.image_processor
    mean, std = torch.tensor(kind.image_mean), torch.tensor(kind.image_std)
    shown = (pixels_NHWC.float().cpu() * std + mean) * 255
    return shown.clamp(0, 255).to(torch.uint8).movedim(-1, 1).float() / 255

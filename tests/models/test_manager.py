"""The manager: sharing, variants that leave the base alone, eviction under a budget, threads."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file

from flowsynth.core.errors import FlowsynthError, InputError
from flowsynth.models import ModelManager, ModelSpec, model_fingerprint, parse_model
from flowsynth.models.families.sd.model import SdModel
from flowsynth.models.manager import unique_bytes
from tests.tiny import as_sd, tiny_sd


def spec(**extra: Any) -> Any:
    return parse_model("base", {"family": "sd", "source": str(tiny_sd() / "base"), **extra})


def opened(manager: ModelManager, given: ModelSpec) -> SdModel:
    return as_sd(manager.load(given))


def lora(scale: float = 1.0) -> dict[str, Any]:
    return {"loras": [{"source": str(tiny_sd() / "lora"), "scale": scale}]}


def noise(unet: Any) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    sample, text = (torch.randn(s, generator=generator) for s in ((1, 4, 8, 8), (1, 77, 32)))
    with torch.no_grad():
        result: torch.Tensor = unet(sample, torch.tensor(500), encoder_hidden_states=text).sample
    return result


def text_lora(path: Path) -> Path:
    """A LoRA on the text encoder, named as the published ones are."""
    generator, layers = torch.Generator().manual_seed(3), {}
    for i in range(3):
        for part in ("q_proj", "v_proj"):
            stem = f"text_encoder.text_model.encoder.layers.{i}.self_attn.{part}"
            layers[f"{stem}.lora_A.weight"] = torch.randn(2, 32, generator=generator)
            layers[f"{stem}.lora_B.weight"] = torch.randn(32, 2, generator=generator)
    path.mkdir(exist_ok=True)
    save_file(layers, path / "pytorch_lora_weights.safetensors")
    return path


def test_networks_are_real_frozen_and_in_eval_mode() -> None:
    model = opened(ModelManager(), spec(dtype="float16"))
    nets = {model.unet: torch.float16, model.text_encoder.net: torch.float16, model.vae: torch.float32}
    for net, dtype in nets.items():  # the VAE's configuration asks for float32 (force_upcast)
        assert not net.training
        assert {p.dtype for p in net.parameters()} == {dtype}
        assert not any(p.requires_grad for p in net.parameters())


def test_loading_equals_diffusers() -> None:
    theirs = StableDiffusionPipeline.from_pretrained(
        tiny_sd() / "base", safety_checker=None, local_files_only=True
    )
    assert torch.equal(noise(opened(ModelManager(), spec()).unet), noise(theirs.unet))


def test_nothing_is_loaded_before_it_is_used_and_parts_are_shared() -> None:
    manager = ModelManager()
    one, two = opened(manager, spec()), opened(manager, spec(clip_skip=1))
    assert manager.resident_bytes == 0
    assert one is opened(manager, spec())
    assert one is not two
    assert one.unet is two.unet
    assert one.vae is one.vae


def test_a_lora_never_leaks_into_a_node_without_it() -> None:
    manager = ModelManager()
    before = noise(opened(manager, spec()).unet)
    with_lora = noise(opened(manager, spec(**lora())).unet)
    assert not torch.allclose(before, with_lora, atol=1e-3)
    assert torch.equal(noise(opened(manager, spec()).unet), before)
    assert torch.equal(noise(opened(ModelManager(), spec()).unet), before)
    assert not torch.allclose(with_lora, noise(opened(manager, spec(**lora(0.3))).unet), atol=1e-3)


def test_variants_share_the_tensors_of_their_base() -> None:
    manager = ModelManager()
    base = opened(manager, spec()).unet
    variant = opened(manager, spec(**lora())).unet
    added = unique_bytes([base, variant]) - unique_bytes([base])
    assert 0 < added < unique_bytes([base]) / 4


def test_a_lora_equals_the_pipeline_that_loads_it() -> None:
    pipe = StableDiffusionPipeline.from_pretrained(
        tiny_sd() / "base", safety_checker=None, local_files_only=True
    )
    pipe.load_lora_weights(
        tiny_sd() / "lora", weight_name="pytorch_lora_weights.safetensors", adapter_name="x"
    )
    pipe.set_adapters(["x"], [0.6])
    assert torch.equal(noise(opened(ModelManager(), spec(**lora(0.6))).unet), noise(pipe.unet))


def test_a_text_encoder_lora_works_with_published_names(tmp_path: Path) -> None:
    manager = ModelManager()
    plain = opened(manager, spec()).text_states(["a red cat"])
    given = spec(loras=[{"source": str(text_lora(tmp_path / "l")), "scale": 0.5}])
    assert not torch.allclose(opened(manager, given).text_states(["a red cat"]), plain, atol=1e-3)
    assert torch.equal(opened(manager, spec()).text_states(["a red cat"]), plain)
    assert opened(manager, given).unet is opened(manager, spec()).unet or torch.equal(
        noise(opened(manager, given).unet), noise(opened(manager, spec()).unet)
    )


def kohya(path: Path) -> Path:
    """The tiny LoRAs in the file format that most published ones have, alphas differing by layer."""
    path.mkdir()
    layers, prefixes = {}, {"unet": "lora_unet", "text_encoder": "lora_te"}
    for folder in (tiny_sd() / "lora", text_lora(path / "te")):
        for name, tensor in load_file(folder / "pytorch_lora_weights.safetensors").items():
            kind, _, rest = name.partition(".")
            stem, _, leaf = rest.rpartition(".lora")
            base = f"{prefixes[kind]}_{stem.removesuffix('.processor').replace('.', '_')}"
            down = "A" in leaf or "down" in leaf
            alpha = 2.0 if kind == "unet" or "layers_1" in base else 4.0
            # The update is up @ down * alpha / rank, with rank 2: what alpha adds is taken from up.
            layers[f"{base}.lora_{'down' if down else 'up'}.weight"] = tensor if down else tensor * 2 / alpha
            layers[f"{base}.alpha"] = torch.tensor(alpha)
    save_file(layers, path / "style.safetensors")
    return path / "style.safetensors"


def test_a_lora_in_the_kohya_format_gives_the_same(tmp_path: Path) -> None:
    manager = ModelManager()
    text = {"source": str(text_lora(tmp_path / "l"))}
    theirs = opened(manager, spec(loras=[{"source": str(tiny_sd() / "lora")}, text]))
    ours = opened(manager, spec(loras=[{"source": str(kohya(tmp_path / "k"))}]))
    assert torch.allclose(noise(ours.unet), noise(theirs.unet), atol=1e-5)
    assert torch.allclose(ours.text_states(["a red cat"]), theirs.text_states(["a red cat"]), atol=1e-5)


def test_a_file_that_is_no_lora_is_named(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    model = opened(ModelManager(), spec(loras=[{"source": str(tmp_path / "x.safetensors")}]))
    with pytest.raises(InputError, match=r"x.safetensors: not a LoRA of this model"):
        _ = model.unet


def test_a_learned_word_never_leaks(tmp_path: Path) -> None:
    save_file({"<style>": torch.randn(2, 32)}, tmp_path / "style.safetensors")
    manager = ModelManager()
    plain = opened(manager, spec()).text_states(["a <style> cat"])
    word = spec(textual_inversion=[{"source": str(tmp_path / "style.safetensors")}])
    assert not torch.equal(opened(manager, word).text_states(["a <style> cat"]), plain)
    assert torch.equal(opened(manager, spec()).text_states(["a <style> cat"]), plain)


def test_a_motion_adapter_makes_another_unet() -> None:
    model = opened(ModelManager(), spec(motion=str(tiny_sd() / "motion_adapter"), **lora()))
    assert type(model.unet).__name__ == "UNetMotionModel"
    assert any("lora_" in name for name, _ in model.unet.named_parameters())


def test_the_least_recently_used_parts_leave_first_under_a_budget() -> None:
    model = opened(ModelManager(), spec())
    sizes = {name: unique_bytes([net]) for name, net in (("unet", model.unet), ("vae", model.vae))}
    manager = ModelManager(budget_bytes=sizes["unet"] + sizes["vae"])
    loaded = opened(manager, spec())
    unet = loaded.unet
    vae = loaded.vae
    assert loaded.unet is unet
    _ = loaded.text_encoder
    assert manager.resident_bytes <= manager.budget_bytes
    assert loaded.unet is unet
    del vae
    assert manager.resident_bytes <= manager.budget_bytes


def test_a_part_larger_than_the_budget_still_runs() -> None:
    manager = ModelManager(budget_bytes=1)
    loaded = opened(manager, spec())
    assert noise(loaded.unet).isfinite().all()
    assert loaded.text_states(["a cat"]).isfinite().all()
    assert not manager.resident([spec(motion=str(tiny_sd() / "motion_adapter"))])


def test_residence_follows_use_and_eviction() -> None:
    manager = ModelManager()
    assert not manager.resident([spec()])
    _ = opened(manager, spec()).vae
    assert manager.resident([spec()])
    manager._shrink(0)
    assert not manager.resident([spec()])
    assert manager.resident_bytes == 0


def test_many_threads_load_a_part_once() -> None:
    manager, found = ModelManager(), []
    threads = [threading.Thread(target=lambda: found.append(opened(manager, spec()).unet)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(unet) for unet in found}) == 1


def test_a_scheduler_is_fresh_and_takes_the_options_that_it_knows() -> None:
    choice = {"name": "ddim", "beta_schedule": "linear", "set_alpha_to_one": True}
    model = opened(ModelManager(), spec(scheduler=choice))
    assert model.scheduler() is not model.scheduler()
    assert (model.scheduler().config.beta_schedule, model.scheduler().config.set_alpha_to_one) == (
        "linear",
        True,
    )
    assert model.scheduler("euler").config.beta_schedule == "linear"
    assert model.scheduler("euler", {"timestep_spacing": "trailing"}).config.timestep_spacing == "trailing"
    with pytest.raises(
        FlowsynthError, match=r"EulerDiscreteScheduler has no option 'use_karras_sigma'.*did you mean"
    ):
        model.scheduler("euler", {"use_karras_sigma": True})


def test_an_unknown_controlnet_names_the_nearest() -> None:
    model = opened(ModelManager(), spec(controlnets={"lines": str(tiny_sd() / "controlnet_lines")}))
    with pytest.raises(Exception, match=r"no ControlNet 'line' in this model.*did you mean 'lines'"):
        model.controlnet("line")


def test_a_part_of_another_architecture_is_named() -> None:
    model = opened(ModelManager(), spec(controlnets={"lines": str(tiny_sd() / "motion_adapter")}))
    with pytest.raises(InputError, match="holds a MotionAdapter; expected a ControlNetModel"):
        model.controlnet("lines")


def test_fingerprints_follow_content_scales_order_and_dtype(tmp_path: Path) -> None:
    base = model_fingerprint(spec())
    assert base == model_fingerprint(spec())
    others = [
        spec(dtype="float16"), spec(**lora()), spec(**lora(0.5)), spec(clip_skip=1), spec(scheduler="euler"),
        spec(motion=str(tiny_sd() / "motion_adapter")),
        spec(controlnets={"a": str(tiny_sd() / "controlnet_lines")}),
        spec(controlnets={"a": str(tiny_sd() / "controlnet_tile")}),
    ]  # fmt: skip
    prints = [base, *(model_fingerprint(other) for other in others)]
    assert len(set(prints)) == len(prints)

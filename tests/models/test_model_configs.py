"""The shipped model configurations, composed by Hydra as the command line does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from flowsynth.core.errors import InputError
from flowsynth.models import model_fingerprint, parse_model

FOLDER = Path(__file__).parents[2] / "conf" / "model"


def composed(name: str) -> dict[str, Any]:
    """A configuration over the ones it builds on."""
    own: Any = OmegaConf.load(FOLDER / f"{name}.yaml")
    defaults = [item for item in own.pop("defaults", []) if item != "_self_"]
    merged = OmegaConf.merge(*(OmegaConf.create(composed(item)) for item in defaults), own)
    result: Any = OmegaConf.to_container(merged, resolve=True)
    return dict(result)


SD = sorted(name for path in FOLDER.glob("*.yaml") if composed(name := path.stem)["family"] == "sd")


@pytest.mark.parametrize("name", SD)
def test_every_configuration_is_a_valid_spec_with_lines_and_tile(name: str) -> None:
    spec: Any = parse_model(name, composed(name))
    assert list(spec.controlnets) == ["lines", "tile"]


@pytest.mark.parametrize("name", ["sd15", "sd15_animatediff"])
def test_hub_models_are_pinned_and_identified_without_their_files(name: str) -> None:
    spec = parse_model(name, composed(name))
    assert len(model_fingerprint(spec)) == 40


def test_motion_noise_is_part_of_a_models_identity_where_there_is_motion() -> None:
    def prints(name: str) -> set[str]:
        spec: Any = composed(name)
        kinds = ("independent", "shared")
        return {model_fingerprint(parse_model(name, spec | {"motion_noise": kind})) for kind in kinds}

    assert len(prints("pocket_motion")) == 2
    assert len(prints("pocket")) == 1


def test_the_toon_model_is_what_diffutoon_ran() -> None:
    spec: Any = parse_model("toon", composed("sd15_toon"))
    assert spec.clip_skip == 1
    assert spec.scheduler.options["beta_schedule"] == "linear"
    assert spec.motion.hub.endswith("v1-5-2")
    with pytest.raises(InputError, match=r"models/.*: no such file or folder"):
        model_fingerprint(spec)


def test_magictime_is_a_stable_diffusion_with_three_adapters() -> None:
    spec: Any = parse_model("m", composed("magictime"))
    assert [lora.scale for lora in spec.loras] == [4.0, 1.0, 1.0]
    assert spec.motion_norm == "frame"
    with pytest.raises(InputError, match=r"models/magictime.*: no such file or folder"):
        model_fingerprint(spec)

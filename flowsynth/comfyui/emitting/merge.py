"""Which nodes share a model: what they need of one is put together where it does not contradict."""

from __future__ import annotations

from dataclasses import replace

from flowsynth.comfyui.mapping.graph import Sketch
from flowsynth.comfyui.mapping.values import Clip, ControlNet, Net, Use, Vae


def models_of(sketch: Sketch) -> tuple[list[Use], dict[tuple[str, str], int]]:
    """The models of a graph.

    Returns:
        What each needs, and by node and port which it is.
    """
    wanted = [
        ((name, port), use)
        for name, made in sketch.nodes.items()
        for port, use in made.inputs.items()
        if isinstance(use, Use)
    ]
    # Denoisers first: text encoders and VAEs join them where they can.
    wanted.sort(key=lambda pair: (pair[1].net is None, pair[1].clip is None))
    models: list[Use] = []
    found: dict[tuple[str, str], int] = {}
    for place, use in wanted:
        for k, model in enumerate(models):
            joined = _joined(model, use)
            if joined is not None:
                models[k] = joined
                found[place] = k
                break
        else:
            found[place] = len(models)
            models.append(use)
    return models, found


def _joined(one: Use, two: Use) -> Use | None:
    """Both needs as one; None where they contradict."""
    if one.arch and two.arch and one.arch != two.arch:
        return None
    for name in ("net", "clip", "vae", "second"):
        if None not in (getattr(one, name), getattr(two, name)) and getattr(one, name) != getattr(two, name):
            return None
    if one.pipeline != two.pipeline:
        return None  # of different families, or classes
    if one.pipeline and one.controls != two.controls and two.controls:
        return None
    made = replace(
        one,
        arch=one.arch or two.arch,
        net=one.net or two.net,
        clip=one.clip or two.clip,
        vae=one.vae or two.vae,
        second=one.second or two.second,
        controls=_controls(one.controls, two.controls),
    )
    return made if _fits(made) else None


def _controls(one: tuple[ControlNet, ...], two: tuple[ControlNet, ...]) -> tuple[ControlNet, ...]:
    return tuple(dict.fromkeys((*one, *two)))


def _fits(use: Use) -> bool:
    """Whether one declaration can say it."""
    return _clip_fits(use.net, use.clip) and _vae_fits(use.net or use.clip, use.vae)


def _clip_fits(net: Net | None, clip: Clip | None) -> bool:
    if net is None or clip is None or not clip.files:
        return True
    if clip.kind or not net.whole:
        return True  # files of their own, or the only ones that there are
    own = [each for each in net.loras if each.file.folder == "loras"]
    return clip.files[0] == net.file and list(clip.loras) == own


def _vae_fits(base: Net | Clip | None, vae: Vae | None) -> bool:
    if base is None or vae is None or not vae.whole:
        return True
    file = base.file if isinstance(base, Net) else base.files[0] if base.files else None
    return file is None or file == vae.file or (isinstance(base, Net) and not base.whole)

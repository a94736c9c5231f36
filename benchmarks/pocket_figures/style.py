"""Styles on real footage: how near to the classical target, how steady, and whether lines stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

import flowsynth as fs
from benchmarks.pocket_figures import footage
from benchmarks.pocket_figures.lab import Clip, Lab, Redraw, defaults
from benchmarks.pocket_figures.pictures import save_plot, save_sheet
from benchmarks.pocket_figures.report import Section
from flowsynth.functional.style.stylize import STYLES
from flowsynth.training.captions import STYLE_WORDS
from flowsynth.training.judge_lines import edge_f1

STRENGTHS = (0.2, 0.4, 0.6, 1.0)
STEPS = 4  # really made, whatever the strength
FRAMES = 6  # of a clip


def measure(lab: Lab) -> Section:
    """All figures of the style world."""
    clips = {name: footage.clip(lab, name, lab.count(FRAMES, 4)) for name in footage.CLIPS}
    held = footage.pictures(lab)
    guidance = defaults("toon").guidance_scale
    section = Section(
        "Styles",
        f"Held-out pictures ({', '.join(held)}) and frames of held-out clips ({', '.join(clips)}), "
        f"{footage.WIDTH}x{footage.HEIGHT}, each redrawn from the photo itself under tile (the photo) and "
        f"lines, {STEPS} steps made, guidance {guidance:g}, but where another start is named. The target is "
        "the classical filter's result; its distances are LPIPS (AlexNet).",
    )
    strength = _distances(lab, section, clips, held)
    _redrawn_clip(lab, section, clips[footage.SHOWN], strength)
    _default_graph(lab, section, clips)
    return section


def _redraw(
    lab: Lab, frames: Clip, style: str, strength: float, *, guide: Clip | None = None, motion: bool = False
) -> Clip:
    """Redraws photos under their lines; starts from them, or from a guide, and has that as tile."""
    start = frames if guide is None else guide
    params = {
        "strength": strength,
        "num_inference_steps": int(np.ceil(STEPS / strength)),
        "seed": 0,  # the same noise in every frame
        "noise": "auto",
    }
    how = Redraw({"lines": frames, "tile": start}, start, params)
    prompts = [STYLE_WORDS[style]] * len(frames)
    return lab.pictures(prompts, guidance=defaults("toon").guidance_scale, redraw=how, motion=motion)


def _distances(lab: Lab, section: Section, clips: Mapping[str, Clip], held: Mapping[str, Clip]) -> float:
    """Adds the distances at the strength that is best on average; returns it."""
    picks = [*held.values(), *(clips[footage.SHOWN][i] for i in (0, -1)), clips["bikes"][0]]
    photos = np.stack(picks)
    strengths = STRENGTHS[1::2] if lab.quick else STRENGTHS
    ratios: dict[str, list[float]] = {}
    default = defaults("toon").strength
    assert default is not None, "the graph `toon` says its strength"
    for style in STYLES:
        target = footage.stylized(lab, photos, style)
        guided = _redraw(lab, photos, style, default, guide=target)
        made = [_redraw(lab, photos, style, strength) for strength in strengths]
        alone, guide, *ratios[style] = _of_the_way(lab, photos, target, [lab.decoded(target), guided, *made])
        what = f"{style} as in the graph `toon`, from the target as guide and tile, strength"
        what += f" {default:g} (the autoencoder alone leaves {alone:.2f})"
        section.add(what, guide, 0.5, most=True, form=".2f")
        shown = [[row[i] for row in (photos, target, *made)] for i in range(len(photos) - 1)]
        save_sheet([p for row in shown for p in row], lab.out / f"style-{style}.png", len(shown[0]), 1)
    curves = {style: (list(strengths), values) for style, values in ratios.items()}
    save_plot(curves, "strength", "LPIPS to the target, over the source's", lab.out / "style.png")
    best = int(np.argmin(np.mean(list(ratios.values()), 0)))
    for named, values in ratios.items():
        what = f"{named}, strength {strengths[best]:g}: distance to the target over the source's"
        section.add(what, values[best], 0.5, most=True, form=".2f")
    section.more = _table(strengths, ratios)
    return strengths[best]


def _of_the_way(lab: Lab, photos: Clip, target: Clip, clips: Sequence[Clip]) -> list[float]:
    """LPIPS of clips to the target, over that of the photos."""
    apart, *left = (lab.compare(clip, target, lpips=True)["lpips"] for clip in (photos, *clips))
    return [distance / apart for distance in left]


def _table(strengths: tuple[float, ...], ratios: Mapping[str, list[float]]) -> str:
    rows = [
        "| distance over the source's at strength | " + " | ".join(f"{s:g}" for s in strengths) + " |",
        "|---|" + "---:|" * len(strengths),
        *(
            f"| {style} | " + " | ".join(f"{v:.2f}" for v in values) + " |"
            for style, values in ratios.items()
        ),
    ]
    return "\n".join(rows)


def _redrawn_clip(lab: Lab, section: Section, photos: Clip, strength: float) -> None:
    """Steadiness and lines of a clip redrawn from its photos, without and with the motion adapter."""
    still, edges = lab.compare(photos)["flicker"], footage.lines(lab, photos)
    for style in STYLES:
        for motion in (False, True):
            made = footage.smoothed(lab, _redraw(lab, photos, style, strength, motion=motion))
            how = f"{style}, clip, {'motion adapter' if motion else 'same noise in every frame'}"
            _steady(lab, section, how, made, photos, still)
            if not motion:
                section.add(f"{how}: edge F1 to the source", _f1(lab, made, edges), 0.6, form=".2f")


def _default_graph(lab: Lab, section: Section, clips: Mapping[str, Clip]) -> None:
    """The graph `toon`, whose guide and tile are the classical picture, on both clips."""
    for name, photos in clips.items():
        still, edges = lab.compare(photos)["flicker"], footage.lines(lab, photos)
        for style in STYLES if name == footage.SHOWN else ("toon",):
            settings = {
                "input.video": f"clip:{name}", "input.start": footage.CLIPS[name], "frames": len(photos),
                "width": footage.WIDTH, "height": footage.HEIGHT, "style": style,
                "prompt": STYLE_WORDS[style], "model.source": lab.family,
                "model.controlnets.lines": lab.family / "controlnet_lines",
                "model.controlnets.tile": lab.family / "controlnet_tile",
            }  # fmt: skip
            graph = fs.compose("toon", [f"{key}={value}" for key, value in settings.items()])
            guide, made = lab.run(graph, ["guide", "finish/smooth"])
            how = f"graph `toon`, style {style}, {name}"
            _steady(lab, section, how, made, photos, still)
            found, classical = (_f1(lab, clip, edges) for clip in (made, guide))
            section.add(f"{how}: edge F1 (guide {classical:.2f})", found, 0.6, form=".2f")


def _steady(lab: Lab, section: Section, how: str, made: Clip, photos: Clip, still: float) -> None:
    flicker = lab.compare(made, photos)["flicker"] / still
    section.add(f"{how}: flicker after smoothing over the source's", flicker, 1.3, most=True, form=".2f")


def _f1(lab: Lab, made: Clip, edges: list[np.ndarray]) -> float:
    return float(np.mean([edge_f1(*pair) for pair in zip(footage.lines(lab, made), edges, strict=True)]))

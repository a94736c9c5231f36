"""Workflows written in a few words, in the API's format and in the editor's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flowsynth.comfyui.mapping.classes import WIDGETS

Api = dict[str, dict[str, Any]]


class Handle:
    """A node's outputs."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getitem__(self, slot: int) -> list[Any]:
        return [self.name, slot]


class Flowing:
    """A workflow in the making: call it with a class and its inputs."""

    def __init__(self) -> None:
        self.nodes: Api = {}

    def __call__(self, kind: str, title: str = "", /, **inputs: Any) -> Handle:
        name = str(len(self.nodes) + 1)
        plain = {port: value[0] if isinstance(value, Handle) else value for port, value in inputs.items()}
        self.nodes[name] = {"class_type": kind, "inputs": plain}
        if title:
            self.nodes[name]["_meta"] = {"title": title}
        return Handle(name)


def as_ui(api: Mapping[str, Any]) -> dict[str, Any]:
    """The same workflow as the editor saves it: widgets without names, a control after each seed."""
    links: list[list[Any]] = []
    nodes = []
    for name, node in api.items():
        inputs: list[dict[str, Any]] = []
        values: list[Any] = []
        wired = {p: v for p, v in node["inputs"].items() if isinstance(v, list)}
        for port, (origin, slot) in wired.items():
            links.append([len(links) + 1, int(origin), slot, int(name), len(inputs), "*"])
            socket: dict[str, Any] = {"name": port, "type": "*", "link": len(links)}
            if port in WIDGETS.get(node["class_type"], ()):
                socket["widget"] = {"name": port}
            inputs.append(socket)
        for widget in WIDGETS.get(node["class_type"], ()):
            values.append(None if widget in wired else node["inputs"].get(widget))
            if widget in ("seed", "noise_seed"):
                values.append("randomize")
        nodes.append(
            {
                "id": int(name),
                "type": node["class_type"],
                "title": node.get("_meta", {}).get("title", ""),
                "mode": 0,
                "inputs": inputs,
                "outputs": [{"name": "out", "type": "*", "links": []}] * 4,
                "widgets_values": values,
            }
        )
    return {"version": 0.4, "nodes": nodes, "links": links}


def texts(w: Flowing, clip: Any, *prompts: str) -> list[Handle]:
    """An encoded text for each prompt."""
    return [w("CLIPTextEncode", text=prompt, clip=clip) for prompt in prompts]


def sampled(w: Flowing, model: Any, prompts: Sequence[Any], latent: Any, **numbers: Any) -> Handle:
    """A KSampler with usual numbers."""
    usual = {
        "seed": 5, "steps": 2, "cfg": 5.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0,
    }  # fmt: skip
    return w(
        "KSampler",
        model=model,
        positive=prompts[0],
        negative=prompts[1],
        latent_image=latent,
        **usual | numbers,
    )


def saved(w: Flowing, latent: Any, vae: Any) -> Api:
    """Decoded and saved; the whole workflow."""
    w("SaveImage", images=w("VAEDecode", samples=latent, vae=vae), filename_prefix="ComfyUI")
    return w.nodes

"""Numbers, texts and truth values that workflows hold in nodes of their own."""

from __future__ import annotations

from flowsynth.comfyui.mapping.site import Site
from flowsynth.comfyui.mapping.table import Outputs, Table, node


def whole(site: Site) -> Outputs:
    """A whole number."""
    return (int(site.number("value") if site.value("value") is not None else site.number("a")),)


def number(site: Site) -> Outputs:
    """A number."""
    return (site.number("value"),)


def text(site: Site) -> Outputs:
    """A text."""
    return (site.text("value") or site.text("string") or site.text("text"),)


def truth(site: Site) -> Outputs:
    """A truth value."""
    return (site.truth("value"),)


def switch(site: Site) -> Outputs:
    """One of two, by a truth value."""
    return (site.value("on_true" if site.truth("switch") else "on_false"),)


TABLE: Table = {
    "PrimitiveInt": node(whole, "value"),
    "PrimitiveFloat": node(number, "value"),
    "PrimitiveString": node(text, "value"),
    "PrimitiveStringMultiline": node(text, "value"),
    "PrimitiveBoolean": node(truth, "value"),
    "LTXFloatToInt": node(whole, "a"),
    "CM_FloatToInt": node(whole, "a"),
    "ComfySwitchNode": node(switch, "switch"),
    "String Literal": node(text, "string"),
    "Text Multiline": node(text, "text"),
}

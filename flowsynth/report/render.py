"""From what a page shows to its text: templates that escape all, and a policy that lets nothing in."""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flowsynth._version import __version__
from flowsynth.core.readable import bytes_text, seconds_text
from flowsynth.report.pages import RunPage, SweepPage

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

_HERE = Path(__file__).parent
#: Programs of a page, by its kind, in the order in which they run.
PROGRAMS = {"run": ("page.js", "run.js"), "sweep": ("page.js", "sweep.js"), "live": ("page.js", "live.js")}


def render(page: RunPage | SweepPage, *, linked: bool = False) -> str:
    """The HTML of a page.

    Args:
        page: what it shows.
        linked: files beside it are shown, too.
    """
    data = page.data()
    kind = str(data["kind"])
    return environment().get_template(f"{kind}.html.j2").render(page=page, **head(kind, data, linked=linked))


def head(kind: str, data: Any, *, linked: bool = False, origin: str = "") -> dict[str, Any]:
    """What every template is given: style, program and data, and the policy that allows just these.

    Args:
        kind: of the page.
        data: what its program gets.
        linked: files beside it are shown, too.
        origin: where it may ask for more; nowhere unless given.
    """
    from markupsafe import Markup

    style = _static("page.css")
    program = "\n".join(map(_static, PROGRAMS[kind]))
    beside = " 'self' file:" if linked else " 'self'" if origin else ""
    policy = [
        "default-src 'none'",
        f"script-src {_hash(program)}",
        f"style-src {_hash(style)}",
        f"img-src data:{beside}",
        f"media-src data: blob:{beside}",
        f"connect-src {origin or chr(39) + 'none' + chr(39)}",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return {
        "policy": "; ".join(policy),
        "style": Markup(style),  # noqa: S704  a file of ours
        "program": Markup(program),  # noqa: S704  a file of ours
        "data": json_block(data),
        "version": __version__,
    }


def json_block(data: Any) -> Markup:
    """JSON that may stand in a script element: no text in it can end that."""
    from markupsafe import Markup

    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=str)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text.encode("utf-8", "replace").decode())  # noqa: S704  no sign of HTML is left in it


@cache
def environment() -> Environment:
    """The templates; whatever is put into one is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"seconds": seconds_text, "bytes": bytes_text, "base64": _base64}
    return made


def _base64(text: str) -> str:
    return base64.b64encode(text.encode("utf-8", "replace")).decode("ascii")


@cache
def _static(name: str) -> str:
    return (_HERE / "static" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
    return f"'sha256-{digest}'"

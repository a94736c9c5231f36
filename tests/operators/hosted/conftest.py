from __future__ import annotations

from collections.abc import Iterator

import pytest

from flowsynth.core import secrets
from flowsynth.hosted import asking
from tests.operators.hosted.vendor import KEY, Vendor, serving


@pytest.fixture
def vendor(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vendor]:
    """A server that may be sent the key; waiting is short."""
    monkeypatch.setattr(asking, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(secrets, "_shown", {})
    with serving() as made:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("GEMINI_API_KEY", KEY)
        monkeypatch.setenv("FLOWSYNTH_HOSTED_URLS", f"https://elsewhere.example, {made.address}")
        yield made

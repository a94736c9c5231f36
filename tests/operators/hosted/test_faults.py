"""Everything that a vendor may do: each one message, no key in any, and asked again only where that helps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.operators.hosted.hosted_image import HostedImage
from flowsynth.operators.hosted.hosted_text import HostedText
from tests.operators.hosted.vendor import KEY, Answer, Vendor, candidate, picture, png, refusal, reply, words

pytest.importorskip("openai", reason="NOT TESTED: openai is not installed (extra hosted)")
pytest.importorskip("google.genai", reason="NOT TESTED: google-genai is not installed (extra hosted)")

VENDORS = ("openai", "google")


def image(vendor: Vendor, name: str, **more: Any) -> HostedImage:
    given = {"model": "painter-1", "prompt": "a cat", "price": 0.04, "timeout": 5, "retries": 2, **more}
    return HostedImage(vendor=name, base_url=vendor.address, **given)


def _moderated(name: str) -> Answer:
    if name == "google":
        return reply({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}})
    return refusal(name, 400, "Your request was rejected by our safety system.", "moderation_blocked")


def _retired(name: str) -> Answer:
    text = "The model `painter-1` is deprecated" if name == "openai" else "models/painter-1 is not found"
    return refusal(name, 404, text, "model_not_found" if name == "openai" else "NOT_FOUND")


def _wordy(name: str) -> Answer:
    if name == "openai":
        return reply({"created": 1, "data": [{"url": "http://127.0.0.1:1/picture.png"}]})
    return reply(candidate({"text": "I cannot draw that."}))


#: Name -> what the vendor answers, what is said of it, and how often it is asked with two retries.
FAULTS: dict[str, tuple[Callable[[str], Answer], str, int]] = {
    "too many": (lambda v: refusal(v, 429, "slow down", "rate_limit"), "too many requests: slow down", 3),
    "no credit": (
        lambda v: refusal(v, 429, "You exceeded your current quota", "insufficient_quota"),
        "no credit left",
        1,
    ),
    "broken": (lambda v: Answer(b"boom", 500, "text/plain"), "the vendor has a fault", 3),
    "overloaded": (lambda v: Answer(b"<html>busy</html>", 503, "text/html"), "has a fault: HTTP 503", 3),
    "slow": (lambda v: Answer(b"{}", wait=0.6), r"no answer within 0\.2 s .*may have been billed", 1),
    "moderated": (_moderated, "refused by the vendor's moderation", 1),
    "truncated": (lambda v: Answer(b'{"data": [{"b64'), "no whole JSON", 1),
    "cut": (lambda v: Answer(b"x" * 4096, cut=True), "broke before the answer was whole", 1),
    "a page": (lambda v: picture(v, b"<html>not a picture</html>", "image/png"), "no picture of a known", 1),
    "another kind": (lambda v: picture(v, b"<svg xmlns='x'/>", "image/svg+xml"), "no picture of a known", 1),
    "half a picture": (
        lambda v: picture(v, png(size=(64, 64))[:90]),
        "no picture of a known|whole picture",
        1,
    ),
    "retired": (_retired, "model 'painter-1' is not offered there, or no longer", 1),
    "wrong key": (lambda v: refusal(v, 401, f"Incorrect key: {KEY}."), "the key was refused: Incorrect", 1),
    "bad request": (lambda v: refusal(v, 400, "size is unknown"), "refused the request: size is unknown", 1),
    "none": (lambda v: reply({"created": 1, "data": []}), "holds no picture, 1 was asked for", 1),
    "words": (_wordy, r"holds an address, not the picture|says 'I cannot draw that\.'", 1),
    "not JSON": (lambda v: Answer(b"<html>", kind="text/html"), "no whole JSON|holds no picture", 1),
    "a list": (lambda v: reply([1, 2]), "no whole JSON|holds no picture|Error", 1),
}


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_message_without_the_key(vendor: Vendor, name: str, fault: str) -> None:
    answer, said, times = FAULTS[fault]
    vendor.answers = [answer(name)]
    operator = image(vendor, name, timeout=0.2 if fault == "slow" else 5)
    with pytest.raises(RunError, match=said) as caught:
        operator.run(RunContext(node="draw"))
    text = str(caught.value)
    assert text.startswith(f"draw: {name}: ")
    assert "\n" not in text
    assert KEY not in text
    assert len(vendor.asked) == times


@pytest.mark.parametrize("name", VENDORS)
def test_nobody_there_is_asked_again_and_told(vendor: Vendor, name: str) -> None:
    operator = image(vendor, name).model_copy(update={"base_url": "http://127.0.0.1:9"})
    with pytest.raises(RunError, match="no connection to the vendor, asked 3 times"):
        operator.run(RunContext())


@pytest.mark.parametrize("name", VENDORS)
def test_a_fault_that_passes_costs_a_little_time_only(vendor: Vendor, name: str) -> None:
    busy = refusal(name, 429, "slow down", headers={"Retry-After": "0.02"})
    vendor.answers = [busy, Answer(b"", 502, "text/plain"), picture(name)]
    frames = image(vendor, name).run(RunContext())
    assert frames.tensor.shape == (1, 3, 12, 16)
    assert frames.tensor[0, :, 0, 0].tolist() == [200, 30, 60]


@pytest.mark.parametrize(
    ("name", "answer", "said"),
    [
        ("openai", words("openai", "", "content_filter"), "moderation"),
        ("openai", words("openai", "Once upon a", "length"), "cut off .*max_tokens"),
        ("openai", words("openai", "  "), "holds no text"),
        ("openai", reply({"choices": []}), "holds no text"),
        ("google", words("google", "", "SAFETY"), "moderation: SAFETY"),
        ("google", words("google", "Once", "MAX_TOKENS"), "cut off .*max_output_tokens"),
        ("google", reply({}), "holds no text"),
    ],
)
def test_a_text_that_is_none_or_not_whole_is_told(
    vendor: Vendor, name: str, answer: Answer, said: str
) -> None:
    vendor.answers = [answer]
    operator = HostedText(vendor=name, model="m", prompt="x", price=0, base_url=vendor.address)
    with pytest.raises(RunError, match=said):
        operator.run(RunContext())

"""The vendors whose interfaces are known, and what may be set of a request to each."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from flowsynth.hosted.asked import Vendor


class _Options(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class OpenAiPictures(_Options):
    """Of ``images.generate`` and ``images.edit``; which a model takes the vendor says."""

    size: str | None = Field(default=None, pattern=r"^(auto|\d{2,5}x\d{2,5})$")
    quality: str | None = Field(default=None, pattern=r"^[a-z]{2,12}$")
    background: Literal["auto", "opaque", "transparent"] | None = None
    moderation: Literal["auto", "low"] | None = None
    style: Literal["vivid", "natural"] | None = None
    #: Models before GPT Image answer with an address unless told otherwise; nothing is fetched from there.
    response_format: Literal["b64_json"] | None = None


class OpenAiTexts(_Options):
    """Of ``chat.completions.create``."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = None


class GooglePictures(_Options):
    """Of ``models.generate_content`` with pictures as its answer."""

    aspect_ratio: str | None = Field(default=None, pattern=r"^\d{1,2}:\d{1,2}$")
    image_size: str | None = Field(default=None, pattern=r"^[0-9]{1,4}K?$")
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = Field(default=None, ge=0, lt=2**31)


class GoogleTexts(_Options):
    """Of ``models.generate_content``."""

    temperature: float | None = Field(default=None, ge=0, le=2)
    max_output_tokens: int | None = Field(default=None, ge=1)
    seed: int | None = Field(default=None, ge=0, lt=2**31)


#: Vendor by name.
VENDORS = {
    "openai": Vendor(
        "openai",
        "https://api.openai.com/v1",
        "openai",
        "openai",
        ("OPENAI_API_KEY",),
        OpenAiPictures,
        OpenAiTexts,
    ),
    "google": Vendor(
        "google",
        "https://generativelanguage.googleapis.com",
        "google-genai",
        "google.genai",
        ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        GooglePictures,
        GoogleTexts,
    ),
}
VendorName = Literal["openai", "google"]

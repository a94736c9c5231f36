"""What is asked of a vendor, and where."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pydantic import BaseModel, JsonValue

from flowsynth.core.errors import RequestError

#: Addresses, apart by commas, that a key may be sent to besides the vendors' own.
TRUSTED_ENVIRONMENT = "FLOWSYNTH_HOSTED_URLS"
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class Vendor:
    """Who runs models, and how it is reached.

    Attributes:
        name: in graphs.
        address: where requests go unless a graph names another place.
        package: the distribution of its client.
        module: what is imported of it.
        keys: environment variables that may hold the key; the first that is set counts.
        picture_options: what a graph may set of a request for a picture.
        text_options: the same for a text.
    """

    name: str
    address: str
    package: str
    module: str
    keys: tuple[str, ...]
    picture_options: type[BaseModel]
    text_options: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes, and how.

    Attributes:
        vendor: whose interface it is.
        address: with its scheme.
        key: sent along; empty for none.
        key_name: the environment variable that it comes from.
        timeout: seconds to wait for an answer.
        retries: how often it is asked again where that may help.
        check: raises when the run is asked to stop.
        wait: sleeps so many seconds, or raises as `check`.
    """

    vendor: Vendor
    address: str
    key: str = field(repr=False)
    key_name: str
    timeout: float
    retries: int
    check: Callable[[], None]
    wait: Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request.

    Attributes:
        model: the vendor's name for it.
        prompt: words.
        system: what the model shall be, for texts.
        pictures: PNG files that go along.
        options: the vendor's own, checked.
    """

    model: str
    prompt: str
    system: str = ""
    pictures: tuple[bytes, ...] = ()
    options: Mapping[str, JsonValue] = field(default_factory=dict)


def address_fault(address: str) -> str:
    """What is wrong with the address of a place that is named in a graph; empty if nothing is."""
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        return str(error)
    del port
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return "expected http://HOST or https://HOST"
    if parts.username or parts.password or parts.query or parts.fragment:
        return "expected an address without a name, a password or a query: keys come from the environment"
    return ""


def key_names(vendor: Vendor, address: str | None) -> tuple[str, ...]:
    """Environment variables that may hold the key for a place; empty where none may be sent there.

    A graph is written by anybody, so a place that it names gets a key only where the user says so, in
    ``FLOWSYNTH_HOSTED_URLS``.
    """
    if address is None:
        return vendor.keys
    trusted = os.environ.get(TRUSTED_ENVIRONMENT, "").split(",")
    return vendor.keys if _site(address) in {_site(each.strip()) for each in trusted if each.strip()} else ()


def _site(address: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname or "", parts.port
    except ValueError:
        return "", "", None


def key_of(vendor: Vendor, address: str | None) -> tuple[str, str]:
    """The key for a place, and the variable that it comes from; empty texts where none is sent.

    Raises:
        RequestError: none is set, it is no key, or it would go over the network in the clear.
    """
    names = key_names(vendor, address)
    if not names:
        return "", ""
    name = next((each for each in names if os.environ.get(each)), "")
    if not name:
        raise RequestError(f"no key; expected it in the environment variable {' or '.join(names)}")
    key = os.environ[name].strip()
    if len(key) < 6 or not (key.isascii() and key.isprintable()) or " " in key:
        raise RequestError(f"{name} holds no key; expected 6 or more letters, digits and signs of ASCII")
    if (
        address is not None
        and urlsplit(address).scheme == "http"
        and urlsplit(address).hostname not in _LOCAL
    ):
        raise RequestError(f"base_url: a key is sent over https only; given {address}")
    return key, name

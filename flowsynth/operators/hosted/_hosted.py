"""What operators that ask a vendor have in common: who is asked, what it costs, what is no part of a key."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any

from pydantic import BaseModel, Field, JsonValue, ValidationError, field_validator

from flowsynth.core.canonical import Json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import Fault, RequestError, of_node
from flowsynth.core.operator import Operator
from flowsynth.core.spending import Spending
from flowsynth.core.validation import faults_of
from flowsynth.hosted.asked import Place, Vendor, address_fault, key_names, key_of
from flowsynth.hosted.vendors import VENDORS, VendorName

_STEP = 0.05  # seconds between two looks whether the run shall stop


class Hosted(Operator):
    """Base of the operators; how often it is asked and what it may cost is no part of what is asked."""

    vendor: VendorName = Field(
        default="openai", description="whose interface it is; many servers have openai's"
    )
    model: str = Field(min_length=1, description="the vendor's name of the model")
    prompt: str = Field(default="", description="what to make, unless it comes along an edge")
    base_url: str | None = Field(
        default=None,
        description="address of another server of that interface; it gets the key only where the environment "
        "variable FLOWSYNTH_HOSTED_URLS names it",
    )
    price: float = Field(ge=0, allow_inf_nan=False, description="US dollars for one answer, for max_cost")
    sample: int = Field(
        default=0, ge=0, description="another number asks for another answer to the same request"
    )
    retries: int = Field(default=3, ge=0, le=10, description="how often it is asked again when that may help")
    timeout: float = Field(default=120.0, ge=0.1, le=3600, description="seconds to wait for an answer")
    options: dict[str, JsonValue] = Field(default_factory=dict, description="the vendor's own")

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and (fault := address_fault(value)):
            raise ValueError(fault)
        return value

    @property
    def asked_vendor(self) -> Vendor:
        """Who is asked."""
        return VENDORS[self.vendor]

    def options_type(self) -> type[BaseModel]:
        """What `options` may hold."""
        raise NotImplementedError

    def answers(self) -> int:
        """How many answers it asks for."""
        return 1

    def spending(self) -> Spending:
        """What it costs."""
        vendor = self.asked_vendor
        keys = key_names(vendor, self.base_url)
        return Spending(self.answers(), self.price, keys, vendor.package, vendor.module)

    def key_params(self, files: Collection[str]) -> dict[str, Json]:
        """What is asked; not how often, how long, or for how much."""
        kept = super().key_params(files)
        return {name: value for name, value in kept.items() if name not in ("price", "retries", "timeout")}

    def check(self, inputs: Mapping[str, Any]) -> list[Fault]:
        """A prompt, once; options that the vendor has."""
        faults = []
        if self.prompt.strip() and "text" in inputs:
            faults.append(Fault("params.prompt", "the edge to the port text says it", "one of them", "both"))
        if not self.prompt.strip() and "text" not in inputs:
            faults.append(Fault("params.prompt", "nothing to ask for", "a text", repr(self.prompt)))
        kind = self.options_type()
        try:
            kind.model_validate(self.options)
        except ValidationError as error:
            faults += faults_of(error, self.options, "params.options", kind.model_fields, "option")
        return faults

    def place(self, ctx: RunContext) -> Place:
        """Where it is asked.

        Raises:
            RequestError: offline, or without a key.
        """
        node = ctx.node or self.op
        if ctx.offline:
            raise RequestError(f"{node}: a hosted model cannot be asked offline")
        try:
            key, name = key_of(self.asked_vendor, self.base_url)
        except RequestError as error:
            raise RequestError(of_node(node, str(error))) from None

        def wait(seconds: float) -> None:
            ends = time.monotonic() + seconds
            while (left := ends - time.monotonic()) > 0:
                ctx.check_cancelled()
                time.sleep(min(left, _STEP))

        address = self.base_url or self.asked_vendor.address
        return Place(
            self.asked_vendor, address, key, name, self.timeout, self.retries, ctx.check_cancelled, wait
        )

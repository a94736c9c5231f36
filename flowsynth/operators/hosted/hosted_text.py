"""Have a vendor's model write a text."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, Field

from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.hosted.asked import Asked
from flowsynth.operators.hosted._hosted import Hosted


class HostedText(Hosted):
    """Have a text written by a language model that a vendor runs, or a server of your own (extra ``hosted``).

    A server with OpenAI's interface (llama.cpp, Ollama, vLLM, LM Studio, ...) is named by `base_url`, such as
    ``http://127.0.0.1:11434/v1``; it gets no key unless FLOWSYNTH_HOSTED_URLS names it. Keys, costs, asking
    again and the cache are those of `hosted_image`.

    Inputs:
        text: what is asked, in place of `prompt`.

    Output:
        The text, for the port `text` of `speak`, `hosted_image` and others.

    Errors:
        RequestError: no key, `max_cost` is less than it would cost, or the run is offline.
        RunError: no answer, moderated, retired, or cut off: the vendor's words in one message.
    """

    op: ClassVar[str] = "hosted_text"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    system: str = Field(default="", description="what the model shall be and keep to")

    def options_type(self) -> type[BaseModel]:
        """Those of texts."""
        return self.asked_vendor.text_options

    def run(self, ctx: RunContext, /, *, text: str | None = None) -> str:
        """Ask for it."""
        from flowsynth.hosted.answers import text_of

        asked = Asked(self.model, text or self.prompt, self.system, (), self.options)
        try:
            return text_of(self.place(ctx), asked)
        except RunError as error:
            raise RunError(f"{ctx.node or self.op}: {error}") from None

"""Have a vendor make pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import BaseModel, Field

from flowsynth.core.canonical import digest_json
from flowsynth.core.context import RunContext
from flowsynth.core.errors import RunError
from flowsynth.hosted.asked import Asked, Place
from flowsynth.operators.hosted._hosted import Hosted
from flowsynth.values import Frames

if TYPE_CHECKING:
    from torch import Tensor


class HostedImage(Hosted):
    """Have pictures made by a model that a vendor runs, through the vendor's own client (extra ``hosted``).

    The key comes from the environment alone (OPENAI_API_KEY; GEMINI_API_KEY or GOOGLE_API_KEY) and is written
    nowhere. Nothing is sent before `max_cost` allows what all nodes of the run would cost at their `price`;
    `flowsynth plan` says how much that is. An answer is always kept in the cache, so that a request is paid
    for once. After too many requests and faults of the server it is asked again, later each time; after an
    answer that was lost on its way it is not, since that may have been billed.

    Inputs:
        text: what to show, in place of `prompt`.
        image: pictures that go along, to be changed or followed; all frames of it.

    Output:
        N, 3, H, W: uint8; what is transparent lies on white.

    Errors:
        RequestError: no key, `max_cost` is less than it would cost, or the run is offline.
        RunError: no answer, moderated, retired, or no picture: the vendor's words in one message.
    """

    op: ClassVar[str] = "hosted_image"
    version: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ()

    num_images: int = Field(default=1, ge=1, le=64, description="how many, a request each")

    def options_type(self) -> type[BaseModel]:
        """Those of pictures."""
        return self.asked_vendor.picture_options

    def answers(self) -> int:
        """One a picture."""
        return self.num_images

    def run(self, ctx: RunContext, /, *, text: str | None = None, image: Frames | None = None) -> Frames:
        """Ask for them."""
        import torch

        given = () if image is None else _files(image)
        asked = Asked(self.model, text or self.prompt, "", given, self.options)
        place = self.place(ctx)
        made = []
        for number in range(self.num_images):
            ctx.progress(number, self.num_images)
            made.append(self._picture(ctx, place, asked, number))
        sizes = sorted({tuple(picture.shape[-2:]) for picture in made})
        if len(sizes) > 1:
            shown = " and ".join(f"{width}x{height}" for height, width in sizes)
            raise RunError(f"{ctx.node or self.op}: pictures of {shown} came; expected one size (options)")
        return Frames(torch.stack(made))

    def _picture(self, ctx: RunContext, place: Place, asked: Asked, number: int) -> Tensor:
        """One of them; one that was paid for before the run was stopped is found again."""
        import torch

        from flowsynth.hosted.answers import picture_of
        from flowsynth.values import Tensors

        sent = [file.hex() for file in asked.pictures]
        name = digest_json(["hosted_image", self.key_params(()), asked.prompt, sent, number])
        held = None if ctx.kept is None else ctx.kept.find(name)
        if held is not None:
            return Tensors.decode(held).tensors["picture"].clone()
        try:
            found = torch.tensor(picture_of(place, asked)).permute(2, 0, 1).contiguous()
        except RunError as error:
            raise RunError(f"{ctx.node or self.op}: {error}") from None
        if ctx.kept is not None and self.num_images > 1:
            ctx.kept.keep({name: Tensors({"picture": found}).encode()}, self.timeout)
        return found


def _files(image: Frames) -> tuple[bytes, ...]:
    """Each frame as a PNG file."""
    from flowsynth.media.pictures import encode_picture
    from flowsynth.values.frames import as_dtype, as_rgb

    frames = (as_dtype(as_rgb(image.frame(i)[None]), "uint8")[0].cpu() for i in range(image.num_frames))
    return tuple(encode_picture(frame.permute(1, 2, 0).numpy(), "png") for frame in frames)

"""What a model's latents look like, and which sizes and lengths it can make."""

from __future__ import annotations

from dataclasses import dataclass

from flowsynth.core.errors import Fault


@dataclass(frozen=True, slots=True)
class LatentFormat:
    """What a model's latents look like, known from its configuration alone.

    Attributes:
        space: name of the latent space; latents of another one are refused.
        factor: pixels along the side of a latent pixel.
        channels: channels of the latents.
        multiple: pixels that both sides of a frame must be a multiple of; 1 where the model pads.
        frames: frames that a latent frame stands for.
        lone_first: the first latent frame stands for a single frame, so that clips have ``frames * k + 1``.
        together: a clip's latent frames are decoded together, though each stands for one frame.
    """

    space: str
    factor: int
    channels: int
    multiple: int = 1
    frames: int = 1
    lone_first: bool = False
    together: bool = False

    @property
    def by_frame(self) -> bool:
        """Whether each latent frame stands for one frame by itself, so that a clip may be cut anywhere."""
        return self.frames == 1 and not self.together

    def latent_count(self, num_frames: int) -> int:
        """Latent frames of a clip that the model can make."""
        return -(-(num_frames - self.lone_first) // self.frames) + self.lone_first

    def latent_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the latents of a frame."""
        return -(-height // self.factor), -(-width // self.factor)

    def rules(self) -> dict[str, str]:
        """Sizes and lengths in words."""
        sides = "any" if self.multiple == 1 else f"multiples of {self.multiple} pixels"
        first = " + 1" if self.lone_first else ""
        frames = "any" if self.frames == 1 else f"{self.frames} k{first}"
        return {"height and width:": sides, "num_frames:": frames, "latents:": self.space}

    def faults(self, height: int, width: int, num_frames: int, where: str = "params") -> list[Fault]:
        """What of a clip the model cannot make, each with the nearest that it can.

        Args:
            height: of the frames, pixels.
            width: of the frames, pixels.
            num_frames: how many.
            where: path of whatever says the three.
        """
        faults = []
        for name, side in (("height", height), ("width", width)):
            if side % self.multiple:
                near = max(round(side / self.multiple), 1) * self.multiple
                expected = f"a multiple of {self.multiple} pixels"
                faults.append(
                    Fault(f"{where}.{name}", "not a size of this model", expected, str(side), str(near))
                )
        first = int(self.lone_first)
        if (num_frames - first) % self.frames:
            near = max(round((num_frames - first) / self.frames), 1 - first) * self.frames + first
            expected = f"a multiple of {self.frames} frames{', and one' if first else ''}"
            faults.append(
                Fault(
                    f"{where}.num_frames", "not a length of this model", expected, str(num_frames), str(near)
                )
            )
        return faults

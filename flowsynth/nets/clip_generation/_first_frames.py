"""What VideoGPT sees of the frames that a clip begins with: a residual network of 34 layers over time."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

Strides = tuple[int, int, int]
#: Residual blocks of each group, and the strides of the group's first.
_GROUPS: tuple[tuple[int, Strides], ...] = ((3, (1, 1, 1)), (4, (1, 2, 2)), (6, (1, 2, 2)), (3, (1, 1, 1)))


class _ChannelNorm(nn.Module):
    """Normalises the channels of each place."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.movedim(1, -1)).movedim(-1, 1)  # type: ignore[no-any-return]


class _Normed(nn.Module):
    def __init__(self, width: int, relu: bool = True) -> None:
        super().__init__()
        self.relu = relu
        self.norm = _ChannelNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(x)) if self.relu else self.norm(x)


class _Block(nn.Module):
    def __init__(self, inputs: int, width: int, stride: Strides, project: bool) -> None:
        super().__init__()
        if project:
            self.proj_conv = nn.Conv3d(inputs, width, 1, stride, bias=False)
            self.proj_bnr = _Normed(width, relu=False)
        self.project = project
        self.conv1 = nn.Conv3d(inputs, width, 3, stride, padding=1, bias=False)
        self.bnr1 = _Normed(width)
        self.conv2 = nn.Conv3d(width, width, 3, padding=1, bias=False)
        self.bnr2 = _Normed(width)

    def forward(self, x: Tensor) -> Tensor:
        around = self.proj_bnr(self.proj_conv(x)) if self.project else x
        return F.relu(self.bnr2(self.conv2(self.bnr1(self.conv1(x)))) + around)


class _Group(nn.Module):
    def __init__(self, inputs: int, width: int, blocks: int, stride: Strides) -> None:
        super().__init__()
        self.start_block = _Block(inputs, width, stride, project=True)
        self.blocks = nn.Sequential(*(_Block(width, width, (1, 1, 1), False) for _ in range(blocks - 1)))

    def forward(self, x: Tensor) -> Tensor:
        return self.blocks(self.start_block(x))  # type: ignore[no-any-return]


class FirstFrames(nn.Module):
    """(N, 3, T, H, W) in [-0.5, 0.5] to (N, T, H / 4, W / 4, C).

    Args:
        widths: channels of the stem and of the four groups.
    """

    def __init__(self, widths: tuple[int, int, int, int, int]) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, widths[0], 3, padding=1, bias=False), _Normed(widths[0]))
        for number, (blocks, stride) in enumerate(_GROUPS):
            group = _Group(widths[number], widths[number + 1], blocks, stride)
            setattr(self, f"group{number + 1}", group)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        x = self.stem(x)
        for number in range(len(_GROUPS)):
            x = self.get_submodule(f"group{number + 1}")(x)
        return x.movedim(1, -1)

"""The nine blocks that Part B's networks are made of.

Convolutions are followed by batch normalisation and GELU. All but :class:`FCBlock` take images,
``(batch, channels, height, width)``, and return images of ``out`` channels.
"""

from torch import nn

POOL = 7
"""How many pixels a side :class:`Flatten` takes together: all that are left of 28."""


class Conv(nn.Sequential):
    """A 3 × 3 convolution: as many pixels, other channels.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out, kernel_size=3, stride=1, padding=1),
            nn.BatchNorm2d(out),
            nn.GELU(),
        )


class DownConv(nn.Sequential):
    """A 3 × 3 convolution of stride 2: half the pixels a side.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.Conv2d(channels, out, kernel_size=3, stride=2, padding=1),
            nn.BatchNorm2d(out),
            nn.GELU(),
        )


class UpConv(nn.Sequential):
    """A transposed 4 × 4 convolution of stride 2: twice the pixels a side.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels, out, kernel_size=4, stride=2, padding=1),
            nn.BatchNorm2d(out),
            nn.GELU(),
        )


class Flatten(nn.Sequential):
    """The mean over 7 × 7 pixels, then GELU: an image of 7 pixels a side becomes one pixel."""

    def __init__(self) -> None:
        super().__init__(nn.AvgPool2d(POOL), nn.GELU())


class Unflatten(nn.Sequential):
    """A transposed 7 × 7 convolution of stride 7: one pixel becomes 7 × 7.

    Args:
        channels: The channels that come in and go out.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(
            nn.ConvTranspose2d(channels, channels, kernel_size=POOL, stride=POOL, padding=0),
            nn.BatchNorm2d(channels),
            nn.GELU(),
        )


class ConvBlock(nn.Sequential):
    """Two :class:`Conv`.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(Conv(channels, out), Conv(out, out))


class DownBlock(nn.Sequential):
    """A :class:`DownConv`, then a :class:`ConvBlock`.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(DownConv(channels, out), ConvBlock(out, out))


class UpBlock(nn.Sequential):
    """An :class:`UpConv`, then a :class:`ConvBlock`.

    Args:
        channels: The channels that come in.
        out: The channels that go out.
    """

    def __init__(self, channels: int, out: int) -> None:
        super().__init__(UpConv(channels, out), ConvBlock(out, out))


class FCBlock(nn.Sequential):
    """Two linear layers with GELU between them, for what an image is conditioned on.

    Args:
        features: How many numbers come in, ``(batch, features)``.
        out: How many go out.
    """

    def __init__(self, features: int, out: int) -> None:
        super().__init__(nn.Linear(features, out), nn.GELU(), nn.Linear(out, out))

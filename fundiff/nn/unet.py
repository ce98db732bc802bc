r"""The three U-Nets of Part B: plain, told the time, and told the time and a class.

All three share one trunk, which goes from 28 pixels a side down to one and up again, with the
features of each level carried across. What a network is told enters at two places: it shifts the
features after :class:`fundiff.nn.blocks.Unflatten` and after the first
:class:`fundiff.nn.blocks.UpBlock`, and a class also scales them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fundiff.errors import FundiffError
from fundiff.nn.blocks import ConvBlock, DownBlock, FCBlock, Flatten, Unflatten, UpBlock
from fundiff.types import Images

SIDE = 28
"""How many pixels a side the networks take."""

Features = Float[Tensor, "batch features"]


class _Trunk(nn.Module):
    """The U-Net without its conditions: two scales and two shifts come from outside."""

    def __init__(self, dim: int, channels: int) -> None:
        super().__init__()
        self.into = ConvBlock(channels, dim)
        self.down1 = DownBlock(dim, dim)
        self.down2 = DownBlock(dim, 2 * dim)
        self.flatten = Flatten()
        self.unflatten = Unflatten(2 * dim)
        self.up1 = UpBlock(4 * dim, dim)
        self.up2 = UpBlock(2 * dim, dim)
        self.out = nn.Sequential(
            ConvBlock(2 * dim, dim), nn.Conv2d(dim, channels, kernel_size=3, padding=1)
        )

    def forward(
        self,
        x: Images,
        scale: tuple[Tensor | float, Tensor | float] = (1.0, 1.0),
        shift: tuple[Tensor | float, Tensor | float] = (0.0, 0.0),
    ) -> Images:
        if x.shape[-2:] != (SIDE, SIDE):
            raise FundiffError(f"the network takes {SIDE} × {SIDE} pixels, got {[*x.shape]}")
        at_28 = self.into(x)
        at_14 = self.down1(at_28)
        at_7 = self.down2(at_14)
        up = scale[0] * self.unflatten(self.flatten(at_7)) + shift[0]
        up = scale[1] * self.up1(torch.cat([up, at_7], dim=1)) + shift[1]
        up = self.up2(torch.cat([up, at_14], dim=1))
        out: Tensor = self.out(torch.cat([up, at_28], dim=1))
        return out


class _Told(nn.Module):
    """What one condition says at the two places: vectors of 2D and of D features."""

    def __init__(self, features: int, dim: int) -> None:
        super().__init__()
        self.low = FCBlock(features, 2 * dim)
        self.high = FCBlock(features, dim)

    def forward(self, told: Features) -> tuple[Tensor, Tensor]:
        return self.low(told)[..., None, None], self.high(told)[..., None, None]


class UNet(nn.Module):
    """A network from images to images that is told nothing else.

    Args:
        dim: The width :math:`D`: channels at the highest resolution; 128 gives 7,891,073 weights.
        channels: The channels of the images.
    """

    def __init__(self, dim: int = 128, *, channels: int = 1) -> None:
        super().__init__()
        self.trunk = _Trunk(dim, channels)

    def forward(self, x: Images) -> Images:
        """Map images of 28 pixels a side to images.

        Raises:
            FundiffError: The images have another size.
        """
        out: Tensor = self.trunk(x)
        return out


class TimeUNet(nn.Module):
    """A network that is told the time, which is added to its features.

    Args:
        dim: The width :math:`D`; 64 gives 1,996,417 weights.
        channels: The channels of the images.
    """

    def __init__(self, dim: int = 64, *, channels: int = 1) -> None:
        super().__init__()
        self.trunk, self.time = _Trunk(dim, channels), _Told(1, dim)

    def forward(self, x: Images, time: Float[Tensor, " batch"]) -> Images:
        """Map images to images.

        Args:
            x: Images of 28 pixels a side.
            time: The time of each, as a fraction from 0, clean, to 1, noise.

        Returns:
            Images of the same shape.

        Raises:
            FundiffError: The images have another size.
        """
        out: Tensor = self.trunk(x, shift=self.time(time[:, None]))
        return out


class ClassUNet(nn.Module):
    """A network that is told the time, which is added, and a class, which is multiplied.

    Args:
        dim: The width :math:`D`; 64 gives 2,019,201 weights with ten classes.
        classes: How many classes there are.
        channels: The channels of the images.
    """

    def __init__(self, dim: int = 64, *, classes: int = 10, channels: int = 1) -> None:
        super().__init__()
        self.trunk = _Trunk(dim, channels)
        self.time, self.condition = _Told(1, dim), _Told(classes, dim)

    def forward(
        self,
        x: Images,
        time: Float[Tensor, " batch"],
        condition: Float[Tensor, "batch classes"],
    ) -> Images:
        """Map images to images.

        Args:
            x: Images of 28 pixels a side.
            time: The time of each, as a fraction from 0, clean, to 1, noise.
            condition: The class of each as a one-hot row, zeros for no class.

        Returns:
            Images of the same shape.

        Raises:
            FundiffError: The images have another size.
        """
        out: Tensor = self.trunk(x, scale=self.condition(condition), shift=self.time(time[:, None]))
        return out

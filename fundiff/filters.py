r"""Linear filters, and splits of an image into parts that sum to it.

A split is a tuple of linear maps :math:`P_i` with :math:`\sum_i P_i x = x` for every image. It is
what :func:`fundiff.illusions.factorized` takes, with a denoiser for each part.

Source of the splits: Geng et al. 2024, *Factorized diffusion*, section 3.2.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, pad

from fundiff.errors import FundiffError
from fundiff.types import Images, Part


@dataclass(frozen=True)
class GaussianBlur:
    r"""The Gaussian low pass: each pixel becomes a weighted mean of its neighbours.

    .. math::

        \hat x = G_\sigma * x, \qquad
        G_\sigma(u, v) \propto \exp\!\left(-\frac{u^2 + v^2}{2 \sigma^2}\right)

    The kernel is cut to a square and scaled to sum to 1; the image is reflected at its border.
    This is :eq:`eq-gaussian` in the book.

    Attributes:
        kernel_size: The side of the kernel in pixels, odd.
        sigma: The standard deviation :math:`\sigma` in pixels.

    Raises:
        FundiffError: The kernel size isn't odd, or ``sigma`` isn't above 0. When called: the image
            is too small to be reflected, ``kernel_size // 2`` or fewer pixels a side.
    """

    kernel_size: int
    sigma: float

    def __post_init__(self) -> None:
        _require_odd(self.kernel_size)
        if not 0 < self.sigma < math.inf:
            raise FundiffError(f"sigma must be a number above 0, got {self.sigma}")

    def __call__(self, x: Images) -> Images:
        """Blur images of any number of channels, along the rows and then along the columns."""
        from torchvision.transforms.v2.functional import gaussian_blur

        _require_room(x, self.kernel_size)
        for kernel in ([self.kernel_size, 1], [1, self.kernel_size]):
            x = gaussian_blur(x, kernel, [self.sigma] * 2)
        return x


@dataclass(frozen=True)
class MotionBlur:
    """The mean along a short line, as if the camera had moved.

    Attributes:
        length: The line's length in pixels, odd.
        degrees: The line's direction; 0 is along the rows, 45 rises to the right.

    Raises:
        FundiffError: The length isn't odd. When called: the image is too small to be reflected.
    """

    length: int = 9
    degrees: float = 45.0

    def __post_init__(self) -> None:
        _require_odd(self.length)

    def __call__(self, x: Images) -> Images:
        """Blur images of any number of channels."""
        _require_room(x, self.length)
        half, channels = self.length // 2, x.shape[1]
        kernel = self._kernel().to(x).expand(channels, 1, -1, -1)
        return conv2d(pad(x, (half,) * 4, mode="reflect"), kernel, groups=channels)

    def _kernel(self) -> Tensor:
        half = self.length // 2
        along = torch.arange(-half, half + 1, dtype=torch.float64)
        x = along * math.cos(math.radians(self.degrees))
        y = -along * math.sin(math.radians(self.degrees))
        across = (1 - (along[:, None] - x).abs()).clamp(min=0)
        down = (1 - (along[:, None] - y).abs()).clamp(min=0)
        return down @ across.T / self.length


@dataclass(frozen=True)
class Complement:
    """What a part leaves over: ``x - part(x)``.

    Attributes:
        part: The part.
    """

    part: Part

    def __call__(self, x: Images) -> Images:
        """Return what the part leaves over."""
        return x - self.part(x)


@dataclass(frozen=True)
class Difference:
    """What one part has more than another: ``more(x) - less(x)``.

    Attributes:
        more: The part to subtract from.
        less: The part to subtract.
    """

    more: Part
    less: Part

    def __call__(self, x: Images) -> Images:
        """Return the difference of the two parts."""
        return self.more(x) - self.less(x)


@dataclass(frozen=True)
class Scaled:
    """A share of the image: ``share * x``.

    Attributes:
        share: The factor.
    """

    share: float

    def __call__(self, x: Images) -> Images:
        """Return the share."""
        return self.share * x


@dataclass(frozen=True)
class Grey:
    """The mean of the channels, in each of them."""

    def __call__(self, x: Images) -> Images:
        """Return the grey image, with as many channels."""
        return x.mean(dim=1, keepdim=True).expand_as(x)


@dataclass(frozen=True, eq=False)
class Wiener:
    r"""Wiener's filter, for an image whose spectrum is known under noise of known strength.

    .. math::

        \hat X(f) = \frac{|X_0(f)|^2}{|X_0(f)|^2 + H W \sigma_n^2}\; Y(f), \qquad
        y = x_0 + \sigma_n z

    For this spectrum it has the least expected squared error among the linear, shift-invariant
    filters of each channel by itself. Only an oracle could apply it, for it looks at the image
    that is sought. The image is taken to repeat at its border. This is :eq:`eq-wiener` in the book.

    Attributes:
        reference: The clean image :math:`x_0`, whose spectrum :math:`|X_0(f)|^2` is used.
        noise: The standard deviation :math:`\sigma_n` of the noise.

    Raises:
        FundiffError: ``noise`` isn't above 0.

    Source:
        Wiener 1949, *Extrapolation, interpolation, and smoothing of stationary time series*.
    """

    reference: Images
    noise: float

    def __post_init__(self) -> None:
        if not 0 < self.noise < math.inf:
            raise FundiffError(f"noise must be a number above 0, got {self.noise}")

    def __call__(self, x: Images) -> Images:
        """Filter noisy images of the reference's shape."""
        power = torch.fft.rfft2(self.reference).abs().square()
        gain = power / (power + self.reference[0, 0].numel() * self.noise**2)
        filtered: Images = torch.fft.irfft2(gain * torch.fft.rfft2(x), s=x.shape[-2:])
        return filtered


def low_and_high(low_pass: Part) -> tuple[Part, Part]:
    """Split into what a low pass keeps and what it leaves over.

    Args:
        low_pass: The low pass, such as :class:`GaussianBlur`.

    Returns:
        The low and the high part.
    """
    return low_pass, Complement(low_pass)


def three_bands(fine: Part, coarse: Part) -> tuple[Part, Part, Part]:
    """Split into low, middle and high frequencies.

    Args:
        fine: The low pass with the smaller ``sigma``; what it leaves over is the high band.
        coarse: The low pass with the larger ``sigma``; what it keeps is the low band.

    Returns:
        The low, the middle and the high part.
    """
    return coarse, Difference(fine, coarse), Complement(fine)


def grey_and_colour() -> tuple[Part, Part]:
    """Split into brightness and colour.

    Returns:
        The grey part, the mean of the channels, and the colour that is left over.
    """
    return Grey(), Complement(Grey())


def motion_and_rest(motion: Part) -> tuple[Part, Part]:
    """Split into what a movement smears and what it loses.

    Args:
        motion: The blur along the movement, such as :class:`MotionBlur`.

    Returns:
        The smeared part and the rest.
    """
    return motion, Complement(motion)


def shares(*weights: float) -> tuple[Part, ...]:
    """Split into scaled copies of the whole image.

    Args:
        weights: The factors, summing to 1.

    Returns:
        One part for each factor.

    Raises:
        FundiffError: The factors don't sum to 1.
    """
    if not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise FundiffError(f"shares must sum to 1, got {list(weights)}")
    return tuple(Scaled(weight) for weight in weights)


def _require_odd(size: int) -> None:
    if size < 1 or size % 2 == 0:
        raise FundiffError(f"a kernel needs an odd size of at least 1, got {size}")


def _require_room(x: Images, size: int) -> None:
    if min(x.shape[-2:]) <= size // 2:
        raise FundiffError(
            f"a kernel of {size} pixels reflects {size // 2} at the border, which an image of "
            f"{[*x.shape[-2:]]} pixels doesn't have"
        )

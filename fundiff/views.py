r"""Orthogonal views of an image, and the check that a view is one.

A view is a linear map :math:`V` with :math:`V^\top V = 1`. It has to be orthogonal: a denoiser
was trained on images with white noise, and :math:`V \epsilon` is white noise for any white
:math:`\epsilon` just when :math:`V` is orthogonal. Every view of the library moves pixels, or
negates them, so that it can be undone to the last bit; none interpolates. Flips, turns and the
negation are here, all other ways to move pixels in :mod:`fundiff.permutations`; their names are in
:data:`fundiff.illusions.VIEWS`.

Source: Geng et al. 2024, *Visual anagrams*, section 3.3.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.types import Images, View

Turned = Float[Tensor, "batch channel _ _"]


@dataclass(frozen=True)
class Identity:
    """The image as it is."""

    def apply(self, x: Images) -> Images:
        """Return the images as they are."""
        return x

    def invert(self, x: Images) -> Images:
        """Return the images as they are."""
        return x


@dataclass(frozen=True)
class VerticalFlip:
    """The image upside down, mirrored: rows in reverse."""

    def apply(self, x: Images) -> Images:
        """Reverse the rows."""
        return x.flip(-2)

    def invert(self, x: Images) -> Images:
        """Reverse the rows again."""
        return x.flip(-2)


@dataclass(frozen=True)
class HorizontalFlip:
    """The image in a mirror: columns in reverse."""

    def apply(self, x: Images) -> Images:
        """Reverse the columns."""
        return x.flip(-1)

    def invert(self, x: Images) -> Images:
        """Reverse the columns again."""
        return x.flip(-1)


@dataclass(frozen=True)
class Rotation:
    """The image turned by quarter turns.

    Attributes:
        quarter_turns: How many, counterclockwise: 1 is 90°, 2 is 180°, 3 or -1 is 90° clockwise.
            An odd number swaps height and width.
    """

    quarter_turns: int = 1

    def apply(self, x: Images) -> Turned:
        """Turn counterclockwise."""
        return x.rot90(self.quarter_turns, (-2, -1))

    def invert(self, x: Images) -> Turned:
        """Turn back."""
        return x.rot90(-self.quarter_turns, (-2, -1))


@dataclass(frozen=True)
class Negation:
    """The image as a photographic negative, for values that are centred on 0."""

    def apply(self, x: Images) -> Images:
        """Change every sign."""
        return -x

    def invert(self, x: Images) -> Images:
        """Change every sign back."""
        return -x


TOLERANCE = 1e-4
"""How far from orthogonal a view may be, for rounding."""


class ViewError(FundiffError):
    """A view that isn't orthogonal; the message says which check fails, and by how much."""


class ViewedNoise(NamedTuple):
    """What becomes of white noise under a view.

    Attributes:
        least_variance: The least variance of a pixel, which should be 1.
        most_variance: The largest variance of a pixel, which should be 1.
        covariance: The largest absolute covariance of two pixels, which should be 0.
        off: By how much an image differs at most, after it was viewed and brought back, from
            what it was, for one of unit length.
    """

    least_variance: float
    most_variance: float
    covariance: float
    off: float


def noise_covariance(view: View, *, size: int = 16) -> Float[Tensor, "pixel pixel"]:
    r"""Return the covariance of what a view makes of white noise, exactly.

    .. math::

        \mathrm{E}\left[V \epsilon\, (V \epsilon)^\top\right] = V V^\top

    which is the identity just where the view is orthogonal.

    Args:
        view: A linear view that treats every channel alike.
        size: How many pixels a side the images have.

    Returns:
        The covariance of each two of the ``size * size`` pixels of a channel. This is
        :eq:`eq-white` in the book.
    """
    matrix = _matrix(view, size)
    return matrix.T @ matrix


def viewed_noise(view: View, *, size: int = 16) -> ViewedNoise:
    """Measure what becomes of white noise under a view.

    Args:
        view: A linear view that treats every channel alike.
        size: How many pixels a side the images have.

    Returns:
        The numbers that :func:`require_orthogonal` checks.
    """
    covariance = noise_covariance(view, size=size)
    variance = covariance.diagonal()
    units = torch.eye(size * size, dtype=torch.float64).view(-1, 1, size, size)
    back = view.invert(view.apply(units))
    return ViewedNoise(
        variance.min().item(),
        variance.max().item(),
        (covariance - variance.diag()).abs().max().item(),
        (back - units).abs().max().item(),
    )


def require_orthogonal(view: View, *, size: int = 16) -> None:
    """Refuse a view that isn't orthogonal, and say which checks fail.

    Three checks: the variance of white noise stays 1, no two pixels become correlated, and the
    view can be undone.

    Args:
        view: A linear view that treats every channel alike.
        size: How many pixels a side the images have.

    Raises:
        ViewError: A check fails.
    """
    found = viewed_noise(view, size=size)
    failed = []
    if max(1 - found.least_variance, found.most_variance - 1) > TOLERANCE:
        low, high = found.least_variance, found.most_variance
        failed.append(f"it changes the noise's variance from 1 to {low:.3g} ... {high:.3g}")
    if found.covariance > TOLERANCE:
        up_to = f"up to {found.covariance:.3g}"
        failed.append(f"it gives the noise of two pixels a covariance of {up_to}")
    if found.off > TOLERANCE:
        failed.append(f"undone, it leaves an image off by up to {found.off:.3g}")
    if failed:
        raise ViewError(f"{view} isn't orthogonal: {'; '.join(failed)}")


def _matrix(view: View, size: int) -> Float[Tensor, "pixel pixel"]:
    """Return the view's transpose: row by row, what it makes of an image of one lit pixel."""
    units = torch.eye(size * size, dtype=torch.float64).view(-1, 1, size, size)
    return view.apply(units).flatten(1)

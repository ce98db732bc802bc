"""How drawings become pictures of MNIST's kind: sheared and turned, fitted into a box, centred."""

import math
import random
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from fundiff.data.digits import SIDE
from fundiff.errors import FundiffError

FINE = 8
"""How many times finer than a picture a drawing is laid out before it is averaged."""

MIDDLE = 14.5
"""Where MNIST's digits have their centre of mass, in the middle of the fifteenth pixel."""


@dataclass(frozen=True)
class Placing:
    """How one drawing is laid into its picture.

    Attributes:
        slant: How far the top leans to the right, as a share of the height.
        turn: The turn to the left, in radians.
        stretch: The factor of the width.
        box: The longer side of the box that the ink fills, in pixels of the picture.
    """

    slant: float = 0.0
    turn: float = 0.0
    stretch: float = 1.0
    box: float = 20.0

    @classmethod
    def draw(cls, rng: random.Random, *, turn: float = math.radians(8)) -> "Placing":
        """Draw one: a slant of -0.2 to 0.35, a width of 0.8 to 1.2, a box of 17 to 20 pixels.

        Args:
            rng: Draws the numbers.
            turn: The largest turn to either side.
        """
        return cls(
            slant=rng.uniform(-0.2, 0.35),
            turn=rng.uniform(-turn, turn),
            stretch=rng.uniform(0.8, 1.2),
            box=rng.uniform(17, 20),
        )

    @property
    def linear(self) -> Float[np.ndarray, "2 2"]:
        """The matrix that maps a drawing, y downwards, by a stretch, a slant and then a turn."""
        cos, sin = math.cos(self.turn), math.sin(self.turn)
        turn = np.array([[cos, sin], [-sin, cos]])
        linear: Float[np.ndarray, "2 2"] = turn @ [[self.stretch, -self.slant], [0, 1]]
        return linear


def placed(drawing: Image.Image, placing: Placing) -> UInt8[np.ndarray, "28 28"]:
    """Lay a drawing into a picture as MNIST's digits are: in a box, by its centre of mass.

    Args:
        drawing: Ink on paper, a grey picture of any size.
        placing: The linear map, and the box.

    Returns:
        The picture, 0 paper and 255 ink, with the ink's centre of mass at :data:`MIDDLE`.

    Raises:
        FundiffError: There is no ink.
    """
    y, x = np.nonzero(np.asarray(drawing) > 127)
    if not len(x):
        raise FundiffError("a drawing needs ink, found none")
    points, linear = np.stack([x + 0.5, y + 0.5]), placing.linear
    extent = np.ptp(linear @ points, axis=1) + np.abs(linear).sum(axis=1)
    back = np.linalg.inv(linear) * extent.max() / (FINE * placing.box)
    offset = points.mean(axis=1) - back @ np.full(2, FINE * MIDDLE)
    coefficients = np.column_stack([back, offset]).flatten().tolist()
    fine = drawing.transform(
        (FINE * SIDE, FINE * SIDE),
        Image.Transform.AFFINE,
        coefficients,
        Image.Resampling.BILINEAR,
    )
    return np.asarray(fine.reduce(FINE))

"""The sheet of shapes: ten outlines drawn by formula, with a round pen, turned any way."""

import math
import random
from collections.abc import Callable, Sequence

from PIL import Image, ImageDraw

from fundiff.data.digits import SHIPPED
from fundiff.data.labelled import Labelled, Split
from fundiff.painters.characters.layout import Placing, placed
from fundiff.painters.characters.splitting import labelled

SEED = 0
"""The seed of all that is drawn."""

Line = Sequence[complex]
"""The corners of a line, or points along it, in the square from -1 - i to 1 + i, y downwards."""

_RADIUS, _CANVAS = 120, 320


def polygon(corners: int, *, inner: float | None = None) -> list[Line]:
    """Return a regular polygon, or a star whose inner corners lie at a share of the radius."""
    if inner is None:
        return [[_unit(i / corners) for i in range(corners + 1)]]
    radii = (1.0, inner)
    return [[radii[i % 2] * _unit(i / (2 * corners)) for i in range(2 * corners + 1)]]


def spiral(turns: float = 2.5, points: int = 60) -> list[Line]:
    """Return Archimedes' spiral."""
    return [[(i / points) * _unit(turns * i / points) for i in range(points + 1)]]


def heart(points: int = 60) -> list[Line]:
    """Return the curve x = 16 sin³ t, y = 13 cos t − 5 cos 2t − 2 cos 3t − cos 4t, over 17."""
    curve = []
    for i in range(points + 1):
        t = 2 * math.pi * i / points
        y = 13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t)
        curve.append(complex(16 * math.sin(t) ** 3, -y) / 17)
    return [curve]


OUTLINES: dict[str, Callable[[], list[Line]]] = {
    "triangle": lambda: polygon(3),
    "square": lambda: polygon(4),
    "hexagon": lambda: polygon(6),
    "star": lambda: polygon(5, inner=0.4),
    "plus": lambda: [[-1, 1], [-1j, 1j]],
    "hash": lambda: [[z * (s - 1j), z * (s + 1j)] for z in (1, 1j) for s in (-0.4, 0.4)],
    "arrow": lambda: [[-1, 1], [0.3 - 0.7j, 1, 0.3 + 0.7j]],
    "zigzag": lambda: [[complex(i / 2 - 1, (-1) ** i * 0.45) for i in range(5)]],
    "heart": heart,
    "spiral": spiral,
}
"""The lines of each shape, by its name."""


def shapes(split: Split, count: int) -> Labelled:
    """Draw shapes: the classes take turns, all else is drawn at random.

    Each has a pen of about 1 to 3 pixels, a turn of any angle, and a slant, width and size of its
    own.

    Args:
        split: Names the random numbers; the parts differ in nothing else.
        count: How many.
    """
    known, pictures = SHIPPED["shapes"], []
    for i in range(count):
        rng = random.Random(f"shapes {SEED} {split} {i}")  # noqa: S311
        lines = OUTLINES[known.classes[i % len(known.classes)]]()
        placing = Placing.draw(rng, turn=math.pi)
        pictures.append(placed(_drawn(lines, pen=rng.uniform(0.05, 0.15)), placing))
    return labelled("shapes", pictures, [i % len(known.classes) for i in range(count)])


def _unit(turns: float) -> complex:
    """The point of the unit circle after so many turns, from the top."""
    return complex(math.sin(2 * math.pi * turns), -math.cos(2 * math.pi * turns))


def _drawn(lines: list[Line], *, pen: float) -> Image.Image:
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    draw, half = ImageDraw.Draw(canvas), pen * _RADIUS
    for line in lines:
        at = [(_CANVAS / 2 + _RADIUS * z.real, _CANVAS / 2 + _RADIUS * z.imag) for z in line]
        draw.line(at, fill=255, width=round(2 * half), joint="curve")
        for x, y in at:
            draw.ellipse((x - half, y - half, x + half, y + half), fill=255)
    return canvas

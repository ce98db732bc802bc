"""What tall buildings are made of and stand on: walls, windows, roofs, and the ground around."""

import numpy as np

from fundiff.painters.emoji.canvas import Colour, mixed, one_of, varied
from fundiff.painters.emoji.countryside import ground, tree
from fundiff.painters.emoji.nature import PINE, pine, water
from fundiff.painters.emoji.shapes import Shapes

BLACK: Colour = (0.05, 0.05, 0.08)
"""What shade is mixed with."""

WHITE: Colour = (0.97, 0.97, 0.95)
"""White walls, and what light is mixed with."""

PANE: Colour = (0.24, 0.26, 0.33)
"""A window by day."""

LAMP: Colour = (1.0, 0.86, 0.45)
"""A window at night."""

STONES: tuple[Colour, ...] = (
    (0.70, 0.36, 0.26),
    (0.78, 0.50, 0.36),
    (0.86, 0.76, 0.58),
    (0.74, 0.72, 0.68),
    (0.60, 0.46, 0.36),
    (0.92, 0.88, 0.80),
)
"""Colours of brick and stone."""

ROOFS: tuple[Colour, ...] = (
    (0.66, 0.26, 0.18),
    (0.30, 0.56, 0.50),
    (0.30, 0.33, 0.42),
    (0.48, 0.30, 0.22),
    (0.80, 0.62, 0.25),
)
"""Colours of roofs."""


class Site:
    """Where a tower is built: its place and colours, and what is drawn of it.

    Args:
        rng: Makes the choices.

    Attributes:
        art: What is drawn.
        lamps: What shines at night.
        x: The tower's middle.
        foot: How far down it stands.
        top: How far up it may reach.
        wall: The colour of its walls.
        roof: That of its roof.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng, self.art, self.lamps = rng, Shapes(), Shapes()
        self.x, self.foot = 0.5 + rng.uniform(-0.12, 0.12), rng.uniform(0.84, 0.94)
        self.top = rng.uniform(0.05, 0.14)
        self.wall = varied(rng, one_of(rng, STONES), 0.05)
        self.roof = varied(rng, one_of(rng, ROOFS), 0.04)

    def block(
        self, top: float, foot: float, half: float, colour: Colour, *, end: float = 1
    ) -> None:
        """Draw a part of a shaft, ``end`` times as wide on top, its right side in the shade."""
        x, up = self.x, half * end
        self.art.polygon([(x - half, foot), (x - up, top), (x + up, top), (x + half, foot)], colour)
        shade = mixed(colour, BLACK, 0.25)
        dark = [(x + half * 0.35, foot), (x + up * 0.35, top), (x + up, top), (x + half, foot)]
        self.art.polygon(dark, shade)

    def ledge(self, y: float, half: float, *, tall: float = 0.022) -> None:
        """Draw a ledge that stands out a little."""
        self.block(y, y + tall, half * 1.16, mixed(self.wall, WHITE, 0.35))

    def window(self, x: float, y: float, half: float, tall: float, *, arch: bool = True) -> None:
        """Draw a window around its foot, lit at night."""
        for art, colour in ((self.art, PANE), (self.lamps, LAMP)):
            art.box(x - half, y - tall, x + half, y, colour)
            if arch:
                art.dome(x, y - tall, half, half, colour)

    def cap(self, y: float, half: float) -> None:
        """Draw a pointed roof, a dome, a flat roof with a balustrade or one with battlements."""
        x, top, kind, roof = self.x, self.top, self.rng.random(), self.roof
        if kind < 0.5:
            self.art.polygon([(x - half * 1.12, y), (x, top), (x + half * 1.12, y)], roof)
            dark = [(x + half * 0.4, y), (x, top), (x + half * 1.12, y)]
            self.art.polygon(dark, mixed(roof, BLACK, 0.28))
        elif kind < 0.75:
            rise = min(y - top - 0.03, half * 1.3)
            self.art.dome(x, y, half * 1.02, rise, roof)
            self.art.box(x - 0.012, y - rise - 0.06, x + 0.012, y - rise + 0.01, roof)
        else:
            self.battlements(y, half)

    def battlements(self, y: float, half: float) -> None:
        """Draw teeth of stone along the top."""
        self.block(y - 0.03, y, half * 1.14, self.wall)
        for k in range(4):
            at = self.x + half * 1.14 * (-1 + k * 0.5714)
            self.art.box(at, y - 0.07, at + half * 0.33, y - 0.02, self.wall)


def around(site: Site) -> None:
    """Draw the ground, and behind the tower hills, low houses or trees."""
    rng, foot = site.rng, site.foot
    if rng.random() < 0.35:
        ground(site.art, rng, foot - rng.uniform(0.1, 0.25), 0.08, (0.50, 0.62, 0.58))
    if rng.random() < 0.5:
        for x in np.arange(rng.uniform(-0.1, 0.1), 1, rng.uniform(0.17, 0.26)):
            _low(site, float(x))
    floors = ((0.42, 0.60, 0.30), (0.42, 0.60, 0.30), (0.70, 0.66, 0.60), (0.55, 0.55, 0.56))
    site.art.box(0, foot - 0.015, 1, 1, varied(rng, one_of(rng, floors), 0.04))


def _low(site: Site, x: float) -> None:
    rng, wide, tall = site.rng, site.rng.uniform(0.11, 0.18), site.rng.uniform(0.09, 0.2)
    wall, y = varied(rng, one_of(rng, STONES), 0.06), site.foot - tall
    site.art.box(x, y, x + wide, site.foot, wall)
    if rng.random() < 0.6:
        eaves = [(x - 0.015, y), (x + wide / 2, y - wide * 0.45), (x + wide + 0.015, y)]
        site.art.polygon(eaves, varied(rng, one_of(rng, ROOFS), 0.04))
    for k in (0.28, 0.72):
        site.window(x + wide * k, y + 0.065, 0.014, 0.035, arch=False)


def before(site: Site) -> None:
    """Draw trees and bushes at the foot, beside the door."""
    rng, x, foot = site.rng, site.x, site.foot
    for side in (-1, 1):
        for _ in range(rng.integers(0, 4)):
            at, y = x + side * rng.uniform(0.17, 0.5), foot + rng.uniform(0.0, 0.05)
            if rng.random() < 0.35:
                pine(site.art, at, y, rng.uniform(0.16, 0.3), PINE)
            elif rng.random() < 0.6:
                tree(site.art, rng, at, y, rng.uniform(0.14, 0.28))
            else:
                site.art.ellipse(at, y, 0.07, 0.05, varied(rng, (0.24, 0.46, 0.20)))


def shore(site: Site) -> None:
    """Draw the sea, and the rocks that the tower stands on."""
    rng, foot = site.rng, site.foot
    water(site.art, rng, rng.uniform(0.56, 0.7), 1)
    rock = varied(rng, one_of(rng, ((0.45, 0.42, 0.40), (0.40, 0.52, 0.30))), 0.05)
    site.art.ellipse(site.x, foot + 0.1, rng.uniform(0.26, 0.5), 0.14, rock)
    site.art.ellipse(site.x, foot + 0.15, 0.5, 0.12, mixed(rock, BLACK, 0.2))

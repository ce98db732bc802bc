"""People painted from a few shapes: a head and shoulders."""

import numpy as np

from fundiff.painters.emoji.canvas import Colour, Layer, mixed, varied
from fundiff.painters.emoji.looks import Hat, Look
from fundiff.painters.emoji.shapes import Shapes

_DARK: Colour = (0.10, 0.08, 0.09)


def portrait(rng: np.random.Generator, look: Look) -> Layer:
    """Paint a head and shoulders."""
    art = Shapes(rng.uniform(1.05, 1.18 if look.hat else 1.34), (0.5, 0.62))
    x = 0.5 + rng.uniform(-0.02, 0.02)
    y = (0.53 if look.hat else 0.46) + rng.uniform(-0.01, 0.02)
    if look.long:
        art.ellipse(x, y + 0.02, look.wide * 1.42, look.tall * 1.18, look.hair)
        art.box(x - look.wide * 1.4, y, x + look.wide * 1.4, y + look.tall * 1.25, look.hair)
    _shoulders(art, rng, look, x, y)
    _head(art, rng, look, x, y)
    if look.hat is not None:
        _hat(art, look, look.hat, x, y - look.tall * 0.48)
    return art.layer()


def _shoulders(art: Shapes, rng: np.random.Generator, look: Look, x: float, y: float) -> None:
    top, wide = y + look.tall + 0.03, rng.uniform(0.37, 0.43)
    shade = mixed(look.shirt, _DARK, 0.35)
    art.ellipse(x, top + 0.24, wide, 0.24, look.shirt)
    art.box(x - wide, top + 0.24, x + wide, 1, look.shirt)
    neck = mixed(look.skin, (0.3, 0.1, 0.05), 0.22)
    art.polygon(
        [
            (x - 0.085, y + 0.1),
            (x + 0.085, y + 0.1),
            (x + 0.1, top + 0.03),
            (x, top + 0.12),
            (x - 0.1, top + 0.03),
        ],
        neck,
    )
    for side in (-1, 1):
        art.line([(x + side * 0.11, top + 0.01), (x, top + 0.14)], shade, 0.03)
    if look.apron:
        brown = varied(rng, (0.32, 0.2, 0.13), 0.04)
        art.box(x - 0.2, top + 0.16, x + 0.2, 1, brown)
        for side in (-1, 1):
            art.line([(x + side * 0.18, top + 0.18), (x + side * 0.12, top)], brown, 0.04)
    elif rng.random() < 0.3:
        art.line([(x, top + 0.14), (x, 1)], shade, 0.035)


def _head(art: Shapes, rng: np.random.Generator, look: Look, x: float, y: float) -> None:
    wide, tall = look.wide, look.tall
    shade, line = mixed(look.skin, (0.35, 0.1, 0.05), 0.25), mixed(look.skin, _DARK, 0.55)
    if look.bun:
        art.ellipse(x, y - tall * 1.08, 0.075, 0.065, look.hair)
    if not look.bald:
        art.ellipse(x, y - tall * 0.14, wide * 1.12, tall * 0.99, look.hair)
    else:
        art.ellipse(x, y - tall * 0.02, wide * 1.16, tall * 0.5, look.hair)
    for side in (-1, 1):
        art.ellipse(x + side * wide, y + 0.03, 0.035, 0.05, shade)
    forehead = 0.02 if look.bald else 0.07 + 0.03 * look.bun
    art.ellipse(x, y + forehead / 2, wide, tall - forehead / 2, look.skin)
    if look.beard:
        grown = 1.18 if look.old else 1.1
        art.ellipse(x, y + tall * 0.5, wide * 0.98, tall * 0.58 * grown, look.hair)
        art.ellipse(x, y + forehead / 2 - tall * 0.06, wide * 0.86, tall * 0.62, look.skin)
    for side in (-1, 1):
        at = x + side * wide * 0.42
        art.ellipse(at, y + 0.02, 0.036, 0.024, (0.97, 0.96, 0.94))
        art.ellipse(at, y + 0.02, 0.021, 0.024, _DARK)
        brow = mixed(look.hair, line, 0.2 if look.old else 0.5)
        art.line([(at - 0.05, y - 0.035), (at + 0.05, y - 0.035)], brow, 0.026)
        if look.old:
            art.arc((at, y + 0.045), (0.045, 0.022), (20, 160), shade, 0.014)
            art.line(
                [(x + side * wide * 0.3, y + 0.1), (x + side * wide * 0.5, y + 0.15)], shade, 0.016
            )
    if look.old and look.hat is None:
        for height in (0.09, 0.13):
            art.line([(x - 0.08, y - height), (x + 0.08, y - height)], shade, 0.014)
    art.polygon([(x, y + 0.01), (x + 0.038, y + 0.1), (x - 0.03, y + 0.1)], shade)
    mouth = y + tall * 0.62
    if look.moustache:
        for side in (-1, 1):
            art.ellipse(x + side * 0.045, mouth - 0.022, 0.06, 0.024, mixed(look.hair, _DARK, 0.12))
    lips = (0.72, 0.28, 0.26) if look.long else mixed(line, (0.6, 0.2, 0.18), 0.5)
    if look.smile:
        art.arc((x, mouth - 0.01), (0.07, 0.035), (15, 165), lips, 0.026)
    else:
        art.line([(x - 0.05, mouth + 0.012), (x + 0.05, mouth + 0.012)], lips, 0.024)
    if look.glasses:
        for side in (-1, 1):
            art.arc((x + side * wide * 0.45, y + 0.02), (0.072, 0.066), (0, 360), _DARK, 0.022)
        art.line([(x - 0.02, y + 0.01), (x + 0.02, y + 0.01)], _DARK, 0.02)


def _hat(art: Shapes, look: Look, hat: Hat, x: float, y: float) -> None:
    wide, colour = look.wide, look.hat_colour
    band = mixed(colour, _DARK if sum(colour) > 0.9 else (0.8, 0.2, 0.15), 0.6)
    if hat is Hat.BEANIE:
        art.dome(x, y, wide * 1.14, 0.2, colour)
        art.box(x - wide * 1.15, y - 0.02, x + wide * 1.15, y + 0.055, band)
        return
    if hat is Hat.CAP:
        art.dome(x, y + 0.03, wide * 1.12, 0.2, colour)
        art.ellipse(x + wide * 0.5, y + 0.025, wide * 1.1, 0.035, band)
        return
    height = {Hat.TOP: 0.32, Hat.BOWLER: 0.2, Hat.STRAW: 0.17}.get(hat, 0.23)
    brim = {Hat.TOP: 1.5, Hat.BOWLER: 1.45, Hat.COWBOY: 2.0, Hat.STRAW: 2.1}.get(hat, 1.75)
    if hat is Hat.TOP:
        art.polygon(
            [
                (x - wide, y + 0.02),
                (x - wide * 1.12, y - height),
                (x + wide * 1.12, y - height),
                (x + wide, y + 0.02),
            ],
            colour,
        )
    elif hat in (Hat.BOWLER, Hat.STRAW):
        art.dome(x, y + 0.02, wide * 1.02, height, colour)
    else:
        art.polygon(
            [
                (x - wide * 1.05, y + 0.02),
                (x - wide * 0.8, y - height),
                (x, y - height * 0.82),
                (x + wide * 0.8, y - height),
                (x + wide * 1.05, y + 0.02),
            ],
            colour,
        )
    art.box(x - wide * 1.03, y - 0.055, x + wide * 1.03, y + 0.01, band)
    if hat is Hat.COWBOY:
        edge = wide * brim
        art.polygon(
            [
                (x - edge, y - 0.09),
                (x - wide, y),
                (x + wide, y),
                (x + edge, y - 0.09),
                (x + wide * 0.9, y + 0.06),
                (x - wide * 0.9, y + 0.06),
            ],
            colour,
        )
    else:
        art.ellipse(x, y + 0.015, wide * brim, 0.045, mixed(colour, _DARK, 0.12))

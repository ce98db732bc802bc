"""Landscapes painted from a few shapes: waterfalls, and a village in the snow."""

import numpy as np

from fundiff.painters.emoji.canvas import Colour, Picture, glow, mixed, one_of, over, varied
from fundiff.painters.emoji.nature import PINE, pine, sky
from fundiff.painters.emoji.shapes import Shapes

_WHITE: Colour = (0.97, 0.98, 1.0)


def waterfalls(rng: np.random.Generator) -> Picture:
    """Paint waterfalls between rocks, over a pool."""
    back, art = sky(rng), Shapes()
    rock = varied(rng, one_of(rng, ((0.52, 0.48, 0.46), (0.56, 0.46, 0.36), (0.45, 0.50, 0.52))))
    green, lip = varied(rng, (0.25, 0.48, 0.22)), rng.uniform(0.16, 0.28)
    pool = rng.uniform(0.74, 0.82)
    _ridge(art, rng, lip - 0.02, 0.08, mixed(green, (0.7, 0.8, 0.85), 0.45))
    art.box(0, lip + 0.03, 1, pool + 0.05, mixed(rock, (0, 0, 0), 0.35))
    for _ in range(9):
        x, wide = rng.random(), rng.uniform(0.06, 0.12)
        light = mixed(rock, (0, 0, 0), rng.uniform(0, 0.35))
        art.polygon(
            [
                (x - wide, 1),
                (x - wide * 0.7, lip + rng.uniform(0.03, 0.2)),
                (x + wide * 0.6, lip + rng.uniform(0.02, 0.15)),
                (x + wide, 1),
            ],
            light,
        )
    art.box(0, lip - 0.005, 1, lip + 0.04, green)
    count = one_of(rng, (1, 1, 2, 2, 3))
    water, centres = (0.62, 0.80, 0.93), rng.uniform(0.36, 0.64)
    art.box(0, pool, 1, 1, varied(rng, (0.22, 0.48, 0.62), 0.04))
    for i in range(count):
        x = centres + (i - (count - 1) / 2) * rng.uniform(0.27, 0.33)
        half, step = rng.uniform(0.10, 0.16) / count**0.5, rng.uniform(0.45, 0.6)
        top = lip if i == 0 or rng.random() < 0.6 else lip + 0.12
        ends = [(x - half, top), (x + half, top)]
        shelf = [(x + half * 1.1, step), (x + half * 1.5, pool + 0.03)]
        art.polygon([*ends, *shelf, (x - half * 1.5, pool + 0.03), (x - half * 1.1, step)], _WHITE)
        for k in range(4):
            at = x + half * (-0.7 + 0.45 * k) * rng.uniform(0.85, 1.1)
            art.line([(at, top + 0.02), (at * 1.1 - x * 0.1, pool - 0.04)], water, 0.022)
        for k in range(5):
            art.ellipse(
                x + half * (k - 2) * 0.8, pool + 0.02, 0.07, rng.uniform(0.03, 0.05), _WHITE
            )
    for _ in range(3):
        x, y = rng.random(), rng.uniform(pool + 0.09, 0.97)
        art.line([(x - 0.1, y), (x + 0.1, y)], (0.55, 0.75, 0.86), 0.018)
    for side in (0.0, 1.0):
        x = side + rng.uniform(-0.04, 0.04)
        art.ellipse(
            x, 0.96, rng.uniform(0.14, 0.24), rng.uniform(0.1, 0.2), mixed(rock, (0, 0, 0), 0.15)
        )
        for _ in range(rng.integers(1, 4)):
            pine(art, abs(side - rng.uniform(0.02, 0.2)), lip + 0.03, rng.uniform(0.12, 0.22), PINE)
    mist = glow(centres, pool + 0.02, 0.3, flat=0.3) * 0.35
    scene = over(back, art.layer())
    return scene + (1 - scene) * mist


def snowy_village(rng: np.random.Generator) -> Picture:
    """Paint houses in the snow before white mountains."""
    night = rng.random() < 0.3
    back, art = sky(rng, night=night), Shapes()
    dim = 0.45 if night else 0.0
    snow, shade = (
        mixed(_WHITE, (0.2, 0.25, 0.5), dim),
        mixed((0.75, 0.83, 0.94), (0.1, 0.14, 0.35), dim),
    )
    peaks = rng.integers(2, 4)
    for i in rng.permutation(peaks):
        x = (i + 0.5) / peaks + rng.uniform(-0.1, 0.1)
        mountain(art, rng, (x, rng.uniform(0.08, 0.26)), rng.uniform(0.32, 0.45), (snow, dim))
    art.ellipse(rng.random(), 0.86, 0.9, 0.3, shade)
    art.ellipse(rng.random(), 1.05, 1.1, 0.4, snow)
    art.box(0, 0.84, 1, 1, snow)
    for _ in range(rng.integers(3, 7)):
        pine(art, rng.random(), rng.uniform(0.62, 0.7), 0.17, PINE, snow)
    church = rng.random() < 0.5
    count = int(rng.integers(3, 6))
    for i in range(count):
        x = (i + 0.5) / count + rng.uniform(-0.05, 0.05)
        size, y = rng.uniform(0.085, 0.12), rng.uniform(0.68, 0.86)
        if church and i == count // 2:
            art.box(x + size * 0.5, y - 0.34, x + size * 1.1, y, (0.86, 0.82, 0.75))
            art.polygon(
                [(x + size * 0.4, y - 0.34), (x + size * 0.8, y - 0.5), (x + size * 1.2, y - 0.34)],
                (0.55, 0.2, 0.16),
            )
        _house(art, rng, (x, y), size, (snow, shade), night=night)
    for _ in range(rng.integers(0, 3)):
        pine(art, rng.random(), rng.uniform(0.88, 0.97), 0.24, PINE, snow)
    if rng.random() < 0.35:
        for _ in range(22):
            art.ellipse(rng.random(), rng.random(), 0.01, 0.01, _WHITE)
    return over(back, art.layer())


def _ridge(art: Shapes, rng: np.random.Generator, y: float, rough: float, colour: Colour) -> None:
    points = [(i / 6, y + rng.uniform(-rough, rough)) for i in range(7)]
    art.polygon([(0, 1), *points, (1, 1)], colour)


def mountain(
    art: Shapes,
    rng: np.random.Generator,
    top: tuple[float, float],
    wide: float,
    snow: tuple[Colour, float],
    base: float = 0.8,
) -> None:
    """Draw a mountain with snow on it, down to the height ``base``."""
    (x, y), (white, dim) = top, snow
    rock = mixed(varied(rng, (0.48, 0.54, 0.66), 0.04), (0.08, 0.1, 0.25), dim)
    dark = mixed(rock, (0.1, 0.12, 0.25), 0.3)
    art.polygon([(x - wide, base), (x, y), (x + wide, base)], rock)
    art.polygon([(x, y), (x + wide, base), (x + wide * 0.15, base)], dark)
    low = y + (base - y) * rng.uniform(0.4, 0.6)
    share = (low - y) / (base - y)
    edge = [
        (x + wide * share * k, low + rng.uniform(-0.07, 0.04) * (abs(k) < 0.9))
        for k in (1, 0.6, 0.3, 0, -0.3, -0.6, -1)
    ]
    art.polygon([(x, y), *edge], white)
    art.polygon(
        [(x, y), *edge[:3], (x + wide * share * 0.12, low - 0.08)],
        mixed(white, (0.4, 0.5, 0.75), 0.3),
    )


def _house(
    art: Shapes,
    rng: np.random.Generator,
    foot: tuple[float, float],
    size: float,
    snow: tuple[Colour, Colour],
    *,
    night: bool,
) -> None:
    (x, y), tall = foot, size * rng.uniform(1.1, 1.4)
    walls = ((0.58, 0.32, 0.20), (0.72, 0.24, 0.20), (0.82, 0.62, 0.38), (0.42, 0.30, 0.26))
    wall = mixed(varied(rng, one_of(rng, walls), 0.04), (0.1, 0.1, 0.25), 0.3 * night)
    window = (1.0, 0.84, 0.40)
    art.box(x + size * 0.4, y - tall - size, x + size * 0.65, y - tall, mixed(wall, (0, 0, 0), 0.3))
    art.box(x - size, y - tall, x + size, y, wall)
    art.polygon(
        [(x - size * 0.9, y - tall), (x, y - tall - size * 0.95), (x + size * 0.9, y - tall)], wall
    )
    roof = [
        (x - size * 1.3, y - tall + 0.02),
        (x, y - tall - size * 1.05),
        (x + size * 1.3, y - tall + 0.02),
    ]
    art.line(roof, snow[1], 0.06)
    art.line([(px, py - 0.016) for px, py in roof], snow[0], 0.046)
    for k in (-0.5, 0.5):
        at = x + size * k
        art.box(at - size * 0.24, y - tall * 0.8, at + size * 0.24, y - tall * 0.35, window)
    if size > 0.1:
        art.box(x - size * 0.16, y - tall * 0.45, x + size * 0.16, y, mixed(wall, (0, 0, 0), 0.45))

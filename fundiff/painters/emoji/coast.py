"""The amalfi coast: bright houses on a cliff over the sea."""

import numpy as np

from fundiff.painters.emoji.canvas import Colour, Picture, mixed, one_of, over, varied
from fundiff.painters.emoji.nature import sky, water
from fundiff.painters.emoji.shapes import Shapes

_WHITE: Colour = (0.97, 0.98, 1.0)


def amalfi_coast(rng: np.random.Generator) -> Picture:
    """Paint bright houses on a cliff over a blue sea."""
    back, art = sky(rng), Shapes()
    horizon, left = rng.uniform(0.4, 0.5), rng.random() < 0.5
    water(art, rng, horizon, 1.0)
    cape = mixed(varied(rng, (0.40, 0.50, 0.38)), (0.7, 0.8, 0.9), 0.4)
    art.polygon(
        [
            _turned(p, left)
            for p in ((1, horizon), (0.95, horizon - 0.1), (0.8, horizon - 0.14), (0.58, horizon))
        ],
        cape,
    )
    green, cliff = varied(rng, (0.35, 0.46, 0.24)), varied(rng, (0.66, 0.56, 0.42))
    foot = rng.uniform(0.55, 0.68)
    hill = [
        (0, 0.08),
        (0.16, 0.12),
        (0.34, 0.26),
        (foot - 0.12, 0.5),
        (foot, 0.8),
        (foot - 0.04, 0.9),
        (0, 1),
    ]
    art.polygon([_turned(p, left) for p in hill], cliff)
    art.polygon(
        [_turned(p, left) for p in ((0, 0.06), (0.18, 0.11), (0.36, 0.26), (0.3, 0.38), (0, 0.3))],
        green,
    )
    walls = (
        (0.96, 0.72, 0.55),
        (0.98, 0.90, 0.72),
        (0.93, 0.56, 0.45),
        (0.97, 0.80, 0.45),
        (0.98, 0.95, 0.92),
        (0.95, 0.68, 0.68),
    )
    rows = 5
    for row in range(rows):
        y = 0.4 + row * 0.115
        reach = 0.26 + row * 0.075 + rng.uniform(-0.03, 0.03)
        x = rng.uniform(-0.06, 0.0)
        while x < reach * foot / 0.6:
            wide, tall = rng.uniform(0.085, 0.13), rng.uniform(0.11, 0.17)
            wall = varied(rng, one_of(rng, walls), 0.03)
            _block(art, (x, y - tall, x + wide, y), left, wall)
            if rng.random() < 0.75:
                roof = varied(rng, (0.78, 0.36, 0.22), 0.03)
                _block(art, (x - 0.008, y - tall - 0.022, x + wide + 0.008, y - tall), left, roof)
            for k in (0.2, 0.6):
                at = x + wide * k
                _block(
                    art,
                    (at, y - tall + 0.03, at + 0.024, y - tall + 0.066),
                    left,
                    (0.32, 0.30, 0.36),
                )
            x += wide + one_of(rng, (0.0, 0.0, 0.04))
        if row == 2 and rng.random() < 0.5:
            spot = _turned((reach * 0.6, y - 0.15), left)
            art.dome(*spot, 0.06, 0.08, (0.35, 0.62, 0.52))
        if rng.random() < 0.6:
            spot = _turned((rng.uniform(0, reach), y), left)
            art.ellipse(*spot, 0.04, 0.03, green)
    beach = [(0, 0.93), (foot - 0.1, 0.89), (foot + 0.04, 0.93), (foot - 0.1, 1), (0, 1)]
    art.polygon([_turned(p, left) for p in beach], (0.93, 0.84, 0.64))
    for _ in range(rng.integers(0, 3)):
        x, y = rng.uniform(foot + 0.12, 0.92), rng.uniform(horizon + 0.08, 0.85)
        _boat(art, _turned((x, y), left), 0.05 + (y - horizon) * 0.1)
    return over(back, art.layer())


def _boat(art: Shapes, at: tuple[float, float], size: float) -> None:
    x, y = at
    art.polygon([(x, y - size * 1.8), (x + size, y), (x, y)], _WHITE)
    art.polygon(
        [
            (x - size, y),
            (x + size, y),
            (x + size * 0.6, y + size * 0.45),
            (x - size * 0.6, y + size * 0.45),
        ],
        (0.6, 0.2, 0.15),
    )


def _block(art: Shapes, box: tuple[float, float, float, float], left: bool, colour: Colour) -> None:
    x0, y0, x1, y1 = box
    art.box(x0 if left else 1 - x1, y0, x1 if left else 1 - x0, y1, colour)


def _turned(point: tuple[float, float], left: bool) -> tuple[float, float]:
    return point if left else (1 - point[0], point[1])

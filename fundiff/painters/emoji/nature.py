"""Plain places painted from a few shapes: sky, meadow, sea, space, a night, a room; and framing."""

import numpy as np
from jaxtyping import Float64

from fundiff.painters.emoji.canvas import (
    SIDE,
    Colour,
    Picture,
    Tone,
    clouds,
    glow,
    gradient,
    mixed,
    one_of,
    over,
    plain,
    varied,
)
from fundiff.painters.emoji.shapes import Shapes

PINE: Colour = (0.12, 0.30, 0.20)
"""The green of pines."""

_SKIES: tuple[tuple[Colour, Colour], ...] = (
    ((0.30, 0.58, 0.90), (0.78, 0.90, 0.98)),
    ((0.38, 0.66, 0.92), (0.88, 0.94, 0.97)),
    ((0.45, 0.50, 0.78), (0.98, 0.80, 0.66)),
)

_NIGHT: tuple[Colour, Colour] = ((0.04, 0.06, 0.20), (0.16, 0.20, 0.42))


def sky(rng: np.random.Generator, *, night: bool = False) -> Picture:
    """Paint a sky: by day with a few clouds, by night with stars."""
    top, bottom = _NIGHT if night else one_of(rng, _SKIES)
    back = gradient(varied(rng, top, 0.04), varied(rng, bottom, 0.03), end=0.7)
    art = Shapes()
    if night:
        for _ in range(rng.integers(8, 18)):
            art.ellipse(rng.random(), rng.random() * 0.55, 0.009, 0.009, (0.95, 0.95, 0.85))
        if rng.random() < 0.4:
            art.ellipse(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.2), 0.06, 0.06, (0.98, 0.96, 0.8))
        return over(back, art.layer())
    return clouded(rng, back)


def clouded(rng: np.random.Generator, back: Picture) -> Picture:
    """Paint soft clouds on the upper part of a sky."""
    soft = np.clip(clouds(rng, 5) * 1.9 - 1.05, 0, 1) * gradient((1, 1, 1), (0, 0, 0), end=0.6)[0]
    result: Picture = back + (1 - back) * soft
    return result


def meadow(rng: np.random.Generator) -> Picture:
    """Paint green hills under a sky."""
    back, art = sky(rng), Shapes()
    far, near = varied(rng, (0.42, 0.66, 0.36)), varied(rng, (0.36, 0.62, 0.24))
    horizon = rng.uniform(0.5, 0.62)
    art.ellipse(rng.uniform(0, 1), horizon + 0.4, 0.9, 0.45, far)
    art.ellipse(rng.uniform(0, 1), horizon + 0.6, 1.2, 0.5, near)
    art.box(0, horizon + 0.25, 1, 1, near)
    for _ in range(rng.integers(0, 4)):
        pine(art, rng.random(), horizon + rng.uniform(0.0, 0.06), 0.14, PINE)
    return over(back, art.layer())


def sea(rng: np.random.Generator) -> Picture:
    """Paint an open sea under a sky."""
    back, art, horizon = sky(rng), Shapes(), rng.uniform(0.45, 0.6)
    water(art, rng, horizon, 1.0)
    return over(back, art.layer())


def camp_night(rng: np.random.Generator) -> Picture:
    """Paint a clearing at night, before dark trees."""
    back, art = sky(rng, night=True), Shapes()
    ground, dark = varied(rng, (0.26, 0.20, 0.16), 0.03), (0.05, 0.10, 0.12)
    for _ in range(rng.integers(6, 12)):
        pine(
            art,
            rng.random(),
            rng.uniform(0.56, 0.62),
            rng.uniform(0.25, 0.45),
            varied(rng, dark, 0.03),
        )
    art.ellipse(0.5, 0.98, 0.95, 0.42, ground)
    art.box(0, 0.8, 1, 1, ground)
    return over(back, art.layer())


def indoors(rng: np.random.Generator) -> Picture:
    """Paint a café: shelves with cups and bottles under warm lamps."""
    wall = varied(rng, one_of(rng, ((0.45, 0.30, 0.20), (0.30, 0.38, 0.36), (0.62, 0.48, 0.34))))
    back, art = plain(wall), Shapes()
    for y in (0.24, 0.48):
        art.box(0, y, 1, y + 0.035, mixed(wall, (0.1, 0.05, 0.02), 0.6))
        x = rng.uniform(0, 0.06)
        while x < 1:
            wide, tall = rng.uniform(0.03, 0.07), rng.uniform(0.06, 0.14)
            art.box(x, y - tall, x + wide, y, varied(rng, (0.75, 0.62, 0.48), 0.25))
            x += wide + rng.uniform(0.02, 0.06)
    scene = over(back, art.layer())
    for x in (rng.uniform(0.08, 0.25), rng.uniform(0.75, 0.92)):
        light = glow(x, 0.06, 0.13)
        scene = scene + (np.array((1, 0.88, 0.6), np.float32)[:, None, None] - scene) * light
    return scene


def space(rng: np.random.Generator) -> Picture:
    """Paint a night sky with stars and a planet."""
    back, art = gradient(varied(rng, (0.05, 0.05, 0.16), 0.03), (0.14, 0.12, 0.34)), Shapes()
    for _ in range(rng.integers(12, 26)):
        size = one_of(rng, (0.007, 0.007, 0.012))
        art.ellipse(rng.random(), rng.random(), size, size, (0.96, 0.95, 0.88))
    if rng.random() < 0.5:
        x, y, size = one_of(rng, (0.12, 0.88)), one_of(rng, (0.15, 0.85)), rng.uniform(0.08, 0.14)
        art.ellipse(x, y, size, size, varied(rng, (0.75, 0.55, 0.45), 0.2))
    return over(back, art.layer())


def framed(rng: np.random.Generator, picture: Picture, *, low: bool = False) -> Picture:
    """Return a part of a picture, at most a fifth closer, mirrored; its lower part if asked."""
    zoom = rng.uniform(0.78, 1.0)
    at = (np.arange(SIDE) + 0.5) * zoom - 0.5
    rows = _taken(at + rng.uniform(0.8 * low, 1) * SIDE * (1 - zoom))
    columns = _taken(at + (0.5 if low else rng.random()) * SIDE * (1 - zoom))
    out = rows @ picture @ (columns[::-1] if rng.random() < 0.5 else columns).T
    return np.ascontiguousarray(out)


def _taken(at: Float64[np.ndarray, " 64"]) -> Tone:
    weights = np.clip(1 - np.abs(np.clip(at, 0, SIDE - 1)[:, None] - np.arange(SIDE)), 0, 1)
    result: Tone = weights.astype(np.float32)
    return result


def pine(
    art: Shapes, x: float, y: float, tall: float, colour: Colour, snow: Colour | None = None
) -> None:
    """Draw a tree around its foot, with snow on it where a colour is given."""
    art.box(x - tall * 0.05, y - tall * 0.15, x + tall * 0.05, y, (0.3, 0.2, 0.14))
    for k in range(3):
        low, wide = y - tall * (0.12 + 0.27 * k), tall * (0.32 - 0.07 * k)
        art.polygon([(x - wide, low), (x, low - tall * 0.42), (x + wide, low)], colour)
        if snow is not None:
            art.polygon(
                [
                    (x - wide * 0.5, low - tall * 0.2),
                    (x, low - tall * 0.42),
                    (x + wide * 0.5, low - tall * 0.2),
                ],
                snow,
            )


def water(art: Shapes, rng: np.random.Generator, top: float, bottom: float) -> None:
    """Draw water from one height down to another, with a few glints."""
    far, near = varied(rng, (0.20, 0.52, 0.78), 0.03), varied(rng, (0.08, 0.42, 0.62), 0.03)
    for i in range(8):
        y = top + (bottom - top) * i / 8
        art.box(0, y, 1, bottom, mixed(far, near, i / 7))
    for _ in range(7):
        x, y = rng.random(), rng.uniform(top + 0.05, bottom)
        art.line([(x - 0.05, y), (x + 0.05, y)], (0.72, 0.88, 0.95), 0.014)

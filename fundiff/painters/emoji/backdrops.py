"""What is behind a subject that brings no place of its own, style by style.

Each returns a picture and the name of its colour, if it has one that a caption may tell.
"""

import numpy as np

from fundiff.painters.emoji.canvas import (
    Colour,
    Picture,
    clouds,
    column,
    glow,
    gradient,
    grid,
    mixed,
    one_of,
    plain,
    varied,
)
from fundiff.painters.emoji.ink import saturated, soft_step

BRIGHT: dict[str, Colour] = {
    "red": (0.90, 0.25, 0.24),
    "orange": (0.97, 0.60, 0.22),
    "yellow": (0.98, 0.86, 0.36),
    "green": (0.38, 0.72, 0.40),
    "blue": (0.28, 0.56, 0.90),
    "light blue": (0.66, 0.86, 0.97),
    "purple": (0.56, 0.40, 0.78),
    "pink": (0.97, 0.70, 0.80),
    "white": (0.98, 0.98, 0.98),
    "grey": (0.62, 0.64, 0.67),
    "black": (0.09, 0.09, 0.11),
    "brown": (0.48, 0.32, 0.22),
}
"""Colours of backgrounds, by the name that captions give them."""


def coloured(rng: np.random.Generator) -> tuple[Picture, str]:
    """Paint one colour, plain or with light falling on it."""
    names = tuple(BRIGHT)
    name = one_of(rng, names)
    colour, kind = varied(rng, BRIGHT[name], 0.03), rng.random()
    if kind < 0.5:
        return plain(colour), name
    light = mixed(colour, (1, 1, 1), 0.45)
    if kind < 0.8:
        return gradient(light, colour), name
    spot = glow(0.5, 0.45, 0.6)
    return column(colour) + (column(light) - column(colour)) * spot, name


def blank(rng: np.random.Generator) -> tuple[Picture, str]:
    """Return white paper."""
    return plain((1.0, 1.0, 1.0)), ""


def flat(rng: np.random.Generator) -> tuple[Picture, str]:
    """Paint one strong colour, now and then with rays."""
    names = tuple(BRIGHT)[:8]
    name = one_of(rng, names)
    colour = saturated(plain(varied(rng, BRIGHT[name], 0.02)), 1.25)[:, 0, 0]
    back = plain((float(colour[0]), float(colour[1]), float(colour[2])))
    if rng.random() < 0.3:
        y, x = grid()
        rays = np.sin(np.arctan2(y - 0.5, x - 0.5) * 8 + rng.random() * 6) > 0
        back = back + (1 - back) * 0.28 * rays.astype(np.float32)
    return back, name


def studio(rng: np.random.Generator) -> tuple[Picture, str]:
    """Paint what is out of focus: soft lights, and ground that catches a shadow."""
    tones: tuple[Colour, ...] = (
        (0.55, 0.62, 0.50),
        (0.62, 0.60, 0.57),
        (0.50, 0.60, 0.70),
        (0.66, 0.56, 0.46),
        (0.44, 0.46, 0.50),
        (0.72, 0.74, 0.76),
    )
    far = varied(rng, one_of(rng, tones), 0.06)
    ground, level = mixed(far, one_of(rng, tones), 0.5), rng.uniform(0.62, 0.78)
    back = gradient(mixed(far, (1, 1, 1), 0.15), mixed(far, (0, 0, 0), 0.2), end=level)
    y, _ = grid()
    floor = soft_step(y, level, 0.05)
    lit = gradient(mixed(ground, (0, 0, 0), 0.05), mixed(ground, (1, 1, 1), 0.3), start=level)
    back = back * (1 - floor) + lit * floor
    if rng.random() < 0.6:
        for _ in range(rng.integers(3, 7)):
            spot = glow(rng.random(), rng.random() * level, rng.uniform(0.06, 0.14))
            light = column(varied(rng, (0.95, 0.88, 0.72), 0.1))
            back = back + (light - back) * spot * rng.uniform(0.2, 0.5)
    return back, ""


def varnished(rng: np.random.Generator) -> tuple[Picture, str]:
    """Paint what is behind an old painting: dark, with some light."""
    tones: tuple[Colour, ...] = (
        (0.24, 0.15, 0.09),
        (0.15, 0.20, 0.15),
        (0.34, 0.22, 0.12),
        (0.17, 0.20, 0.26),
        (0.32, 0.12, 0.10),
        (0.60, 0.64, 0.62),
        (0.52, 0.60, 0.58),
        (0.62, 0.68, 0.74),
        (0.22, 0.33, 0.38),
    )
    dark = varied(rng, one_of(rng, tones), 0.05)
    light = mixed(dark, (0.82, 0.72, 0.52), 0.3)
    share = glow(rng.uniform(0.3, 0.6), 0.4, 0.5) * 0.8 + clouds(rng, 5) * 0.25
    return column(dark) + (column(light) - column(dark)) * share, ""


def tinted(rng: np.random.Generator) -> tuple[Picture, str]:
    """Paint a thin wash of one colour."""
    names = tuple(BRIGHT)[:8]
    name = one_of(rng, names)
    wash = mixed(BRIGHT[name], (1, 1, 1), 0.45)
    return column(wash) + (1 - column(wash)) * clouds(rng, 4) * 0.8, ""


def printed(rng: np.random.Generator) -> tuple[Picture, str]:
    """Return paper for ink: bare, or with an even tone, or one that fades."""
    kind, dark = rng.random(), rng.uniform(0.3, 0.6)
    if kind < 0.25:
        return plain((1.0, 1.0, 1.0)), ""
    if kind < 0.6:
        tone = dark + 0.3 * glow(0.5, 0.5, 0.6) * rng.integers(2) + 0.1 * clouds(rng, 4)
        return np.repeat(tone[None].astype(np.float32), 3, axis=0), ""
    return gradient((1.0, 1.0, 1.0), (dark, dark, dark)), ""

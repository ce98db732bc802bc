"""Skies that say what they are: by day, with clouds, at sunset, at night, and their light."""

from typing import NamedTuple

import numpy as np

from fundiff.painters.emoji.canvas import Colour, Layer, Picture, column, glow, gradient, varied
from fundiff.painters.emoji.nature import clouded, sky


class Sky(NamedTuple):
    """A sky, and what goes with it."""

    picture: Picture
    words: tuple[str, ...]
    light: Colour

    def lit(self, layer: Layer) -> Layer:
        """Return what is under the sky in its light."""
        return np.concatenate([layer[:3] * column(self.light), layer[3:]])

    @property
    def dark(self) -> bool:
        """Whether it is night."""
        return max(self.light) < 0.7


def some_sky(rng: np.random.Generator) -> Sky:
    """Paint a sky, a blue one half the time."""
    kind = rng.random()
    if kind < 0.55:
        return blue(rng)
    return cloudy(rng) if kind < 0.71 else sunset(rng) if kind < 0.92 else night(rng)


def blue(rng: np.random.Generator) -> Sky:
    """Paint a blue sky, mostly with a few clouds."""
    top, low = varied(rng, (0.22, 0.50, 0.88), 0.06), varied(rng, (0.70, 0.87, 0.98), 0.03)
    back = gradient(top, low, end=rng.uniform(0.6, 0.95))
    picture = clouded(rng, back) if rng.random() < 0.7 else back
    return Sky(picture, ("under a blue sky", "under a blue sky", "on a sunny day"), (1, 1, 1))


def cloudy(rng: np.random.Generator) -> Sky:
    """Paint a grey sky."""
    back = gradient(varied(rng, (0.55, 0.60, 0.68)), varied(rng, (0.82, 0.85, 0.88), 0.03))
    return Sky(clouded(rng, back), ("under a cloudy sky", "under a grey sky"), (0.86, 0.9, 0.94))


def sunset(rng: np.random.Generator) -> Sky:
    """Paint the sky at sunset, often with the sun in it."""
    top, low = varied(rng, (0.30, 0.30, 0.56), 0.08), varied(rng, (0.99, 0.66, 0.36), 0.05)
    back = clouded(rng, gradient(top, low, end=rng.uniform(0.5, 0.7)))
    if rng.random() < 0.6:
        x, y = rng.uniform(0.15, 0.85), rng.uniform(0.38, 0.5)
        disc, halo = np.clip(glow(x, y, 0.09) * 3 - 1, 0, 1), glow(x, y, 0.3) * 0.5
        back = back + (column((1, 0.92, 0.62)) - back) * np.maximum(disc, halo)
    return Sky(back, ("at sunset", "at sunset", "at dusk"), (0.87, 0.68, 0.64))


def night(rng: np.random.Generator) -> Sky:
    """Paint the sky at night."""
    return Sky(sky(rng, night=True), ("at night", "at night", "under the stars"), (0.4, 0.45, 0.62))

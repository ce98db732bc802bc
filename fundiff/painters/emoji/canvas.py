"""What pictures are painted with: layers, colours, gradients, blurs, shapes with soft edges.

Pictures are float32 arrays, channels first, in :math:`[0, 1]`; a layer has its opacity as the
fourth channel, and its colours are premultiplied with it. Coordinates run from 0 to 1, down.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

SIDE = 64
"""The side of a picture in pixels."""

Picture = Float32[np.ndarray, "3 64 64"]
"""RGB in :math:`[0, 1]`."""

Layer = Float32[np.ndarray, "4 64 64"]
"""Premultiplied RGBA in :math:`[0, 1]`."""

Tone = Float32[np.ndarray, "64 64"]
"""One number a pixel."""

Option = TypeVar("Option")

Colour = tuple[float, float, float]
"""RGB in :math:`[0, 1]`."""


def one_of(rng: np.random.Generator, options: Sequence[Option]) -> Option:
    """Return one of several things, each as likely."""
    return options[int(rng.integers(len(options)))]


def over(back: Picture, *layers: Layer) -> Picture:
    """Lay layers over a picture, in order."""
    for layer in layers:
        back = layer[:3] + back * (1 - layer[3])
    return back


def merged(*layers: Layer) -> Layer:
    """Lay layers over one another, the first at the bottom."""
    out = layers[0]
    for layer in layers[1:]:
        out = layer + out * (1 - layer[3])
    return out


def column(colour: Colour) -> Float32[np.ndarray, "3 1 1"]:
    """Return a colour in the shape of a picture's channels."""
    return np.array(colour, np.float32)[:, None, None]


def plain(colour: Colour) -> Picture:
    """Return a picture of one colour."""
    return np.broadcast_to(column(colour), (3, SIDE, SIDE)).copy()


def gradient(top: Colour, bottom: Colour, *, start: float = 0.0, end: float = 1.0) -> Picture:
    """Return a picture that goes from one colour at ``start`` down to another at ``end``."""
    y, _ = grid()
    share = np.clip((y - start) / max(end - start, 1e-6), 0, 1)
    return column(top) * (1 - share) + column(bottom) * share


def glow(x: float, y: float, radius: float, *, flat: float = 1.0) -> Tone:
    """Return a soft spot: 1 in its centre, falling off as a Gaussian, ``flat`` times as high."""
    down, right = grid()
    return np.exp(-(((right - x) / radius) ** 2) - ((down - y) / (radius * flat)) ** 2)


def clouds(rng: np.random.Generator, cells: int) -> Tone:
    """Return smooth noise in :math:`[0, 1]` with so many cells a side."""
    weights = _upscale(cells)
    coarse = rng.random((cells, cells), dtype=np.float32)
    return np.ascontiguousarray(weights @ coarse @ weights.T)


def blur(
    x: Float32[np.ndarray, "*channel 64 64"], sigma: float
) -> Float32[np.ndarray, "*channel 64 64"]:
    """Blur the last two axes by a Gaussian; ``sigma`` is in pixels, rounded to a quarter."""
    weights = _gaussian(max(1, round(sigma * 4)))
    out: Float32[np.ndarray, "*channel 64 64"] = weights @ x @ weights.T
    return out


def grey(picture: Picture) -> Tone:
    """Return the brightness of a picture."""
    result: Tone = 0.299 * picture[0] + 0.587 * picture[1] + 0.114 * picture[2]
    return result


def contrast(back: Picture, front: Layer) -> float:
    """Return how far the mean colours of a subject and of what is behind it are apart."""
    alpha = front[3]
    inside = max(float(alpha.sum()), 1.0)
    apart = (front[:3].sum((1, 2)) - (back * alpha).sum((1, 2))) / inside
    return float(np.abs(apart).max())


def mixed(a: Colour, b: Colour, share: float) -> Colour:
    """Return a colour between two: the first at 0, the second at 1."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def varied(rng: np.random.Generator, colour: Colour, amount: float = 0.06) -> Colour:
    """Return a colour near another."""
    light = rng.uniform(-amount, amount)
    r, g, b = (
        min(1.0, max(0.0, value + light + rng.uniform(-amount, amount) / 2)) for value in colour
    )
    return r, g, b


def placed(
    sprite: UInt8[np.ndarray, "64 64 4"],
    *,
    x: float = 0.5,
    y: float = 0.5,
    width: float = 1.0,
    height: float | None = None,
    degrees: float = 0.0,
    flip: bool = False,
) -> Layer:
    """Lay a premultiplied sprite on a canvas, around a centre.

    Args:
        sprite: The sprite, channels last.
        x: The centre's place from the left.
        y: The centre's place from the top.
        width: The width of the whole sprite, 1 being that of the canvas.
        height: The same for its height; by default as the width.
        degrees: How far it's turned, counterclockwise.
        flip: Whether it is mirrored.
    """
    turn, tall = math.radians(degrees), height or width
    image = Image.frombuffer("RGBa", (SIDE, SIDE), sprite, "raw", "RGBa", 0, 1)
    small = min(width, tall)
    if small < 0.6:
        half = max(2, round(SIDE * max(small * 1.2, 0.1)))
        image = image.resize((half, half), Image.Resampling.BOX)
    side = image.width
    cos, sin = math.cos(turn), math.sin(turn)
    left = -1.0 if flip else 1.0
    a, b = left * cos / width * side / SIDE, -left * sin / width * side / SIDE
    d, e = sin / tall * side / SIDE, cos / tall * side / SIDE
    middle, cx, cy = side / 2, x * SIDE, y * SIDE
    matrix = (a, b, middle - a * cx - b * cy, d, e, middle - d * cx - e * cy)
    out = image.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC
    )
    return floats(out)


@cache
def grid() -> tuple[Tone, Tone]:
    """Return how far down and how far right every pixel's centre is."""
    at = (np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE
    return (
        np.broadcast_to(at[:, None], (SIDE, SIDE)),
        np.broadcast_to(at[None, :], (SIDE, SIDE)),
    )


@cache
def _gaussian(quarters: int) -> Tone:
    at = np.arange(SIDE)
    weights = np.exp(-(((at[:, None] - at[None, :]) / (quarters / 4)) ** 2) / 2)
    result: Tone = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    return result


@cache
def _upscale(cells: int) -> Float32[np.ndarray, "64 cells"]:
    at = np.linspace(0, cells - 1, SIDE)[:, None] - np.arange(cells)
    near = np.clip(1 - np.abs(at), 0, 1)
    result: Float32[np.ndarray, "64 cells"] = (near * near * (3 - 2 * near)).astype(np.float32)
    return result


def floats(image: Image.Image) -> Layer:
    """Return a small premultiplied image (mode RGBa) as a layer."""
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(SIDE, SIDE, 4)
    values = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    values *= 1 / 255
    np.minimum(values[:3], values[3], out=values[:3])
    return values

"""How pictures are filtered: brush strokes, hatching, outlines, contrast.

The patterns are made once, from fixed seeds, and then only cut and turned.
"""

from functools import cache

import numpy as np
from jaxtyping import Float32, Int64

from fundiff.painters.emoji.canvas import SIDE, Picture, Tone, blur, grey, grid

_CANVAS = 96

_SHEETS = 8


def soft_step(
    x: Float32[np.ndarray, "*channel 64 64"], at: float, width: float
) -> Float32[np.ndarray, "*channel 64 64"]:
    """Return 0 well below a value and 1 well above it, smooth over ``width`` to either side."""
    share = np.clip((x - at) / (2 * width) + 0.5, 0, 1)
    result: Float32[np.ndarray, "*channel 64 64"] = share * share * (3 - 2 * share)
    return result


def saturated(picture: Picture, amount: float) -> Picture:
    """Return a picture with its colours ``amount`` times as strong, grey at 0."""
    light = grey(picture)
    result: Picture = np.clip(light + (picture - light) * np.float32(amount), 0, 1)
    return result


def stretched(tone: Tone) -> Tone:
    """Return the brightness with its darkest pixels at 0 and its brightest at 1."""
    ordered = np.sort(tone, axis=None)
    low, high = float(ordered[len(ordered) // 50]), float(ordered[-len(ordered) // 50])
    return np.clip((tone - low) / max(high - low, 0.15), 0, 1)


def edges(picture: Picture) -> Tone:
    """Return where colours change: about 1 where they jump, whatever the colours are."""
    down = np.abs(np.diff(picture, axis=1, append=picture[:, -1:]))
    right = np.abs(np.diff(picture, axis=2, append=picture[:, :, -1:]))
    out: Tone = np.clip((down + right).max(0) * 1.25 - 0.14, 0, 1)
    return out


def outline(alpha: Tone, width: float) -> Tone:
    """Return a line around what is visible, outside of it, so many pixels wide."""
    result: Tone = np.clip(soft_step(blur(alpha, width), 0.2, 0.15) - alpha, 0, 1)
    return result


def hatched(rng: np.random.Generator, ink: Tone) -> Tone:
    """Return strokes of ink that follow a tone: lines where it's light, crossed where it's dark.

    Args:
        rng: Chooses the direction of the lines.
        ink: How much ink is wanted, in :math:`[0, 1]`.
    """
    first, second = _hatching(int(rng.integers(4)))
    light = soft_step(ink * 1.5 - first, 0.3, 0.3)
    dark = soft_step(ink * 1.5 - 0.55 - second, 0.3, 0.3)
    result: Tone = np.maximum(0.8 * light, dark)
    return result


def painted(rng: np.random.Generator, picture: Picture) -> Picture:
    """Return a picture in brush strokes: long ones where it's calm, short ones on details."""
    down, right = (int(n) for n in rng.integers(_CANVAS - SIDE, size=2))
    flip = rng.random() < 0.5
    smooth = blur(picture, 0.7)
    layers = []
    for size in (0, 1):
        source, bristle = _strokes(size, int(rng.integers(_SHEETS)))
        cut = (slice(down, down + SIDE), slice(right, right + SIDE))
        move, relief = source[:, cut[0], cut[1]], bristle[cut]
        if flip:
            move, relief = move[:, :, ::-1] * np.array([1, -1])[:, None, None], relief[:, ::-1]
        rows, columns = _pixels()
        y = np.clip(rows + move[0], 0, SIDE - 1)
        x = np.clip(columns + move[1], 0, SIDE - 1)
        layers.append(smooth[:, y, x] * relief)
    busy = blur(edges(picture), 1.5)
    fine, detail = soft_step(busy, 0.035, 0.03), 0.2 + 0.55 * soft_step(busy, 0.12, 0.12)
    out = blur(layers[0] * (1 - fine) + layers[1] * fine, 0.4)
    return out * (1 - detail) + picture * detail


@cache
def _pixels() -> tuple[Int64[np.ndarray, "64 1"], Int64[np.ndarray, "1 64"]]:
    at = np.arange(SIDE)
    return at[:, None], at[None, :]


@cache
def _hatching(turn: int) -> tuple[Tone, Tone]:
    y, x = grid()
    angle = np.pi * (0.25, 0.75, 0.15, 0.6)[turn]
    out = []
    for direction in (angle, angle + np.pi / 2):
        phase = (x * np.cos(direction) + y * np.sin(direction)) * SIDE / 3.6
        out.append(np.abs(2 * (phase - np.floor(phase)) - 1).astype(np.float32))
    return out[0], out[1]


@cache
def _strokes(
    size: int, seed: int
) -> tuple[Int64[np.ndarray, "2 96 96"], Float32[np.ndarray, "96 96"]]:
    """Cover a canvas with strokes: how far each pixel is from its stroke's middle, and relief."""
    rng = np.random.default_rng((size, seed))
    long, wide, count = ((4.6, 2.0, 1000), (2.2, 1.05, 3200))[size]
    at = np.arange(_CANVAS)
    move = np.zeros((2, _CANVAS, _CANVAS), np.int64)
    relief = np.ones((_CANVAS, _CANVAS), np.float32)
    bend, lean = rng.uniform(0, 6, 2), rng.uniform(0, np.pi)
    reach = int(long) + 2
    for _ in range(count):
        cy, cx = rng.uniform(0, _CANVAS, 2)
        angle = lean + 0.9 * np.sin(cx / 17 + bend[0]) + 0.9 * np.sin(cy / 21 + bend[1])
        rows = at[max(0, int(cy) - reach) : int(cy) + reach + 1, None]
        columns = at[None, max(0, int(cx) - reach) : int(cx) + reach + 1]
        along = (columns - cx) * np.cos(angle) + (rows - cy) * np.sin(angle)
        across = (rows - cy) * np.cos(angle) - (columns - cx) * np.sin(angle)
        inside = (along / long) ** 2 + (across / wide) ** 2 < 1
        box = (slice(rows[0, 0], rows[-1, 0] + 1), slice(columns[0, 0], columns[0, -1] + 1))
        light = 1 + rng.normal(0, 0.055) + 0.06 * across / wide
        relief[box] = np.where(inside, light, relief[box])
        for axis, (centre, pixel) in enumerate(((cy, rows), (cx, columns))):
            move[axis][box] = np.where(inside, int(centre) - pixel, move[axis][box])
    return move, relief.astype(np.float32)

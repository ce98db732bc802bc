"""Shapes with soft edges, drawn one over the other."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from fundiff.painters.emoji.canvas import SIDE, Colour, Layer, floats

_FINE = 3


class Shapes:
    """A layer that shapes are drawn on, one over the other, with soft edges.

    Args:
        zoom: How much larger everything is drawn.
        centre: The point that stays where it is.
    """

    def __init__(self, zoom: float = 1.0, centre: tuple[float, float] = (0.5, 0.5)) -> None:
        self._zoom, self._centre = zoom, centre
        side = SIDE * _FINE
        self._image = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._image)

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([self._fine(x, y) for x, y in points], fill=_bytes(colour))

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an upright ellipse around a centre."""
        if rx > 0 and ry > 0:
            self._draw.ellipse(
                (*self._fine(x - rx, y - ry), *self._fine(x + rx, y + ry)), fill=_bytes(colour)
            )

    def dome(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill the upper half of an ellipse around a centre."""
        box = (*self._fine(x - rx, y - ry), *self._fine(x + rx, y + ry))
        self._draw.pieslice(box, 180, 360, fill=_bytes(colour))

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill a rectangle given by two corners, the upper left one first."""
        if x1 > x0 and y1 > y0:
            self._draw.rectangle((*self._fine(x0, y0), *self._fine(x1, y1)), fill=_bytes(colour))

    def line(
        self, points: Sequence[tuple[float, float]], colour: Colour, width: float = 0.015
    ) -> None:
        """Draw a line through points."""
        wide = self._wide(width)
        self._draw.line(
            [self._fine(x, y) for x, y in points], fill=_bytes(colour), width=wide, joint="curve"
        )

    def arc(
        self,
        centre: tuple[float, float],
        radii: tuple[float, float],
        degrees: tuple[float, float],
        colour: Colour,
        width: float = 0.015,
    ) -> None:
        """Draw a part of an ellipse's outline, clockwise from three o'clock."""
        (x, y), (rx, ry) = centre, radii
        box = (*self._fine(x - rx, y - ry), *self._fine(x + rx, y + ry))
        wide = self._wide(width)
        self._draw.arc(box, *degrees, fill=_bytes(colour), width=wide)

    def layer(self) -> Layer:
        """Return what was drawn."""
        return floats(self._image.reduce(_FINE).convert("RGBa"))

    def _fine(self, x: float, y: float) -> tuple[float, float]:
        (left, top), side = self._centre, SIDE * _FINE
        return (left + (x - left) * self._zoom) * side, (top + (y - top) * self._zoom) * side

    def _wide(self, width: float) -> int:
        return max(1, round(width * self._zoom * SIDE * _FINE))


def _bytes(colour: Colour) -> tuple[int, int, int, int]:
    r, g, b = (round(255 * min(1.0, max(0.0, value))) for value in colour)
    return r, g, b, 255

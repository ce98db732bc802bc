"""Rows and grids of images, every pixel a whole square.

Figures are transparent, so one file serves a light and a dark page. Each shows itself as the last
value of a notebook cell and can be saved; none needs pyplot or its global state.
"""

import io
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from fundiff.data.pictures import to_uint8
from fundiff.errors import FundiffError
from fundiff.plots.style import INK
from fundiff.types import Images

_ADVANCE = 0.6
"""How wide the letters of a title are in the mean, at most, as a share of the font's size."""


class Pictures(Figure):
    """A figure of images, shown as PNG with every pixel a whole square."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()


def show(
    images: Images,
    titles: Sequence[str] | None = None,
    *,
    low: float = -1.0,
    high: float = 1.0,
) -> None:
    """Show images side by side: in a window, or in a notebook below its cell.

    Arguments and errors are those of :func:`image_row`, which draws them.
    """
    from matplotlib import pyplot

    figure = image_row(images, titles, low=low, high=high)
    drawn = np.asarray(Image.open(io.BytesIO(figure._repr_png_())))
    pyplot.figure(figsize=figure.get_size_inches(), dpi=figure.dpi).figimage(drawn)
    pyplot.show()


def image_row(
    images: Images,
    titles: Sequence[str] | None = None,
    *,
    low: float = -1.0,
    high: float = 1.0,
) -> Pictures:
    """Show images side by side.

    Args:
        images: One image a column, grey or RGB.
        titles: One line over each.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The figure.

    Raises:
        FundiffError: The number of titles isn't the number of images, or as :func:`image_grid`.
    """
    return image_grid([images], column_titles=titles, low=low, high=high)


def image_grid(
    rows: Sequence[Images],
    *,
    row_titles: Sequence[str] | None = None,
    column_titles: Sequence[str] | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> Pictures:
    """Show rows of images of one size.

    Args:
        rows: One batch a row, each with as many images as there are columns, grey or RGB.
        row_titles: A few words beside each row.
        column_titles: One line over each column.
        low: The value shown as black.
        high: The value shown as white; values outside are clipped.

    Returns:
        The figure.

    Raises:
        FundiffError: The rows differ in shape, or titles don't fit them.
    """
    if not rows or len({row.shape[:1] + row.shape[2:] for row in rows}) != 1:
        raise FundiffError(
            "expected at least one row, all with the same number and size of images, got "
            f"{[[*row.shape] for row in rows]}"
        )
    columns, _, height, width = rows[0].shape
    require_titles("row", row_titles, len(rows))
    require_titles("column", column_titles, columns)

    zoom = max(1, min(384 // width, 1440 // (columns * width)))
    cell = (zoom * width, zoom * height)
    gap = max(4, cell[0] // 24)
    font = _font(columns, cell, gap, row_titles or (), column_titles or ())
    lines = [line for title in row_titles or () for line in title.split("\n")]
    left = int(_ADVANCE * font * max(map(len, lines))) + font if lines else 0
    top = 2 * font if column_titles else 0
    size = (
        left + columns * (cell[0] + gap) - gap,
        top + len(rows) * (cell[1] + gap) - gap,
    )
    figure = Pictures(figsize=(size[0] / 100, size[1] / 100), dpi=100, facecolor="none")
    for i, row in enumerate(rows):
        for j, pixels in enumerate(to_uint8(row, low=low, high=high)):
            corner = (left + j * (cell[0] + gap), top + i * (cell[1] + gap))
            _place(figure, pixels, corner, cell)
    for j, title in enumerate(column_titles or ()):
        middle = left + j * (cell[0] + gap) + cell[0] / 2
        _write(figure, title, (middle, top / 2), font, align="center")
    for i, title in enumerate(row_titles or ()):
        middle = top + i * (cell[1] + gap) + cell[1] / 2
        _write(figure, title, (left - font * 0.7, middle), font, align="right")
    return figure


def _font(
    columns: int,
    cell: tuple[int, int],
    gap: int,
    row_titles: Sequence[str],
    column_titles: Sequence[str],
) -> int:
    """Choose a size in pixels that reads alike in a page, to whose width wide figures shrink."""
    fits = [34, columns * (cell[0] + gap) // 48]
    if column_titles:
        fits.append(int((cell[0] + gap) / (_ADVANCE * max(map(len, column_titles)))))
    if row_titles:
        fits.append(cell[1] // (1 + max(title.count("\n") + 1 for title in row_titles)))
    return max(15, min(fits))


def _place(
    figure: Figure,
    pixels: UInt8[Tensor, "height width channel"],
    corner: tuple[float, float],
    cell: tuple[float, float],
) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    axes = figure.add_axes(
        (
            corner[0] / width,
            1 - (corner[1] + cell[1]) / height,
            cell[0] / width,
            cell[1] / height,
        )
    )
    axes.imshow(rgb(pixels), interpolation="nearest")
    axes.set_axis_off()


def _write(figure: Figure, words: str, at: tuple[float, float], font: float, *, align: str) -> None:
    width, height = figure.get_size_inches() * figure.dpi
    figure.text(
        at[0] / width,
        1 - at[1] / height,
        words,
        color=INK,
        fontsize=0.72 * font,
        ha=align,
        va="center",
    )


def rgb(pixels: UInt8[Tensor, "height width channel"]) -> np.ndarray:
    """Return pixels, grey or RGB, in three channels, for matplotlib and Pillow."""
    return pixels.expand(-1, -1, 3).cpu().numpy()


def require_titles(which: str, titles: Sequence[str] | None, count: int) -> None:
    """Refuse titles of which there aren't as many as what they are of."""
    if titles is not None and len(titles) != count:
        raise FundiffError(f"expected {count} {which} titles, got {len(titles)}: {list(titles)}")

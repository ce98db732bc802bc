"""Many small pictures in one PNG file, side by side without gaps, and back again unchanged."""

import io
import math
import os

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from fundiff.data.pictures import flattened, read_picture, require_png, to_uint8
from fundiff.errors import FundiffError
from fundiff.files import write
from fundiff.types import Images


def save(
    images: Images,
    path: str | os.PathLike[str],
    *,
    columns: int | None = None,
    low: float = -1.0,
    high: float = 1.0,
) -> None:
    """Write images as one PNG file, whole or not at all, side by side without gaps.

    Args:
        images: Grey or RGB; values outside the range are clamped.
        path: The file, which ends in ``.png``; one that is there is replaced.
        columns: How many a row; by default all of them.
        low: The value that becomes black.
        high: The value that becomes white.

    Raises:
        FundiffError: The file isn't called ``.png``, there is no image, it is neither grey nor RGB,
            or a value isn't finite.
        OSError: The file can't be written.
    """
    require_png(path)
    if images.shape[1] not in (1, 3):
        raise FundiffError(f"expected grey or RGB images, got {images.shape[1]} channels")
    pixels = to_uint8(images, low=low, high=high).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)
    write(path, sheet_png(pixels, columns=len(images) if columns is None else columns))


def sheet_png(pictures: UInt8[Tensor, "picture 3 height width"], *, columns: int) -> bytes:
    """Lay pictures out in rows.

    Args:
        pictures: The pictures, in bytes; a last row that isn't full is filled up in black.
        columns: How many a row.

    Returns:
        The bytes of a PNG.

    Raises:
        FundiffError: There is no picture, or no column.
    """
    if not len(pictures) or columns < 1:
        raise FundiffError(f"a sheet needs pictures and columns, got {len(pictures)} and {columns}")
    rows, (_, _, height, width) = math.ceil(len(pictures) / columns), pictures.shape
    filled = torch.zeros(rows * columns, 3, height, width, dtype=torch.uint8)
    filled[: len(pictures)] = pictures.cpu()
    laid = filled.view(rows, columns, 3, height, width).permute(0, 3, 1, 4, 2)
    png = io.BytesIO()
    pixels = laid.reshape(rows * height, columns * width, 3).contiguous().numpy()
    Image.fromarray(pixels).save(png, format="PNG", optimize=True)
    return png.getvalue()


def read_sheet(path: str | os.PathLike[str], *, side: int = 64) -> Images:
    """Read the pictures of a sheet, row by row.

    Args:
        path: A file of what :func:`sheet_png` returned.
        side: The width and height of each picture.

    Returns:
        RGB in [-1, 1], with what filled the last row up.

    Raises:
        PictureError: The file can't be read as a picture.
        FundiffError: Its width and height aren't multiples of ``side``.
    """
    pixels = torch.from_numpy(np.array(read_picture(path, flattened)))
    height, width, _ = pixels.shape
    if height % side or width % side:
        raise FundiffError(f"{path} has {width} by {height} pixels: no sheet of {side} by {side}")
    cells = pixels.view(height // side, side, width // side, side, 3).permute(0, 2, 4, 1, 3)
    return cells.reshape(-1, 3, side, side).float() / 127.5 - 1

"""Many small pictures in one PNG file, side by side without gaps, and back again unchanged."""

import io
import math
import os

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from fundiff.types import Images


def sheet_png(pictures: UInt8[Tensor, "picture 3 side side"], *, columns: int) -> bytes:
    """Lay pictures out in rows.

    Args:
        pictures: The pictures, in bytes; a last row that isn't full is filled up in black.
        columns: How many a row.

    Returns:
        The bytes of a PNG.

    Raises:
        ValueError: There is no picture, or no column.
    """
    if not len(pictures) or columns < 1:
        raise ValueError(f"a sheet needs pictures and columns, got {len(pictures)} and {columns}")
    rows, side = math.ceil(len(pictures) / columns), pictures.shape[-1]
    filled = torch.zeros(rows * columns, 3, side, side, dtype=torch.uint8)
    filled[: len(pictures)] = pictures.cpu()
    laid = filled.view(rows, columns, 3, side, side).permute(0, 3, 1, 4, 2)
    png = io.BytesIO()
    pixels = laid.reshape(rows * side, columns * side, 3).contiguous().numpy()
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
        OSError: The file can't be read as a picture.
        ValueError: Its width and height aren't multiples of ``side``.
    """
    with Image.open(path) as image:
        pixels = torch.from_numpy(np.array(image.convert("RGB")))
    height, width, _ = pixels.shape
    if height % side or width % side:
        raise ValueError(f"{path} has {width} by {height} pixels: no sheet of {side} by {side}")
    cells = pixels.view(height // side, side, width // side, side, 3).permute(0, 2, 4, 1, 3)
    return cells.reshape(-1, 3, side, side).float() / 127.5 - 1

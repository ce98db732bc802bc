"""Masks: what of a picture is marked, to be repainted, in whatever way people mark it."""

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from numpy import ndarray
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from fundiff.data.pictures import (
    PictureError,
    as_images,
    flattened,
    read_picture,
    records,
    require_size,
    shipped_picture,
)
from fundiff.errors import FundiffWarning
from fundiff.types import Images

Mask = Float[Tensor, "1 1 height width"]
"""One mask, ``(1, 1, height, width)``, 1 where to repaint, 0 where to keep."""

Marks = Bool[ndarray, "rows columns"]

CONTRAST = 32
"""How far, of 255, colours have to lie apart where there are more than two, or it may be noise."""

DRAWN = 72
"""How many colours strokes have at most, by sixteenths of each channel; a photograph has
more."""

BETWEEN = 1 / 3
"""What share of a mask may be neither dark nor bright, as soft edges are; of a photograph it is
more."""


def load_mask(path: str | os.PathLike[str], *, size: int = 64) -> Mask:
    """Read a picture file as a mask: 1 where it is marked, to be repainted, else 0, to be kept.

    Marked is what is brighter than halfway from the darkest to the brightest, such as white on
    black, red on black, 1 among 0. Of a file with transparent parts it is the smaller of
    the two parts; but always what is painted if that is white, and what was erased if the rest is a
    photograph. After the crop that :func:`fundiff.data.pictures.load_picture` makes, a pixel is 1
    where any part of it is marked, however thin; a warning tells of marks outside of the crop.

    Args:
        path: As :func:`fundiff.data.pictures.load_picture`.
        size: The side of the result in pixels.

    Returns:
        One mask, ``(1, 1, size, size)``, float32, every value exactly 0 or 1.

    Raises:
        PictureError: The file can't be read as a mask, or nothing in the square is marked.
        FundiffError: ``size`` isn't positive.
    """
    return _as_mask(path, read_picture(path, marks), size)


def load_inpainting(
    picture: str | os.PathLike[str], mask: str | os.PathLike[str], *, size: int = 64
) -> tuple[Images, Mask]:
    """Read a picture and the mask of what to repaint in it, cropped to the same square.

    It is the square in the middle, moved as far as it takes to have in it what is marked.

    Args:
        picture: The picture, as :func:`fundiff.data.pictures.load_picture`.
        mask: The mask, as :func:`load_mask`, of the same shape but for its scale.
        size: The side of both results in pixels.

    Returns:
        The picture and the mask, as those two return them.

    Raises:
        PictureError: One can't be read, they differ in shape, nothing is marked, or no square has
            all marks in it.
        FundiffError: ``size`` isn't positive.
    """
    image, marked = read_picture(picture, flattened), read_picture(mask, marks)
    (width, height), (rows, columns) = image.size, marked.shape
    if abs(width * rows - height * columns) > max(width, height, rows, columns):
        raise PictureError(
            f"{mask}: expected a mask in the proportions of {picture}, {width} by {height}; found: "
            f"{columns} by {rows}; crop or turn one like the other"
        )
    span = max(np.ptp(places) + 1 if len(places) else 0 for places in marked.nonzero())
    if span > min(rows, columns):
        raise PictureError(
            f"{mask}: the marks spread over {span} pixels, in a picture of {width} by {height} "
            "of which a square is painted: crop both, or paint the marks one after the other"
        )
    centre = _centre(marked)
    return as_images(image, size, centre), _as_mask(mask, marked, size, centre)


def mask_names() -> tuple[str, ...]:
    """Return the names of the library's pictures that have a mask, sorted."""
    return tuple(name for name, record in records().items() if "mask" in record)


def mask(name: str, *, size: int = 64) -> Mask:
    """Return the mask of one of the library's pictures: 1 where to repaint, 0 where to keep.

    It is float32, every value exactly 0 or 1. Arguments and errors are those of
    :func:`fundiff.data.pictures.picture`, for the names of :func:`mask_names`.
    """
    return _as_mask(name, marks(shipped_picture(name, mask_names(), "-mask.png")), size)


def marks(image: Image.Image) -> Marks:
    """Find what somebody has marked, as :func:`load_mask` says, at the picture's own size."""
    if image.has_transparency_data:
        layers = np.asarray(image.convert("RGBA")).astype(np.int32)
        alpha = layers[..., 3]
        if alpha.max() < CONTRAST:
            return np.zeros(alpha.shape, bool)
        if np.ptp(alpha) >= CONTRAST:
            painted = alpha > (alpha.min() + alpha.max()) / 2
            colours = layers[painted][:, :3]
            if colours.min() > 255 - CONTRAST:
                return np.asarray(painted)
            packed = (colours >> 4) @ [256, 16, 1]
            is_smaller = painted.mean() <= 0.5 and len(np.unique(packed)) <= DRAWN
            return np.asarray(painted if is_smaller else ~painted)
        image = image.convert("RGB")
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = np.asarray(image).astype(np.float64)
        if not np.isfinite(grey).all():
            raise ValueError("values that aren't finite")
        most = 65535 if image.mode.startswith("I;16") else max(grey.max(), 1.0)
        grey *= 255 / most
    else:
        bands = [image.convert("L"), *image.convert("RGB").split()]
        greys = [np.asarray(band).astype(np.float64) for band in bands]
        grey = greys[0] if np.ptp(greys[0]) >= CONTRAST else max(greys, key=np.ptp)
    low, high = grey.min(), grey.max()
    if len(np.unique(grey)) == 2 or high - low >= CONTRAST:
        quarter = (high - low) / 4
        if ((grey > low + quarter) & (grey < high - quarter)).mean() > BETWEEN:
            raise ValueError("all shades, as of a photograph, where marks differ from the rest")
    else:
        low, high = 0, 255
    return np.asarray(grey > (low + high) / 2)


def _centre(marked: Marks) -> tuple[float, float]:
    """Say how far from the left and from the top, 0 to 1, the square lies that has all marks."""
    places = []
    for axis, length in ((1, marked.shape[1]), (0, marked.shape[0])):
        spare, where = length - min(marked.shape), np.unique(marked.nonzero()[axis])
        place = spare / 2
        if spare and len(where):
            first, last = int(where[0]), int(where[-1]) + 1 - min(marked.shape)
            place = min(max(place, last), first, spare)
        places.append(place / spare if spare else 0.5)
    return places[0], places[1]


def _as_mask(
    source: str | os.PathLike[str],
    marked: Marks,
    size: int,
    centre: tuple[float, float] = (0.5, 0.5),
) -> Mask:
    require_size(size)
    side = min(marked.shape)
    top, left = (
        round((length - side) * share)
        for length, share in zip(marked.shape, centre[::-1], strict=True)
    )
    square = torch.from_numpy(marked[top : top + side, left : left + side].astype(np.float32))
    if not square.any():
        raise PictureError(
            f"{Path(source)}: expected a mask, white where to repaint and black where to keep; "
            "found: nothing in its middle that is marked"
        )
    if (outside := 1 - square.sum().item() / marked.sum()) > 0:
        said = f"{Path(source)}: {outside:.0%} of the marks lie outside of the square in its middle"
        warnings.warn(said, FundiffWarning, stacklevel=3)
    return adaptive_max_pool2d(square[None, None], (size, size))

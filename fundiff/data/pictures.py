"""Pictures: files in, tensors out.

A picture from anyone is read by content and not by name, within bounds, and comes back as a square
RGB tensor in :math:`[-1, 1]`; whatever can't be read that way raises :class:`PictureError`. The
pictures that come with the library are known by name, and each has a :class:`Credit`.
"""

import io
import json
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.files import DAMAGE, write
from fundiff.types import Images

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""The file formats that are read."""

MAX_BYTES, MAX_PIXELS, MAX_TEXT = 32 * 2**20, 50_000_000, 2**20
"""How many bytes a file may have, how many pixels a picture, how many characters a comment."""

NARROW = 4096
"""A picture of 16 bits whose values all lie below this, and aren't 257 times a byte, has fewer."""

T = TypeVar("T")


class PictureError(FundiffError):
    """A picture that is refused: the file, what was expected, what was found, what to do."""


@dataclass(frozen=True)
class Credit:
    """Where a picture of the library comes from.

    Attributes:
        name: The name by which :func:`picture` knows it.
        title: What it shows.
        author: Who made it.
        source: Where it was taken from, with a public address where there is one.
        licence: The licence's SPDX expression.
        changes: What was changed.
    """

    name: str
    title: str
    author: str
    source: str
    licence: str
    changes: str


def load_picture(path: str | os.PathLike[str], *, size: int = 64) -> Images:
    """Read a picture file as a square RGB image.

    It is turned upright and laid over white, colours taken as sRGB; an animation gives its first
    frame. The largest square in the middle is kept, resized with antialiasing (Lanczos's filter).

    Args:
        path: A file in one of the :data:`FORMATS`, whatever it is called.
        size: The side of the result in pixels.

    Returns:
        One image, ``(1, 3, size, size)``, float32 in :math:`[-1, 1]`.

    Raises:
        PictureError: The file isn't there, is too large, is of another format, or is damaged.
        FundiffError: ``size`` isn't positive.
    """
    return as_images(read_picture(path, flattened), size)


def picture_names() -> tuple[str, ...]:
    """Return the names of the library's pictures, sorted."""
    return tuple(records())


def credits() -> tuple[Credit, ...]:  # noqa: A001
    """Return where each of the library's pictures comes from, sorted by name."""
    said = [field.name for field in fields(Credit)][1:]
    return tuple(Credit(name, *[record[key] for key in said]) for name, record in records().items())


def picture(name: str, *, size: int = 64) -> Images:
    """Return one of the library's pictures, by one of :func:`picture_names`.

    The result is as that of :func:`load_picture`; the files have 256 by 256 pixels.

    Raises:
        FundiffError: There is no picture of that name, or ``size`` isn't positive.
    """
    return as_images(flattened(shipped_picture(name, picture_names(), ".png")), size)


def to_uint8(
    images: Images, *, low: float = -1.0, high: float = 1.0
) -> UInt8[Tensor, "batch height width channel"]:
    """Turn images into bytes, channels last, as picture files and matplotlib want them.

    Args:
        images: Images of any number of channels; what is outside the range is clamped.
        low: The value that becomes 0.
        high: The value that becomes 255.

    Raises:
        FundiffError: A value isn't finite, or ``low`` isn't below ``high``.
    """
    if not low < high:
        raise FundiffError(f"low must be below high, got {low} and {high}")
    if not images.isfinite().all():
        raise FundiffError("images to be shown or saved must be finite, found inf or nan")
    scaled = (images.float() - low) * (255 / (high - low))
    return scaled.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def require_png(path: str | os.PathLike[str]) -> None:
    """Refuse to write pictures into a file that isn't called a PNG.

    Raises:
        FundiffError: Its name doesn't end in ``.png``.
    """
    if Path(path).suffix.lower() != ".png":
        raise FundiffError(
            f"pictures are written as PNG: expected a name that ends in .png, got {str(path)!r}"
        )


def save_picture(
    images: Float[Tensor, "1 3 height width"],
    path: str | os.PathLike[str],
    *,
    text: Mapping[str, str] | None = None,
) -> None:
    """Write one RGB image in :math:`[-1, 1]` as a PNG file, whole or not at all.

    A file that is there is replaced; the folder must exist. Values outside the range are clamped.
    Each of ``text`` is kept in the file under its name.

    Raises:
        FundiffError: There is more than one image, or a value isn't finite.
        OSError: The file can't be written.
    """
    if len(images) != 1:
        raise FundiffError(
            f"expected one image, got {len(images)}: fundiff.save writes several side by side"
        )
    png, chunks = io.BytesIO(), PngInfo()
    for name, words in (text or {}).items():
        chunks.add_text(name, words)
    picture = Image.fromarray(to_uint8(images)[0].cpu().numpy())
    picture.save(png, format="PNG", pnginfo=chunks)
    write(path, png.getvalue())


def records() -> dict[str, dict[str, Any]]:
    """Return what is known of each of the library's pictures, by name, sorted."""
    text = (files("fundiff") / "pictures" / "pictures.json").read_text(encoding="utf-8")
    return dict(sorted(json.loads(text).items()))


def shipped_picture(name: str, names: tuple[str, ...], ending: str) -> Image.Image:
    """Open one of the library's files of pictures, or say which there are."""
    if name not in names:
        raise FundiffError(f"there is no {name}{ending}; the names are {', '.join(names)}")
    data = (files("fundiff") / "pictures" / f"{name}{ending}").read_bytes()
    return _decode(data, Image.Image.copy)


def read_picture(path: str | os.PathLike[str], look: Callable[[Image.Image], T]) -> T:
    """Read a file from anyone, but no more of it than is allowed, decode it, and look at it.

    Args:
        path: The file.
        look: Is given the picture, upright.

    Returns:
        What ``look`` returns.

    Raises:
        PictureError: As :func:`load_picture`; also what ``look`` finds that it can't read.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise ValueError("a folder or a device")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ValueError("more bytes")
        return _decode(data, look)
    except DAMAGE as error:
        found = "no such format" if isinstance(error, UnidentifiedImageError) else error
        raise PictureError(
            f"{path}: expected a whole picture in {', '.join(FORMATS)}, of at most {MAX_BYTES:,} "
            f"bytes and {MAX_PIXELS:,} pixels; found: {found}; check the path, or save it as PNG"
        ) from error


def _decode(data: bytes, look: Callable[[Image.Image], T]) -> T:
    with warnings.catch_warnings():
        # a picture is shown or refused; what else a decoder warns of is no news to the reader
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError(f"{image.width:,} by {image.height:,} pixels")
            upright = ImageOps.exif_transpose(image)
            for text in image.info.values():
                if isinstance(text, str) and len(text) > MAX_TEXT:
                    raise ValueError(f"a comment of {len(text):,} characters")
            return look(upright)


def flattened(image: Image.Image) -> Image.Image:
    """Lay a picture over white, in RGB."""
    image = _eight_bit(image)
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F"):
        raise ValueError("32 bits a channel, whose range a file doesn't tell")
    if not image.mode.startswith("I;16"):
        return image
    values = np.asarray(image)
    if values.max() < NARROW and (values % 257).any():
        raise ValueError(
            f"16 bits a channel with no value above {values.max():,}, as of a camera of 12 bits, "
            "which would come out nearly black"
        )
    grey = Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if "transparency" in image.info:
        grey.putalpha(Image.fromarray(values != image.info["transparency"]).convert("L"))
    return grey


def require_size(size: int) -> None:
    """Refuse a size that no picture has."""
    if size < 1:
        raise FundiffError(f"size must be at least 1 pixel, got {size}")


def as_images(image: Image.Image, size: int, centre: tuple[float, float] = (0.5, 0.5)) -> Images:
    """Crop an RGB picture to a square and scale it.

    Args:
        image: The picture.
        size: The side of the result in pixels.
        centre: How far from the left and from the top the square lies, 0 to 1.

    Returns:
        One image, as :func:`load_picture` returns it.
    """
    require_size(size)
    square = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS, centering=centre)
    pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]
    return pixels.float().contiguous() / 127.5 - 1

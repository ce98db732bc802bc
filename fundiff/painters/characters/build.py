"""The sheets as files: every set that comes with the library, built anew."""

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import torch
from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from fundiff.data.digits import COLUMNS, SHIPPED, SIDE
from fundiff.data.labelled import Labelled, Split
from fundiff.files import require_free, write
from fundiff.painters.characters import lettering, numerals, outlines, stencils
from fundiff.painters.emoji.packages import fetch

COUNTS = {"glyphs": (8000, 2000), "shapes": (800, 200)}
"""How many pictures of what is drawn there are to train on, and how many held out."""


def build(out: Path, packages: Path) -> tuple[Path, ...]:
    """Write the sheets of the sets that come with the library.

    Args:
        out: The folder to write them in; it is made where there is none.
        packages: The folder of npm's tarballs; what is missing is fetched.

    Returns:
        The sheets.

    Raises:
        SourceError: A package can't be had, or is refused.
        SpriteError: An emoji can't be drawn, or resvg-py isn't installed.
        OccupiedError: A file of such a name is there, and isn't a sheet.
        OSError: A file can't be written.
    """
    for name in SHIPPED:
        require_free(out / f"{name}.png", _is_sheet, kind="a sheet of labelled pictures")
    out.mkdir(parents=True, exist_ok=True)
    tarballs = fetch(packages, [numerals.SOURCE, stencils.NAMES, stencils.ICONS])
    names, icons = (tarballs[source.name] for source in (stencils.NAMES, stencils.ICONS))
    built = {
        "digits": numerals.numerals(tarballs[numerals.SOURCE.name]),
        "glyphs": _drawn("glyphs", lettering.glyphs),
        "shapes": _drawn("shapes", outlines.shapes),
        "emoji": stencils.emoji(names, icons),
    }
    for name, parts in built.items():
        write(out / f"{name}.png", sheet(*parts))
    return tuple(out / f"{name}.png" for name in built)


def sheet(train: Labelled, test: Labelled) -> bytes:
    """Lay a set out as :func:`fundiff.data.digits.read_shipped` reads it.

    Args:
        train: The pictures to train on; they come first.
        test: Those held out.

    Returns:
        The bytes of a grey PNG with the labels of both as texts; a last row that isn't full is
        filled up with paper.
    """
    pictures = torch.cat([train.images, test.images])
    rows = math.ceil(len(pictures) / COLUMNS)
    cells = torch.zeros(rows * COLUMNS, SIDE, SIDE, dtype=torch.uint8)
    cells[: len(pictures)] = pictures
    laid = cells.view(rows, COLUMNS, SIDE, SIDE).transpose(1, 2).reshape(rows * SIDE, -1)
    texts, png = PngInfo(), io.BytesIO()
    for split, part in {"train": train, "test": test}.items():
        texts.add_text(split, "".join(str(label) for label in part.labels.tolist()), zip=True)
    Image.fromarray(laid.numpy()).save(png, format="PNG", optimize=True, pnginfo=texts)
    return png.getvalue()


def _is_sheet(path: Path) -> bool:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            return all(f"{image.info.get(split)}".isdecimal() for split in get_args(Split))
    except (OSError, UnidentifiedImageError):
        return False


def _drawn(name: str, draw: Callable[[Split, int], Labelled]) -> tuple[Labelled, Labelled]:
    train, test = COUNTS[name]
    return draw("train", train), draw("test", test)

"""Small grey pictures with a class each: digits, and what a model of digits has never seen.

The sets that come with the library need no network. Each is one sheet of pictures, whose content is
compared with its digest whenever it is read. The full MNIST and Fashion-MNIST come through
torchvision.
"""

from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
import torch
from PIL import Image

from fundiff.errors import FundiffError
from fundiff.files import DAMAGE

if TYPE_CHECKING:
    from torchvision.datasets import MNIST
from fundiff.data.labelled import Labelled, LabelledError, Split

SIDE, COLUMNS = 28, 100
"""The side of a picture in pixels, and how many pictures a row of a shipped sheet has."""


@dataclass(frozen=True)
class Shipped:
    """What is known of a set that comes with the library.

    Attributes:
        title: What it is and from where.
        classes: The name of each class.
        digests: The digest of each part.
    """

    title: str
    classes: tuple[str, ...]
    digests: dict[str, str]


SHIPPED = {
    "digits": Shipped(
        "handwritten digits out of the first 10,000 of MNIST's training set",
        tuple("0123456789"),
        {"train": "2f730ccbfd1c1748", "test": "45b52a973e53cc93"},
    ),
    "glyphs": Shipped(
        "letters in matplotlib's fonts",
        tuple("ABCDEFGHIJ"),
        {"train": "2855d88de16a27af", "test": "61aa3afc0ba92e8b"},
    ),
    "shapes": Shipped(
        "outlines drawn by formula",
        (
            *("triangle", "square", "hexagon", "star", "plus"),
            *("hash", "arrow", "zigzag", "heart", "spiral"),
        ),
        {"train": "01eba5dfbf43d3d2", "test": "19a8d80b63c4ddb4"},
    ),
    "emoji": Shipped(
        "emoji in one colour, by Microsoft",
        ("animals", "food", "travel", "activities", "objects"),
        {"train": "8d17faca912a1527", "test": "7df101d242557049"},
    ),
}
"""The sets that come with the library, by name."""


def digits(split: Split = "train") -> Labelled:
    """Return the digits that come with the library: ten thousand of MNIST's, shuffled.

    Args:
        split: 8,000 to train on, or the 2,000 held out; each class is split four to one.

    Raises:
        LabelledError: The file is damaged.
        FundiffError: There is no such part.

    Source:
        LeCun, Cortes and Burges, *The MNIST database of handwritten digits*, derived from NIST's
        Special Databases 1 and 3.
    """
    return _shipped("digits", split)


def glyphs(split: Split = "train") -> Labelled:
    """Return the letters A to J in many fonts, sheared, turned and resized, and as MNIST centred.

    The fonts are those that matplotlib brings: DejaVu, STIX and Computer Modern. The parts have
    no face in common, though all three families are in both. The classes take turns.

    Args:
        split: 8,000 to train on, in 17 faces, or 2,000 held out, in 5 others.

    Raises:
        LabelledError: The file is damaged.
        FundiffError: There is no such part.
    """
    return _shipped("glyphs", split)


def shapes(split: Split = "train") -> Labelled:
    """Return ten outlines, triangles to spirals, drawn with a round pen and turned any way.

    The classes take turns.

    Args:
        split: 800 to train on, or 200 held out, which differ by chance alone.

    Raises:
        LabelledError: The file is damaged.
        FundiffError: There is no such part.
    """
    return _shipped("shapes", split)


def emoji(split: Split = "train") -> Labelled:
    """Return emoji in one colour: animals, food, travel, activities and objects.

    They are Microsoft's *Fluent Emoji, high contrast*, each once, shuffled.

    Args:
        split: 320 to train on, or 80 held out.

    Raises:
        LabelledError: The file is damaged.
        FundiffError: There is no such part.
    """
    return _shipped("emoji", split)


def mnist(split: Split = "train", *, root: Path) -> Labelled:
    """Return all of MNIST, by torchvision, which downloads it when it isn't there.

    Args:
        split: 60,000 to train on, or the 10,000 held out.
        root: The folder that it is kept in, as ``MNIST/raw/``.

    Raises:
        LabelledError: It can't be downloaded, or a file is damaged.
        FundiffError: There is no such part.
    """
    from torchvision.datasets import MNIST

    return _downloaded(MNIST, "mnist", split, root, tuple("0123456789"))


def fashion(split: Split = "train", *, root: Path) -> Labelled:
    """Return Fashion-MNIST: ten kinds of clothes, shoes and bags, in the format of MNIST.

    Arguments and errors are those of :func:`mnist`; it is kept as ``FashionMNIST/raw/``.

    Source:
        Xiao et al. 2017, *Fashion-MNIST: a novel image dataset for benchmarking machine learning
        algorithms*.
    """
    from torchvision.datasets import FashionMNIST

    return _downloaded(FashionMNIST, "fashion", split, root, tuple(FashionMNIST.classes))


def read_shipped(name: str, path: Path, split: Split) -> Labelled:
    """Read one part of a sheet of the library's.

    The sheet is a grey PNG, :data:`COLUMNS` pictures a row, those to train on first. Its texts
    ``train`` and ``test`` have the labels, a digit each.

    Args:
        name: The set's name, one of :data:`SHIPPED`.
        path: The sheet.
        split: Which part.

    Raises:
        LabelledError: The file can't be read, or isn't what the set's digest says.
        FundiffError: There is no such part.
    """
    known = SHIPPED[name]
    _check(split)
    try:
        with Image.open(path, formats=["PNG"]) as image:
            pixels = torch.from_numpy(np.array(image))
            texts = {part: image.info[part] for part in get_args(Split)}
        cells = pixels.view(-1, SIDE, COLUMNS, SIDE).permute(0, 2, 1, 3).reshape(-1, SIDE, SIDE)
        start = 0 if split == "train" else len(texts["train"])
        read = Labelled(
            images=cells[start : start + len(texts[split])],
            labels=torch.tensor([int(label) for label in texts[split]]),
            classes=known.classes,
            name=name,
            title=_title(known.title, len(texts[split]), split),
        )
    except DAMAGE as error:
        raise LabelledError(_damaged(path, name, f"{error}")) from error
    if read.digest != known.digests[split]:
        expected = f"digest {known.digests[split]}, is {read.digest}"
        raise LabelledError(_damaged(path, name, expected))
    return read


def _shipped(name: str, split: Split) -> Labelled:
    with as_file(files("fundiff") / "digits" / f"{name}.png") as path:
        return read_shipped(name, path, split)


def _downloaded(
    source: "type[MNIST]", name: str, split: Split, root: Path, classes: tuple[str, ...]
) -> Labelled:
    _check(split)
    title, place = source.__name__, Path(root) / source.__name__
    try:
        read = source(root, train=split == "train", download=True)
    except DAMAGE as error:
        raise LabelledError(
            f"{title} can't be had in {root}: {error}; torchvision downloads it, which needs a "
            f"network; files that are there are left alone: if one is damaged, remove {place}; "
            "digits() comes with the library"
        ) from error
    return Labelled(
        images=read.data,
        labels=read.targets,
        classes=classes,
        name=name,
        title=_title(f"pictures of {title}, by torchvision", len(read.data), split),
    )


def _check(split: str) -> None:
    if split not in get_args(Split):
        raise FundiffError(f"split must be one of {', '.join(get_args(Split))}, got {split!r}")


def _title(what: str, count: int, split: Split) -> str:
    return f"{count:,} {what}: {'to train on' if split == 'train' else 'held out'}"


def _damaged(path: Path, name: str, found: str) -> str:
    return (
        f"{path}: expected the sheet of {name} that comes with the library, found: {found}; "
        "install the library again, or rebuild the file by `python -m fundiff characters`"
    )

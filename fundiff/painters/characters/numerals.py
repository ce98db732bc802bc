"""The sheet of digits, out of a pinned npm package that has ten thousand of MNIST's."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from fundiff.data.digits import SIDE
from fundiff.data.labelled import Labelled
from fundiff.painters.characters.splitting import four_to_one
from fundiff.painters.emoji.packages import read_json
from fundiff.painters.emoji.sources import Source, SourceError

SOURCE = Source(
    "digits",
    "mnist",
    "1.1.0",
    "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390",
    "MIT",
    "Juan Cazala, with digits of MNIST by Yann LeCun, Corinna Cortes and Christopher J.C. Burges",
    "MNIST Digits",
    "https://github.com/cazala/mnist",
)
"""The package; its licence says nothing of the digits themselves."""


def numerals(path: Path) -> tuple[Labelled, Labelled]:
    """Read the package's digits, and split them four to one, class by class.

    The package has each grey value as a decimal fraction of three places, which tells all 256
    apart, so the bytes are MNIST's.

    Args:
        path: The package's tarball.

    Returns:
        The digits to train on, and those held out.

    Raises:
        SourceError: The tarball doesn't hold what it should.
    """
    images, labels = [], []
    for label in range(10):
        found = _images(path, label)
        images += [*found]
        labels += [label] * len(found)
    return four_to_one("digits", images, labels)


def _images(path: Path, label: int) -> UInt8[np.ndarray, "digit 28 28"]:
    name = f"src/digits/{label}.json"
    content = read_json(path, name)
    try:
        values = 255 * np.array(content["data"], dtype=np.float64)
        exact = np.rint(values)
        if np.abs(values - exact).max() > 0.255 or exact.min() < 0 or exact.max() > 255:
            raise ValueError("other values")
        return exact.astype(np.uint8).reshape(-1, SIDE, SIDE)
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: expected in {name} pictures of {SIDE} by {SIDE} grey values, rounded 255ths "
            f"from 0 to 1; found: {error}"
        ) from error

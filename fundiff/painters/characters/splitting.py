"""One set as two parts, in an order that nobody chose."""

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import UInt8

from fundiff.data.digits import SHIPPED, SIDE
from fundiff.data.labelled import Labelled

SEED = 0
"""The seed of the splits and the orders."""


def rank(picture: UInt8[np.ndarray, "28 28"]) -> bytes:
    """Return a picture's place: the SHA-256 of the seed and its pixels."""
    return hashlib.sha256(f"{SEED} ".encode() + picture.tobytes()).digest()


def four_to_one(
    name: str, images: Sequence[UInt8[np.ndarray, "28 28"]], labels: Sequence[int]
) -> tuple[Labelled, Labelled]:
    """Split pictures class by class: the first fifth of each, by :func:`rank`, is held out.

    Args:
        name: The set's name, one of :data:`fundiff.data.digits.SHIPPED`.
        images: The pictures.
        labels: The class of each.

    Returns:
        The pictures to train on, and those held out, both in the order of their ranks.
    """
    order = sorted(range(len(images)), key=lambda i: rank(images[i]))
    held_out: set[int] = set()
    for label in set(labels):
        members = [i for i in order if labels[i] == label]
        held_out.update(members[: round(len(members) / 5)])
    train = [i for i in order if i not in held_out]
    test = [i for i in order if i in held_out]
    return (
        labelled(name, [images[i] for i in train], [labels[i] for i in train]),
        labelled(name, [images[i] for i in test], [labels[i] for i in test]),
    )


def labelled(
    name: str, images: Sequence[UInt8[np.ndarray, "28 28"]], labels: Sequence[int]
) -> Labelled:
    """Return pictures as they are as a set of the library's."""
    known = SHIPPED[name]
    return Labelled(
        images=torch.from_numpy(np.array(images, dtype=np.uint8).reshape(-1, SIDE, SIDE)),
        labels=torch.tensor(labels, dtype=torch.int64),
        classes=known.classes,
        name=name,
        title=known.title,
    )

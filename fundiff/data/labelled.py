"""Small grey pictures with a class each."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.types import Images

Split = Literal["train", "test"]
"""Which part of a set, the one to train on or the one held out."""


class LabelledError(FundiffError):
    """A set that can't be had or is refused: what was expected, what was found, what to do."""


@dataclass(frozen=True, eq=False)
class Labelled:
    """Small grey pictures with a class each.

    Attributes:
        images: The pictures in bytes: 0 is paper, 255 is ink.
        labels: The class of each, from 0, int64.
        classes: The name of each class.
        name: The set's short name.
        title: What it is, how many and from where, in a line.

    Raises:
        FundiffError: There isn't one label a picture, or a label is of no class.
    """

    images: UInt8[Tensor, "sample 28 28"]
    labels: Int[Tensor, " sample"]
    classes: tuple[str, ...]
    name: str
    title: str

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise FundiffError(
                f"each picture needs its label, got {len(self.images)} pictures and "
                f"{len(self.labels)} labels"
            )
        if not all(0 <= label < len(self.classes) for label in self.labels.unique().tolist()):
            raise FundiffError(
                f"labels of {len(self.classes)} classes must be from 0 to {len(self.classes) - 1}, "
                f"got {self.labels.min()} to {self.labels.max()}"
            )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of images, labels and classes."""
        content = hashlib.sha256(json.dumps([len(self), *self.classes]).encode())
        content.update(self.images.cpu().numpy().tobytes())
        content.update(self.labels.cpu().numpy().astype("<i8").tobytes())
        return content.hexdigest()[:16]

    def scaled(self, low: float = 0.0) -> Images:
        """Return the pictures as images of one channel.

        Args:
            low: The value of paper, 0 or -1; that of ink is 1.

        Returns:
            The images, ``(sample, 1, 28, 28)``, float32 in [low, 1].

        Raises:
            FundiffError: ``low`` is neither 0 nor -1.
        """
        if low not in (0, -1):
            raise FundiffError(f"low must be 0 or -1, got {low}")
        return self.images[:, None].float() / 255 * (1 - low) + low

    def of(self, label: int) -> "Labelled":
        """Return the pictures of one class, in their order.

        Args:
            label: The class, from 0.

        Raises:
            FundiffError: There is no such class.
        """
        if not 0 <= label < len(self.classes):
            raise FundiffError(
                f"{self.name} has the classes 0 to {len(self.classes) - 1}: {label}?"
            )
        return self._where((self.labels == label).nonzero().flatten())

    def first(self, count: int) -> "Labelled":
        """Return the first pictures; the sets that come with the library are shuffled.

        Args:
            count: How many, at most as many as there are.

        Raises:
            FundiffError: There are fewer, or ``count`` is negative.
        """
        if not 0 <= count <= len(self):
            raise FundiffError(
                f"{self.name} has {len(self):,} pictures, asked for the first {count}"
            )
        return self._where(torch.arange(count))

    def one_of_each(self) -> "Labelled":
        """Return the first picture of each class, class by class."""
        classes = self.labels.unique()
        firsts = [int((self.labels == label).nonzero()[0]) for label in classes]
        return self._where(torch.tensor(firsts, dtype=torch.long))

    def _where(self, chosen: Int[Tensor, " chosen"]) -> "Labelled":
        return replace(self, images=self.images[chosen], labels=self.labels[chosen])

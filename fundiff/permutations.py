"""Views that put every pixel in another place: patches, jigsaws, discs, and other permutations.

Source: Geng et al. 2024, *Visual anagrams*, section 3.3.
"""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Int
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.types import Images

Grid = Int[Tensor, "height width"]


@dataclass(frozen=True)
class PixelMove(ABC):
    """A view that puts every pixel in another place, by a permutation."""

    @abstractmethod
    def source(self, grid: Grid) -> Grid:
        """Say which pixel each place shows.

        Args:
            grid: The pixels' numbers in reading order, ``arange(height * width)``.

        Returns:
            The same numbers, rearranged.

        Raises:
            FundiffError: The view makes no sense for this size.
        """

    def apply(self, x: Images) -> Images:
        """Move the pixels."""
        source, _ = _moves(self, *x.shape[-2:])
        return _gather(x, source)

    def invert(self, x: Images) -> Images:
        """Move the pixels back."""
        _, back = _moves(self, *x.shape[-2:])
        return _gather(x, back)


@lru_cache(maxsize=64)
def _moves(view: PixelMove, height: int, width: int) -> tuple[Tensor, Tensor]:
    grid = torch.arange(height * width).reshape(height, width)
    source = view.source(grid).flatten()
    return source, source.argsort()


def _gather(x: Images, source: Tensor) -> Images:
    return x.flatten(-2)[..., source.to(x.device)].reshape(x.shape)


@dataclass(frozen=True)
class PixelPermutation(PixelMove):
    """All pixels in random order.

    Attributes:
        seed: Which order.
    """

    seed: int = 0

    def source(self, grid: Grid) -> Grid:
        """Shuffle the pixels."""
        order = torch.randperm(grid.numel(), generator=torch.Generator().manual_seed(self.seed))
        return grid.flatten()[order].reshape(grid.shape)


@dataclass(frozen=True)
class PatchPermutation(PixelMove):
    """A grid of patches in random order.

    Attributes:
        per_side: How many patches a side. Rows and columns that don't fill a patch stay.
        seed: Which order.
    """

    per_side: int = 4
    seed: int = 0

    def source(self, grid: Grid) -> Grid:
        """Shuffle the patches."""
        height, width = (length // self.per_side for length in grid.shape)
        if not height or not width:
            raise FundiffError(
                f"{self.per_side} patches a side need an image of at least as many pixels a "
                f"side, got {[*grid.shape]}"
            )
        shape = (self.per_side, height, self.per_side, width)
        inner = grid[: self.per_side * height, : self.per_side * width]
        patches = inner.reshape(shape).transpose(1, 2).flatten(0, 1)
        order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(self.seed))
        shuffled = patches[order].unflatten(0, (self.per_side, self.per_side))
        moved = grid.clone()
        moved[: inner.shape[0], : inner.shape[1]] = shuffled.transpose(1, 2).reshape(inner.shape)
        return moved


@dataclass(frozen=True)
class Jigsaw(PixelMove):
    """A jigsaw of 4 × 4 interlocking pieces, put together in another way; square images only.

    The cut looks the same after a quarter turn, so the pieces come in four families of four:
    corners, two kinds of edges, and inner ones. Within its family every piece fits everywhere.

    Attributes:
        seed: Which arrangement; no piece stays in its place.
    """

    seed: int = 0

    def source(self, grid: Grid) -> Grid:
        """Rearrange the pieces."""
        if grid.shape[0] != grid.shape[1]:
            raise FundiffError(f"a jigsaw needs a square image, got {[*grid.shape]}")
        pieces = _jigsaw_pieces(len(grid))
        turned = torch.stack([grid.rot90(turns) for turns in range(4)])
        generator = torch.Generator().manual_seed(self.seed)
        moved = grid.clone()
        for family in range(4):
            origin = _derangement(4, generator)
            for arm in range(4):
                here = pieces == 4 * family + arm
                moved[here] = turned[(arm - origin[arm]) % 4][here]
        return moved


def _derangement(count: int, generator: torch.Generator) -> list[int]:
    while True:
        order = torch.randperm(count, generator=generator).tolist()
        if all(place != value for place, value in enumerate(order)):
            return order


# The tabs of a quarter of the jigsaw: column and row of the middle, the piece that each belongs to
# and the piece that it cuts into. A piece is (family, arm): corner 0, edges 1 and 2, inner 3; arms
# follow each other counterclockwise from the upper left; the image spans -1 to 1.
_TABS = (
    (-0.44, -0.75, (0, 0), (1, 0)),
    (-0.75, -0.56, (2, 0), (0, 0)),
    (-0.25, -0.44, (1, 0), (3, 0)),
    (-0.56, -0.25, (3, 0), (2, 0)),
    (-0.06, -0.75, (2, 3), (1, 0)),
    (0.06, -0.25, (3, 0), (3, 3)),
)

_TAB_RADIUS = 0.1


def _jigsaw_pieces(size: int) -> Grid:
    """Number each pixel's piece, 4 * family + arm; the very middle of odd sizes has none, -1."""
    along = (2 * torch.arange(size) - (size - 1)) / size
    y, x = torch.meshgrid(along, along, indexing="ij")
    quarter = (y < 0) & (x <= 0)
    family = 2 * (y >= -0.5).long() + (x >= -0.5).long()
    cells = torch.full((size, size), -1)
    for arm in range(4):
        cells = torch.where(quarter.rot90(arm), 4 * family.rot90(arm) + arm, cells)
    pieces = cells.clone()
    for column, row, (owner, owner_arm), (other, other_arm) in _TABS:
        tab = (x - column) ** 2 + (y - row) ** 2 < _TAB_RADIUS**2
        tab &= cells == 4 * other + other_arm
        for turns in range(4):
            pieces[tab.rot90(turns)] = 4 * owner + (owner_arm + turns) % 4
    return pieces


@dataclass(frozen=True)
class InnerCircle(PixelMove):
    """A disc in the middle turns, the rest stays.

    The disc is cut into rings one pixel wide; each ring turns by as many of its pixels as come
    closest to the angle. Half turns are exact, and so are quarter turns of a square image.

    Attributes:
        degrees: How far the disc turns, counterclockwise.
        radius: The disc's radius, as a fraction of the way to the nearest border.
    """

    degrees: float = 180.0
    radius: float = 0.75

    def source(self, grid: Grid) -> Grid:
        """Turn the rings."""
        height, width = grid.shape
        y = torch.arange(height, dtype=torch.float64)[:, None] - (height - 1) / 2
        x = torch.arange(width, dtype=torch.float64)[None, :] - (width - 1) / 2
        ring = (x**2 + y**2).sqrt().round().long().flatten()
        angle = torch.atan2(-y, x).flatten()
        moved = grid.flatten().clone()
        for radius in range(1, math.floor(self.radius * min(height, width) / 2 + 0.5)):
            pixels = (ring == radius).nonzero().flatten()
            pixels = pixels[angle[pixels].argsort()]
            moved[pixels] = pixels.roll(round(len(pixels) * self.degrees / 360))
        return moved.reshape(grid.shape)


@dataclass(frozen=True)
class Skew(PixelMove):
    """Columns pushed up or down, the more the farther from the middle, around the border.

    Attributes:
        slope: By how many pixels a column is moved down relative to its left neighbour.
    """

    slope: float = 1.5

    def source(self, grid: Grid) -> Grid:
        """Push the columns."""
        height, width = grid.shape
        shift = (self.slope * (torch.arange(width) - (width - 1) / 2)).round().long()
        rows = (torch.arange(height)[:, None] - shift) % height
        return grid[rows, torch.arange(width)]


@dataclass(frozen=True)
class SquareHinge(PixelMove):
    """Nine hinged squares, each turned by 90° against its neighbours.

    Pixels that are left over around the largest 3 × 3 squares stay.
    """

    def source(self, grid: Grid) -> Grid:
        """Turn the squares."""
        side = min(grid.shape) // 3
        top, left = ((length - 3 * side) // 2 for length in grid.shape)
        moved = grid.clone()
        for row in range(3):
            for column in range(3):
                square = (
                    slice(top + row * side, top + (row + 1) * side),
                    slice(left + column * side, left + (column + 1) * side),
                )
                moved[square] = grid[square].rot90(1 if (row + column) % 2 else -1)
        return moved

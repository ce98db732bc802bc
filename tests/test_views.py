from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch
from torchvision.transforms.functional import InterpolationMode, rotate

from fundiff.permutations import (
    InnerCircle,
    Jigsaw,
    PatchPermutation,
    PixelMove,
    PixelPermutation,
    Skew,
    SquareHinge,
)
from fundiff.types import Images, View
from fundiff.views import (
    HorizontalFlip,
    Identity,
    Negation,
    Rotation,
    VerticalFlip,
    ViewError,
    noise_covariance,
    require_orthogonal,
    viewed_noise,
)

VIEWS: list[View] = [
    Identity(),
    VerticalFlip(),
    HorizontalFlip(),
    Rotation(1),
    Rotation(2),
    Rotation(3),
    Negation(),
    PixelPermutation(),
    PatchPermutation(),
    PatchPermutation(per_side=3, seed=5),
    Jigsaw(),
    Jigsaw(seed=3),
    InnerCircle(),
    InnerCircle(degrees=50, radius=1),
    Skew(),
    SquareHinge(),
]
SIZES = [(64, 64), (28, 28), (31, 31), (16, 24), (25, 7)]
CASES = [
    pytest.param(view, size, id=f"{view}-{size[0]}x{size[1]}")
    for view in VIEWS
    for size in SIZES
    if size[0] == size[1] or not isinstance(view, Jigsaw)
]


@pytest.mark.parametrize(("view", "size"), CASES)
def test_view_inverts_to_the_bit(
    view: View, size: tuple[int, int], images: Callable[..., Images]
) -> None:
    x = images(3, 2, *size)
    before = x.clone()
    assert view.invert(view.apply(x)).equal(x)
    assert view.apply(view.invert(x)).equal(x)
    assert x.equal(before)


@pytest.mark.parametrize(("view", "size"), CASES)
def test_view_is_linear(view: View, size: tuple[int, int], images: Callable[..., Images]) -> None:
    x, y = images(2, 3, *size), images(2, 3, *size)
    torch.testing.assert_close(view.apply(2 * x - 3 * y), 2 * view.apply(x) - 3 * view.apply(y))


@pytest.mark.parametrize(("view", "size"), CASES)
def test_view_keeps_every_inner_product(
    view: View, size: tuple[int, int], images: Callable[..., Images]
) -> None:
    """That is to be orthogonal, which is what keeps white noise white."""
    x = images(4, 1, *size, dtype=torch.float64)
    flat, seen = x.flatten(1), view.apply(x).flatten(1)
    torch.testing.assert_close(seen @ seen.T, flat @ flat.T)


@pytest.mark.parametrize(("view", "size"), [case for case in CASES if case.values[1] == (16, 24)])
def test_white_noise_stays_white(view: View, size: tuple[int, int]) -> None:
    """The covariance of 20,000 views of noise is that of as many draws of noise."""
    noise = torch.randn(20000, 1, 3, 3, generator=torch.Generator().manual_seed(0))
    cell = torch.zeros(20000, 1, *size)
    cell[..., 5:8, 9:12] = noise
    seen = view.apply(cell).flatten(1)
    seen = seen[:, seen.abs().sum(0) > 0]
    assert seen.shape[1] == 9
    torch.testing.assert_close(seen.T.cov(), torch.eye(9), rtol=0, atol=0.05)


@pytest.mark.parametrize("view", VIEWS, ids=str)
def test_images_of_a_batch_are_seen_apart(view: View, images: Callable[..., Images]) -> None:
    x = images(3, 3, 16, 16)
    assert view.apply(x)[1:2].equal(view.apply(x[1:2]))


def test_rotations_and_flips_are_what_they_say() -> None:
    x = torch.arange(6.0).reshape(1, 1, 2, 3)
    assert Rotation(1).apply(x).tolist() == [[[[2, 5], [1, 4], [0, 3]]]]
    assert Rotation(2).apply(x).tolist() == [[[[5, 4, 3], [2, 1, 0]]]]
    assert VerticalFlip().apply(x).tolist() == [[[[3, 4, 5], [0, 1, 2]]]]
    assert HorizontalFlip().apply(x).tolist() == [[[[2, 1, 0], [5, 4, 3]]]]


@pytest.mark.parametrize("size", [9, 16])
@pytest.mark.parametrize("turns", [1, 2, 3])
def test_inner_circle_turns_its_disc_exactly(
    size: int, turns: int, images: Callable[..., Images]
) -> None:
    x = images(1, 1, size, size)
    seen = InnerCircle(degrees=90 * turns, radius=0.75).apply(x)
    y, z = torch.meshgrid(*[torch.arange(size) - (size - 1) / 2] * 2, indexing="ij")
    inside = (y**2 + z**2).sqrt().round() < int(0.75 * size / 2 + 0.5)
    assert seen[..., inside].equal(x.rot90(turns, (-2, -1))[..., inside])
    assert seen[..., ~inside].equal(x[..., ~inside])
    assert not seen.equal(x)


@pytest.mark.parametrize("size", [16, 31, 64])
def test_jigsaw_moves_whole_pieces(size: int) -> None:
    """Every piece lands whole in one other place, turned about the middle of the image."""
    from fundiff.permutations import _jigsaw_pieces

    pieces = _jigsaw_pieces(size)
    assert pieces.unique().tolist() == list(range(-1 if size % 2 else 0, 16))
    assert pieces.rot90(1).equal(torch.where(pieces < 0, -1, pieces // 4 * 4 + (pieces + 3) % 4))
    landed = Jigsaw(seed=1).apply(pieces[None, None].float())[0, 0].long()
    for piece in range(16):
        shown = landed[pieces == piece].unique().tolist()
        assert len(shown) == 1
        assert shown[0] != piece
        assert shown[0] // 4 == piece // 4


def test_skew_pushes_columns_by_whole_pixels() -> None:
    x = torch.arange(4.0)[:, None].expand(4, 3)[None, None]
    assert Skew(slope=1).apply(x)[0, 0].T.tolist() == [[1, 2, 3, 0], [0, 1, 2, 3], [3, 0, 1, 2]]


def test_square_hinge_turns_neighbours_against_each_other() -> None:
    x = torch.arange(36.0).reshape(1, 1, 6, 6)
    seen = SquareHinge().apply(x)
    assert seen[..., :2, :2].tolist() == [[[[6, 0], [7, 1]]]]
    assert seen[..., :2, 2:4].tolist() == [[[[3, 9], [2, 8]]]]


def test_patches_stay_whole() -> None:
    x = torch.arange(16).reshape(4, 4).repeat_interleave(3, 0).repeat_interleave(3, 1)
    seen = PatchPermutation(per_side=4).apply(x[None, None].float())[0, 0].long()
    assert not seen.equal(x)
    patches = seen.unfold(0, 3, 3).unfold(1, 3, 3).flatten(2)
    assert (patches == patches[..., :1]).all()
    assert patches[..., 0].flatten().sort().values.equal(torch.arange(16))


def test_seeds_differ_and_repeat(images: Callable[..., Images]) -> None:
    x = images(1, 1, 16, 16)
    for view in (PixelPermutation, PatchPermutation, Jigsaw):
        assert view(seed=1).apply(x).equal(view(seed=1).apply(x))
        assert not view(seed=1).apply(x).equal(view(seed=2).apply(x))


@pytest.mark.parametrize(
    ("view", "size", "message"),
    [
        (Jigsaw(), (16, 24), r"square image, got \[16, 24\]"),
        (PatchPermutation(per_side=9), (8, 16), r"got \[8, 16\]"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(
    view: PixelMove, size: tuple[int, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        view.apply(torch.zeros(1, 1, *size))


@dataclass(frozen=True)
class Louder:
    factor: float = 2.0

    def apply(self, x: Images) -> Images:
        return self.factor * x.flip(-2)

    def invert(self, x: Images) -> Images:
        return x.flip(-2) / self.factor


@dataclass(frozen=True)
class Smeared:
    """An autoregression along the rows, scaled to keep the variance."""

    share: float = 0.5

    def apply(self, x: Images) -> Images:
        columns = [x[..., 0]]
        for column in x.unbind(-1)[1:]:
            columns.append(self.share * columns[-1] + (1 - self.share**2) ** 0.5 * column)
        return torch.stack(columns, dim=-1)

    def invert(self, x: Images) -> Images:
        others = (x[..., 1:] - self.share * x[..., :-1]) / (1 - self.share**2) ** 0.5
        return torch.cat([x[..., :1], others], dim=-1)


@dataclass(frozen=True)
class Tilted:
    def apply(self, x: Images) -> Images:
        turned: Images = rotate(x, 45, InterpolationMode.BILINEAR)
        return turned

    def invert(self, x: Images) -> Images:
        turned: Images = rotate(x, -45, InterpolationMode.BILINEAR)
        return turned


@dataclass(frozen=True)
class Undone:
    """A flip whose inverse was forgotten."""

    def apply(self, x: Images) -> Images:
        return x.flip(-2)

    def invert(self, x: Images) -> Images:
        return x


@pytest.mark.parametrize("view", VIEWS)
def test_the_views_of_the_library_are_orthogonal(view: View) -> None:
    require_orthogonal(view)
    torch.testing.assert_close(noise_covariance(view, size=12), torch.eye(144).double())


def test_the_covariance_is_that_of_many_draws() -> None:
    noise = torch.randn(200_000, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    drawn = Smeared(0.6).apply(noise).flatten(1).T.cov().double()
    torch.testing.assert_close(noise_covariance(Smeared(0.6), size=4), drawn, rtol=0, atol=0.02)


def test_what_noise_becomes_by_hand() -> None:
    """An autoregression correlates neighbours by its share, and keeps the variance."""
    louder, smeared = viewed_noise(Louder(3.0)), viewed_noise(Smeared(0.3))
    assert louder == pytest.approx((9, 9, 0, 0))
    assert smeared == pytest.approx((1, 1, 0.3, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("view", "failed", "passed"),
    [
        (Louder(), ["variance from 1 to 4 ... 4"], ["covariance", "undone"]),
        (Smeared(), ["two pixels a covariance of up to 0.5"], ["variance from", "undone"]),
        (Tilted(), ["variance from 1 to 0 ... ", "covariance", "undone, it leaves"], []),
        (Undone(), ["undone, it leaves an image off by up to 1"], ["variance"]),
    ],
)
def test_the_checks_that_fail_are_named(view: View, failed: list[str], passed: list[str]) -> None:
    with pytest.raises(ViewError, match="isn't orthogonal") as caught:
        require_orthogonal(view)
    assert all(words in str(caught.value) for words in failed)
    assert not any(words in str(caught.value) for words in passed)

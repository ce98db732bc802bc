import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.filters import gaussian

from fundiff.filters import (
    Complement,
    GaussianBlur,
    Grey,
    MotionBlur,
    Wiener,
    grey_and_colour,
    low_and_high,
    motion_and_rest,
    shares,
    three_bands,
)
from fundiff.types import Images, Part

SPLITS = {
    "low and high": low_and_high(GaussianBlur(33, 2.0)),
    "three bands": three_bands(GaussianBlur(5, 1.0), GaussianBlur(17, 3.0)),
    "grey and colour": grey_and_colour(),
    "motion and rest": motion_and_rest(MotionBlur(9, 30.0)),
    "shares": shares(0.2, 0.5, 0.3),
}


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_parts_sum_to_the_image(split: tuple[Part, ...], images: Callable[..., Images]) -> None:
    x = images(2, 3, 40, 64, dtype=torch.float64)
    torch.testing.assert_close(sum(part(x) for part in split), x)


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_parts_are_linear(split: tuple[Part, ...], images: Callable[..., Images]) -> None:
    x, y = (images(1, 3, 32, 32, dtype=torch.float64) for _ in range(2))
    for part in split:
        torch.testing.assert_close(part(2 * x - 3 * y), 2 * part(x) - 3 * part(y))


@pytest.mark.parametrize("split", SPLITS.values(), ids=SPLITS)
def test_parts_leave_their_argument_alone(
    split: tuple[Part, ...], images: Callable[..., Images]
) -> None:
    x = images(1, 3, 32, 32)
    before = x.clone()
    for part in split:
        part(x)
    assert x.equal(before)


def test_blur_is_scikit_images(images: Callable[..., Images]) -> None:
    x = images(1, 1, 40, 40, dtype=torch.float64)
    theirs = gaussian(x[0, 0].numpy(), sigma=1.5, mode="mirror", truncate=8)
    ours = GaussianBlur(25, 1.5)(x)[0, 0]
    torch.testing.assert_close(ours, torch.from_numpy(np.ascontiguousarray(theirs)))


def test_blur_of_a_point_is_the_gaussian() -> None:
    x = torch.zeros(1, 1, 21, 21, dtype=torch.float64)
    x[..., 10, 10] = 1
    u = torch.arange(-4, 5, dtype=torch.float64)
    weights = torch.exp(-(u[:, None] ** 2 + u**2) / (2 * 1.3**2))
    torch.testing.assert_close(GaussianBlur(9, 1.3)(x)[0, 0, 6:15, 6:15], weights / weights.sum())


def test_blur_twice_adds_the_variances(images: Callable[..., Images]) -> None:
    x = images(1, 1, 96, 96, dtype=torch.float64)
    twice = GaussianBlur(25, 1.5)(GaussianBlur(33, 2.0)(x))
    torch.testing.assert_close(twice, GaussianBlur(41, 2.5)(x), rtol=0, atol=1e-3)


def test_motion_along_the_rows_is_a_mean() -> None:
    x = torch.arange(12.0).reshape(1, 1, 1, 12).expand(1, 1, 5, 12)
    seen = MotionBlur(3, 0.0)(x)
    torch.testing.assert_close(seen[..., 1:-1], x[..., 1:-1])
    torch.testing.assert_close(seen[..., 0], torch.full((1, 1, 5), 2 / 3))


@given(st.floats(-360, 360), st.sampled_from([1, 3, 5, 9]))
def test_motion_keeps_what_is_constant(degrees: float, length: int) -> None:
    x = torch.ones(1, 2, 9, 11, dtype=torch.float64)
    torch.testing.assert_close(MotionBlur(length, degrees)(x), x)


def test_motion_turns_with_its_angle(images: Callable[..., Images]) -> None:
    x = images(1, 1, 32, 32, dtype=torch.float64)
    along = MotionBlur(9, 20.0)(x).rot90(1, (-2, -1))
    torch.testing.assert_close(MotionBlur(9, 110.0)(x.rot90(1, (-2, -1))), along)


def test_grey_is_the_mean_of_the_channels(images: Callable[..., Images]) -> None:
    x = images(2, 3, 4, 4)
    grey = Grey()(x)
    for channel in range(3):
        torch.testing.assert_close(grey[:, channel], x.mean(1))
    torch.testing.assert_close(
        Complement(Grey())(x).mean(1), torch.zeros(2, 4, 4), rtol=0, atol=1e-6
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: GaussianBlur(4, 1.0), "odd size of at least 1, got 4"),
        (lambda: GaussianBlur(-1, 1.0), "odd size"),
        (lambda: GaussianBlur(3, 0.0), "above 0, got 0"),
        (lambda: GaussianBlur(3, math.nan), "above 0, got nan"),
        (lambda: MotionBlur(2), "odd size"),
        (lambda: Wiener(torch.ones(1, 1, 4, 4), 0.0), "above 0, got 0"),
        (lambda: shares(0.5, 0.6), r"sum to 1, got \[0.5, 0.6\]"),
        (lambda: GaussianBlur(33, 2.0)(torch.zeros(1, 1, 16, 64)), r"\[16, 64\] pixels"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_wiener_has_the_least_expected_error(images: Callable[..., Images]) -> None:
    """Its error over many draws is the closed form's, and less than with any gain beside it."""
    x0 = GaussianBlur(9, 1.5)(images(1, 3, 16, 16, dtype=torch.float64))
    noise = 0.3 * images(4000, 3, 16, 16, dtype=torch.float64)
    power = torch.fft.fft2(x0).abs().square() / 256
    expected = (power * 0.09 / (power + 0.09)).mean().item()

    def error(sigma: float) -> float:
        return (Wiener(x0, sigma)(x0 + noise) - x0).square().mean().item()

    assert error(0.3) == pytest.approx(expected, rel=0.01)
    assert error(0.3) < min(error(0.28), error(0.32))


@pytest.mark.parametrize("size", [(8, 8), (7, 9)])
def test_wiener_keeps_what_has_no_noise(
    size: tuple[int, int], images: Callable[..., Images]
) -> None:
    x0 = images(1, 3, *size, dtype=torch.float64)
    torch.testing.assert_close(Wiener(x0, 1e-9)(x0.expand(2, -1, -1, -1)), x0.expand(2, -1, -1, -1))

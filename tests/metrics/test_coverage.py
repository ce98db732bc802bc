import math
from collections.abc import Callable
from inspect import unwrap

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from fundiff.metrics.coverage import density_coverage, precision_recall


def brute_force(x: np.ndarray, y: np.ndarray, k: int) -> tuple[float, float, float, float]:
    """Precision, recall, density and coverage by their definitions, ball by ball."""
    near_x = [sorted(row)[k] for row in cdist(x, x)]
    near_y = [sorted(row)[k] for row in cdist(y, y)]
    between = cdist(x, y)
    n, m = between.shape
    in_real = [[between[i, j] <= near_y[j] for j in range(m)] for i in range(n)]
    in_made = [[between[i, j] <= near_x[i] for i in range(n)] for j in range(m)]
    return (
        sum(any(row) for row in in_real) / n,
        sum(any(row) for row in in_made) / m,
        sum(sum(row) for row in in_real) / (k * n),
        sum(any(in_real[i][j] for i in range(n)) for j in range(m)) / m,
    )


@pytest.mark.parametrize("together", [7, 256])
@pytest.mark.parametrize("k", [1, 3, 5])
def test_all_four_are_their_definitions(k: int, together: int, generator: torch.Generator) -> None:
    x = 0.8 * torch.randn(60, 4, generator=generator) + 0.5
    y = torch.randn(45, 4, generator=generator)
    found = (
        *precision_recall(x, y, k=k, together=together),
        *density_coverage(x, y, k=k, together=together),
    )
    assert found == pytest.approx(brute_force(x.numpy(), y.numpy(), k), abs=1e-12)


def test_on_a_line_by_hand() -> None:
    """Real at 0, 1, 2 and 10, whose balls of k = 1 have the radii 1, 1, 1 and 8."""
    y = torch.tensor([[0.0], [1.0], [2.0], [10.0]])
    x = torch.tensor([[-0.5], [0.5], [-3.0]])
    # -0.5 lies in the ball of 0, 0.5 in those of 0 and 1, -3 in none; 2 and 10 have nobody
    assert density_coverage(x, y, k=1) == pytest.approx((3 / 3, 2 / 4))
    # around the made ones the radii are 1, 1 and 2.5: 0 lies in two balls, 1 in one
    assert precision_recall(x, y, k=1) == pytest.approx((2 / 3, 2 / 4))


def test_a_set_covers_itself(generator: torch.Generator) -> None:
    x = 50 + torch.randn(300, 40, generator=generator)
    assert precision_recall(x, x) == (1, 1)
    assert density_coverage(x, x).coverage == 1


def test_copies_lie_in_balls_without_a_radius(generator: torch.Generator) -> None:
    x = torch.randn(5, 8, generator=generator).repeat(4, 1)
    assert precision_recall(x, x, k=3) == (1, 1)
    assert density_coverage(x[:5], x, k=3) == pytest.approx((4 / 3, 1))


def test_what_is_far_away_has_nothing(generator: torch.Generator) -> None:
    x = torch.randn(30, 3, generator=generator)
    assert precision_recall(x, x + 100) == (0, 0)
    assert density_coverage(x, x + 100) == (0, 0)


def test_forgetting_a_half_costs_recall_and_not_precision(generator: torch.Generator) -> None:
    y = torch.randn(1000, 2, generator=generator)
    y[::2, 0] += 50
    x = torch.randn(1000, 2, generator=generator)
    precision, recall = precision_recall(x, y)
    assert precision > 0.9
    assert recall == pytest.approx(0.5, abs=0.05)
    assert density_coverage(x, y).coverage == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("n", "m", "k"), [(200, 200, 1), (100, 300, 5)])
def test_one_distribution_has_the_averages_of_the_closed_forms(
    n: int, m: int, k: int, generator: torch.Generator
) -> None:
    found = [
        density_coverage(
            torch.randn(n, 3, generator=generator), torch.randn(m, 3, generator=generator), k=k
        )
        for _ in range(60)
    ]
    density, coverage = np.mean(found, axis=0)
    missed = math.comb(m - 1, k) / math.comb(n + m - 1, k)
    assert density == pytest.approx(1, abs=4 * np.std([one.density for one in found]) / 60**0.5)
    assert coverage == pytest.approx(
        1 - missed, abs=4 * np.std([one.coverage for one in found]) / 60**0.5
    )


@pytest.mark.parametrize("measure", [precision_recall, density_coverage])
def test_sets_need_neighbours_and_the_same_length(measure: Callable[..., object]) -> None:
    x = torch.zeros(5, 3)
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        measure(x, x, k=0)
    with pytest.raises(ValueError, match=r"6 real ones .* got \(5, 3\) and \(5, 3\)"):
        measure(x, x, k=5)
    with pytest.raises(ValueError, match=r"got \(5, 3\) and \(5, 4\)"):
        unwrap(measure)(x, torch.zeros(5, 4), k=3)


def test_one_picture_has_a_density_and_no_recall() -> None:
    x: Tensor = torch.zeros(1, 2)
    y = torch.tensor([[1.0, 0], [0, 1.0], [0, -1.0]])
    assert density_coverage(x, y, k=1) == (3, 1)
    with pytest.raises(ValueError, match="expected at least 2 rows"):
        precision_recall(x, y, k=1)

"""How much generated and real pictures cover one another: quality and variety, told apart.

One distance between two sets doesn't say what is wrong. Here each picture has a ball that reaches
to its k-th nearest neighbour in its own set, and shares are counted of what lies in the others'
balls. Features are those of any encoder, one row a picture.
"""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fundiff.errors import FundiffError


class PrecisionRecall(NamedTuple):
    """How much of each set lies in the other's region.

    Attributes:
        precision: The share of the pictures that look like real ones.
        recall: The share of the real ones that the pictures reach.
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """How well real pictures' neighbourhoods are filled.

    Attributes:
        density: In how many of them a picture lies, over what is expected of a real one.
        coverage: The share of them that have a picture.
    """

    density: float
    coverage: float


def precision_recall(
    features: Float[Tensor, "sample feature"],
    reference: Float[Tensor, "real feature"],
    *,
    k: int = 3,
    together: int = 256,
) -> PrecisionRecall:
    r"""How many pictures look like real ones, and how many real ones are reached.

    .. math::

        \mathrm{precision} = \frac1n \sum_i \max_j\, [\lVert x_i - y_j \rVert \le r_k(y_j)],
        \qquad
        \mathrm{recall} = \frac1m \sum_j \max_i\, [\lVert y_j - x_i \rVert \le r_k(x_i)]

    where :math:`r_k` is the distance to the k-th nearest other row of the same set. One real
    outlier has a large ball, which may make precision too high. For two sets from one distribution
    neither is 1, so compare with two real sets of the same sizes.

    Args:
        features: The features :math:`x_i` of some pictures, one row a picture.
        reference: Those of real ones, :math:`y_j`.
        k: Which neighbour a ball reaches to.
        together: How many rows are compared at once, for the memory's sake.

    Returns:
        Two shares from 0 to 1.

    Raises:
        FundiffError: ``k`` isn't positive, a set has no k-th neighbours, or the rows differ in
            length.

    Source:
        Kynkäänniemi et al. 2019, *Improved precision and recall metric for assessing generative
        models*, eqs. 1 and 2.
    """
    _require_neighbours(features, reference, k, least=k + 1)
    reached = _counts(features, reference, _radii(reference, k, together), together)
    reaching = _counts(reference, features, _radii(features, k, together), together)
    return PrecisionRecall(precision=_share(reached.rows), recall=_share(reaching.rows))


def density_coverage(
    features: Float[Tensor, "sample feature"],
    reference: Float[Tensor, "real feature"],
    *,
    k: int = 5,
    together: int = 256,
) -> DensityCoverage:
    r"""How densely pictures fill the neighbourhoods of real ones, and how many they fill at all.

    .. math::

        \mathrm{density} = \frac{1}{k n} \sum_i \sum_j [\lVert x_i - y_j \rVert \le r_k(y_j)],
        \qquad
        \mathrm{coverage} = \frac1m \sum_j \max_i\, [\lVert x_i - y_j \rVert \le r_k(y_j)]

    with balls around real rows alone, so an outlier among the pictures has no say, and one among
    the real ones little. For two sets from one distribution the density is 1 on average, and the
    coverage

    .. math:: 1 - \prod_{i=1}^{k} \frac{m - i}{n + m - i}

    Args:
        features: The features :math:`x_i` of some pictures, :math:`n` rows.
        reference: Those of real ones, :math:`y_j`, :math:`m` rows.
        k: Which neighbour a ball reaches to.
        together: How many rows are compared at once, for the memory's sake.

    Returns:
        The density, which may exceed 1 where pictures crowd, and the coverage, from 0 to 1.

    Raises:
        FundiffError: ``k`` isn't positive, there is no picture, the real ones have no k-th
            neighbours, or the rows differ in length.

    Source:
        Naeem et al. 2020, *Reliable fidelity and diversity metrics for generative models*, section
        3; the average coverage is their Lemma 2. A distance that equals the radius counts here.
    """
    _require_neighbours(features, reference, k, least=1)
    counts = _counts(features, reference, _radii(reference, k, together), together)
    return DensityCoverage(
        density=int(counts.rows.sum()) / (k * len(features)), coverage=_share(counts.balls)
    )


class _Counts(NamedTuple):
    """In how many balls each row lies, and how many rows lie in each ball."""

    rows: Int[Tensor, " sample"]
    balls: Int[Tensor, " real"]


def _counts(rows: Tensor, centres: Tensor, radii: Tensor, together: int) -> _Counts:
    inside = (_distances(part, centres) <= radii for part in rows.split(together))
    sums = [(part.sum(dim=1), part.sum(dim=0)) for part in inside]
    of_rows, of_balls = zip(*sums, strict=True)
    return _Counts(rows=torch.cat(of_rows), balls=torch.stack(of_balls).sum(dim=0))


def _radii(x: Tensor, k: int, together: int) -> Tensor:
    """The distance of each row to its k-th nearest other one; the nearest of all is itself."""
    parts = [_distances(part, x).kthvalue(k + 1, dim=1).values for part in x.split(together)]
    return torch.cat(parts)


def _distances(x: Tensor, y: Tensor) -> Tensor:
    return torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")


def _share(counts: Int[Tensor, " sample"]) -> float:
    return counts.gt(0).double().mean().item()


def _require_neighbours(features: Tensor, reference: Tensor, k: int, *, least: int) -> None:
    if k < 1:
        raise FundiffError(f"k must be at least 1, got {k}")
    if len(features) < least or len(reference) <= k or features.shape[1] != reference.shape[1]:
        raise FundiffError(
            f"expected at least {least} rows, and {k + 1} real ones of the same length, for the "
            f"{k} nearest neighbours of each; got {tuple(features.shape)} and "
            f"{tuple(reference.shape)}"
        )

"""How far sets of pictures are apart, by the features of any encoder."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.rng import noise


def frechet_distance(
    features: Float[Tensor, "sample feature"], reference: Float[Tensor, "real feature"]
) -> float:
    r"""How far two sets of features are apart as Gaussians: FID, on whatever features.

    .. math::

        d^2 = \lVert \mu - \mu_r \rVert^2
        + \operatorname{tr}\!\left(\Sigma + \Sigma_r - 2 (\Sigma \Sigma_r)^{1/2}\right)

    with means and unbiased covariances, in double precision. Few samples make it larger, so compare
    sets of the same size, beside the distance of two real ones.

    Args:
        features: The features of some pictures, one row a picture.
        reference: Those of real ones.

    Returns:
        A number, at least 0 up to rounding, in the features' units squared. This is
        :eq:`eq-frechet` in the book.

    Raises:
        FundiffError: A set has fewer than two rows, or the rows differ in length.

    Source:
        Heusel et al. 2017, *GANs trained by a two time-scale update rule*, eq. 6.
    """
    _require_comparable(features, reference, least=2)
    (mean, cov), (mean_r, cov_r) = _moments(features), _moments(reference)
    values, vectors = torch.linalg.eigh(cov)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov_r @ root).clamp(min=0).sqrt().sum()
    apart = (mean - mean_r).square().sum()
    return float(apart + cov.trace() + cov_r.trace() - 2 * overlap)


def kernel_distance(
    features: Float[Tensor, "sample feature"], reference: Float[Tensor, "real feature"]
) -> float:
    r"""How far two sets of features are apart by a cubic kernel: KID, on whatever features.

    .. math::

        \mathrm{MMD}^2 = \frac{\sum_{i \ne j} k(x_i, x_j)}{n (n - 1)}
        + \frac{\sum_{i \ne j} k(y_i, y_j)}{m (m - 1)}
        - \frac{2 \sum_{i, j} k(x_i, y_j)}{n m},
        \qquad k(x, y) = \left(\frac{x^\top y}{d} + 1\right)^3

    over all rows at once, in double precision. It has no bias, whatever the number of samples: for
    two sets from the same distribution it is 0 on average, so it may be negative.

    Args:
        features: The features :math:`x_i` of some pictures, one row of length :math:`d` a picture.
        reference: Those of real ones, :math:`y_j`.

    Returns:
        A number, without units for features without units. This is :eq:`eq-kernel` in the
        book.

    Raises:
        FundiffError: A set has fewer than two rows, or the rows differ in length.

    Source:
        Bińkowski et al. 2018, *Demystifying MMD GANs*, section 4; Gretton et al. 2012, *A kernel
        two-sample test*, eq. 3.
    """
    _require_comparable(features, reference, least=2)
    x, y = features.double(), reference.double()
    within = _kernel(x, x).fill_diagonal_(0).sum() / (len(x) * (len(x) - 1))
    within_r = _kernel(y, y).fill_diagonal_(0).sum() / (len(y) * (len(y) - 1))
    return float(within + within_r - 2 * _kernel(x, y).mean())


def sliced_distance(
    features: Float[Tensor, "sample feature"],
    reference: Float[Tensor, "real feature"],
    *,
    directions: int = 64,
    seed: int = 0,
) -> float:
    r"""How far a set of points has to be moved to become another one, seen along a direction.

    .. math::

        \mathrm{SW}_2^2 = \mathbb E_{e} \left[ \frac1n \sum_{i=1}^n
            \left(e^\top x_{(i)} - e^\top y_{(i)}\right)^2 \right]

    over random directions :math:`e` of length 1: on a line the cheapest way is to take both
    sets in their order, :math:`e^\top x_{(1)} \le e^\top x_{(2)} \le \dots`

    Args:
        features: The points :math:`x_i`, :math:`n` of them, one a row.
        reference: As many others, :math:`y_i`.
        directions: How many directions.
        seed: The seed of the directions.

    Returns:
        The root :math:`\mathrm{SW}_2`, in the points' units. A set that is moved by 1 as a whole is
        at :math:`1 / \sqrt d` in :math:`d` dimensions; two draws from one distribution are apart
        too, by less the more points there are.

    Raises:
        FundiffError: The sets are empty, or differ in shape.

    Source:
        Bonneel et al. 2015, *Sliced and Radon Wasserstein barycenters of measures*.
    """
    _require_comparable(features, reference, least=1)
    if len(features) != len(reference):
        raise FundiffError(
            f"expected as many points in both sets, got {len(features)} and {len(reference)}"
        )
    drawn = noise(directions, 1, 1, features.shape[1], seed=seed).flatten(1).to(features)
    along = torch.nn.functional.normalize(drawn).T
    x, y = ((points @ along).sort(dim=0).values for points in (features, reference))
    return float((x - y).square().mean().sqrt())


class Nearest(NamedTuple):
    """The nearest rows of a reference.

    Attributes:
        distances: How far they are.
        indices: Which they are.
    """

    distances: Float[Tensor, " sample"]
    indices: Int[Tensor, " sample"]


def nearest(
    features: Float[Tensor, "sample feature"],
    reference: Float[Tensor, "real feature"],
    *,
    together: int = 256,
) -> Nearest:
    r"""Find the nearest neighbours of some features, to see whether a model repeats its training.

    .. math:: d_i = \min_j \lVert x_i - y_j \rVert

    A model that remembers pictures makes some that are nearer to the training set than new real
    pictures are: compare the distances of generated to training pictures with those of unseen real
    ones to training pictures.

    Args:
        features: The features :math:`x_i`, one row a picture.
        reference: Those of the training set, :math:`y_j`.
        together: How many rows are compared with the reference at once, for the memory's sake.

    Returns:
        For each row the Euclidean distance of its nearest neighbour, in the features' units and
        exactly 0 for a copy, and which it is, the first of several.

    Raises:
        FundiffError: A set is empty, or the rows differ in length.

    Source:
        Meehan et al. 2020, *A non-parametric test to detect data-copying in generative models*.
    """
    _require_comparable(features, reference, least=1)
    exact = "donot_use_mm_for_euclid_dist"
    parts = [
        torch.cdist(part, reference, compute_mode=exact).min(dim=1)
        for part in features.split(together)
    ]
    distances, indices = (torch.cat(column) for column in zip(*parts, strict=True))
    return Nearest(distances, indices)


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    mean = x.double().mean(dim=0)
    centred = x.double() - mean
    return mean, centred.T @ centred / (len(x) - 1)


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _require_comparable(features: Tensor, reference: Tensor, *, least: int) -> None:
    if min(len(features), len(reference)) < least or features.shape[1] != reference.shape[1]:
        raise FundiffError(
            f"expected two sets of at least {least} rows of the same length, got "
            f"{tuple(features.shape)} and {tuple(reference.shape)}"
        )

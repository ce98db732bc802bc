import math
from collections.abc import Callable
from inspect import unwrap

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist
from scipy.stats import wasserstein_distance
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor, nn
from torch.nn.functional import normalize
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from fundiff.errors import FundiffError
from fundiff.metrics.alignment import r_precision
from fundiff.metrics.distances import (
    frechet_distance,
    kernel_distance,
    nearest,
    sliced_distance,
)
from fundiff.metrics.image import psnr, ssim
from fundiff.types import Images


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_psnr_is_scikit_images(data_range: float, images: Callable[..., Images]) -> None:
    x, y = images(3, 3, 20, 20), images(3, 3, 20, 20)
    ours = psnr(x, y, data_range=data_range)
    for one, image, reference in zip(ours, x, y, strict=True):
        theirs = peak_signal_noise_ratio(reference.numpy(), image.numpy(), data_range=data_range)
        assert one.item() == pytest.approx(theirs, rel=1e-5)


def test_psnr_of_a_known_error() -> None:
    x = torch.zeros(1, 1, 4, 4)
    assert psnr(x, x + 0.2).item() == pytest.approx(20, abs=1e-4)
    assert psnr(x, x).item() == math.inf


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_is_scikit_images(
    batch: int, data_range: float, images: Callable[..., Images]
) -> None:
    y = images(batch, 3, 32, 32, dtype=torch.float64)
    x = y + 0.5 * images(batch, 3, 32, 32, dtype=torch.float64)
    ours = ssim(x, y, data_range=data_range)
    assert ours.shape == (batch,)
    for one, image, reference in zip(ours, x, y, strict=True):
        theirs = structural_similarity(
            reference.numpy(),
            image.numpy(),
            channel_axis=0,
            data_range=data_range,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        assert one.item() == pytest.approx(theirs, rel=1e-6)


def test_ssim_of_an_image_with_itself_is_one(images: Callable[..., Images]) -> None:
    x = images(2, 3, 16, 16)
    torch.testing.assert_close(ssim(x, x), torch.ones(2))


def test_ssim_needs_room_for_its_window() -> None:
    with pytest.raises(ValueError, match=r"at least 11 pixels a side, got \[10, 16\]"):
        ssim(torch.zeros(1, 1, 10, 16), torch.zeros(1, 1, 10, 16))


class AsTheyAre(nn.Module):
    """Features that are the images themselves, for torchmetrics."""

    num_features = 6

    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.fixture
def features(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two sets of features whose means and covariances differ."""
    mix = torch.randn(6, 6, generator=generator)
    x = torch.randn(90, 6, generator=generator)
    return x, torch.randn(120, 6, generator=generator) @ mix / 2 + 0.3


def test_frechet_distance_is_torchmetrics(features: tuple[Tensor, Tensor]) -> None:
    x, y = features
    theirs = FrechetInceptionDistance(feature=AsTheyAre(), normalize=True)
    theirs.set_dtype(torch.float64)
    theirs.update(y, real=True)
    theirs.update(x, real=False)
    assert frechet_distance(x, y) == pytest.approx(theirs.compute().item(), rel=1e-6)


def test_frechet_distance_is_scipys_matrix_root(features: tuple[Tensor, Tensor]) -> None:
    x, y = (part.double().numpy() for part in features)
    apart = x.mean(0) - y.mean(0)
    cov, cov_r = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    expected = apart @ apart + np.trace(cov + cov_r - 2 * sqrtm(cov @ cov_r).real)
    assert frechet_distance(*features) == pytest.approx(expected, rel=1e-8)


def test_frechet_distance_by_hand() -> None:
    """Of numbers: the means' distance and the deviations' distance, each squared."""
    x, y = torch.tensor([[-1.0], [1.0]]), torch.tensor([[2.0], [5.0], [8.0]])
    assert frechet_distance(x, y) == pytest.approx(25 + (2**0.5 - 3) ** 2)
    assert frechet_distance(y, x) == pytest.approx(frechet_distance(x, y))


def test_frechet_distance_from_itself_is_zero(generator: torch.Generator) -> None:
    """Also with fewer pictures than features, where covariances have no full rank."""
    x = torch.randn(10, 40, generator=generator)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-5)


@pytest.mark.filterwarnings("ignore:Metric `KernelInceptionDistance` will save:UserWarning")
@pytest.mark.filterwarnings("ignore:Metric `Kernel Inception Distance` will save")
def test_kernel_distance_is_torchmetrics(features: tuple[Tensor, Tensor]) -> None:
    x, y = features[0], features[1][:90]
    theirs = KernelInceptionDistance(
        feature=AsTheyAre(), subsets=1, subset_size=90, normalize=True
    ).set_dtype(torch.float64)
    theirs.update(y.double(), real=True)
    theirs.update(x.double(), real=False)
    mean, _ = theirs.compute()
    assert kernel_distance(x, y) == pytest.approx(mean.item(), rel=1e-6)


def test_kernel_distance_by_hand() -> None:
    """k(0, 1) = 1 and k(1, 2) = 27, so 1 + 27 - 2 (1 + 1 + 8 + 27) / 4."""
    x, y = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [2.0]])
    assert kernel_distance(x, y) == pytest.approx(1 + 27 - 2 * (1 + 1 + 8 + 27) / 4)


def test_kernel_distance_has_no_bias(generator: torch.Generator) -> None:
    """Small sets from one distribution: 0 on average, so negative at times, also unequal ones."""
    found = torch.tensor(
        [
            kernel_distance(*torch.randn(25, 3, generator=generator).split([10, 15]))
            for _ in range(400)
        ]
    )
    assert found.min() < 0
    assert found.mean().abs() < 4 * found.std() / 20


def test_the_nearest_are_scipys(features: tuple[Tensor, Tensor]) -> None:
    x, y = features
    expected = cdist(x.numpy(), y.numpy())
    for together in (7, 256):
        found = nearest(x, y, together=together)
        np.testing.assert_allclose(found.distances, expected.min(1), rtol=1e-5)
        np.testing.assert_array_equal(found.indices, expected.argmin(1))


def test_copies_are_at_no_distance_at_all(generator: torch.Generator) -> None:
    reference = 50 + torch.randn(40, 300, generator=generator)
    reference[30] = reference[4]
    found = nearest(reference[[4, 17]], reference)
    assert found.distances.tolist() == [0, 0]
    assert found.indices.tolist() == [4, 17]


@pytest.mark.parametrize(
    ("measure", "rows"), [(frechet_distance, 2), (kernel_distance, 2), (nearest, 1)]
)
def test_sets_must_be_comparable(measure: Callable[..., object], rows: int) -> None:
    with pytest.raises(ValueError, match=rf"at least {rows} rows .* \(5, 3\) and \(5, 4\)"):
        unwrap(measure)(torch.zeros(5, 3), torch.zeros(5, 4))
    with pytest.raises(ValueError, match=rf"at least {rows} rows .* \(5, 3\) and \({rows - 1}, 3"):
        measure(torch.zeros(5, 3), torch.zeros(rows - 1, 3))


def vectors(generator: torch.Generator, *shape: int) -> Tensor:
    return normalize(torch.randn(*shape, generator=generator), dim=-1)


def test_pictures_that_are_their_captions_are_found(generator: torch.Generator) -> None:
    texts = vectors(generator, 120, 16)
    assert r_precision(texts, texts, generator=generator) == 1
    assert r_precision(-texts, texts, candidates=120, generator=generator) == 0


def test_pictures_without_a_clue_are_found_by_chance(generator: torch.Generator) -> None:
    images, texts = vectors(generator, 2_000, 16), vectors(generator, 2_000, 16)
    found = r_precision(images, texts, candidates=10, generator=generator)
    assert found == pytest.approx(0.1, abs=4 * (0.09 / 2_000) ** 0.5)


def test_ties_share_the_hit(generator: torch.Generator) -> None:
    """An encoder of pictures that always says nothing scores what chance does."""
    texts = vectors(generator, 30, 16)
    nothing = torch.zeros(30, 16)
    assert r_precision(nothing, texts, candidates=5, generator=generator) == pytest.approx(0.2)


def test_r_precision_by_hand(generator: torch.Generator) -> None:
    """All captions are candidates, so nothing is random: pictures 0 and 2 find theirs."""
    texts = torch.eye(3)
    images = torch.tensor([[0.9, 0.1, 0.2], [0.8, 0.3, 0.1], [0.1, 0.2, 0.3]])
    found = r_precision(images, texts, candidates=3, generator=generator)
    assert found == pytest.approx(2 / 3)


def test_the_same_caption_is_no_candidate(generator: torch.Generator) -> None:
    """Ten captions, each of twelve pictures, and up to rounding the same."""
    distinct = vectors(generator, 10, 16)
    texts = distinct.repeat(12, 1) + 1e-7 * torch.randn(120, 16, generator=generator)
    assert r_precision(distinct.repeat(12, 1), texts, generator=generator) == 1
    with pytest.raises(ValueError, match="picture 0 has 108 captions that differ"):
        r_precision(texts, texts, candidates=110, generator=generator)


def test_r_precision_refuses_what_it_cannot_compare(generator: torch.Generator) -> None:
    texts = vectors(generator, 4, 8)
    with pytest.raises(ValueError, match="at least 2 candidates, got 1"):
        r_precision(texts, texts, candidates=1, generator=generator)
    with pytest.raises(ValueError, match=r"its own caption's vector, got \(3, 8\) and \(4, 8\)"):
        unwrap(r_precision)(texts[:3], texts, generator=generator)


def test_sliced_distance_on_a_line_is_the_wasserstein_distance() -> None:
    """Against SciPy's, of order 1, on points that all move alike, and NumPy's order."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 1, generator=generator, dtype=torch.float64)
    y = x[torch.randperm(500, generator=generator)] + 0.7
    assert sliced_distance(x, y) == pytest.approx(wasserstein_distance(x[:, 0], y[:, 0]))
    z = 2 * torch.randn(500, 1, generator=generator, dtype=torch.float64)
    expected = np.sqrt(np.mean((np.sort(x[:, 0]) - np.sort(z[:, 0])) ** 2))
    assert sliced_distance(x, z) == pytest.approx(expected)


def test_sliced_distance_of_a_shift_is_its_length_over_the_root_of_the_dimensions() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(300, 2, generator=generator)
    shift = torch.tensor([0.3, -0.4])
    found = sliced_distance(x, (x + shift).flip(0), directions=20_000)
    assert found == pytest.approx(0.5 / math.sqrt(2), rel=0.01)
    assert sliced_distance(x, x.flip(0)) == 0
    with pytest.raises(FundiffError, match="as many points in both sets, got 300 and 299"):
        sliced_distance(x, x[1:])

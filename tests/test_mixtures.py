import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from fundiff.errors import FundiffError
from fundiff.mixtures import Mixture
from fundiff.process import add_noise, ddim_step, ddpm_step, predict_x0
from fundiff.rng import noise
from fundiff.sampling import Step, sample
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images

SCHEDULE = NoiseSchedule(NoiseSchedule.linear().alpha_bar.double())
MEANS = torch.tensor([[-0.6, -0.5], [0.7, -0.2], [0.1, 0.6]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
THREE = Mixture(MEANS.view(3, 1, 1, 2), 0.12, SHARES)
TIMES = (0, 5, 100, 400, 999)


def noised(count: int, t: int, mixture: Mixture = THREE) -> tuple[Images, Images, torch.Tensor]:
    x0, times = mixture.draw(count, seed=1), torch.full((count,), t)
    eps = noise(*x0.shape, seed=2).to(x0)
    return add_noise(SCHEDULE, x0, times, eps), x0, times


def reference(t: int) -> MixtureSameFamily:
    """The noised mixture as PyTorch's distributions have it."""
    alpha_bar = SCHEDULE.alpha_bar[t] if t >= 0 else torch.tensor(1.0, dtype=torch.float64)
    scale = (alpha_bar * 0.12**2 + 1 - alpha_bar).sqrt() * torch.ones_like(MEANS)
    parts = Independent(Normal(alpha_bar.sqrt() * MEANS, scale), 1)
    return MixtureSameFamily(Categorical(SHARES), parts)


@pytest.mark.parametrize("t", [-1, *TIMES])
def test_density_is_that_of_pytorchs_mixture_and_the_score_its_gradient(t: int) -> None:
    points = torch.linspace(-1.5, 1.5, 7, dtype=torch.float64)
    x = torch.cartesian_prod(points, points).requires_grad_()
    pictures, times = x.detach().view(-1, 1, 1, 2), torch.full((len(x),), t)
    expected = reference(t).log_prob(x)
    torch.testing.assert_close(THREE.log_density(SCHEDULE, pictures, times), expected)
    (gradient,) = torch.autograd.grad(expected.sum(), x)
    torch.testing.assert_close(THREE.score(SCHEDULE, pictures, times), gradient.view(-1, 1, 1, 2))


@pytest.mark.parametrize("t", TIMES)
def test_posterior_is_bayes_rule(t: int) -> None:
    x, _, times = noised(50, t)
    parts = [Mixture(THREE.means[k : k + 1], 0.12) for k in range(3)]
    each = [
        share * part.log_density(SCHEDULE, x, times).exp()
        for share, part in zip(SHARES, parts, strict=True)
    ]
    expected = torch.stack(each, dim=1) / THREE.log_density(SCHEDULE, x, times).exp()[:, None]
    torch.testing.assert_close(THREE.posterior(SCHEDULE, x, times), expected)


@pytest.mark.parametrize("t", [100, 400, 800])
def test_the_ideal_denoiser_tells_the_mean_of_what_may_lie_under_the_noise(t: int) -> None:
    """Against the mean of two million clean points, weighed by how well each explains it."""
    (x, _, times), clean = noised(5, t), THREE.draw(2_000_000, seed=9)
    alpha_bar = SCHEDULE.alpha_bar[t]
    away = (x[:, None, 0, 0] - alpha_bar.sqrt() * clean[None, :, 0, 0]).square().sum(2)
    explains = (-away / (2 * (1 - alpha_bar))).softmax(dim=1)
    expected = torch.einsum("bn,nchw->bchw", explains, clean)
    found = predict_x0(SCHEDULE, x, times, THREE.denoiser(SCHEDULE)(x, times).eps)
    torch.testing.assert_close(found, expected, rtol=0, atol=3e-3)


def test_no_other_guess_has_a_smaller_error() -> None:
    x, x0, times = noised(200_000, 300)
    eps = (x - SCHEDULE.at(times).sqrt() * x0) / (1 - SCHEDULE.at(times)).sqrt()
    ideal = THREE.denoiser(SCHEDULE)(x, times).eps
    least = (eps - ideal).square().mean()
    for wrong in (0.05 * torch.ones_like(x), 0.05 * x, 0.05 * ideal, 0.1 * x.sin()):
        more = (eps - ideal - wrong).square().mean() - least
        torch.testing.assert_close(more, wrong.square().mean(), rtol=0, atol=3e-4)
        assert more > 0


def test_what_is_drawn_has_the_mixtures_moments() -> None:
    drawn = THREE.draw(200_000, seed=4).flatten(1)
    mean = SHARES @ MEANS
    centred = MEANS - mean
    covariance = centred.T @ (SHARES[:, None] * centred) + 0.12**2 * torch.eye(2)
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=5e-3)
    torch.testing.assert_close(drawn.T.cov(), covariance, rtol=0, atol=5e-3)
    assert THREE.draw(7, seed=4).flatten(1).equal(drawn[:7])
    assert THREE.draw(0).shape == (0, 1, 1, 2)


@pytest.mark.parametrize("step", [ddim_step, ddpm_step])
def test_a_walk_ends_in_the_mixture(step: Step) -> None:
    x = noise(5_000, 1, 1, 2, seed=3).double()
    ends = sample(
        THREE.denoiser(SCHEDULE), SCHEDULE, x, SCHEDULE.timesteps(stride=1), step=step, seed=0
    )
    chosen = THREE.posterior(SCHEDULE, ends, torch.full((len(ends),), -1)).argmax(1)
    shares = chosen.bincount(minlength=3) / len(ends)
    torch.testing.assert_close(shares.double(), SHARES, rtol=0, atol=0.025)
    for k, mean in enumerate(MEANS):
        own = ends[chosen == k].flatten(1)
        torch.testing.assert_close(own.mean(0), mean, rtol=0, atol=0.01)
        torch.testing.assert_close(own.std(0), torch.full((2,), 0.12).double(), rtol=0, atol=0.01)


def test_a_finite_set_gives_back_its_own() -> None:
    pictures = noise(40, 3, 4, 4, seed=8)
    schedule = NoiseSchedule.cosine()
    finite = Mixture(pictures)
    ends = sample(
        finite.denoiser(schedule), schedule, noise(100, 3, 4, 4), schedule.timesteps(stride=5)
    )
    nearest = torch.cdist(ends.flatten(1), pictures.flatten(1)).min(dim=1).values
    assert nearest.max() < 0.05
    assert finite.draw(9).flatten(1)[:, None].eq(pictures.flatten(1)).all(2).any(1).all()
    with pytest.raises(FundiffError, match=r"no density where nothing is noised, got t = \[-1\]"):
        finite.log_density(schedule, pictures[:1], torch.tensor([-1]))


@pytest.mark.parametrize(
    ("means", "std", "weights"),
    [
        (torch.zeros(0, 1, 1, 2), 0.1, None),
        (torch.zeros(2, 1, 1, 2), -0.1, None),
        (torch.zeros(2, 1, 1, 2), math.nan, None),
        (torch.zeros(2, 1, 1, 2), 0.1, torch.tensor([0.5, 0.6])),
        (torch.zeros(2, 1, 1, 2), 0.1, torch.tensor([1.0, 0.0])),
        (torch.zeros(2, 1, 1, 2), 0.1, torch.tensor([1.0])),
    ],
)
def test_what_is_no_mixture_is_refused(
    means: Images, std: float, weights: torch.Tensor | None
) -> None:
    with pytest.raises(FundiffError, match="expected"):
        Mixture(means, std, weights)

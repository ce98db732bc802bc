from collections.abc import Callable

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from fundiff.process import (
    add_more_noise,
    add_noise,
    ddim_step,
    ddpm_step,
    predict_eps,
    predict_x0,
    v_to_eps,
    velocity,
)
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images, Prediction

SCHEDULE = NoiseSchedule.cosine()
DOUBLE = NoiseSchedule(SCHEDULE.alpha_bar.double())


def times(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_add_noise_is_diffusers(images: Callable[..., Images]) -> None:
    t = times(0, 250, 500, 999)
    x0, eps = images(4, 3, 8, 8), images(4, 3, 8, 8)
    theirs = DDPMScheduler(beta_schedule="squaredcos_cap_v2").add_noise(x0, eps, t)
    torch.testing.assert_close(add_noise(SCHEDULE, x0, t, eps), theirs)


def test_clean_images_stay_as_they_are(images: Callable[..., Images]) -> None:
    x0 = images()
    assert add_noise(SCHEDULE, x0, times(-1, -1), images()).equal(x0)


@given(st.lists(st.integers(0, 980), min_size=1, max_size=4))
def test_prediction_inverts_the_noise(t: list[int]) -> None:
    draw = torch.Generator().manual_seed(sum(t))
    x0, eps = torch.randn(2, len(t), 3, 4, 4, generator=draw, dtype=torch.float64)
    x_t = add_noise(DOUBLE, x0, times(*t), eps)
    torch.testing.assert_close(predict_x0(DOUBLE, x_t, times(*t), eps), x0)
    torch.testing.assert_close(predict_eps(DOUBLE, x_t, times(*t), x0), eps, rtol=1e-6, atol=1e-9)


def test_velocity_is_diffusers_and_gives_the_noise_back(images: Callable[..., Images]) -> None:
    x0, eps = images(4, 3, 8, 8, dtype=torch.float64), images(4, 3, 8, 8, dtype=torch.float64)
    t = times(0, 250, 500, 999)
    scheduler = DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    scheduler.alphas_cumprod = DOUBLE.alpha_bar
    v = velocity(DOUBLE, x0, t, eps)
    torch.testing.assert_close(v, scheduler.get_velocity(x0, eps, t))
    x_t = add_noise(DOUBLE, x0, t, eps)
    torch.testing.assert_close(v_to_eps(DOUBLE, x_t, t, v), eps)


def test_a_clean_image_has_no_noise_to_find(images: Callable[..., Images]) -> None:
    with pytest.raises(ValueError, match="expected t >= 0"):
        predict_eps(SCHEDULE, images(), times(3, -1), images())


def test_noise_in_two_goes_is_noise_in_one(generator: torch.Generator) -> None:
    """Going to s over t gives the mean and the variance of going there at once."""
    t, s = torch.full((20000,), 200), torch.full((20000,), 600)
    x0 = torch.full((20000, 1, 1, 1), 0.7, dtype=torch.float64)
    eps, more = torch.randn(2, *x0.shape, generator=generator, dtype=torch.float64)
    x_s = add_more_noise(DOUBLE, add_noise(DOUBLE, x0, t, eps), t, s, more)
    alpha_bar = DOUBLE.alpha_bar[600].item()
    assert x_s.mean().item() == pytest.approx(0.7 * alpha_bar**0.5, abs=0.02)
    assert x_s.var().item() == pytest.approx(1 - alpha_bar, rel=0.03)


def test_noise_is_never_taken_away_by_adding(images: Callable[..., Images]) -> None:
    with pytest.raises(ValueError, match="later timestep"):
        add_more_noise(SCHEDULE, images(), times(5, 5), times(6, 4), images())


@pytest.mark.parametrize("eta", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("t", [990, 500, 30, 0])
def test_ddim_step_is_diffusers(eta: float, t: int, images: Callable[..., Images]) -> None:
    scheduler = DDIMScheduler(beta_schedule="squaredcos_cap_v2", clip_sample=False)
    scheduler.set_timesteps(33)
    scheduler.alphas_cumprod = DOUBLE.alpha_bar
    scheduler.final_alpha_cumprod = scheduler.final_alpha_cumprod.double()
    x, eps, noise = (images(2, 3, 8, 8, dtype=torch.float64) for _ in range(3))
    theirs = scheduler.step(eps, t, x, eta=eta, variance_noise=noise).prev_sample
    s = max(t - 30, -1)
    ours = ddim_step(DOUBLE, x, Prediction(eps), times(t, t), times(s, s), noise, eta=eta)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


@given(st.integers(0, 980), st.data())
def test_full_eta_is_the_posterior(t: int, data: st.DataObject) -> None:
    s = data.draw(st.integers(-1, t - 1))
    draw = torch.Generator().manual_seed(t)
    x, eps, noise = torch.randn(3, 1, 3, 4, 4, generator=draw, dtype=torch.float64)
    at = (Prediction(eps), times(t), times(s), noise)
    torch.testing.assert_close(
        ddim_step(DOUBLE, x, *at, eta=1.0), ddpm_step(DOUBLE, x, *at), rtol=1e-6, atol=1e-8
    )


def test_posterior_is_bayes_rule() -> None:
    """For one pixel with a known x0, q(x_s | x_t, x0) by multiplying two Gaussians."""
    t, s, x0, x_t = 600, 400, 0.3, -0.8
    a_t, a_s = DOUBLE.alpha_bar[t].item(), DOUBLE.alpha_bar[s].item()
    alpha = a_t / a_s
    precision = alpha / (1 - alpha) + 1 / (1 - a_s)
    mean = (alpha**0.5 * x_t / (1 - alpha) + a_s**0.5 * x0 / (1 - a_s)) / precision
    x = torch.full((1, 1, 1, 1), x_t, dtype=torch.float64)
    eps = predict_eps(DOUBLE, x, times(t), torch.full_like(x, x0))
    at = (x, Prediction(eps), times(t), times(s))
    low = ddpm_step(DOUBLE, *at, torch.zeros_like(x))
    high = ddpm_step(DOUBLE, *at, torch.ones_like(x))
    assert low.item() == pytest.approx(mean, rel=1e-9)
    assert (high - low).item() ** 2 == pytest.approx(1 / precision, rel=1e-9)


def test_learned_range_spans_the_two_variances(images: Callable[..., Images]) -> None:
    x, eps, noise = (images(dtype=torch.float64) for _ in range(3))
    t, s = times(600, 300), times(570, 200)
    for v, large in ((1.0, True), (-1.0, False)):
        learned = ddpm_step(DOUBLE, x, Prediction(eps, torch.full_like(x, v)), t, s, noise)
        fixed = ddpm_step(DOUBLE, x, Prediction(eps), t, s, noise, large_variance=large)
        torch.testing.assert_close(learned, fixed)


def test_last_step_is_the_clean_estimate(images: Callable[..., Images]) -> None:
    x, eps, noise, v = (images(dtype=torch.float64) for _ in range(4))
    t, s = times(40, 0), times(-1, -1)
    x0 = predict_x0(DOUBLE, x, t, eps)
    for prediction in (Prediction(eps), Prediction(eps, v)):
        torch.testing.assert_close(ddim_step(DOUBLE, x, prediction, t, s), x0)
        torch.testing.assert_close(ddim_step(DOUBLE, x, prediction, t, s, noise, eta=1.0), x0)
        torch.testing.assert_close(ddpm_step(DOUBLE, x, prediction, t, s, noise), x0)
        torch.testing.assert_close(ddpm_step(DOUBLE, x, prediction, t, s, None), x0)


def test_each_image_has_its_own_timestep(images: Callable[..., Images]) -> None:
    x, eps, noise, v = (images(3, 3, 8, 8) for _ in range(4))
    t, s = times(990, 500, 0), times(960, 100, -1)
    together = ddpm_step(SCHEDULE, x, Prediction(eps, v), t, s, noise)
    for i in range(3):
        one = slice(i, i + 1)
        prediction = Prediction(eps[one], v[one])
        alone = ddpm_step(SCHEDULE, x[one], prediction, t[one], s[one], noise[one])
        torch.testing.assert_close(together[one], alone)


def test_steps_leave_their_arguments_alone(images: Callable[..., Images]) -> None:
    x, eps, noise, v = (images() for _ in range(4))
    copies = [tensor.clone() for tensor in (x, eps, noise, v)]
    at = (times(500, 400), times(400, 300), noise)
    ddim_step(SCHEDULE, x, Prediction(eps, v), *at, eta=1.0)
    ddpm_step(SCHEDULE, x, Prediction(eps, v), *at)
    assert all(a.equal(b) for a, b in zip((x, eps, noise, v), copies, strict=True))


def test_missing_noise_and_wrong_ways_are_refused(images: Callable[..., Images]) -> None:
    x, prediction = images(), Prediction(images())
    t, s = times(500, 500), times(400, -1)
    with pytest.raises(ValueError, match="pass a seed"):
        ddpm_step(SCHEDULE, x, prediction, t, s, None)
    with pytest.raises(ValueError, match="pass a seed"):
        ddim_step(SCHEDULE, x, prediction, t, s, eta=0.5)
    with pytest.raises(ValueError, match=r"between 0 and 1, got 1\.5"):
        ddim_step(SCHEDULE, x, prediction, t, s, eta=1.5)
    with pytest.raises(ValueError, match="earlier timestep"):
        ddpm_step(SCHEDULE, x, prediction, t, t, None)

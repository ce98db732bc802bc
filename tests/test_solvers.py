import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler
from hypothesis import given
from hypothesis import strategies as st
from networks import RandomNetwork

from fundiff.guidance import Bound, Thresholded
from fundiff.process import ddim_step, v_to_eps
from fundiff.rng import noise
from fundiff.sampling import Step, denoise, inpaint, sample
from fundiff.schedule import NoiseSchedule
from fundiff.solvers import (
    GRIDS,
    SOLVERS,
    Heun,
    dpm_step,
    even_timesteps,
    karras_timesteps,
    log_snr_timesteps,
)
from fundiff.types import Denoiser, Estimate, Images, Prediction, Times

SCHEDULES = {"cosine": NoiseSchedule.cosine(), "linear": NoiseSchedule.linear()}
BETAS = {"cosine": "squaredcos_cap_v2", "linear": "linear"}
COSINE = SCHEDULES["cosine"]
START = 980


def walked(
    denoiser: Denoiser, schedule: NoiseSchedule, x: Images, timesteps: list[int], step: Step
) -> list[Images]:
    return [state.x for state in denoise(denoiser, schedule, x, timesteps, step=step, seed=2)]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
@pytest.mark.parametrize("count", [1, 2, 12, 34])
@pytest.mark.parametrize("kind", ["epsilon", "v_prediction", "thresholded"])
@pytest.mark.parametrize("eta", [0.0, 1.0])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", SCHEDULES)
def test_a_walk_of_dpm_is_diffusers(
    name: str,
    grid: str,
    eta: float,
    kind: str,
    count: int,
    network: RandomNetwork,
    record_property: Callable[[str, object], None],
) -> None:
    schedule, v = SCHEDULES[name], kind == "v_prediction"
    timesteps = GRIDS[grid](schedule, count, start=START)
    scheduler = DPMSolverMultistepScheduler(
        beta_schedule=BETAS[name],
        algorithm_type="sde-dpmsolver++" if eta else "dpmsolver++",
        prediction_type="v_prediction" if v else "epsilon",
        thresholding=kind == "thresholded",
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
    )
    scheduler.set_timesteps(timesteps=timesteps)
    x = start = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    theirs = [x]
    for number, t in enumerate(timesteps):
        z = noise(*x.shape, seed=2, stream="step", step=number)
        output = network(x, torch.full((2,), t)).eps
        x = scheduler.step(output, t, x, variance_noise=z).prev_sample
        theirs.append(x)

    def ours(x_t: Images, t: Times) -> Prediction:
        output = network(x_t, t).eps
        return Prediction(v_to_eps(schedule, x_t, t, output) if v else output)

    denoiser = Thresholded(ours, schedule) if kind == "thresholded" else ours
    states = walked(denoiser, schedule, start, timesteps, partial(dpm_step, eta=eta))
    assert len(states) == len(theirs) == count + 1
    errors = [
        ((one - other).abs().max() / other.abs().max()).item()
        for one, other in zip(states, theirs, strict=True)
    ]
    record_property("relative error", max(errors))
    assert max(errors) < 1e-4


def assert_same(walk: list[Images], expected: list[Images]) -> None:
    for one, other in zip(walk, expected, strict=True):
        assert (one - other).abs().max() <= 1e-10 * other.abs().max()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("grid", GRIDS)
def test_a_walk_of_dpm_is_algorithm_2_of_the_paper(
    name: str, grid: str, network: RandomNetwork
) -> None:
    """Written down from the paper, with its h and r, in double precision."""
    schedule = NoiseSchedule(SCHEDULES[name].alpha_bar.double())
    network.double()
    timesteps = GRIDS[grid](schedule, 12, start=990)
    table = schedule.alpha_bar.numpy()
    alpha, sigma = np.sqrt(table), np.sqrt(1 - table)
    lambda_ = np.log(alpha / sigma)

    def clean(x: np.ndarray, t: int) -> np.ndarray:
        eps = network(torch.from_numpy(x), torch.full((2,), t)).eps.numpy()
        estimate: np.ndarray = (x - sigma[t] * eps) / alpha[t]
        return estimate

    start = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    x, q, expected = start.numpy(), [clean(start.numpy(), timesteps[0])], [start]
    for i, (before, now) in enumerate(pairwise(timesteps), 1):
        h = lambda_[now] - lambda_[before]
        d = q[-1]
        if i > 1:
            r = (lambda_[before] - lambda_[timesteps[i - 2]]) / h
            d = (1 + 1 / (2 * r)) * q[-1] - 1 / (2 * r) * q[-2]
        x = sigma[now] / sigma[before] * x - alpha[now] * (np.exp(-h) - 1) * d
        q.append(clean(x, now))
        expected.append(torch.from_numpy(x))
    expected.append(torch.from_numpy(q[-1]))
    states = walked(network, schedule, start, timesteps, dpm_step)
    assert_same(states, expected)


@pytest.mark.parametrize("step", [dpm_step, partial(dpm_step, eta=1.0)])
def test_the_first_step_and_the_last_are_of_order_1(
    step: Step, images: Callable[..., Images]
) -> None:
    x, eps, z = images(), images(), images()
    t, s, clean = (torch.full((2,), number) for number in (500, 300, -1))
    first = step(COSINE, x, Prediction(eps), t, s, z)
    eta = 1.0 if isinstance(step, partial) else 0.0
    mine = ddim_step(COSINE, x, Prediction(eps), t, s, z, eta=eta)
    torch.testing.assert_close(first, mine, rtol=1e-4, atol=1e-5)
    seen = Prediction(eps, last=Estimate(torch.tensor([700, 700]), images()))
    last = step(COSINE, x, seen, t, clean, None)
    torch.testing.assert_close(last, ddim_step(COSINE, x, seen, t, clean))
    assert not step(COSINE, x, seen, t, s, z).allclose(first, atol=1e-2)


def test_images_of_one_batch_may_be_at_any_timestep(images: Callable[..., Images]) -> None:
    x, eps, last = images(3, 3, 8, 8), images(3, 3, 8, 8), images(3, 3, 8, 8)
    t, s, before = torch.tensor([900, 400, 20]), torch.tensor([800, 0, -1]), torch.tensor([950] * 3)
    whole = dpm_step(COSINE, x, Prediction(eps, last=Estimate(before, last)), t, s)
    for i in range(3):
        one = slice(i, i + 1)
        seen = Prediction(eps[one], last=Estimate(before[one], last[one]))
        torch.testing.assert_close(dpm_step(COSINE, x[one], seen, t[one], s[one]), whole[one])


def fine() -> NoiseSchedule:
    """Timesteps at even distances in log-SNR, so near to each other that none is rounded."""
    lambdas = torch.linspace(4, -4, 3841, dtype=torch.float64)
    return NoiseSchedule(torch.sigmoid(2 * lambdas))


MEAN, SPREAD = 0.4, 0.25


def gaussian(schedule: NoiseSchedule) -> Denoiser:
    """The best denoiser there is for pixels from N(MEAN, SPREAD²), in closed form."""

    def denoiser(x_t: Images, t: Times) -> Prediction:
        alpha_bar = schedule.at(t).to(x_t)
        total = alpha_bar * SPREAD**2 + 1 - alpha_bar
        return Prediction((1 - alpha_bar).sqrt() * (x_t - alpha_bar.sqrt() * MEAN) / total)

    return denoiser


def solution(schedule: NoiseSchedule, x: Images, t: int, s: int) -> Images:
    """Where the curve through ``x`` at ``t`` is at ``s``: as many deviations from the mean."""
    a, b = schedule.alpha_bar[t], schedule.alpha_bar[s]
    spread = ((b * SPREAD**2 + 1 - b) / (a * SPREAD**2 + 1 - a)).sqrt()
    return b.sqrt() * MEAN + spread * (x - a.sqrt() * MEAN)


@pytest.mark.parametrize(("solver", "order"), [("ddim", 1), ("dpm", 2), ("heun", 2)])
def test_the_error_falls_with_the_order(solver: str, order: int) -> None:
    schedule = fine()
    denoiser, top = gaussian(schedule), schedule.steps - 1
    step = Heun(denoiser) if solver == "heun" else SOLVERS[solver].step
    x = torch.randn(1, 1, 32, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    errors = []
    for count in (48, 96, 192):
        timesteps = schedule.timesteps(count=count + 1)
        *_, there, _ = walked(denoiser, schedule, x, timesteps, step)
        errors.append((there - solution(schedule, x, top, 0)).abs().max().item())
    found = [math.log2(coarse / halved) for coarse, halved in pairwise(errors)]
    assert found == pytest.approx([order, order], abs=0.15)


@pytest.mark.parametrize("count", [12, 100])
def test_the_noisy_walk_lands_on_the_known_distribution(count: int) -> None:
    x = torch.randn(1, 1, 96, 96, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    timesteps = log_snr_timesteps(COSINE, count)
    last = sample(gaussian(COSINE), COSINE, x, timesteps, step=SOLVERS["dpm-sde"].step, seed=1)
    assert last.mean().item() == pytest.approx(MEAN, abs=0.02)
    assert last.std().item() == pytest.approx(SPREAD, rel=0.1)


def test_a_step_hears_of_the_one_before_but_not_across_a_way_up(network: RandomNetwork) -> None:
    seen: list[Estimate | None] = []

    def step(
        schedule: NoiseSchedule,
        x_t: Images,
        prediction: Prediction,
        t: Times,
        s: Times,
        noise: Images | None,
    ) -> Images:
        seen.append(prediction.last)
        return ddim_step(schedule, x_t, prediction, t, s)

    x = noise(2, 3, 8, 8)
    timesteps = [900, 600, 300, 600, 300]
    states = list(denoise(Bound(network), COSINE, x, timesteps, step=step, seed=0))
    before = [None if last is None else last.t.tolist() for last in seen]
    assert before == [None, [900, 900], None, [600, 600]]
    assert seen[1] is not None
    assert seen[1].x0.equal(states[0].x0)


def test_a_constraint_holds_at_order_2(network: RandomNetwork) -> None:
    x0 = torch.full((1, 3, 16, 16), 0.5)
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:10, 5:12] = 1
    keep, outside = inpaint(x0, mask), (mask == 0).expand(3, 3, 16, 16)
    for step in (dpm_step, SOLVERS["dpm-sde"].step):
        last = sample(network, COSINE, noise(3, 3, 16, 16), step=step, constraint=keep, seed=1)
        assert last[outside].eq(0.5).all()
        assert last[~outside].isfinite().all()


@pytest.mark.parametrize("name", SCHEDULES)
def test_heun_is_algorithm_1_of_the_paper(name: str, network: RandomNetwork) -> None:
    """DPM-Solver++(2S) with r = 1, written down from the paper in double precision."""
    schedule = NoiseSchedule(SCHEDULES[name].alpha_bar.double())
    network.double()
    timesteps = karras_timesteps(schedule, 9, start=990)
    alpha, sigma = schedule.alpha_bar.sqrt(), (1 - schedule.alpha_bar).sqrt()
    lambda_, r = (alpha / sigma).log(), 1

    def clean(x: Images, t: int) -> Images:
        estimate: Images = (x - sigma[t] * network(x, torch.full((2,), t)).eps) / alpha[t]
        return estimate

    start = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1)).double()
    x, expected = start, [start]
    for t, s in pairwise(timesteps):
        h = lambda_[s] - lambda_[t]
        u = sigma[s] / sigma[t] * x - alpha[s] * torch.expm1(-r * h) * clean(x, t)
        d = (1 - 1 / (2 * r)) * clean(x, t) + 1 / (2 * r) * clean(u, s)
        x = sigma[s] / sigma[t] * x - alpha[s] * torch.expm1(-h) * d
        expected.append(x)
    expected.append(clean(x, timesteps[-1]))
    network.calls.clear()
    states = walked(network, schedule, start, timesteps, Heun(network))
    assert len(network.calls) == 2 * len(timesteps) - 1
    assert_same(states, expected)


@pytest.mark.parametrize("timesteps", GRIDS.values())
@given(steps=st.integers(1, 300), data=st.data())
def test_grids_fall_from_their_start_to_0(
    timesteps: Callable[..., list[int]], steps: int, data: st.DataObject
) -> None:
    schedule = NoiseSchedule.cosine(steps)
    start = data.draw(st.integers(0, steps - 1))
    count = data.draw(st.integers(1, start + 1))
    found = timesteps(schedule, count, start=start)
    assert len(found) == count
    assert found[0] == start
    assert count == 1 or found[-1] == 0
    assert all(s < t for t, s in pairwise(found))
    assert timesteps(schedule, start + 1, start=start) == list(range(start, -1, -1))


def test_grids_are_those_of_the_papers() -> None:
    """On a grid so fine that rounding hides nothing, at even distances on their axes."""
    schedule = fine()
    lambdas = schedule.snr().log() / 2
    top = schedule.timesteps()[0]
    even = lambdas[log_snr_timesteps(schedule, 9)].diff()
    torch.testing.assert_close(even, even.mean().expand(8), rtol=2e-3, atol=0)
    low, high = math.exp(-lambdas[0]) ** (1 / 7), math.exp(-lambdas[top]) ** (1 / 7)
    expected = [(high + i / 8 * (low - high)) ** 7 for i in range(9)]
    found = (-lambdas[karras_timesteps(schedule, 9)]).exp()
    torch.testing.assert_close(found, torch.tensor(expected).double(), rtol=2e-3, atol=0)


def test_grids_start_where_the_write_up_does() -> None:
    assert {grid(COSINE, 12)[0] for grid in GRIDS.values()} == {990}
    assert even_timesteps(COSINE, 34) == COSINE.timesteps()
    assert log_snr_timesteps(NoiseSchedule.cosine(20), 20) == list(range(19, -1, -1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: log_snr_timesteps(COSINE, 0), "a count from 1 to 991, got None and 0"),
        (lambda: karras_timesteps(COSINE, 12, start=5), "a count from 1 to 6"),
        (lambda: karras_timesteps(COSINE, 12, start=1000), "start must be a timestep"),
        (lambda: karras_timesteps(COSINE, 12, rho=0), "rho must be above 0, got 0"),
    ],
)
def test_bad_grids_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_bad_steps_are_refused(images: Callable[..., Images]) -> None:
    x, t, s = images(), torch.tensor([500, 500]), torch.tensor([300, 300])
    with pytest.raises(ValueError, match="eta must lie between 0 and 1, got 2"):
        dpm_step(COSINE, x, Prediction(x), t, s, eta=2)
    with pytest.raises(ValueError, match=r"earlier timestep, got \[300, 300\] to \[500, 500\]"):
        dpm_step(COSINE, x, Prediction(x), s, t)
    with pytest.raises(ValueError, match=r"earlier timestep, got \[300, 300\] to \[500, 500\]"):
        dpm_step(COSINE, x, Prediction(x, last=Estimate(s, x)), t, s)

"""Plain networks as denoisers, and flow matching's walk against Euler's rule and diffusers."""

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor, nn
from torch.testing import assert_close

from fundiff.guidance import Bound, guided
from fundiff.networks import bind, bind_flow
from fundiff.rng import noise
from fundiff.sampling import denoise, sample
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images


class TimeNetwork(nn.Module):
    """Returns what it was told, so that a test can read it."""

    def forward(self, x_t: Images, time: Tensor, condition: Tensor | None = None) -> Images:
        told = time if condition is None else time + condition.argmax(dim=1)
        return told[:, None, None, None].expand_as(x_t)


def test_bind_tells_the_fraction_of_time(images: Callable[..., Images]) -> None:
    schedule = NoiseSchedule.linear(300)
    x_t, t = images(3, 1, 4, 4), torch.tensor([0, 149, 299])
    eps = bind(TimeNetwork(), schedule)(x_t, t).eps
    torch.testing.assert_close(eps[:, 0, 0, 0], torch.tensor([1 / 300, 0.5, 1.0]))
    one_hot = torch.eye(10)[[7]]
    eps = bind(TimeNetwork(), schedule, one_hot)(x_t, t).eps
    torch.testing.assert_close(eps[:, 0, 0, 0], torch.tensor([7 + 1 / 300, 7.5, 8.0]))


def test_bound_to_one_network_is_one_batch(images: Callable[..., Images]) -> None:
    class Counting(TimeNetwork):
        batches: list[int]

        def forward(self, x_t: Images, time: Tensor, condition: Tensor | None = None) -> Images:
            self.batches.append(len(x_t))
            return super().forward(x_t, time, condition)

    network, schedule = Counting(), NoiseSchedule.linear(300)
    network.batches = []
    both = guided(bind(network, schedule, torch.eye(10)[[3]]), bind(network, schedule), scale=5)
    both(images(4, 1, 4, 4), torch.tensor([1, 2, 3, 4]))
    assert network.batches == [8]


def velocity(x: Images, tau: Tensor) -> Images:
    return torch.cos(x) + tau[:, None, None, None] ** 2


@pytest.mark.parametrize("steps", [1, 2, 8, 30])
def test_a_walk_of_flow_matching_is_diffusers(steps: int) -> None:
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(sigmas=[1 - step / steps for step in range(steps)])
    schedule = NoiseSchedule.flow(steps)
    x = there = noise(3, 1, 5, 5)
    walk = list(denoise(bind_flow(velocity, schedule), schedule, x, schedule.timesteps(stride=1)))
    for state, t, sigma in zip(walk, theirs.timesteps, theirs.sigmas, strict=False):
        alpha_bar = schedule.alpha_bar[state.t] if state.t >= 0 else torch.ones(())
        whole = alpha_bar.sqrt() + (1 - alpha_bar).sqrt()
        assert_close(state.x / whole, there, rtol=0, atol=2e-3)
        # theirs counts the noise down, so it goes against the velocity
        out = -velocity(there, torch.full((3,), 1 - sigma.item()))
        there = theirs.step(out, t, there).prev_sample
    assert len(walk) == steps + 1
    assert_close(walk[-1].x, there, rtol=0, atol=2e-3)


def test_ddim_on_the_levels_of_flow_matching_is_eulers_rule() -> None:
    schedule = NoiseSchedule(NoiseSchedule.flow(40).alpha_bar.double())
    left = schedule.alpha_bar.sqrt(), (1 - schedule.alpha_bar).sqrt()
    tau = [*(left[0] / (left[0] + left[1])).flip(0).tolist(), 1.0]
    x = noise(2, 1, 5, 5).double()
    after = x / (left[0] + left[1])[-1]
    for now, then in pairwise(tau):
        after = after + (then - now) * velocity(after, torch.full((2,), now, dtype=torch.float64))
    ended = sample(bind_flow(velocity, schedule), schedule, x, schedule.timesteps(stride=1))
    assert_close(ended, after, rtol=1e-9, atol=1e-9)


def test_times_of_flow_matching_are_even() -> None:
    for steps in (2, 10, 1000):
        alpha_bar = NoiseSchedule.flow(steps).alpha_bar.double()
        tau = alpha_bar.sqrt() / (alpha_bar.sqrt() + (1 - alpha_bar).sqrt())
        expected = 1 - torch.arange(1, steps, dtype=torch.float64) / steps
        assert_close(tau[:-1], expected, rtol=0, atol=1e-4)
        assert 0 < tau[-1] < 0.00021


def test_a_straight_line_is_walked_in_one_step() -> None:
    x0, x = noise(2, 1, 5, 5, seed=1), noise(2, 1, 5, 5)
    for steps in (1, 7):
        schedule = NoiseSchedule.flow(steps)
        denoiser = bind_flow(lambda x_tau, tau: x0 - x, schedule)
        end = sample(denoiser, schedule, x, schedule.timesteps(stride=1))
        assert_close(end, x0, rtol=0, atol=2e-3)


def test_guiding_velocities_is_guidance() -> None:
    calls = []

    def network(x: Images, tau: Tensor, told: Tensor) -> Images:
        calls.append(len(x))
        return x * told.sum(dim=1)[:, None, None, None] + tau[:, None, None, None]

    schedule, x, told = NoiseSchedule.flow(10), noise(4, 1, 5, 5), torch.eye(10)[:4]
    t = torch.tensor([9, 5, 2, 0])
    cond, uncond = (bind_flow(network, schedule, c) for c in (told, torch.zeros_like(told)))
    alpha_bar = schedule.at(t)
    whole = alpha_bar.sqrt() + (1 - alpha_bar).sqrt()
    tau, at = alpha_bar.sqrt() / whole, x / whole
    for scale in (0.0, 1.0, 5.0):
        v = (at - guided(cond, uncond, scale=scale)(x, t).eps) / tau
        assert_close(v[1:], (scale * at + tau)[1:], rtol=1e-4, atol=1e-4)
    assert calls == [8, 8, 8]


def test_both_kinds_are_leaves_of_a_combination() -> None:
    schedule = NoiseSchedule.linear(300)
    assert isinstance(bind(TimeNetwork(), schedule), Bound)
    assert isinstance(bind_flow(velocity, schedule), Bound)

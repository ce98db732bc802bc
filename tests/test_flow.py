"""Flow matching's walk, against closed forms and diffusers' scheduler."""

import math

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.testing import assert_close

from fundiff.flow import conditioned, flow


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_a_straight_line_is_walked_in_one_step() -> None:
    x0, x1 = drawn(2, 1, 5, 5, seed=0), drawn(2, 1, 5, 5, seed=1)
    for steps in (1, 7):
        *_, (time, last) = flow(lambda x, time: x1 - x0, x0, steps=steps)
        assert time == 1.0
        assert_close(last, x1)


def test_exponential_growth_is_eulers() -> None:
    x = drawn(2, 1, 5, 5, seed=2)
    for steps in (1, 10, 100):
        *_, (_, last) = flow(lambda x, time: x, x, steps=steps)
        assert_close(last, x * (1 + 1 / steps) ** steps)
    *_, (_, last) = flow(lambda x, time: x, x.double(), steps=100_000)
    assert_close(last, x.double() * math.e, rtol=1e-4, atol=0)


def test_every_step_is_diffusers() -> None:
    theirs = FlowMatchEulerDiscreteScheduler()
    theirs.set_timesteps(sigmas=[1 - step / 8 for step in range(8)])
    x = there = drawn(3, 1, 5, 5, seed=3)

    def velocity(x: Tensor, time: Tensor) -> Tensor:
        return torch.sin(3 * x) + time[:, None, None, None] ** 2

    ours = list(flow(velocity, x, steps=8))
    for (time, here), t in zip(ours[:-1], theirs.timesteps, strict=True):
        assert_close(here, there)
        # theirs counts the noise down, so it goes against the velocity
        out = -velocity(there, torch.full((3,), time))
        there = theirs.step(out, t, there).prev_sample
    assert_close(ours[-1][1], there)


def test_guidance_is_one_call_a_step_and_linear() -> None:
    calls = []

    def network(x: Tensor, time: Tensor, told: Tensor) -> Tensor:
        calls.append(len(x))
        return x * told.sum(dim=1)[:, None, None, None] + time[:, None, None, None]

    x, time, told = drawn(4, 1, 5, 5, seed=4), torch.rand(4), torch.eye(10)[:4]
    for scale, factor in ((0.0, 0.0), (1.0, 1.0), (5.0, 5.0)):
        velocity = conditioned(network, told, scale=scale)
        assert_close(velocity(x, time), factor * x + time[:, None, None, None])
    assert calls == [8, 4, 8]


def test_no_steps_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 step, got 0"):
        next(flow(lambda x, time: x, torch.zeros(1, 1, 5, 5), steps=0))

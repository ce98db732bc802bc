"""The losses of Part B, against their formulas, diffusers and networks whose answer is known."""

import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch.testing import assert_close

from fundiff.losses import denoising_loss, flow_loss, noise_loss
from fundiff.schedule import NoiseSchedule


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_denoising_loss_of_the_identity_is_the_noise_that_was_added() -> None:
    x, noise = drawn(5, 1, 9, 9, seed=0), drawn(5, 1, 9, 9, seed=1)
    losses = denoising_loss(lambda z: z, x, noise, sigma=0.5)
    assert_close(losses, 0.25 * (noise**2).mean(dim=(1, 2, 3)))
    assert_close(denoising_loss(lambda z: x, x, noise, sigma=0.5), torch.zeros(5))


def test_the_network_sees_what_diffusers_noises() -> None:
    schedule = NoiseSchedule.linear(300)
    theirs = DDPMScheduler(num_train_timesteps=300, beta_start=1e-4, beta_end=0.02)
    x0, eps, out = (drawn(4, 1, 9, 9, seed=seed) for seed in (2, 3, 4))
    t, told = torch.tensor([0, 7, 150, 299]), torch.eye(10)[[3, 1, 4, 1]]
    seen: list[Tensor] = []

    def network(*inputs: Tensor) -> Tensor:
        seen.extend(inputs)
        return out

    losses = noise_loss(network, schedule, x0, t, eps, told)
    assert_close(losses, ((eps - out) ** 2).mean(dim=(1, 2, 3)))
    assert_close(seen[0], theirs.add_noise(x0, eps, t))
    assert_close(seen[1], torch.tensor([1, 8, 151, 300]) / 300)
    assert_close(seen[2], told)
    seen.clear()
    noise_loss(network, schedule, x0, t, eps)
    assert len(seen) == 2


def test_the_flow_goes_where_diffusers_goes_and_its_velocity_is_constant() -> None:
    theirs = FlowMatchEulerDiscreteScheduler()
    x1, x0, out = (drawn(3, 1, 9, 9, seed=seed) for seed in (5, 6, 7))
    index = torch.tensor([10, 500, 900])
    sigma = theirs.sigmas[index]
    seen: list[Tensor] = []

    def network(*inputs: Tensor) -> Tensor:
        seen.extend(inputs)
        return out

    losses = flow_loss(network, x1, 1 - sigma, x0)
    assert_close(losses, ((out - (x1 - x0)) ** 2).mean(dim=(1, 2, 3)))
    assert_close(seen[0], theirs.scale_noise(x1, theirs.timesteps[index], x0))
    along = torch.autograd.functional.jvp(
        lambda time: (1 - time) * x0 + time * x1, torch.tensor(0.3), torch.tensor(1.0)
    )[1]
    assert_close(flow_loss(lambda *inputs: along, x1, 1 - sigma, x0), torch.zeros(3))

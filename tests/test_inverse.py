from collections.abc import Callable

import torch
from networks import RandomNetwork

from fundiff.filters import GaussianBlur, Grey
from fundiff.inverse import keep_part
from fundiff.process import add_noise
from fundiff.sampling import denoise, keep_outside, noise_like
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images

SCHEDULE = NoiseSchedule.cosine()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def test_the_part_is_that_of_the_noised_picture(images: Callable[..., Images]) -> None:
    x, x0, blur = images(2, 3, 16, 16), images(1, 3, 16, 16), GaussianBlur(5, 1.0)
    kept = keep_part(SCHEDULE, x0, blur, generator=seeded())(x, 400)
    noised = add_noise(SCHEDULE, x0.expand_as(x), torch.tensor([400, 400]), noise_like(x, seeded()))
    torch.testing.assert_close(kept, x - blur(x) + blur(noised), rtol=1e-5, atol=1e-6)


def test_a_projection_ends_with_the_part_of_the_picture(
    images: Callable[..., Images], network: RandomNetwork
) -> None:
    x0, start = images(1, 3, 16, 16), images(2, 3, 16, 16)
    keep = keep_part(SCHEDULE, x0, Grey(), generator=seeded())
    timesteps = SCHEDULE.strided(stride=250)
    *_, last = denoise(network, SCHEDULE, start, timesteps, constraint=keep)
    torch.testing.assert_close(Grey()(last.x), Grey()(x0).expand_as(last.x), rtol=0, atol=1e-5)
    assert (last.x - x0).abs().max() > 0.1


def test_a_mask_is_inpainting(images: Callable[..., Images]) -> None:
    x, x0 = images(2, 3, 16, 16), images(1, 3, 16, 16)
    mask = (images(1, 1, 16, 16) > 0).float()
    other = keep_outside(SCHEDULE, x0, mask, generator=seeded())(x, 300)
    ours = keep_part(SCHEDULE, x0, lambda x: (1 - mask) * x, generator=seeded())(x, 300)
    torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-6)

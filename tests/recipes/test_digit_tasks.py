"""Part B's tasks on a schedule of one's own."""

import torch
from tasks import losses
from torch import nn
from torch.testing import assert_close

from fundiff.data.digits import digits
from fundiff.losses import noise_loss
from fundiff.nn.unet import TimeUNet
from fundiff.recipes.digit_tasks import DiffusionTask, mnist_schedule
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule


def test_a_task_learns_on_the_schedule_that_it_was_given_and_says_so() -> None:
    data, own = digits("test").first(20), NoiseSchedule.cosine(100)
    network: nn.Module = TimeUNet(4).eval()
    draws = Draws(seed=0, step=0, batch_size=6, first=0, count=6, device=torch.device("cpu"))
    task = DiffusionTask(network, data, schedule=own)
    x = data.scaled()[draws.shuffled(20)]
    t, eps = draws.timesteps(100), draws.normal("noise", 1, 28, 28)
    with torch.no_grad():
        assert_close(losses(task, network, draws), noise_loss(network, own, x, t, eps))
    usual = DiffusionTask(network, data)
    assert usual.identity() == DiffusionTask(network, data, schedule=mnist_schedule()).identity()
    assert task.identity() != usual.identity()
    task.schedule = mnist_schedule()
    assert task.identity() == usual.identity()

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from diffusers import UNet2DConditionModel
from tasks import losses
from torch.nn.functional import pixel_unshuffle

from fundiff.losses import min_snr_weight
from fundiff.models.folded_unet import new_unet
from fundiff.process import add_noise
from fundiff.recipes.caption_tasks import TextToImageTask
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images

SCHEDULE = NoiseSchedule.cosine()


def small() -> UNet2DConditionModel:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return new_unet((32, 32), layers=1, attend=1).eval()


def draws(count: int = 8, step: int = 0) -> Draws:
    return Draws(0, step, 8, 0, count, torch.device("cpu"))


@pytest.mark.parametrize(("attend", "levels"), [(1, 3), (2, 3)])
def test_variance_is_the_posteriors_whatever_goes_in(attend: int, levels: int) -> None:
    unet = new_unet((32,) * levels, layers=1, attend=attend).requires_grad_(False)
    x = torch.randn(2, 12, 32, 32, generator=torch.Generator().manual_seed(0))
    condition = torch.randn(2, 77, 384)
    output = unet(x, torch.tensor([3, 900]), encoder_hidden_states=condition).sample
    assert output.shape == (2, 24, 32, 32)
    assert output[:, 12:].eq(-1).all()


class Captioned:
    """Twenty pictures of noise with four captions."""

    digest = "digest"

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.pictures = torch.randint(0, 256, (20, 3, 64, 64), generator=generator).to(torch.uint8)
        self.embeddings = torch.randn(5, 77, 384, generator=generator)
        self.uncond = self.embeddings[:1]

    def __len__(self) -> int:
        return 20

    def batch(self, items: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return self.pictures[items], self.embeddings[items % 4 + 1]


class Oracle(torch.nn.Module):
    """Answers with what it was told to, and remembers what it was asked."""

    def __init__(self, answer: Images) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, x: Images, t: torch.Tensor, encoder_hidden_states: torch.Tensor) -> "Oracle":
        self.asked = (x, t, encoder_hidden_states)
        self.sample = self.answer
        return self


def test_loss_is_the_weighted_error_of_the_velocity() -> None:
    captioned = Captioned()
    task = TextToImageTask(small(), captioned, {}, caption_dropout=0.0)
    oracle = Oracle(torch.zeros(8, 24, 32, 32))
    found = losses(task, oracle, draws())
    x_t, t, condition = oracle.asked
    items = draws().shuffled(20)
    x0 = pixel_unshuffle(captioned.pictures[items].float() / 127.5 - 1, 2)
    eps = draws().normal("eps", 12, 32, 32)
    torch.testing.assert_close(x_t, add_noise(SCHEDULE, x0, t, eps))
    assert condition.equal(captioned.batch(items)[1])
    alpha_bar = SCHEDULE.alpha_bar[t][:, None, None, None]
    v = alpha_bar.sqrt() * eps - (1 - alpha_bar).sqrt() * x0
    expected = min_snr_weight(SCHEDULE, t) * v.square().mean(dim=(1, 2, 3))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        losses(task, Oracle(torch.cat([v, v], 1)), draws()), torch.zeros(8), rtol=0, atol=1e-9
    )


def test_captions_are_left_out_as_often_as_said() -> None:
    captioned = Captioned()
    task = TextToImageTask(small(), captioned, {}, caption_dropout=0.5)
    oracle = Oracle(torch.zeros(8, 24, 32, 32))
    left_out = 0
    for step in range(100):
        losses(task, oracle, draws(step=step))
        left_out += int((oracle.asked[2] == captioned.uncond[0]).all((1, 2)).sum())
    assert 330 < left_out < 470


def test_training_leaves_the_variance_alone() -> None:
    unet = small().train()
    task = TextToImageTask(unet, Captioned(), {})
    optimizer = torch.optim.AdamW(unet.parameters(), lr=1e-2, weight_decay=0)
    before = unet.conv_out.weight[:12].clone()
    for step in range(2):
        optimizer.zero_grad()
        losses(task, unet, draws(step=step)).mean().backward()
        optimizer.step()
    assert not unet.conv_out.weight[:12].equal(before)
    assert unet.conv_out.weight[12:].eq(0).all()
    assert unet.conv_out.bias[12:].eq(-1).all()


@pytest.mark.slow
def test_a_step_compiles_whole_and_once() -> None:
    """Nothing in it waits for a number, and the next step needs no other code."""
    code = """
import torch
from tasks import losses
from test_folded_unet import Captioned, TextToImageTask, draws, small

task = TextToImageTask(small().requires_grad_(False), Captioned(), {})
compiled = torch.compile(task.losses, fullgraph=True)
for step in range(3):
    found = compiled(task.network, draws(step=step), task.batch(draws(step=step)))
    torch.testing.assert_close(found, losses(task, task.network, draws(step=step)))
    torch.compiler.set_stance("fail_on_recompile")
"""
    # The tests' own process checks types at run time, which can't be compiled.
    paths = os.pathsep.join([*map(str, Path(__file__).parents[:2]), *sys.path])
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths}, check=True
    )

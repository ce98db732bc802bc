"""Time a step of training beside its network, of which there is next to nothing."""

import copy
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from itertools import repeat
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate.state import AcceleratorState
from bench_digits import BATCH, SIDE, loader
from torch import Tensor, nn
from torch.nn.functional import mse_loss
from torchvision.transforms.functional import to_pil_image

from fundiff.data.digits import digits
from fundiff.data.labelled import Labelled
from fundiff.recipes.device import device_here
from fundiff.recipes.digit_tasks import DiffusionTask
from fundiff.training.loop import train
from fundiff.training.plan import Plan

STEPS = 100
"""Steps a round; every contender goes on from where it was."""

RATE, CLIP, DECAY = 1e-5, 1.0, 0.999


class FewWeights(nn.Module):
    """As many parameters as a U-Net has, and an image times their sum."""

    channels = out_dim = 1  # denoising-diffusion-pytorch asks for these
    self_condition = False

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.ParameterList(torch.zeros(64) for _ in range(300))

    def forward(self, x: Tensor, *_: object) -> Tensor:
        """Scale an image, whatever the time."""
        return x * torch.cat([*self.weights]).sum()


def training() -> dict[str, Callable[[], object]]:
    """Train on batches of real digits; what comes before the first step isn't counted."""
    AcceleratorState._reset_state()  # else an earlier precision would hold
    seen = digits("train")
    contenders = {
        "a plain loop": plain_training(seen),
        "denoising-diffusion-pytorch's Trainer": peer_training(seen),
        "fundiff": our_training(seen),
        "fundiff, compiled": our_training(seen, compiled=True),
    }
    return {name: partial(next, networks) for name, networks in contenders.items()}


def plain_training(seen: Labelled) -> Iterator[nn.Module]:
    """Train as tutorials do, and hand out the network every so many steps."""
    where = device_here()
    network = FewWeights().to(where)
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.0)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 300), dim=0).to(where)
    batches = (x for epoch in repeat(loader(seen)) for x, _ in epoch)
    while True:
        for _ in range(STEPS):
            x = next(batches).to(where)
            t = torch.randint(300, (len(x),), device=where)
            eps = torch.randn_like(x)
            left = alpha_bar[t][:, None, None, None]
            x_t = left.sqrt() * x + (1 - left).sqrt() * eps
            loss = mse_loss(network(x_t, (t + 1) / 300), eps)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), CLIP)
            optimizer.step()
            with torch.no_grad():
                for mean, value in zip(average.parameters(), network.parameters(), strict=True):
                    mean.mul_(DECAY).add_(value, alpha=1 - DECAY)
            loss.item()
        yield average


def peer_training(seen: Labelled) -> Iterator[nn.Module]:
    """Train by a public trainer, which reads the same digits from files."""
    from denoising_diffusion_pytorch import GaussianDiffusion, Trainer

    options = {"timesteps": 300, "objective": "pred_noise", "beta_schedule": "linear"}
    with TemporaryDirectory() as folder:
        for index, image in enumerate(seen.scaled()):
            to_pil_image(image).save(Path(folder, f"{index}.png"))
        trainer = Trainer(
            GaussianDiffusion(FewWeights(), image_size=SIDE, **options),
            folder,
            train_batch_size=BATCH,
            augment_horizontal_flip=False,
            train_lr=RATE,
            train_num_steps=0,
            ema_update_every=1,
            ema_decay=DECAY,
            adam_betas=(0.9, 0.999),
            save_and_sample_every=10**9,
            results_folder=folder,
            calculate_fid=False,
            max_grad_norm=CLIP,
        )
        while True:
            trainer.train_num_steps += STEPS
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # its progress
                trainer.train()
            yield trainer.ema.ema_model


def our_training(seen: Labelled, *, compiled: bool = False) -> Iterator[nn.Module]:
    """Train as recipes do."""
    plan = Plan(
        steps=10_000 * STEPS,
        batch_size=BATCH,
        learning_rate=RATE,
        clip=CLIP,
        ema=DECAY,
        report_every=STEPS,
        save_every=10_000 * STEPS,
    )
    with TemporaryDirectory() as folder:
        task = DiffusionTask(FewWeights(), seen)
        yield from (report.network for report in train(task, plan, Path(folder), compiled=compiled))

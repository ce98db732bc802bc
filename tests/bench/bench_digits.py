"""Train and sample Part B's class-conditional network beside a plain loop and a public library."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from accelerate.state import AcceleratorState
from torch import Tensor, nn
from torch.nn.functional import mse_loss, one_hot
from torch.utils.data import DataLoader, TensorDataset

from fundiff.data.digits import digits
from fundiff.data.labelled import Labelled
from fundiff.guidance import guided
from fundiff.models.placement import frozen
from fundiff.networks import bind
from fundiff.nn.fusing import fused
from fundiff.nn.unet import ClassUNet
from fundiff.process import ddpm_step
from fundiff.recipes.device import device_here, suited
from fundiff.recipes.digit_networks import RECIPES
from fundiff.recipes.digit_tasks import DiffusionTask
from fundiff.rng import noise
from fundiff.sampling import sample
from fundiff.schedule import NoiseSchedule
from fundiff.training.loop import train
from fundiff.types import Images

BATCH = 128
TRAINED = 15
"""Batches a run."""

WALK = 30
"""Timesteps of the schedule that is sampled by, all of them walked."""

TOGETHER = 25
"""Digits that every contender walks at a time; more don't fit a processor's cache."""

SCALE = 5.0
CLASSES = 10
SIDE = 28


def training() -> dict[str, Callable[[], object]]:
    """Train from nothing on so many batches of real digits."""
    seen = digits("train").first(TRAINED * BATCH)
    return {
        "the assignment's loop, float32": partial(plain_training, seen),
        "smalldiffusion, float32": partial(_peer_training, seen),
        "fundiff, as `train` runs it": partial(our_training, seen),
        "fundiff, float32": partial(our_training, seen, precision="fp32"),
    }


def sampling() -> dict[str, Callable[[], object]]:
    """Draw a hundred guided digits, ten of each class, in thirty steps, some at a time."""
    where = device_here()
    plain = ClassUNet(64).to(where).eval()
    equal = ClassUNet(64).to(memory_format=torch.channels_last).to(where).eval()
    fast, faster = frozen(copy.deepcopy(equal)), fused(equal)
    parts = torch.arange(CLASSES, device=where).repeat(CLASSES).split(TOGETHER)

    def by_part(draw: Callable[[Tensor], Images]) -> Callable[[], object]:
        return lambda: [draw(part) for part in parts]

    return {
        "the assignment's loop, float32": by_part(partial(plain_sampling, plain)),
        "smalldiffusion, float32": by_part(_peer_sampling()),
        "fundiff, in the precision of choice": by_part(partial(our_sampling, fast)),
        "fundiff, float32": by_part(partial(our_sampling, equal)),
        "fundiff, float32, fused": by_part(partial(our_sampling, faster)),
    }


def plain_training(seen: Labelled) -> list[float]:
    """Train as the assignment's pseudo-code says, in as few lines."""
    where = device_here()
    network = ClassUNet(64).to(where)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    alpha_bar = torch.cumprod(1 - torch.linspace(1e-4, 0.02, 300), dim=0).to(where)
    losses = []
    for x, labels in loader(seen):
        x, told = x.to(where), one_hot(labels, CLASSES).float()
        told[torch.rand(len(x)) < 0.1] = 0
        told, t = told.to(where), torch.randint(300, (len(x),)).to(where)
        eps = torch.randn_like(x)
        left = alpha_bar[t][:, None, None, None]
        x_t = left.sqrt() * x + (1 - left).sqrt() * eps
        loss = mse_loss(network(x_t, (t + 1) / 300, told), eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@torch.no_grad()
def plain_sampling(network: nn.Module, labels: Tensor) -> Images:
    """Draw as the assignment's pseudo-code says, in as few lines."""
    beta = torch.linspace(1e-4, 0.02, WALK)
    alpha_bar = torch.cumprod(1 - beta, dim=0)
    told = one_hot(labels, CLASSES).float()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(len(labels), 1, SIDE, SIDE, generator=generator).to(labels.device)
    for t in reversed(range(WALK)):
        time = torch.full((len(x),), (t + 1) / WALK, device=labels.device)
        uncond = network(x, time, torch.zeros_like(told))
        cond = network(x, time, told)
        eps = uncond + SCALE * (cond - uncond)
        before = alpha_bar[t - 1] if t else torch.tensor(1.0)
        x0 = (x - (1 - alpha_bar[t]).sqrt() * eps) / alpha_bar[t].sqrt()
        x = (
            before.sqrt() * beta[t] / (1 - alpha_bar[t]) * x0
            + (1 - beta[t]).sqrt() * (1 - before) / (1 - alpha_bar[t]) * x
        )
        if t:
            x = x + beta[t].sqrt() * torch.randn(x.shape, generator=generator).to(x.device)
    return x


def our_training(seen: Labelled, precision: str | None = None) -> list[float]:
    """Train as ``python -m fundiff train mnist-class`` does, with a state saved at the end."""
    AcceleratorState._reset_state()  # else the first contender's precision would hold for all
    recipe = next(recipe for recipe in RECIPES if recipe.name == "mnist-class")
    steps = len(seen) // BATCH
    plan = recipe.presets["cpu"].plan
    plan = replace(plan, steps=steps, report_every=steps, save_every=steps, batch_size=BATCH)
    network = ClassUNet(64).to(memory_format=torch.channels_last)
    task = DiffusionTask(network, seen, classes=True)
    with TemporaryDirectory() as folder:
        plan = replace(plan, precision="fp32") if precision else suited(plan, Path(folder))
        *_, last = train(task, plan, Path(folder))
    losses: list[float] = last.losses.tolist()
    return losses


@torch.inference_mode()
def our_sampling(network: Callable[..., Tensor], labels: Tensor) -> Images:
    """Draw as the book does: one batched call a step."""
    schedule = NoiseSchedule.linear(WALK)
    told = one_hot(labels, CLASSES).float()
    cond, uncond = bind(network, schedule, told), bind(network, schedule, torch.zeros_like(told))
    guide, timesteps = guided(cond, uncond, scale=SCALE), schedule.timesteps(stride=1)
    x = noise(len(labels), 1, SIDE, SIDE).to(labels.device)
    return sample(
        guide, schedule, x, timesteps, step=partial(ddpm_step, large_variance=True), seed=0
    )


def _peer() -> nn.Module:
    """The U-Net that smalldiffusion brings, at the nearest to ours in weights and operations."""
    from smalldiffusion import Scaled, Unet
    from smalldiffusion.model import CondEmbedderLabel

    network: nn.Module = Scaled(Unet)(
        SIDE,
        1,
        1,
        ch=32,
        ch_mult=(1, 2, 4),
        num_res_blocks=1,
        attn_resolutions=(),
        cond_embed=CondEmbedderLabel(128, CLASSES, dropout_prob=0.1),
    )
    return network


def _peer_training(seen: Labelled) -> list[float]:
    from smalldiffusion import ScheduleDDPM, training_loop

    AcceleratorState._reset_state()
    schedule = ScheduleDDPM(N=300)
    states = training_loop(loader(seen), _peer(), schedule, epochs=1, lr=1e-3, conditional=True)
    return [state.loss.item() for state in states]


def _peer_sampling() -> Callable[[Tensor], Images]:
    from smalldiffusion import ScheduleDDPM, samples

    network, schedule = _peer(), ScheduleDDPM(N=WALK)

    def draw(labels: Tensor) -> Images:
        AcceleratorState._reset_state()
        sigmas = schedule.sample_sigmas(WALK)
        options = {"gam": 1, "mu": 0.5, "cfg_scale": SCALE - 1, "batchsize": len(labels)}
        *_, last = samples(network, sigmas, cond=labels, **options)
        drawn: Images = last
        return drawn

    return draw


def weights_and_operations() -> str:
    """Say how large the two networks are, in a sentence of the book."""
    from torch.utils.flop_counter import FlopCounterMode

    x, words = torch.zeros(1, 1, SIDE, SIDE), []
    inputs = {
        "fundiff's network": (ClassUNet(64), (x, torch.ones(1), torch.zeros(1, CLASSES))),
        "smalldiffusion's": (_peer(), (x, torch.tensor(1.0), torch.zeros(1, dtype=torch.long))),
    }
    for name, (network, given) in inputs.items():
        with FlopCounterMode(display=False) as counted:
            network.eval()(*given)
        weights = sum(weight.numel() for weight in network.parameters())
        billions = counted.get_total_flops() / 1e9
        words.append(f"{name} has {weights:,} weights and takes {billions:.2f} billion operations")
    peer = f"smalldiffusion {version('smalldiffusion')}"
    return f"A picture once through: {', '.join(words)} ({peer}).\n"


def loader(seen: Labelled) -> DataLoader[tuple[Tensor, ...]]:
    """Shuffle real digits and hand out batches."""
    pairs = TensorDataset(seen.scaled(), seen.labels)
    return DataLoader(pairs, batch_size=BATCH, shuffle=True)

"""A small task with GroupNorm and, if asked for, dropout, and a recipe that takes a second."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fundiff.models.weights import load_weights, weights
from fundiff.process import add_noise
from fundiff.recipes.presets import Made, Preset, Start
from fundiff.recipes.runner import Recipe
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.training.plan import Plan, Task


def losses(task: Task, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
    """Fetch a batch and compute its losses, as the loop does."""
    return task.losses(network, draws, task.batch(draws))


class SmallTask:
    """Predict the noise in pictures of stripes."""

    def __init__(self, *, dropout: float = 0.0, width: int = 16, poison: int | None = None) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network: nn.Module = nn.Sequential(
                nn.Conv2d(1, width, 3, padding=1),
                nn.GroupNorm(4, width),
                nn.SiLU(),
                nn.Dropout(dropout),
                nn.Conv2d(width, 1, 3, padding=1),
            )
        self.schedule = NoiseSchedule.cosine(100)
        phase = torch.arange(40)[:, None, None, None] + torch.arange(8)
        self.images = torch.sin(phase.expand(40, 1, 8, 8) / 3)
        self.poison = poison

    def identity(self) -> dict[str, object]:
        return {"what": "stripes"}

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        return (self.images.to(draws.device)[draws.shuffled(len(self.images))],)

    def losses(
        self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]
    ) -> Float[Tensor, " batch"]:
        (x0,) = batch
        eps = draws.normal("eps", *x0.shape[1:])
        x_t = add_noise(self.schedule, x0, draws.timesteps(self.schedule.steps), eps)
        losses: Tensor = (network(x_t) - eps).square().flatten(1).mean(1)
        return losses * float("nan") if draws.step == self.poison else losses


PLAN = Plan(steps=4, batch_size=4, learning_rate=1e-3, report_every=1, save_every=2)


@dataclass(eq=False)
class SmallTraining:
    """What the tests' recipe makes of its preset."""

    preset: Preset
    data_folder: Path | None
    start: Start | None
    chunk = None

    def __post_init__(self) -> None:
        self.task = SmallTask(dropout=0.1)
        self.data = {"what": "stripes"}
        self.modes: list[bool] = []
        if self.start is not None:
            load_weights(self.task.network, self.start.folder)

    def samples(self, network: nn.Module) -> bytes:
        assert not network.training
        return b"picture"

    def finish(self, network: nn.Module, *, finished: bool) -> Made:
        assert not network.training
        return Made({"model.safetensors": weights(network)}, {"measured": finished})


SMALL = Recipe(
    name="small",
    title="a small network",
    presets={
        "cpu": Preset(PLAN, {2: "samples-2.png", 4: "samples-4.png"}),
        "full": Preset(replace(PLAN, steps=6)),
    },
    prepare=SmallTraining,
    roots=(add_noise,),
)

"""A small task with GroupNorm and, if asked for, dropout, for tests of the training loop."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fundiff.process import add_noise
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule


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

    def losses(self, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
        x0 = self.images.to(draws.device)[draws.shuffled(len(self.images))]
        eps = draws.normal("eps", *x0.shape[1:])
        x_t = add_noise(self.schedule, x0, draws.timesteps(self.schedule.steps), eps)
        losses: Tensor = (network(x_t) - eps).square().flatten(1).mean(1)
        return losses * float("nan") if draws.step == self.poison else losses

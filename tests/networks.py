"""A small network with random weights, for tests of shapes and parity."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fundiff.types import Images, Prediction, Times


class RandomNetwork(nn.Module):
    """A network of the shape of IF's: noise and raw variance, of random weights.

    It counts its calls, and its answer for one image depends on nothing else in the batch.
    """

    def __init__(self, *, variance: bool = True, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.variance = variance
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.into = nn.Conv2d(3, width, 3, padding=1)
            self.time = nn.Linear(1, width)
            self.condition = nn.Linear(4, width, bias=False)
            self.out = nn.Conv2d(width, 6 if variance else 3, 3, padding=1)

    @torch.no_grad()
    def forward(
        self, x_t: Images, t: Times, condition: Float[Tensor, "batch 4"] | None = None
    ) -> Prediction:
        self.calls.append(len(x_t))
        told = self.time(t[:, None].to(x_t) / 1000)
        if condition is not None:
            told = told + self.condition(condition)
        out = self.out(torch.tanh(self.into(x_t) + told[:, :, None, None]))
        if not self.variance:
            return Prediction(out)
        eps, variance = out.chunk(2, dim=1)
        return Prediction(eps, variance.tanh())

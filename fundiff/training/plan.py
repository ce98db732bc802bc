"""What is trained and how: a task has a network and its losses, a plan says how long."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float
from torch import Tensor, nn

from fundiff.errors import FundiffError
from fundiff.rng import Draws


@runtime_checkable
class Task(Protocol):
    """What a network has to learn.

    Attributes:
        network: The network, on the CPU; the loop moves it.
    """

    network: nn.Module

    def identity(self) -> dict[str, object]:
        """Name what the task is, as JSON values: the data's digest, the network's shape."""
        ...

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch what a step learns from, which is never compiled.

        Args:
            draws: Which samples they are, and the device that they are wanted on.

        Returns:
            What :meth:`losses` needs of them.
        """
        ...

    def losses(
        self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]
    ) -> Float[Tensor, " batch"]:
        """Compute the loss of each sample of a step.

        What can be compiled must wait for no number from the device, and not depend on
        ``draws.step``.

        Args:
            network: The network to call, which may be wrapped.
            draws: Every random number for the samples.
            batch: What :meth:`batch` fetched.

        Returns:
            One loss for each sample.
        """
        ...


@dataclass(frozen=True)
class Plan:
    r"""How a network is trained. With a task it decides the result.

    The learning rate rises linearly over ``warmup`` steps, is constant, and falls linearly to 0
    over the last ``decay`` of all steps; with ``drop`` it is also multiplied by that once in
    ``drop_every`` steps.

    Attributes:
        steps: How many steps.
        batch_size: How many samples a step, over all processes.
        learning_rate: The highest rate.
        warmup: Over how many steps it rises.
        decay: Over which share of the steps, the last ones, it falls to 0.
        drop: What it is multiplied by at intervals.
        drop_every: The interval in steps; 0 for never.
        betas: Adam's decay rates of the gradient's mean and square.
        weight_decay: AdamW's decay of the weights.
        clip: The largest norm of the gradient; None for any.
        ema: The decay of the weights' running mean, reached as
            :math:`\min(\text{ema}, (1 + n) / (10 + n))`; None for no mean.
        precision: ``fp32``, or ``bf16`` for bfloat16 where autocast finds it safe.
        seed: The seed of everything random.
        report_every: How many steps between two reports.
        save_every: How many steps between two states on disk, a multiple of ``report_every``.

    Raises:
        FundiffError: A number is out of its range.
    """

    steps: int
    batch_size: int
    learning_rate: float
    warmup: int = 0
    decay: float = 0.0
    drop: float = 1.0
    drop_every: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0
    clip: float | None = None
    ema: float | None = None
    precision: Literal["fp32", "bf16"] = "fp32"
    seed: int = 0
    report_every: int = 10
    save_every: int = 500

    def __post_init__(self) -> None:
        if min(self.steps, self.batch_size, self.report_every, self.save_every) < 1:
            raise FundiffError(
                f"steps, batch_size and the intervals must be at least 1, got {self}"
            )
        if self.save_every % self.report_every:
            raise FundiffError(
                f"save_every must be a multiple of report_every, got {self.save_every} and "
                f"{self.report_every}"
            )
        if not (self.learning_rate > 0 and 0 <= self.decay <= 1 and self.warmup >= 0):
            raise FundiffError(f"the learning rate's course makes no sense: {self}")

    def rate(self, step: int) -> float:
        """Return the learning rate of a step.

        Args:
            step: The step, from 0.

        Returns:
            The rate.
        """
        rising = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        falling = min(1.0, (self.steps - step) / (self.decay * self.steps)) if self.decay else 1.0
        dropped = self.drop ** (step // self.drop_every) if self.drop_every else 1.0
        return self.learning_rate * rising * falling * dropped


class Report(NamedTuple):
    """How far a run is.

    Attributes:
        step: How many steps have been made.
        loss: The mean loss since the last report, NaN where none was made.
        losses: The mean loss of every step so far.
        network: The network to use: the running mean of the weights where the plan has one.
    """

    step: int
    loss: float
    losses: Float[Tensor, " steps"]
    network: nn.Module

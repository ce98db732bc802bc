r"""What networks learn from, and the one loop that trains them.

A :class:`Task` has a network and says what its loss is; a :class:`Plan` says how long, how fast and
with which seed; :func:`train` is the loop. It runs on one CPU process, one GPU, or many processes
started by ``accelerate launch``, and can be stopped at any moment, also by ``kill -9``: everything
that a step depends on is in its number, the plan and the last state on disk.
"""

import math
import time
from collections.abc import Generator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from jaxtyping import Float
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from fundiff.checkpoints import Checkpoints, RunError
from fundiff.draws import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.types import Times


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

    def losses(self, network: nn.Module, draws: Draws) -> Float[Tensor, " batch"]:
        """Compute the loss of each sample of a step.

        Args:
            network: The network to call, which may be wrapped or compiled.
            draws: Which samples they are, and every random number for them.

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
        ValueError: A number is out of its range.
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
            raise ValueError(f"steps, batch_size and the intervals must be at least 1, got {self}")
        if self.save_every % self.report_every:
            raise ValueError(
                f"save_every must be a multiple of report_every, got {self.save_every} and "
                f"{self.report_every}"
            )
        if not (self.learning_rate > 0 and 0 <= self.decay <= 1 and self.warmup >= 0):
            raise ValueError(f"the learning rate's course makes no sense: {self}")

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


def train(
    task: Task,
    plan: Plan,
    folder: Path,
    *,
    seconds: float = math.inf,
    compiled: bool = False,
    chunk: int | None = None,
    accelerator: Accelerator | None = None,
) -> Generator[Report, None, None]:
    """Train a network, going on from the last state in a folder if there is one.

    Args:
        task: What to learn.
        plan: How.
        folder: Where the states lie.
        seconds: Stop after about so long, with the state on disk; start again to go on.
        compiled: Compile the network, which pays on a GPU.
        chunk: How many samples go through the network together, where memory can't hold a step's;
            their gradients are added up.
        accelerator: Where to run; by default what ``accelerate launch`` says, else the GPU or CPU.
            Its precision has to be the plan's.

    Yields:
        A report every ``plan.report_every`` steps and after the last step; one at once where the
        run had ended before. Closing the iterator saves the state.

    Raises:
        RunError: Another process trains in the folder, it belongs to another run, a state can't be
            written, or the loss is no longer finite.
        ValueError: The batch can't be shared equally among the processes, or their share can't be
            cut into equal chunks.
    """
    where = accelerator or Accelerator(mixed_precision="bf16" if plan.precision == "bf16" else "no")
    if plan.batch_size % where.num_processes:
        raise ValueError(
            f"a batch of {plan.batch_size} can't be shared by {where.num_processes} processes"
        )
    share = plan.batch_size // where.num_processes
    if share % min(chunk or share, share):
        raise ValueError(f"a share of {share} samples can't be cut into chunks of {chunk}")
    identity = {**asdict(plan), "task": task.identity()}
    checkpoints = Checkpoints(folder, identity)
    with checkpoints.locked() if where.is_main_process else nullcontext():
        run = _Run(task, plan, checkpoints, where, compiled, min(chunk or share, share))
        yield from _steps(run, seconds)


def _steps(run: "_Run", seconds: float) -> Generator[Report, None, None]:
    plan, where = run.plan, run.where
    start = time.monotonic()

    def late() -> bool:
        return time.monotonic() - start >= seconds

    if run.step == plan.steps:
        yield run.report()
    while run.step < plan.steps:
        until = min(run.step - run.step % plan.report_every + plan.report_every, plan.steps)
        while run.step < until:
            run.advance()
            if where.num_processes == 1 and late():
                break
        report = run.report()
        (stop,) = broadcast_object_list([late()]) if where.num_processes > 1 else [late()]
        if stop or run.step % plan.save_every == 0 or run.step == plan.steps:
            run.save()
        try:
            yield report
        except GeneratorExit:
            run.save()
            raise
        if stop:
            return


class _Run:
    """A run between two steps."""

    def __init__(
        self,
        task: Task,
        plan: Plan,
        checkpoints: Checkpoints,
        where: Accelerator,
        compiled: bool,
        chunk: int,
    ) -> None:
        self.chunk = chunk
        self.task, self.plan, self.checkpoints, self.where = task, plan, checkpoints, where
        self.network = task.network.to(where.device).train()
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=plan.learning_rate,
            betas=plan.betas,
            weight_decay=plan.weight_decay,
            fused=where.device.type == "cuda",
        )
        self.average = AveragedModel(self.network, multi_avg_fn=self._average) if plan.ema else None
        self.step, self.saved = 0, -1
        self.losses = torch.zeros(plan.steps, device=where.device)
        self._restore()
        wrapped, self.stepper = where.prepare(self.network, self.optimizer)
        self.wrapped: nn.Module = torch.compile(wrapped) if compiled else wrapped  # type: ignore[assignment]

    def advance(self) -> None:
        """Make one step."""
        share = self.plan.batch_size // self.where.num_processes
        rank = self.where.process_index
        first, loss = rank * share, torch.zeros((), device=self.where.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        for start in range(first, first + share, self.chunk):
            part = self._losses(start).sum() / share
            self.where.backward(part)
            loss += part.detach().float()
        if self.plan.clip is not None:
            self.where.clip_grad_norm_(self.network.parameters(), self.plan.clip)
        self.stepper.step()
        self.stepper.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        self.losses[self.step] = self.where.reduce(loss, reduction="mean")
        self.step += 1

    def _losses(self, first: int) -> Float[Tensor, " batch"]:
        """Compute the losses of one chunk of the step."""
        draws = Draws(
            seed=self.plan.seed,
            step=self.step,
            batch_size=self.plan.batch_size,
            first=first,
            count=self.chunk,
            device=self.where.device,
        )
        devices = [self.where.device] if self.where.device.type == "cuda" else []
        with torch.random.fork_rng(devices=devices), self.where.autocast():
            torch.manual_seed(draws.key(f"inside the network, sample {first}"))
            return self.task.losses(self.wrapped, draws)

    def report(self) -> Report:
        """Say how far the run is."""
        since = self.step - ((self.step - 1) % self.plan.report_every + 1) if self.step else 0
        mean = self.losses[since : self.step].mean().item()
        if self.step and not math.isfinite(mean):
            raise RunError(
                f"the loss is {mean} by step {self.step}: the last good state is in "
                f"{self.checkpoints.folder}; lower the learning rate of {self.plan.learning_rate}, "
                "or clip the gradient"
            )
        network = self.network if self.average is None else self.average.module
        return Report(self.step, mean, self.losses[: self.step].cpu(), network)

    def save(self) -> None:
        """Put the state on disk, if it isn't there."""
        self.where.wait_for_everyone()
        if self.where.is_main_process and self.saved != self.step:
            tensors = self._tensors()
            floats = [value for value in tensors.values() if value.is_floating_point()]
            if not all(value.isfinite().all() for value in floats):
                raise RunError(
                    f"a weight isn't finite after step {self.step}: the last good state is in "
                    f"{self.checkpoints.folder}; lower the learning rate, or clip the gradient"
                )
            self.checkpoints.save(self.step, tensors)
        self.saved = self.step
        self.where.wait_for_everyone()

    def _tensors(self) -> dict[str, Tensor]:
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        if self.average is not None:
            tensors |= {
                f"average.{name}": value for name, value in self.average.state_dict().items()
            }
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": value for name, value in state.items()}
        return {**tensors, "losses": self.losses[: self.step]}

    def _restore(self) -> None:
        found = self.checkpoints.load()
        if found is None:
            return
        self.step, tensors = found
        self.saved = self.step
        self.losses[: self.step] = tensors.pop("losses")
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "average": {}, "optimizer": {}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.network.load_state_dict(parts["network"])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, field = name.partition(".")
            state.setdefault(int(index), {})[field] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    def _average(
        self, means: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int
    ) -> None:
        decay = min(self.plan.ema or 0.0, (1 + float(count)) / (10 + float(count)))
        for mean, value in zip(means, values, strict=True):
            mean.lerp_(value, 1 - decay)


def min_snr_weight(
    schedule: NoiseSchedule, t: Times, *, gamma: float = 5.0
) -> Float[Tensor, " batch"]:
    r"""Weigh the loss of a network that predicts the velocity, by the min-SNR rule.

    .. math:: w_t = \frac{\min(\mathrm{SNR}(t),\, \gamma)}{\mathrm{SNR}(t) + 1}

    Args:
        schedule: The noise levels.
        t: The timestep of each sample.
        gamma: :math:`\gamma`, where the weight of the signal is capped.

    Returns:
        One weight a sample. This is in :eq:`eq-min-snr` in the book.

    Raises:
        ValueError: A timestep isn't in the schedule.

    Source:
        Hang et al. 2023, *Efficient diffusion training via min-SNR weighting*, section 3.4.
    """
    alpha_bar = schedule.at(t).flatten()
    snr = alpha_bar / (1 - alpha_bar)
    return snr.clamp(max=gamma) / (snr + 1)

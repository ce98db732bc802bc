r"""The one loop that trains networks, which nothing kills.

It runs on one CPU process, one GPU, or many processes started by ``accelerate launch``, and can be
stopped at any moment, also by ``kill -9``: everything that a step depends on is in its number, the
plan and the last state on disk.
"""

import copy
import math
import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType

import torch
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.profiler import record_function

from fundiff.errors import FundiffError
from fundiff.rng import Draws
from fundiff.training.checkpoints import Checkpoints, RunError
from fundiff.training.plan import Plan, Report, Task


def train(
    task: Task,
    plan: Plan,
    folder: Path,
    *,
    seconds: float = math.inf,
    compiled: bool | str = False,
    chunk: int | None = None,
    accelerator: Accelerator | None = None,
) -> Generator[Report, None, None]:
    """Train a network, going on from the last state in a folder if there is one.

    Args:
        task: What to learn.
        plan: How.
        folder: Where the states lie.
        seconds: Stop after about so long, with the state on disk; start again to go on.
        compiled: Compile what a step computes, which pays on a GPU, where it becomes CUDA graphs;
            or a mode of ``torch.compile``.
        chunk: How many samples go through the network together, where memory can't hold a step's;
            their gradients are added up.
        accelerator: Where to run; by default what ``accelerate launch`` says, else the GPU or CPU.
            Its precision has to be the plan's.

    Yields:
        A report every ``plan.report_every`` steps and after the last step; where a run goes on from
        one of these, that one again. Closing the iterator saves the state.

    Raises:
        RunError: Another process trains in the folder, it belongs to another run, a state can't be
            written, or the loss is no longer finite.
        FundiffError: The batch can't be shared equally among the processes, or their share can't be
            cut into equal chunks.
        KeyboardInterrupt: Ctrl-C was pressed. In a single process a step that was at work is made
            first, and its state is on disk; a second Ctrl-C doesn't wait.
    """
    where = accelerator or Accelerator(mixed_precision="bf16" if plan.precision == "bf16" else "no")
    if plan.batch_size % where.num_processes:
        raise FundiffError(
            f"a batch of {plan.batch_size} can't be shared by {where.num_processes} processes"
        )
    share = plan.batch_size // where.num_processes
    if share % min(chunk or share, share):
        raise FundiffError(f"a share of {share} samples can't be cut into chunks of {chunk}")
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

    if run.step and (run.step % plan.report_every == 0 or run.step == plan.steps):
        yield run.report()  # whoever heard it may have been killed before doing anything about it
    while run.step < plan.steps:
        until = min(run.step - run.step % plan.report_every + plan.report_every, plan.steps)
        while run.step < until:
            with _whole() as interrupted:
                run.advance()
            if interrupted:
                if where.num_processes == 1:
                    run.save()
                raise KeyboardInterrupt
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


@contextmanager
def _whole() -> Generator[list[int], None, None]:
    """Let Ctrl-C wait for the end of what is begun, and list it; the second one doesn't wait."""
    interrupted: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return
    before = signal.getsignal(signal.SIGINT)

    def wait(number: int, frame: FrameType | None) -> None:
        interrupted.append(number)
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, wait)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


class _Run:
    """A run between two steps."""

    def __init__(
        self,
        task: Task,
        plan: Plan,
        checkpoints: Checkpoints,
        where: Accelerator,
        compiled: bool | str,
        chunk: int,
    ) -> None:
        self.chunk = chunk
        self.task, self.plan, self.checkpoints, self.where = task, plan, checkpoints, where
        self.network = task.network.to(where.device).train()
        on_cpu, on_gpu = where.device.type == "cpu", where.device.type == "cuda"
        # torch.manual_seed seeds the generators of every kind of device, at a step's whole cost.
        generator = torch.default_generator if on_cpu else torch.get_device_module(where.device)
        self.seed: Callable[[int], object] = generator.manual_seed
        self.optimizer = torch.optim.AdamW(
            self.network.parameters(),
            lr=plan.learning_rate,
            betas=plan.betas,
            weight_decay=plan.weight_decay,
            fused=on_gpu,
            foreach=not on_gpu,
        )
        self.average = copy.deepcopy(self.network).requires_grad_(False) if plan.ema else None
        self.kept = self.network if self.average is None else self.average
        self.step, self.saved = 0, -1
        self.losses = torch.zeros(plan.steps, device=where.device)
        self._restore()
        self.weights: list[Tensor] = [*self.network.parameters()]
        self.means: list[Tensor] = [*self.kept.parameters()]
        self.buffers = [*zip(self.kept.buffers(), self.network.buffers(), strict=True)]
        self.losses_of: Callable[..., Tensor] = partial(task.losses, where.prepare(self.network))
        if compiled:
            mode = "reduce-overhead" if on_gpu else "default"
            mode = compiled if isinstance(compiled, str) else mode
            self.losses_of = torch.compile(self.losses_of, mode=mode)

    def advance(self) -> None:
        """Make one step, for which a GPU is told what to do and not waited for."""
        share = self.plan.batch_size // self.where.num_processes
        first, loss = self.where.process_index * share, torch.zeros((), device=self.where.device)
        for group in self.optimizer.param_groups:
            group["lr"] = self.plan.rate(self.step)
        devices = [self.where.device] if self.where.device.type == "cuda" else []
        with record_function("step"), torch.random.fork_rng(devices=devices):
            for start in range(first, first + share, self.chunk):
                draws = Draws(
                    seed=self.plan.seed,
                    step=self.step,
                    batch_size=self.plan.batch_size,
                    first=start,
                    count=self.chunk,
                    device=self.where.device,
                )
                self.seed(draws.key(f"inside the network, sample {start}"))
                with self.where.autocast():
                    losses = self.losses_of(draws, self.task.batch(draws))
                part = losses.sum() / share
                part.backward()
                loss += part.detach().float()
            if self.plan.clip is not None:
                nn.utils.clip_grad_norm_(self.weights, self.plan.clip, foreach=True)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
            self._average()
            self.losses[self.step] = self.where.reduce(loss, reduction="mean")
        self.step += 1

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
        return Report(self.step, mean, self.losses[: self.step].cpu(), self.kept)

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
            means = self.average.state_dict().items()
            tensors |= {f"average.{name}": value for name, value in means}
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
        if parts["average"].pop("n_averaged", None) is not None:  # as older versions named them
            means = parts["average"].items()
            parts["average"] = {name.removeprefix("module."): mean for name, mean in means}
        self.network.load_state_dict(parts["network"])
        if self.average is not None:
            self.average.load_state_dict(parts["average"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["optimizer"].items():
            index, _, field = name.partition(".")
            state.setdefault(int(index), {})[field] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})

    @torch.no_grad()
    def _average(self) -> None:
        """Move the running mean towards the weights; the first step's are its start."""
        if self.average is None:
            return
        decay = min(self.plan.ema or 0.0, (1 + self.step) / (10 + self.step)) if self.step else 0.0
        torch._foreach_lerp_(self.means, self.weights, 1 - decay)
        for mean, value in self.buffers:
            mean.copy_(value)

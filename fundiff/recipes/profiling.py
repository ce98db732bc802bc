"""How fast a recipe trains here, how near that is to what the device can do, and what it waits for.

The real run is timed, data and all, in a folder of its own that is thrown away.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.autograd.profiler_util import FunctionEventAvg
from torch.profiler import ProfilerActivity
from torch.profiler import profile as profiler
from torch.utils.flop_counter import FlopCounterMode

from fundiff.recipes.device import device_here, device_words, suited
from fundiff.training.checkpoints import RunError
from fundiff.training.plan import Plan, Report

SECONDS = 60.0
"""How long is timed, unless another time is asked for."""

LISTED = 12
"""How many operations are listed by the time that they take."""

BUSY = 0.9
"""For which share of a step a GPU has to be at work to be what bounds it."""

_MARKS = ("step", "painting", "encoding")

_SIDES = {"cpu": 2_048, "cuda": 8_192}

_PRODUCTS = 10


@dataclass(frozen=True)
class Profile:
    """What was found.

    Attributes:
        device: The device in words.
        precision: ``fp32`` or ``bf16``.
        pictures: Pictures a second, all that a step needs included.
        operations: Floating-point operations that a picture takes, forwards and backwards, by the
            matrix products and convolutions; 0 where they could not be counted.
        peak: Operations a second of one large product of matrices, in the same precision.
        step: Milliseconds that a step takes, all included.
        parts: Milliseconds of a step by what they are spent on: ``painting`` pictures, ``encoding``
            captions, and all else on the ``host``, which is Python and launches, and without a GPU
            the network. With a GPU also ``device``, which is at work meanwhile.
        costs: Operations by name with their share of the time, the most costly first.
    """

    device: str
    precision: str
    pictures: float
    operations: float
    peak: float
    step: float
    parts: Mapping[str, float]
    costs: tuple[tuple[str, float], ...]

    @property
    def share(self) -> float:
        """Which share of the peak training reaches."""
        return self.pictures * self.operations / self.peak

    @property
    def bound(self) -> str:
        """What bounds a step, a device that is always at work or else the longest other part."""
        if self.parts.get("device", 0.0) >= BUSY * self.step:
            return "device"
        return max((name for name in self.parts if name != "device"), key=self.parts.__getitem__)

    def lines(self) -> list[str]:
        """Say it in words."""
        found = [f"{self.pictures:,.1f} pictures a second in {self.precision} on {self.device}"]
        if self.operations:
            found.append(
                f"{self.operations / 1e9:.2f} billion operations a picture, {self.share:.1%} of "
                f"the {self.peak / 1e12:.2f} trillion a second that a product of matrices reaches"
            )
        parts = ", ".join(f"{name} {spent:.1f}" for name, spent in self.parts.items())
        found.append(f"{self.step:.1f} ms a step: {parts}; bound by {self.bound}")
        return [*found, *(f"{share:6.1%}  {name}" for name, share in self.costs)]


class _EnoughError(Exception):
    """Enough has been seen."""


def profiled(
    run: Callable[..., object],
    plan: Plan,
    preset: str,
    data: Path | None = None,
    *,
    seconds: float = SECONDS,
    compiled: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Profile:
    """Train for a while, and measure.

    The time between the first report and the first that comes at least ``seconds`` later counts.
    Then operations are counted over one interval of reports, and named over another.

    Args:
        run: A recipe's :meth:`fundiff.recipes.runner.Recipe.run`.
        plan: The preset's plan.
        preset: The preset's name.
        data: The folder of the training set; None for the usual one.
        seconds: How long is timed, at least.
        compiled: Compile the network; its operations can't be counted then.
        clock: What tells the time, in seconds.

    Returns:
        What was found.

    Raises:
        RunError: The run ended before enough of it was seen.
        FundiffError: There is no such preset.
    """
    with TemporaryDirectory() as folder:
        runs = Path(folder, "run")
        watch = _Watch(suited(plan, runs), seconds, compiled, clock)
        with watch.stack:
            try:
                run(preset, data, runs, Path(folder, "out"), compiled=compiled, say=watch)
            except _EnoughError:
                return watch.result()
    raise RunError(
        f"the run of {plan.steps} steps ended before {seconds:.0f} seconds of it were timed: ask "
        "for fewer"
    )


def peak(dtype: torch.dtype) -> float:
    """Measure how many operations a second a large product of matrices reaches here.

    Args:
        dtype: The precision.
    """
    device = device_here()
    side = _SIDES[device]
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_PRODUCTS):
        start = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


class _Watch:
    """Is told every report, and goes from stage to stage."""

    def __init__(
        self, plan: Plan, seconds: float, compiled: bool, clock: Callable[[], float]
    ) -> None:
        self.stack = ExitStack()
        self._plan, self._seconds, self._clock = plan, seconds, clock
        self._stages = ["time", *([] if compiled else ["count"]), "profile", "end"]
        self._first: tuple[float, int] | None = None
        self._step = self._operations = 0.0
        self._since = self._seen = 0
        self._counter = FlopCounterMode(display=False)
        self._profiler = profiler(activities=_activities())

    def __call__(self, report: Report) -> None:
        now = self._clock()
        if self._first is None:
            self._first = now, report.step
            return
        if self._stages[0] == "time":
            spent = now - self._first[0]
            if spent < self._seconds:
                return
            self._step = spent / (report.step - self._first[1])
        self._leave(report)
        del self._stages[0]
        self._enter(report)

    def result(self) -> Profile:
        is_half = self._plan.precision == "bf16"
        events = self._profiler.key_averages()
        device = device_here()
        spent = {
            event.key: _own_time(event)
            for event in events
            if event.device_type.name == device.upper() and not event.is_user_annotation
        }
        whole = sum(spent.values()) or 1.0
        ranked = sorted(spent.items(), key=lambda pair: -pair[1])[:LISTED]
        marked = {event.key: event.cpu_time_total for event in events if event.cpu_time_total}
        step, *fed = (marked.get(name, 0.0) / 1e3 / self._seen for name in _MARKS)
        parts = dict(zip(_MARKS[1:], fed, strict=True))
        parts["host"] = max(min(step, 1e3 * self._step) - sum(fed), 0.0)
        if device == "cuda":
            parts["device"] = whole / 1e3 / self._seen
        return Profile(
            device_words(),
            self._plan.precision,
            self._plan.batch_size / self._step,
            self._operations,
            peak(torch.bfloat16 if is_half else torch.float32),
            1e3 * self._step,
            parts,
            tuple((name, share / whole) for name, share in ranked if share > 0),
        )

    def _enter(self, report: Report) -> None:
        self._since = report.step
        if self._stages[0] == "count":
            self.stack.enter_context(self._counter)
        elif self._stages[0] == "profile":
            self.stack.enter_context(self._profiler)
        else:
            raise _EnoughError

    def _leave(self, report: Report) -> None:
        self.stack.close()
        self._seen = report.step - self._since
        if self._stages[0] == "count":
            seen = self._plan.batch_size * self._seen
            self._operations = self._counter.get_total_flops() / seen


def _activities() -> list[ProfilerActivity]:
    found = [ProfilerActivity.CPU]
    return [*found, ProfilerActivity.CUDA] if device_here() == "cuda" else found


def _own_time(event: FunctionEventAvg) -> float:
    on_device = device_here() == "cuda"
    return float(event.self_device_time_total if on_device else event.self_cpu_time_total)

"""As many steps as fit into some time, by the speed that is measured here."""

import copy
import json
import math
import time
import warnings
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.files import prepare, write
from fundiff.recipes.device import device_here, kept
from fundiff.recipes.presets import Preset, Training
from fundiff.training.checkpoints import RunError
from fundiff.training.loop import train

MEASURED = 10.0
"""How many seconds of steps the speed is measured by, at least."""

SPARE = 0.1
"""Which share of the time is left for steps that take longer than those that were measured."""

ENDINGS = 5
"""For how many unfinished ends time is left, one for the copy and four for the real end."""

COPIED = 0.8
"""After which share of the steps a copy of the weights is kept, should the end not come."""

_EVERY, _MANY = 10, 100_000


def fitted(
    preset: Preset,
    training: Training,
    runs: Path,
    seconds: float,
    *,
    compiled: bool,
) -> tuple[Preset, bool | str]:
    """Give a preset as many steps as fit, the learning rate's fall and the last samples included.

    The training is tried on a copy of its network, for the time of its compiling and the speed of
    its steps. What the first slice of a run chose holds for the others.

    Args:
        preset: The preset.
        training: Its training, whose data is ready.
        runs: Where the run's states lie.
        seconds: How long there is.
        compiled: Whether to compile, as far as that works here.

    Returns:
        The preset with its number of steps, and how to compile.

    Raises:
        FundiffError: Not even one interval of reports fits.
    """
    path, start = runs / "fitted.json", time.monotonic()
    if isinstance(before := kept(path), dict):
        return preset.lasting(before["steps"]), before["compiled"]
    ways: list[bool | str] = [True, "default"] if device_here() == "cuda" else [True]
    for way in [*(ways if compiled else []), False]:
        try:
            speed, first = _speed(preset, training, way)
            break
        except Exception as error:  # a compiler may fail in any way
            if not way or isinstance(error, FundiffError):
                raise
            message = f"what a step computes can't be compiled here ({way}): {error}"
            warnings.warn(message, FundiffWarning, stacklevel=2)
    began = time.monotonic()
    training.finish(copy.deepcopy(training.task.network).eval(), finished=False)
    ended = time.monotonic()
    left = seconds - (ended - start) - first - (ended - began) * (ENDINGS + len(preset.shown))
    every = preset.plan.report_every
    steps = math.floor(left * (1 - SPARE) * speed / every) * every
    if steps < every:
        raise FundiffError(
            f"{seconds:.0f} seconds aren't enough: {ended - start:.0f} went into measuring, "
            f"compiling and sampling need {seconds - (ended - start) - left:.0f} more, and {every} "
            f"steps take {every / speed:.0f}"
        )
    prepare(runs)
    write(path, json.dumps({"steps": steps, "compiled": way}).encode())
    return preset.lasting(steps), way


def _speed(preset: Preset, training: Training, way: bool | str) -> tuple[float, float]:
    """Measure how many steps a second are made, and how long the first ones took."""
    task, began = copy.copy(training.task), time.monotonic()
    task.network = copy.deepcopy(task.network)
    every = min(preset.plan.report_every, _EVERY)
    many = every * _MANY
    plan = replace(preset.plan, steps=many, report_every=every, save_every=many)
    with TemporaryDirectory() as folder:
        reports = train(task, plan, Path(folder), compiled=way, chunk=training.chunk)
        with closing(reports):
            start = next(reports).step
            first = time.monotonic()
            for report in reports:
                spent = time.monotonic() - first
                if spent >= MEASURED:
                    return (report.step - start) / spent, first - began
    raise RunError(f"the run of {many} steps ended before its speed was measured")

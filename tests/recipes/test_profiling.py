"""What a profile says of a run that is known."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tasks import SmallTask
from torch import Tensor, nn
from torch.profiler import record_function

from fundiff.cli.main import main
from fundiff.recipes import profiling as profiling
from fundiff.recipes.device import suited
from fundiff.recipes.profiling import Profile, peak, profiled
from fundiff.rng import Draws
from fundiff.training.checkpoints import RunError
from fundiff.training.loop import train
from fundiff.training.plan import Plan, Report

PLAN = Plan(steps=1_000, batch_size=6, learning_rate=1e-3, report_every=5, save_every=5)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small product of matrices is enough for the peak."""
    monkeypatch.setitem(profiling._SIDES, "cpu", 64)


def run_of(reports: int, seen: list[Path]) -> Callable[..., None]:
    """A run of matrix products: a report every five steps, of two products a step."""

    def run(
        preset: str,
        data: Path | None,
        runs: Path,
        out: Path,
        *,
        compiled: bool,
        say: Callable[[Report], object],
    ) -> None:
        assert (preset, data) == ("cpu", None)
        seen.append(runs)
        a = torch.ones(8, 16, requires_grad=not compiled)
        b = torch.ones(16, 4)
        for number in range(1, reports + 1):
            for _ in range(PLAN.report_every):
                (a @ b).sum().backward()
            losses = torch.zeros(number * PLAN.report_every)
            say(Report(number * PLAN.report_every, 0.0, losses, nn.Identity()))

    return run


def ticking(step: float) -> Callable[[], float]:
    def ticks() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += step

    clock = ticks()
    return lambda: next(clock)


def test_speed_and_operations_are_those_of_the_run() -> None:
    seen: list[Path] = []
    found = profiled(run_of(100, seen), PLAN, "cpu", seconds=9, clock=ticking(2.5))
    # four intervals of 2.5 seconds, each of 5 steps of 6 pictures
    assert found.pictures == pytest.approx(4 * 5 * 6 / 10)
    assert found.step == pytest.approx(10_000 / (4 * 5))
    forwards, backwards = 2 * 8 * 16 * 4, 2 * 8 * 4 * 16
    assert found.operations == pytest.approx((forwards + backwards) / 6)
    assert found.share == found.pictures * found.operations / found.peak
    names = [name for name, _ in found.costs]
    assert "aten::mm" in names
    assert (
        0.99 < sum(share for _, share in found.costs) <= 1 + 1e-6 or len(names) == profiling.LISTED
    )
    assert not seen[0].exists()


class SlowlyPainted(SmallTask):
    """Each batch is painted for a while."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        with record_function("painting"):
            time.sleep(self.seconds)
        return super().batch(draws)


@pytest.mark.parametrize(("seconds", "bound"), [(0.05, "painting"), (0.0, "host")])
def test_what_bounds_a_run_is_said(seconds: float, bound: str, tmp_path: Path) -> None:
    def run(*where: object, say: Callable[[Report], object], **how: object) -> None:
        for report in train(SlowlyPainted(seconds), suited(PLAN), tmp_path):
            say(report)

    found = profiled(run, PLAN, "cpu", seconds=0.1)
    assert found.bound == bound
    assert 1e3 * seconds <= found.parts["painting"]
    assert found.parts["host"] > found.parts["encoding"] == 0
    assert not {name for name, _ in found.costs} & {"step", "painting", "encoding"}


def test_a_device_that_is_always_at_work_bounds_a_run() -> None:
    parts = {"painting": 1.0, "encoding": 0.0, "host": 10.0, "device": 8.0}
    found = Profile("a GPU", "bf16", 1.0, 1.0, 1.0, 10.0, parts, ())
    assert found.bound == "host"
    assert replace(found, parts={**parts, "device": 9.0}).bound == "device"


def test_a_run_that_ends_too_soon_is_an_error() -> None:
    with pytest.raises(RunError, match="1000 steps ended before 60 seconds of it were timed"):
        profiled(run_of(3, []), PLAN, "cpu", clock=ticking(1))


def test_the_peak_is_a_number_of_operations() -> None:
    assert 1e6 < peak(torch.float32) < 1e15


def test_it_is_said_in_words() -> None:
    parts = {"painting": 0.0, "encoding": 0.0, "host": 51.24, "device": 126.0}
    costs = (("aten::mm", 0.5), ("aten::add", 0.25))
    found = Profile("a GPU", "bf16", 2_000.0, 6e10, 8e14, 128.0, parts, costs)
    assert found.lines() == [
        "2,000.0 pictures a second in bf16 on a GPU",
        "60.00 billion operations a picture, 15.0% of the 800.00 trillion a second that a product "
        "of matrices reaches",
        "128.0 ms a step: painting 0.0, encoding 0.0, host 51.2, device 126.0; bound by device",
        " 50.0%  aten::mm",
        " 25.0%  aten::add",
    ]


@pytest.mark.slow
def test_the_command_profiles_a_real_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "mnist-features", "--seconds", "1"]) == 0
    first, second, third, *costs = capsys.readouterr().out.splitlines()
    assert " pictures a second in " in first
    assert "operations a picture" in second
    assert " ms a step: painting 0.0, encoding 0.0, host " in third
    assert any("convolution" in line for line in costs)

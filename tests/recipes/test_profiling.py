"""What a profile says of a run that is known."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from fundiff.cli.main import main
from fundiff.recipes import profiling as profiling
from fundiff.recipes.profiling import Profile, peak, profiled
from fundiff.training.checkpoints import RunError
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
    forwards, backwards = 2 * 8 * 16 * 4, 2 * 8 * 4 * 16
    assert found.operations == pytest.approx((forwards + backwards) / 6)
    assert found.share == found.pictures * found.operations / found.peak
    names = [name for name, _ in found.costs]
    assert "aten::mm" in names
    assert (
        0.99 < sum(share for _, share in found.costs) <= 1 + 1e-6 or len(names) == profiling.LISTED
    )
    assert not seen[0].exists()


def test_a_run_that_ends_too_soon_is_an_error() -> None:
    with pytest.raises(RunError, match="1000 steps ended before 60 seconds of it were timed"):
        profiled(run_of(3, []), PLAN, "cpu", clock=ticking(1))


def test_the_peak_is_a_number_of_operations() -> None:
    assert 1e6 < peak(torch.float32) < 1e15


def test_it_is_said_in_words() -> None:
    found = Profile("a GPU", "bf16", 2_000.0, 6e10, 8e14, (("aten::mm", 0.5), ("aten::add", 0.25)))
    assert found.lines() == [
        "2,000.0 pictures a second in bf16 on a GPU",
        "60.00 billion operations a picture, 15.0% of the 800.00 trillion a second that a product "
        "of matrices reaches",
        " 50.0%  aten::mm",
        " 25.0%  aten::add",
    ]


@pytest.mark.slow
def test_the_command_profiles_a_real_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "mnist-features", "--seconds", "1"]) == 0
    first, second, *costs = capsys.readouterr().out.splitlines()
    assert " pictures a second in " in first
    assert "operations a picture" in second
    assert any("convolution" in line for line in costs)

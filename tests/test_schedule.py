import math
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from hypothesis import given
from hypothesis import strategies as st

from fundiff.schedule import NoiseSchedule


@pytest.mark.parametrize("steps", [1, 10, 300, 1000])
def test_linear_is_diffusers_to_the_bit(steps: int) -> None:
    theirs = DDPMScheduler(steps, beta_schedule="linear", beta_start=1e-4, beta_end=0.02)
    assert NoiseSchedule.linear(steps).alpha_bar.equal(theirs.alphas_cumprod)


@pytest.mark.parametrize("steps", [1, 10, 300, 1000])
def test_cosine_is_diffusers_to_the_bit(steps: int) -> None:
    theirs = DDPMScheduler(steps, beta_schedule="squaredcos_cap_v2")
    assert NoiseSchedule.cosine(steps).alpha_bar.equal(theirs.alphas_cumprod)


def test_cosine_at_the_books_timesteps() -> None:
    published = {0: 0.99996, 250: 0.8459, 390: 0.6608, 500: 0.4923, 690: 0.2145, 750: 0.1432}
    published |= {960: 0.00369, 990: 0.000197}
    for t, value in published.items():
        assert NoiseSchedule.cosine().alpha_bar[t].item() == pytest.approx(value, rel=3e-3)


def test_index_is_the_papers_step_less_one() -> None:
    """The signal left at the paper's t = 300 of 300 is index 299: 0.22 of the amplitude."""
    schedule = NoiseSchedule.linear(300)
    beta = [1e-4 + (0.02 - 1e-4) * i / 299 for i in range(300)]
    for t in (1, 150, 300):
        expected = math.prod(1 - b for b in beta[:t])
        assert schedule.at(torch.tensor([t - 1])).item() == pytest.approx(expected, rel=1e-5)
    assert schedule.at(torch.tensor([299])).sqrt().item() == pytest.approx(0.22, abs=0.005)


def test_at_reads_the_table_with_clean_before_it() -> None:
    schedule = NoiseSchedule.cosine()
    t = torch.tensor([-1, 0, 999, 250], dtype=torch.int32)
    at = schedule.at(t)
    assert at.shape == (4, 1, 1, 1)
    expected = torch.stack([torch.tensor(1.0), *schedule.alpha_bar[[0, 999, 250]]])
    assert at.flatten().equal(expected)
    assert schedule.at(torch.empty(0, dtype=torch.long)).shape == (0, 1, 1, 1)


@pytest.mark.parametrize("bad", [-2, 1000])
def test_at_refuses_what_is_outside(bad: int) -> None:
    with pytest.raises(ValueError, match=f"-1 .clean. to 999, got .*{bad}"):
        NoiseSchedule.cosine().at(torch.tensor([5, bad]))


def test_double_precision_stays_double() -> None:
    schedule = NoiseSchedule(NoiseSchedule.cosine().alpha_bar.double())
    assert schedule.at(torch.tensor([3])).dtype == torch.float64


def test_snr_is_one_where_half_the_power_is_left() -> None:
    schedule = NoiseSchedule(torch.tensor([0.8, 0.5, 0.2]))
    torch.testing.assert_close(schedule.snr(), torch.tensor([4.0, 1.0, 0.25]))


def test_timesteps_walks_the_assignments_timesteps() -> None:
    timesteps = NoiseSchedule.cosine().timesteps()
    assert timesteps == list(range(990, -1, -30))
    assert len(timesteps) == 34
    assert [timesteps[i] for i in (1, 3, 5, 7, 10, 20)] == [960, 900, 840, 780, 690, 390]


@given(st.integers(1, 3000))
def test_a_walk_has_at_most_34_timesteps_by_default(steps: int) -> None:
    found = NoiseSchedule.linear(steps, beta_max=1e-3).timesteps()
    assert found[-1] == 0
    assert len(found) == (steps if steps <= 34 else math.ceil(steps / math.ceil(steps / 34))) <= 34
    assert steps < 1000 or len(found) >= 32


def test_a_count_of_timesteps_is_diffusers_linspace() -> None:
    schedule, theirs = NoiseSchedule.linear(300), DDIMScheduler(300, timestep_spacing="linspace")
    for count in (2, 3, 7, 30, 299):
        theirs.set_timesteps(count)
        assert schedule.timesteps(count=count) == theirs.timesteps.tolist()
    assert schedule.timesteps(count=1) == [299]
    assert schedule.timesteps(count=4, start=9) == [9, 6, 3, 0]


@given(st.integers(1, 400), st.integers(1, 500), st.data())
def test_timesteps_covers_what_it_says(steps: int, stride: int, data: st.DataObject) -> None:
    start = data.draw(st.none() | st.integers(0, steps - 1))
    schedule, top = NoiseSchedule.linear(steps), steps - 1 if start is None else start
    if start is None and top - top % stride < 0.9 * top:
        with pytest.raises(ValueError, match=f"a stride of {stride} begins at timestep"):
            schedule.timesteps(stride=stride)
        return
    timesteps = schedule.timesteps(stride=stride, start=start)
    assert timesteps[-1] == 0
    assert top - stride < timesteps[0] <= top
    assert all(t - s == stride for t, s in pairwise(timesteps))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: NoiseSchedule.linear(0), "at least 1 step"),
        (lambda: NoiseSchedule.cosine(-1), "at least 1 step"),
        (lambda: NoiseSchedule.linear(beta_min=0.1, beta_max=0.01), "beta_min <= beta_max"),
        (lambda: NoiseSchedule.linear(10).timesteps(stride=0), "stride must be at least 1"),
        (lambda: NoiseSchedule.linear(10).timesteps(start=10), "0 to 9, got 10"),
        (lambda: NoiseSchedule.linear(10).timesteps(count=11), "a count from 1 to 10, got None"),
        (lambda: NoiseSchedule.linear(10).timesteps(count=2, stride=3), "got 3 and 2"),
        (lambda: NoiseSchedule.cosine().timesteps(stride=250), "begins at timestep 750 of 999"),
        (lambda: NoiseSchedule.cosine().timesteps(stride=1000), "begins at timestep 0 of 999"),
        (lambda: NoiseSchedule.cosine().timesteps(stride=2000), "begins at timestep 0 of 999"),
        (lambda: NoiseSchedule.flow(0), "at least 1 step"),
        (lambda: NoiseSchedule(torch.tensor([0.5, 0.5])), "decrease strictly"),
        (lambda: NoiseSchedule(torch.tensor([1.0, 0.5])), "inside"),
        (lambda: NoiseSchedule(torch.tensor([0.5, 0.0])), "inside"),
        (lambda: NoiseSchedule(torch.tensor([0.5, float("nan")])), "decrease strictly"),
        (lambda: NoiseSchedule(torch.tensor([])), "at least one step"),
    ],
)
def test_bad_schedules_are_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()

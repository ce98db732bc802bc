import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from accelerate import Accelerator
from diffusers import DDPMScheduler
from diffusers.training_utils import compute_snr
from tasks import SmallTask, losses
from torch import nn

from fundiff.losses import min_snr_weight
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.training.checkpoints import Checkpoints, RunError
from fundiff.training.loop import train
from fundiff.training.plan import Plan, Report

TRAINER = Path(__file__).parents[1] / "trainer.py"
PLAN = Plan(
    steps=12, batch_size=8, learning_rate=1e-3, ema=0.9, report_every=2, save_every=4, clip=1.0
)


def state(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return safetensors.torch.load((folder / f"step-{step:08}.safetensors").read_bytes())


def assert_same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value.equal(other[name]), name


def run(folder: Path, plan: Plan = PLAN, *, seconds: float = math.inf) -> list[Report]:
    return list(train(SmallTask(dropout=0.1), plan, folder, seconds=seconds))


def test_loss_falls_and_is_reported(tmp_path: Path) -> None:
    plan = replace(PLAN, steps=200, report_every=50, save_every=100, learning_rate=3e-3)
    reports = run(tmp_path, plan)
    assert [report.step for report in reports] == [50, 100, 150, 200]
    assert reports[-1].loss < 0.4 * reports[0].losses[:10].mean()
    assert len(reports[-1].losses) == 200
    assert reports[-1].losses[150:].mean().item() == pytest.approx(reports[-1].loss, rel=1e-5)


def test_loop_is_plain_adamw(tmp_path: Path) -> None:
    """The same weights as a loop that is written out with nothing but torch."""
    plan = Plan(steps=6, batch_size=8, learning_rate=1e-3, warmup=3, weight_decay=0.01, clip=0.5)
    *_, last = train(SmallTask(), replace(plan, report_every=2, save_every=2), tmp_path)
    task = SmallTask()
    optimizer = torch.optim.AdamW(task.network.parameters(), lr=1e-3, weight_decay=0.01)
    for step in range(6):
        optimizer.param_groups[0]["lr"] = 1e-3 * min(1, (step + 1) / 3)
        draws = Draws(0, step, 8, 0, 8, torch.device("cpu"))
        loss = losses(task, task.network, draws).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(task.network.parameters(), 0.5)
        optimizer.step()
    for ours, theirs in zip(last.network.parameters(), task.network.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_running_mean_follows_its_formula(tmp_path: Path) -> None:
    task = SmallTask()
    mean: list[torch.Tensor] = []
    for report in train(task, replace(PLAN, report_every=1), tmp_path):
        weights = [weight.detach().clone() for weight in task.network.parameters()]
        count = report.step - 1
        decay = min(0.9, (1 + count) / (10 + count))
        mean = [decay * m + (1 - decay) * w for m, w in zip(mean or weights, weights, strict=True)]
        for ours, theirs in zip(report.network.parameters(), mean, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_rate_rises_stays_drops_and_falls() -> None:
    plan = Plan(steps=100, batch_size=1, learning_rate=1.0, warmup=4, decay=0.2)
    assert [plan.rate(step) for step in (0, 3, 50, 80, 90, 99)] == pytest.approx(
        [0.25, 1, 1, 1, 0.5, 0.05]
    )
    plan = Plan(steps=100, batch_size=1, learning_rate=1.0, drop=0.1**0.1, drop_every=10)
    assert [plan.rate(step) for step in (0, 9, 10, 99)] == pytest.approx([1, 1, 0.1**0.1, 0.1**0.9])


@pytest.mark.parametrize("seconds", [0.0, 1e9])
def test_a_run_in_slices_is_a_run_at_once(seconds: float, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole")
    reports = []
    for _ in range(20):
        reports += run(tmp_path / "slices", seconds=seconds)
        if reports[-1].step == PLAN.steps:
            break
    losses = {report.step: report.loss for report in reports}
    assert len(losses) == (len(whole) if seconds else PLAN.steps)
    assert [losses[report.step] for report in whole] == [report.loss for report in whole]
    assert_same(state(tmp_path / "slices", 12), state(tmp_path / "whole", 12))


def test_closing_the_iterator_saves(tmp_path: Path) -> None:
    reports = train(SmallTask(dropout=0.1), PLAN, tmp_path / "closed")
    assert next(reports).step == 2
    reports.close()
    assert (tmp_path / "closed" / "step-00000002.json").exists()
    assert [report.step for report in run(tmp_path / "closed")] == [2, 4, 6, 8, 10, 12]
    run(tmp_path / "whole")
    assert_same(state(tmp_path / "closed", 12), state(tmp_path / "whole", 12))


def test_a_state_of_an_older_version_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "whole")
    reports = train(SmallTask(dropout=0.1), PLAN, tmp_path / "old")
    assert next(reports).step == 2
    reports.close()
    manifest = json.loads((tmp_path / "old" / "step-00000002.json").read_bytes())
    older = {
        name.replace("average.", "average.module."): value
        for name, value in state(tmp_path / "old", 2).items()
    }
    older["average.n_averaged"] = torch.tensor(2)
    Checkpoints(tmp_path / "old", manifest["identity"]).save(2, older)
    run(tmp_path / "old")
    assert_same(state(tmp_path / "old", 12), state(tmp_path / "whole", 12))


class Interrupted(SmallTask):
    """Ctrl-C is pressed in the middle of a step, once or twice."""

    presses = 1

    def batch(self, draws: Draws) -> tuple[torch.Tensor, ...]:
        for _ in range(self.presses if draws.step == 4 else 0):
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.05)  # two signals at once would be one
        return super().batch(draws)


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    """Ctrl-C interrupts also where the tests run in the background, which is started without."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("usual_ctrl_c")
def test_ctrl_c_waits_for_the_step_and_keeps_it(tmp_path: Path) -> None:
    plan = replace(PLAN, report_every=4, save_every=12)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        list(train(Interrupted(dropout=0.1), plan, tmp_path / "stopped"))
    assert signal.getsignal(signal.SIGINT) is handler
    assert (tmp_path / "stopped" / "step-00000005.json").exists()
    assert [report.step for report in run(tmp_path / "stopped", plan)] == [8, 12]
    run(tmp_path / "whole", plan)
    assert_same(state(tmp_path / "stopped", 12), state(tmp_path / "whole", 12))


@pytest.mark.usefixtures("usual_ctrl_c")
def test_the_second_ctrl_c_does_not_wait(tmp_path: Path) -> None:
    task = Interrupted()
    task.presses = 2
    with pytest.raises(KeyboardInterrupt):
        list(train(task, PLAN, tmp_path))
    assert sorted(path.name for path in tmp_path.glob("*.json")) == ["step-00000004.json"]


@pytest.mark.parametrize("chunk", [1, 2, 4])
def test_chunks_add_up_to_the_step(chunk: int, tmp_path: Path) -> None:
    *_, whole = train(SmallTask(), PLAN, tmp_path / "whole")
    *_, cut = train(SmallTask(), PLAN, tmp_path / "cut", chunk=chunk)
    torch.testing.assert_close(cut.losses, whole.losses, rtol=1e-5, atol=1e-6)
    for one, other in zip(cut.network.parameters(), whole.network.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_chunks_must_be_equal(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="8 samples can't be cut into chunks of 3"):
        next(train(SmallTask(), PLAN, tmp_path, chunk=3))


def test_a_finished_run_is_reported_again_and_not_repeated(tmp_path: Path) -> None:
    *_, last = run(tmp_path)
    (again,) = run(tmp_path)
    assert (again.step, again.loss) == (12, last.loss)
    assert again.losses.equal(last.losses)
    assert_same(dict(again.network.state_dict()), dict(last.network.state_dict()))


def test_two_states_are_kept(tmp_path: Path) -> None:
    run(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("step-*")) == [
        "step-00000008.json",
        "step-00000008.safetensors",
        "step-00000012.json",
        "step-00000012.safetensors",
    ]


def test_the_loop_leaves_the_global_generator_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.randn(3)
    torch.manual_seed(5)
    run(tmp_path)
    assert torch.randn(3).equal(expected)


@pytest.mark.parametrize("step", [0, 5])
def test_a_loss_that_is_not_a_number_stops_the_run(step: int, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"the loss is nan by step .*lower the learning rate"):
        list(train(SmallTask(poison=step), PLAN, tmp_path))
    left = sorted(path.stem for path in tmp_path.glob("*.json"))
    assert left == ([] if step == 0 else ["step-00000004"])
    assert all(report.step >= step - 1 for report in train(SmallTask(), PLAN, tmp_path))


def test_a_changed_plan_or_task_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(RunError, match=r"another run \(learning_rate: 0\.001 became 0\.1; seed: 0"):
        run(tmp_path, replace(PLAN, learning_rate=0.1, seed=1))

    class Other(SmallTask):
        def identity(self) -> dict[str, object]:
            return {"what": "spots"}

    with pytest.raises(RunError, match=r"'stripes'} became {'what': 'spots'}"):
        list(train(Other(), PLAN, tmp_path))


def test_a_second_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    first = train(SmallTask(), PLAN, tmp_path)
    next(first)
    with pytest.raises(RunError, match="another process trains in"):
        next(train(SmallTask(), PLAN, tmp_path))
    first.close()
    run_again = train(SmallTask(), PLAN, tmp_path)
    assert next(run_again).step == 2


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "gone", "manifest"])
def test_a_damaged_state_gives_way_to_the_one_before(damage: str, tmp_path: Path) -> None:
    run(tmp_path)
    whole = state(tmp_path, 12)
    newest = tmp_path / "step-00000012.safetensors"
    data = bytearray(newest.read_bytes())
    data[-3] ^= 1
    if damage == "flip":
        newest.write_bytes(data)
    elif damage == "cut":
        newest.write_bytes(data[:-100])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "gone":
        newest.unlink()
    else:
        newest.with_suffix(".json").write_text("{")
    with pytest.warns(UserWarning, match=r"damaged .*step-00000012.*going on from step-00000008"):
        reports = run(tmp_path)
    assert [report.step for report in reports] == [8, 10, 12]
    assert_same(state(tmp_path, 12), whole)


def test_what_a_kill_left_half_written_is_cleared_away(tmp_path: Path) -> None:
    (tmp_path / ".step-00000004.safetensors.abc.partial").write_bytes(b"half")
    run(tmp_path)
    assert not list(tmp_path.glob(".step-*"))


def test_nothing_whole_is_said(tmp_path: Path) -> None:
    run(tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        path.write_bytes(b"")
    with pytest.raises(RunError, match=r"no state in .* is whole: step-00000012"):
        run(tmp_path)


def test_a_batch_must_be_shared_equally(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "num_processes", 3)
    with pytest.raises(ValueError, match="batch of 8 can't be shared by 3"):
        next(train(SmallTask(), PLAN, tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "at least 1"),
        ({"report_every": 3}, "multiple of report_every, got 4 and 3"),
        ({"learning_rate": 0.0}, "makes no sense"),
        ({"decay": 1.5}, "makes no sense"),
    ],
)
def test_plans_that_make_no_sense_are_refused(changes: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(PLAN, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("gamma", [1.0, 5.0])
def test_min_snr_weight_is_diffusers(gamma: float) -> None:
    t = torch.tensor([0, 100, 500, 990])
    snr = compute_snr(DDPMScheduler(beta_schedule="squaredcos_cap_v2"), t)
    theirs = torch.minimum(snr, torch.full_like(snr, gamma)) / (snr + 1)
    torch.testing.assert_close(min_snr_weight(NoiseSchedule.cosine(), t, gamma=gamma), theirs)


def trainer(
    *words: object, processes: int = 1, prepare: Callable[[], None] | None = None
) -> "subprocess.Popen[str]":
    launch = ["-m", "accelerate.commands.launch", "--cpu", "--num_machines", "1"]
    launch += ["--num_processes", str(processes), "--mixed_precision", "no"]
    launch += ["--dynamo_backend", "no", "--main_process_port", "0"]
    command = [sys.executable, *(launch if processes > 1 else []), TRAINER, *words]
    variables = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=variables,
        preexec_fn=prepare,
    )


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_killed_twenty_times_is_never_killed(tmp_path: Path) -> None:
    """SIGKILL at any moment, saving included: the resumed run ends with the same bits."""
    steps = 2000
    whole = trainer(tmp_path / "whole", steps)
    _, errors = whole.communicate()
    assert whole.returncode == 0, errors
    delays = torch.Generator().manual_seed(0)
    kills, reached = 0, [0]
    while True:
        process = trainer(tmp_path / "killed", steps)
        assert process.stdout is not None
        first = process.stdout.readline()
        if kills < 20:
            time.sleep(0.25 * torch.rand(1, generator=delays).item())
            process.send_signal(signal.SIGKILL)
        rest, errors = process.communicate()
        reached += [int(line) for line in (first + rest).split()][-1:]
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        kills += 1
    assert kills == 20
    assert reached == sorted(reached)
    assert_same(state(tmp_path / "killed", steps), state(tmp_path / "whole", steps))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_two_processes_end_where_one_does(tmp_path: Path) -> None:
    for processes, name in ((1, "one"), (2, "two")):
        process = trainer(tmp_path / name, 20, 10, processes=processes)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    one, two = state(tmp_path / "one", 20), state(tmp_path / "two", 20)
    assert one.keys() == two.keys()
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=0, atol=1e-6, msg=name)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_process_is_refused(tmp_path: Path) -> None:
    first = trainer(tmp_path / "run", 10**7)
    assert first.stdout is not None
    first.stdout.readline()
    second = trainer(tmp_path / "run", 10**7)
    _, errors = second.communicate()
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert "another process trains in" in errors


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the disk: the write fails half-way in earnest."""
    resource = pytest.importorskip("resource")
    done = trainer(tmp_path / "run", 6, 3)
    done.communicate()
    before = {path.name: path.read_bytes() for path in (tmp_path / "run").glob("step-*")}
    for path in (tmp_path / "run").glob("step-00000006.*"):
        path.unlink()
        del before[path.name]

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    full = trainer(tmp_path / "run", 6, 3, prepare=small_files)
    _, errors = full.communicate()
    assert full.returncode == 1
    assert "can't be written" in errors
    assert "goes on from step-00000003" in errors
    after = {path.name: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    after.pop("lock")
    assert after == before
    again = trainer(tmp_path / "run", 6, 3)
    again.communicate()
    assert again.returncode == 0
    assert state(tmp_path / "run", 6)

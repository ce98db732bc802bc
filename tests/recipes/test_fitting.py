"""As many steps as fit, by the speed here."""

import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tasks import PLAN, SMALL, SmallTraining

from fundiff.errors import FundiffError, FundiffWarning
from fundiff.models.weights import Card, verify
from fundiff.recipes import fitting
from fundiff.recipes.presets import Preset
from fundiff.recipes.text_to_image import PRESETS


def run(folder: Path, seconds: float, **options: Any) -> Card:  # noqa: ANN401
    return SMALL.run(
        "cpu", None, folder / "runs", folder / "out", seconds=seconds, fit=True, **options
    )


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "MEASURED", 0.2)
    monkeypatch.setattr(fitting, "SPARE", 0.9)  # other tests take the processor, or leave it


def test_a_run_ends_in_time_with_its_rate_at_zero(tmp_path: Path) -> None:
    began = time.monotonic()
    card = run(tmp_path, 3)
    assert time.monotonic() - began < 4
    assert card.notes["finished"]
    assert card.plan["steps"] == card.steps > 10
    part = verify(tmp_path / "out-80")
    assert isinstance(part, Card)
    assert part.notes["finished"] is False
    assert part.steps == math.ceil(0.8 * card.steps)


def test_what_was_chosen_holds_for_the_next_slice(tmp_path: Path) -> None:
    card = run(tmp_path, 3)
    again = run(tmp_path, 50)
    assert again.plan == card.plan
    assert again.notes["finished"]


def test_any_interval_of_reports_will_do(tmp_path: Path) -> None:
    plan = replace(PLAN, report_every=3, save_every=3)
    recipe = replace(SMALL, presets={"cpu": Preset(plan)})
    card = recipe.run("cpu", None, tmp_path / "runs", tmp_path / "out", seconds=3, fit=True)
    assert card.notes["finished"]
    assert card.steps % 3 == 0


def test_too_little_time_is_said(tmp_path: Path) -> None:
    with pytest.raises(FundiffError, match=r"0 seconds aren't enough: \d+ went into measuring"):
        run(tmp_path, 0.0)
    assert not (tmp_path / "out").exists()


def test_it_goes_on_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*words: object, **options: object) -> None:
        raise RuntimeError("no C compiler")

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.warns(FundiffWarning, match="can't be compiled here .*no C compiler"):
        card = run(tmp_path, 3, compiled=True)
    assert card.notes["finished"]


def test_an_error_of_the_run_is_not_the_compilers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*words: object, **options: object) -> None:
        raise FundiffError("the data are gone")

    monkeypatch.setattr(SmallTraining, "finish", fail)
    with pytest.raises(FundiffError, match="the data are gone"):
        run(tmp_path, 2)


def test_the_models_preset_keeps_its_course_and_its_samples() -> None:
    full = PRESETS["full"].lasting(9_000)
    assert [*full.shown] == [500, 1_050, 2_150, 4_400]
    assert full.shown[500] == "samples-000500.png"
    assert (full.plan.steps, full.plan.warmup, full.plan.save_every) == (9_000, 500, 2_250)
    short = PRESETS["full"].lasting(50)
    assert (short.shown, short.plan.warmup, short.plan.save_every) == ({}, 5, 50)

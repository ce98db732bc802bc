"""The one runner, with a task that takes a second."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tasks import PLAN, SMALL, SmallTraining
from torch import nn

from fundiff.cli import main as cli
from fundiff.errors import FundiffError
from fundiff.files import OccupiedError
from fundiff.models import weights as folders
from fundiff.models.weights import WeightsError, save, verify
from fundiff.process import ddim_step
from fundiff.recipes import runner
from fundiff.recipes.presets import Preset
from fundiff.recipes.registry import RECIPES
from fundiff.recipes.runner import Recipe, evaluated, is_kept


def run(folder: Path, preset: str = "cpu", recipe: Recipe = SMALL, **options: Any) -> Path:  # noqa: ANN401
    recipe.run(preset, None, folder / f"runs-{preset}", folder / "out", **options)
    return folder / "out"


def test_a_run_ends_in_a_card_and_its_samples(tmp_path: Path) -> None:
    steps: list[int] = []
    out = run(tmp_path, say=lambda report: steps.append(report.step))
    card = verify(out)
    assert steps == [1, 2, 3, 4]
    assert (card.recipe, card.preset, card.title) == ("small", "cpu", "a small network")
    assert (card.steps, card.pictures, card.data) == (4, 16, {"what": "stripes"})
    assert card.notes == {"finished": True, "pictures before": 0, "measured": True}
    assert card.files.keys() == {"model.safetensors", "samples-2.png", "samples-4.png"}
    assert card.versions == {"torch": version("torch")}
    assert len(card.losses) == 4
    assert card.started_from is None


def test_a_run_that_was_stopped_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    out = run(tmp_path / "a", seconds=0)
    assert verify(out).notes == {"finished": False, "pictures before": 0, "measured": False}
    assert verify(out).files.keys() == {"model.safetensors"}
    assert SMALL.is_stale(out, "cpu")
    run(tmp_path / "a")
    assert verify(out).identity == verify(run(tmp_path / "b")).identity


def test_a_sheet_that_a_kill_left_undrawn_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = run(tmp_path / "a")

    class KilledError(Exception):
        pass

    def die(self: SmallTraining, network: nn.Module) -> bytes:
        raise KilledError

    for step in (2, 4):
        with monkeypatch.context() as patch:
            patch.setattr(SmallTraining, "samples", die)
            with pytest.raises(KilledError):
                run(tmp_path / "b")
        assert not (tmp_path / "b" / "runs-cpu" / f"samples-{step}.png").exists()
        if step == 2:
            run(tmp_path / "b", seconds=0)
    assert verify(run(tmp_path / "b")).files == verify(whole).files


def test_a_start_from_weights_is_noted(tmp_path: Path) -> None:
    first = verify(run(tmp_path / "a"))
    out = run(tmp_path / "b", init=tmp_path / "a" / "out")
    card = verify(out)
    assert card.started_from == first.identity
    assert card.notes["pictures before"] == first.pictures
    assert verify(run(tmp_path / "c", init=out)).notes["pictures before"] == 2 * first.pictures
    with pytest.raises(WeightsError, match="should be a folder of weights"):
        run(tmp_path / "d", init=tmp_path / "none")


def test_it_begins_no_work_that_it_could_not_keep(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    with pytest.raises(OccupiedError, match="out is there already"):
        run(tmp_path, say=lambda report: pytest.fail("it trained"))
    with pytest.raises(ValueError, match="small has the presets cpu, full, not 'huge'"):
        run(tmp_path, "huge")


def changed(folder: Path, **fields: object) -> None:
    card = verify(folder)
    contents = {name: (folder / name).read_bytes() for name in card.files}
    save(folder, contents, replace(card, **fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        (lambda out: None, False),
        (lambda out: changed(out, plan={**verify(out).plan, "precision": "bf16"}), False),
        (lambda out: changed(out, plan={**verify(out).plan, "seed": 1}), True),
        (lambda out: changed(out, code="0" * 16), True),
        (lambda out: changed(out, recipe="another"), True),
        (lambda out: changed(out, preset="huge"), True),
        (lambda out: (out / "model.safetensors").write_bytes(b"x"), True),
        (lambda out: (out / "card.json").unlink(), True),
    ],
)
def test_weights_are_stale_when_what_makes_them_changed(
    change: Callable[[Path], object], stale: bool, tmp_path: Path
) -> None:
    out = run(tmp_path)
    change(out)
    assert SMALL.is_stale(out, "cpu") is stale


def test_full_weights_are_fresh_for_any_preset_and_kept_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(RECIPES, "mnist-judge", SMALL)
    out = run(tmp_path, "full")
    words = ["train", "mnist-judge", "--if-stale", "--runs", str(tmp_path / "r"), "--out", str(out)]
    before = verify(out)
    assert not SMALL.is_stale(out, "cpu")
    assert is_kept(out)
    assert cli.main(words) == 0
    assert "is up to date" in capsys.readouterr().out

    monkeypatch.setitem(RECIPES, "mnist-judge", replace(SMALL, roots=(ddim_step,)))
    for preset in ("cpu", "full"):
        assert cli.main([*words, "--preset", preset]) == 0
        assert "its recipe has moved on since: it is kept; --replace" in capsys.readouterr().out
    assert verify(out) == before
    assert cli.main([*words, "--replace"]) == 0
    assert "4 of 4 steps made" in capsys.readouterr().out
    assert verify(out).preset == "cpu"
    assert not is_kept(out)


def test_a_trial_changes_with_what_is_learned_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "TRIED", 2)
    found = SMALL.trial()
    assert len(found) == 64
    assert replace(SMALL, title="other", roots=(ddim_step,)).trial() == found
    faster = {"cpu": Preset(replace(PLAN, learning_rate=2e-3))}
    assert replace(SMALL, presets=faster).trial() != found
    assert not list(tmp_path.iterdir())


def test_a_stamp_changes_the_digests_and_no_weight(tmp_path: Path) -> None:
    out = run(tmp_path)
    before = verify(out)
    moved_on = replace(SMALL, roots=(ddim_step,))
    assert moved_on.is_stale(out, "cpu")
    moved_on.stamp(out)
    assert not moved_on.is_stale(out, "cpu")
    assert verify(out) == replace(before, code=moved_on.code)
    assert verify(out).identity == before.identity
    longer = replace(moved_on, presets={"cpu": Preset(replace(PLAN, steps=6))})
    with pytest.raises(FundiffError, match="isn't what the preset cpu of small would make today"):
        longer.stamp(out)


def test_the_command_stamps_only_what_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(runner, "TRIED", 2)
    out = run(tmp_path)
    moved_on = replace(SMALL, roots=(ddim_step,))
    monkeypatch.setitem(RECIPES, "mnist-judge", moved_on)
    monkeypatch.setattr(folders, "shipped", lambda name: out)
    said = tmp_path / "before.txt"
    said.write_text("mnist-judge abc\n")
    assert cli.main(["trial", "mnist-judge", "--stamp", str(said)]) == 1
    assert "learns something else" in capsys.readouterr().err
    assert moved_on.is_stale(out, "cpu")
    assert cli.main(["trial", "mnist-judge"]) == 0
    said.write_text(capsys.readouterr().out)
    assert cli.main(["trial", "mnist-judge", "--stamp", str(said)]) == 0
    assert not moved_on.is_stale(out, "cpu")


@pytest.mark.parametrize("mode", [True, False])
def test_evaluation_ends(mode: bool) -> None:
    network = nn.Dropout().train(mode)
    with evaluated(network):
        assert not network.training
    assert network.training is mode


def test_the_plan_in_a_card_is_json(tmp_path: Path) -> None:
    card = json.loads((run(tmp_path) / "card.json").read_text())
    assert card["plan"]["betas"] == [0.9, 0.999]

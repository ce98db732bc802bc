from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fundiff.cli.main import main
from fundiff.data.digits import digits
from fundiff.data.sheets import read_sheet
from fundiff.models.placement import frozen
from fundiff.models.weights import load_weights, shipped, verify
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet
from fundiff.recipes import digit_scores
from fundiff.recipes.digit_networks import RECIPES as DIGIT_RECIPES
from fundiff.recipes.digit_networks import DigitPreset
from fundiff.recipes.registry import RECIPES
from fundiff.rng import noise
from fundiff.schedule import NoiseSchedule
from fundiff.training.plan import Plan


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs of two steps, a walk of four, and a few pictures to measure."""
    plan = Plan(4, 4, 1e-3, report_every=1, save_every=2)
    sheets = {2: "samples-epoch-01.png", 4: "samples-epoch-02.png"}
    for recipe in DIGIT_RECIPES:
        shown = sheets if recipe.presets["cpu"].shown else {}
        short = {"cpu": DigitPreset(plan=plan, epoch=2, shown=shown)}
        monkeypatch.setitem(RECIPES, recipe.name, replace(recipe, presets=short))
    for name, value in {
        "COUNT": 20,
        "REFERENCE": 100,
        "WALKED": 20,
        "SCALES": (0.0, 1.0, 5.0),
        "STEPS": (2,),
        "SIGMAS": (0.0, 0.5),
        "FEW": 2,
        "mnist_schedule": lambda: NoiseSchedule.linear(4),
    }.items():
        monkeypatch.setattr(digit_scores, name, value)


def train(name: str, tmp_path: Path, *options: str) -> int:
    where = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    return main(["train", name, *where, *options])


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("name", [recipe.name for recipe in DIGIT_RECIPES])
def test_every_recipe_stops_goes_on_and_ends_in_a_card(name: str, tmp_path: Path) -> None:
    assert train(name, tmp_path, "--minutes", "0") == 0
    assert verify(tmp_path / "out").notes["finished"] is False
    assert train(name, tmp_path) == 0
    card = verify(tmp_path / "out")
    assert (card.recipe, card.steps, card.pictures) == (name, 4, 16)
    assert card.data["name"] == ("glyphs" if name == "glyph-class" else "digits")
    sheets = [name for name in card.files if name.endswith(".png")]
    assert len(sheets) == (0 if name in ("mnist-features", "mnist-judge") else 2)
    for sheet in sheets:
        drawn = read_sheet(tmp_path / "out" / sheet, side=28)
        assert drawn.shape == (10 if name == "mnist-denoiser" else 40, 3, 28, 28)
    assert not RECIPES[name].is_stale(tmp_path / "out", "cpu")
    init = ["--init", str(tmp_path / "out"), "--minutes", "0"]
    assert train(name, tmp_path / "more", *init) == 0
    assert verify(tmp_path / "more" / "out").started_from is not None


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_what_is_measured_is_in_the_card(tmp_path: Path) -> None:
    assert train("mnist-class", tmp_path) == 0
    notes = verify(tmp_path / "out").notes
    assert notes["rows"].keys() == {"real", "0", "1", "5"}
    real = notes["rows"]["real"]
    assert real["accuracy"] > 0.8
    assert all(notes["rows"][scale]["frechet"] > 2 * real["frechet"] for scale in ("0", "1", "5"))
    assert notes["by steps"].keys() == {"2"}


@pytest.mark.parametrize(
    ("name", "network"), [("mnist-features", ResidualClassifier()), ("mnist-judge", LeNet())]
)
def test_the_shipped_classifiers_are_whole(name: str, network: torch.nn.Module) -> None:
    card = load_weights(network, shipped(name))
    assert card.parameters == sum(weight.numel() for weight in network.parameters())
    assert card.notes["finished"]
    assert card.notes["accuracy"] > 0.98
    assert all(weight.isfinite().all() for weight in network.state_dict().values())


@pytest.mark.parametrize(
    ("name", "network", "parameters"),
    [
        ("mnist-denoiser", UNet(128), 7_891_073),
        ("mnist-time", TimeUNet(64), 1_996_417),
        ("mnist-class", ClassUNet(64), 2_019_201),
        ("mnist-flow", ClassUNet(64), 2_019_201),
        ("glyph-class", ClassUNet(64), 2_019_201),
    ],
)
def test_the_shipped_networks_are_whole(
    name: str, network: torch.nn.Module, parameters: int
) -> None:
    card = load_weights(network, shipped(name))
    assert card.parameters == parameters == sum(w.numel() for w in network.parameters())
    assert card.notes["finished"]
    assert any(file.startswith("samples-epoch-") for file in card.files)
    assert all(weight.isfinite().all() for weight in network.state_dict().values())
    assert not RECIPES[name].is_stale(shipped(name), card.preset)


def test_the_shipped_networks_draw_to_order() -> None:
    classes = verify(shipped("mnist-class")).notes["rows"]
    assert classes["5"]["accuracy"] >= 0.95
    labels = torch.arange(10).repeat(3)
    judges = digit_scores.Judges(digits("test"))
    start = noise(len(labels), 1, 28, 28, seed=8)
    for name, draw in (("mnist-class", digit_scores.ddim), ("mnist-flow", digit_scores.by_flow)):
        network = ClassUNet(64)
        load_weights(network, shipped(name))
        drawn = draw(frozen(network), start, labels, steps=10)
        assert judges.accuracy(drawn, labels) > 0.9


def test_full_presets_are_of_the_assignments_length() -> None:
    presets = {recipe.name: recipe.presets["full"] for recipe in DIGIT_RECIPES}
    denoiser = presets["mnist-denoiser"].plan
    assert (denoiser.batch_size, denoiser.learning_rate) == (256, 1e-4)
    assert denoiser.steps == 5 * -(-60_000 // 256)
    for name in ("mnist-time", "mnist-class"):
        plan = presets[name].plan
        assert (plan.batch_size, plan.learning_rate) == (128, 1e-3)
        assert plan.steps == 20 * -(-60_000 // 128)
        after = [plan.rate(epoch * 469) for epoch in range(20)]
        assert_close(after, [1e-3 * 0.1 ** (epoch / 20) for epoch in range(20)])
        epochs = [f"samples-epoch-{n:02}.png" for n in (1, 5, 10, 15, 20)]
        assert list(presets[name].shown.values()) == epochs
        assert list(presets[name].shown) == [n * 469 for n in (1, 5, 10, 15, 20)]


def test_the_judges_know_real_digits() -> None:
    judges = digit_scores.Judges(digits("test"))
    row = judges.row(judges.other, judges.labels)
    assert row["accuracy"] > 0.97
    grain = noise(100, 1, 28, 28).abs()
    assert judges.row(grain, torch.arange(100) % 10)["accuracy"] < 0.5
    assert judges.row(grain)["frechet"] > 20 * row["frechet"]

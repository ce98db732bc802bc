import time
from collections.abc import Callable
from typing import Any

import bench
import pytest
import torch

from fundiff.jobs.order import Order
from fundiff.models.if_model import load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.recipes.text_to_image import PROMPTS


def test_rounds_alternate_and_ratios_are_by_round(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    calls: list[str] = []

    def takes(name: str, seconds: list[float]) -> Callable[[], None]:
        def call() -> None:
            calls.append(name)
            clock[0] += seconds.pop(0)

        return call

    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    peer, mine = takes("peer", [9.0, 1.0, 2.0, 4.0]), takes("mine", [9.0, 2.0, 1.0, 2.0])
    rows = bench.compare({"peer": peer, "mine": mine}, 3)
    assert calls == ["peer", "mine"] * 4
    assert rows == [bench.Row("peer", 2, 1, 1, 1), bench.Row("mine", 2, 0.5, 0.5, 2)]


def test_what_is_timed_is_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COUNT", 1)
    model = load("text-to-image", device="cpu")
    x = bench.ours(model)
    assert x.shape == (1, 3, 64, 64)
    assert x.equal(bench.ours(model))
    assert torch.isfinite(x).all()
    assert not x.equal(bench.ours(model, steps=3))


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # diffusers'
def test_every_contender_paints(monkeypatch: pytest.MonkeyPatch) -> None:
    """Diffusers' pipeline too, on a scheduler that isn't its own; all in two steps here."""
    monkeypatch.setattr(bench, "COUNT", 1)
    model = load("text-to-image", device="cpu")
    for dpm in (False, True):
        (painted,) = bench.theirs(model, dpm=dpm, num_inference_steps=2)()[:1]  # type: ignore[index]
        assert painted.shape == (1, 12, 32, 32)
        assert torch.isfinite(painted).all()
    taken: list[int] = []

    def counted(*given: Any, **_: object) -> torch.Tensor:  # noqa: ANN401  # a sampler's arguments
        taken.append(len(given[3]))
        return torch.zeros(1)

    monkeypatch.setattr(bench, "theirs", lambda *_, **__: lambda: None)
    monkeypatch.setattr(bench, "sample", counted)
    for call in bench.by_default().values():
        call()
    assert taken == [34, Order.steps]


def test_the_fit_is_the_judges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "COUNT", 1)
    prompts = PROMPTS[:2]
    monkeypatch.setattr(bench, "PROMPTS", prompts)
    painted = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(bench, "ours", lambda model, prompt: painted)
    encoder = ImageTextEncoder.load()
    told = encoder.texts(load("text-to-image", device="cpu").encode(prompts))
    expected = (encoder.images(painted.clamp(-1, 1)) @ told.T).mean().item()
    found = bench.fits()
    assert "float32" in found
    assert all(value == pytest.approx(expected, abs=1e-5) for value in found.values())
    assert "1 samples of each of 2 prompts: " in bench.quality(found)


def test_the_table_has_every_row() -> None:
    rows = [bench.Row("peer", 2.09, 1, 1, 1), bench.Row("ours", 1.97, 0.946, 0.94, 0.99)]
    written = bench.table("Samples", rows)
    gap = "\N{NO-BREAK SPACE}"
    expected = f"| ours | 1.97 | ×{gap}0.95 | 0.94{gap}…{gap}0.99 |"
    assert expected in written.splitlines()
    assert written.startswith(":::{table} Samples\n")
    assert "Medians of 5 rounds on 20" in bench.conditions(5)

import math
import zlib

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fundiff.errors import FundiffError
from fundiff.rng import Draws, Stream, _mix, noise


def draws(step: int = 3, first: int = 0, count: int = 8, seed: int = 0, batch: int = 8) -> Draws:
    return Draws(seed, step, batch, first, count, torch.device("cpu"))


def test_mixer_is_splitmix64() -> None:
    """The first outputs of the reference implementation for the seed 1234567."""
    states = torch.tensor([1234567]) + torch.arange(1, 4) * -7046029254386353131
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    assert [value % 2**64 for value in _mix(states).tolist()] == published


@given(st.integers(0, 7), st.integers(1, 8), st.integers(0, 10**6), st.integers(0, 2**40))
def test_every_share_of_a_step_has_the_wholes_numbers(
    first: int, count: int, step: int, seed: int
) -> None:
    count = min(count, 8 - first)
    whole, share = draws(step, seed=seed), draws(step, first, count, seed)
    here = slice(first, first + count)
    assert share.indices.equal(whole.indices[here])
    assert share.normal("eps", 3, 5).equal(whole.normal("eps", 3, 5)[here])
    assert share.uniform("u").equal(whole.uniform("u")[here])
    assert share.timesteps(1000).equal(whole.timesteps(1000)[here])
    assert share.shuffled(50).equal(whole.shuffled(50)[here])
    assert share.chance("drop", 0.5).equal(whole.chance("drop", 0.5)[here])


def test_numbers_depend_on_seed_step_name_and_sample() -> None:
    one = draws().normal("eps", 100)
    others = [draws(seed=1), draws(step=4), draws(step=2)]
    assert not any(one.equal(other.normal("eps", 100)) for other in others)
    assert not one.equal(draws().normal("other", 100))
    assert len(one.unique(dim=0)) == 8
    assert one.equal(draws().normal("eps", 100))


def test_normal_numbers_are_normal() -> None:
    x = draws(count=500, batch=500).normal("eps", 2001).double()
    assert x.mean().item() == pytest.approx(0, abs=0.005)
    for power, moment in ((2, 1), (3, 0), (4, 3), (6, 15)):
        assert (x**power).mean().item() == pytest.approx(moment, abs=0.02 * math.sqrt(4**power))
    ordered = x.flatten().sort().values
    exact = torch.special.ndtri(torch.linspace(0.001, 0.999, 999, dtype=torch.float64))
    places = (torch.linspace(0.001, 0.999, 999) * len(ordered)).long()
    torch.testing.assert_close(ordered[places], exact, rtol=0, atol=0.02)
    correlations = torch.corrcoef(x[:50]) - torch.eye(50)
    assert correlations.abs().max() < 6 / math.sqrt(2001)
    neighbours = torch.corrcoef(torch.stack([x[:, :-1].flatten(), x[:, 1:].flatten()]))[0, 1]
    assert abs(neighbours) < 0.005


def test_uniform_numbers_fill_the_interval() -> None:
    u = draws(count=1000, batch=1000).uniform("u", 1000).flatten()
    assert 0 <= u.min() < 1e-4
    assert 1 - 1e-4 < u.max() < 1
    counts = torch.histc(u, bins=100, min=0, max=1)
    assert ((counts - 10000) ** 2 / 10000).sum() < 99 + 5 * math.sqrt(2 * 99)


def test_timesteps_are_spread_evenly() -> None:
    t = draws(count=8, batch=8).timesteps(1000)
    assert (t // 125).tolist() == list(range(8))
    many = torch.cat([draws(step, count=160, batch=160).timesteps(7) for step in range(70)])
    assert torch.bincount(many, minlength=7).float().sub(1600).abs().max() < 5 * 40


def test_shuffled_takes_each_item_once_an_epoch() -> None:
    items = torch.cat([draws(step).shuffled(20) for step in range(10)])
    for epoch in items.chunk(4):
        assert epoch.sort().values.equal(torch.arange(20))
    assert not items[:20].equal(items[20:40])


def test_an_epochs_order_is_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    randperm = torch.randperm

    def counted(length: int, *, generator: torch.Generator) -> torch.Tensor:
        drawn.append(length)
        return randperm(length, generator=generator)

    monkeypatch.setattr(torch, "randperm", counted)
    length = 8 * 5 + 3
    for step in range(20):
        draws(step, seed=77).shuffled(length)
    assert drawn == [length] * 4


def test_chance_happens_as_often_as_said() -> None:
    happened = draws(count=20000, batch=20000).chance("drop", 0.1)
    assert happened.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert not draws().chance("never", 0.0).any()
    assert draws().chance("always", 1.0).all()


def test_noise_of_a_picture_is_its_own() -> None:
    whole = noise(5, 3, 8, 8, seed=2)
    for first, count in ((0, 5), (3, 1), (1, 3)):
        assert noise(count, 3, 8, 8, seed=2, first=first).equal(whole[first : first + count])
    assert noise(2, 1, 3, 3).shape == (2, 1, 3, 3)
    assert noise(0, 1, 3, 3).shape == (0, 1, 3, 3)


def test_two_seeds_pictures_streams_and_steps_share_no_noise() -> None:
    uses: list[tuple[Stream, int]] = [("start", 0), ("step", 0), ("step", 1), ("constraint", 0)]
    sets = [
        noise(1, 3, 64, 64, seed=seed, first=first, stream=stream, step=step)
        for seed in (0, 1)
        for first in (0, 1)
        for stream, step in uses
    ]
    rows = torch.stack(sets).flatten(1)
    assert len(rows.unique(dim=0)) == len(sets)
    correlations = torch.corrcoef(rows.double()) - torch.eye(len(sets))
    assert correlations.abs().max() < 5.5 / math.sqrt(rows.shape[1])


def test_noise_is_normal() -> None:
    x = noise(60, 3, 64, 64, seed=9).double()
    assert x.mean().item() == pytest.approx(0, abs=0.005)
    for power, moment in ((2, 1), (3, 0), (4, 3), (6, 15)):
        assert (x**power).mean().item() == pytest.approx(moment, abs=0.02 * math.sqrt(4**power))
    for axis in (-1, -2, 1):
        shifted = torch.stack([x.flatten(), x.roll(1, axis).flatten()])
        assert abs(torch.corrcoef(shifted)[0, 1]) < 0.005


def test_noise_is_the_same_everywhere() -> None:
    """Computed by Python's own integers and functions, as a page would in JavaScript."""

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    golden, seed, picture = 0x9E3779B97F4A7C15, 12345, 2
    key = mix(mix(seed * golden % 2**64) + zlib.crc32(b"step 4") * golden & 2**64 - 1)
    stream = mix((picture * golden + key) % 2**64)
    u = [(mix((stream + i * golden) % 2**64) >> 11) / 2**53 for i in range(1, 19)]
    radius = [math.sqrt(-2 * math.log(1 - value)) for value in u[:9]]
    angle = [2 * math.pi * value for value in u[9:]]
    expected = [r * math.cos(a) for r, a in zip(radius, angle, strict=True)]
    expected += [r * math.sin(a) for r, a in zip(radius, angle, strict=True)]
    found = noise(1, 2, 3, 3, seed=seed, first=picture, stream="step", step=4)
    torch.testing.assert_close(found.flatten(), torch.tensor(expected), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("seed", [-1, 2**63])
def test_seeds_out_of_range_are_refused(seed: int) -> None:
    with pytest.raises(FundiffError, match=f"a seed from 0 to .*, got {seed}"):
        noise(1, 1, 2, 2, seed=seed)


@pytest.mark.parametrize(("count", "first"), [(-1, 0), (1, -1)])
def test_numbers_below_0_are_refused(count: int, first: int) -> None:
    with pytest.raises(FundiffError, match="a count and a first number from 0"):
        noise(count, 1, 2, 2, first=first)

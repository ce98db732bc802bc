from collections.abc import Callable
from itertools import pairwise

import pytest
import torch
from networks import RandomNetwork
from test_guidance import leaf

from fundiff.filters import GaussianBlur, Grey, MotionBlur, shares
from fundiff.guidance import batches, guided
from fundiff.illusions import VIEWS, ByPart, ByView, Illusion, anagram, hybrid, hybrids
from fundiff.sampling import denoise, keep_part
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Part
from fundiff.views import Identity

SCHEDULE = NoiseSchedule.cosine()
FLIP = VIEWS["flip"]
LEFT = torch.linspace(1, 0, 16)
ILLUSIONS: dict[str, Illusion] = {
    **{name: ByView((Identity(), view)) for name, view in VIEWS.items()},
    "three views": ByView((Identity(), VIEWS["rotate-90"], VIEWS["rotate-180"])),
    **hybrids(kernel_size=9),
    "shares": ByPart(shares(0.5, 0.5)),
    "places": ByPart((lambda x: x * LEFT, lambda x: x * (1 - LEFT))),
}


def asked(network: RandomNetwork, count: int) -> tuple[list[Denoiser], Denoiser]:
    return [leaf(network, seed) for seed in range(count)], leaf(network, 99)


def mixed_first(network: RandomNetwork) -> Denoiser:
    (one, two), none = asked(network, 2)
    return guided(anagram((one, Identity()), (two, FLIP)), none, scale=7)


def far_and_near(network: RandomNetwork) -> Denoiser:
    (one, two), none = asked(network, 2)
    return guided(hybrid(one, two, low_pass=GaussianBlur(9, 2.0)), none, scale=7)


def composed(illusion: Illusion) -> Callable[[RandomNetwork], Denoiser]:
    def compose(network: RandomNetwork) -> Denoiser:
        conds, none = asked(network, len(illusion.readings))
        return illusion.guided(conds, none, scale=7)

    return compose


COMPOSITIONS = {
    "mixed, then guided": mixed_first,
    "hybrid": far_and_near,
    **{name: composed(illusion) for name, illusion in ILLUSIONS.items()},
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_a_step_is_one_call_of_the_network(name: str, images: Callable[..., Images]) -> None:
    """Every composition of the chapters on anagrams and hybrids, and one part held fixed."""
    network = RandomNetwork()
    denoiser, start = COMPOSITIONS[name](network), images(2, 3, 16, 16)
    timesteps = SCHEDULE.timesteps(count=5)
    keep = keep_part(images(1, 3, 16, 16), Grey())
    for constraint in (None, keep):
        network.calls.clear()
        list(denoise(denoiser, SCHEDULE, start, timesteps, constraint=constraint, seed=0))
        assert network.calls == len(timesteps) * batches(denoiser, start)
        assert all(calls % len(start) == 0 for calls in network.calls)


def test_an_anagram_guides_each_view(images: Callable[..., Images]) -> None:
    network, x, t = RandomNetwork(), images(2, 3, 16, 16), torch.tensor([900, 100])
    (one, two), none = asked(network, 2)
    answer = ByView((Identity(), FLIP)).guided([one, two], none, scale=3)(x, t).eps
    upside_down = x.flip(-2)

    def guide(cond: Denoiser, seen: Images) -> Images:
        away, towards = none(seen, t).eps, cond(seen, t).eps
        return away + 3 * (towards - away)

    expected = (guide(one, x) + guide(two, upside_down).flip(-2)) / 2
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-5)


def test_a_hybrid_guided_is_the_same_as_each_part_guided(images: Callable[..., Images]) -> None:
    network, x, t = RandomNetwork(), images(2, 3, 16, 16), torch.tensor([900, 100])
    triple = hybrids(kernel_size=9)["triple"]
    conds, none = asked(network, 3)
    answer = triple.guided(conds, none, scale=3)(x, t).eps
    each = [none(x, t).eps + 3 * (cond(x, t).eps - none(x, t).eps) for cond in conds]
    expected = sum(
        (part(eps) for part, eps in zip(triple.parts, each, strict=True)), torch.zeros(())
    )
    torch.testing.assert_close(answer, expected, rtol=1e-4, atol=1e-4)


def test_readings_of_hybrids_go_from_the_first_part_to_the_whole(
    images: Callable[..., Images],
) -> None:
    x = images(2, 3, 40, 40)
    expected: dict[str, tuple[Part, ...]] = {
        "blur": (GaussianBlur(33, 2.0),),
        "colour": (Grey(),),
        "motion": (MotionBlur(),),
        "triple": (GaussianBlur(33, 2.0), GaussianBlur(33, 1.0)),
    }
    found = hybrids()
    assert found.keys() == expected.keys()
    for name, partial in expected.items():
        *first, whole = found[name].readings
        for reading, filtered in zip(first, partial, strict=True):
            torch.testing.assert_close(reading(x), filtered(x), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(whole(x), x, rtol=1e-4, atol=1e-5)
        power = [reading(x).square().sum() for reading in found[name].readings]
        assert all(less < more for less, more in pairwise(power))


def test_readings_of_anagrams_are_the_views(images: Callable[..., Images]) -> None:
    x = images(2, 3, 16, 16)
    first, second = ByView((Identity(), FLIP)).readings
    assert first(x).equal(x)
    assert second(x).equal(x.flip(-2))


def test_each_reading_has_its_denoiser(network: RandomNetwork) -> None:
    for illusion in (ByView((Identity(), FLIP)), hybrids()["blur"]):
        with pytest.raises(ValueError, match="each of the 2 readings, got 1"):
            illusion.guided([network], network, scale=1)

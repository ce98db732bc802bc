from collections.abc import Callable

import pytest
import torch
from networks import RandomNetwork

from fundiff.filters import GaussianBlur, grey_and_colour, three_bands
from fundiff.guidance import Bound, Thresholded, batches, guided
from fundiff.illusions import anagram, factorized, hybrid
from fundiff.permutations import Jigsaw
from fundiff.process import predict_x0
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Prediction, Times, View
from fundiff.views import Identity, Negation, Rotation, VerticalFlip

SCHEDULE = NoiseSchedule.cosine()
BLUR = GaussianBlur(5, 1.0)


def plain(seed: int) -> Denoiser:
    """A denoiser that is a function and nothing else."""
    network = RandomNetwork(seed=seed)
    return lambda x_t, t: network(x_t, t)


def variance(prediction: Prediction) -> Images:
    assert prediction.variance is not None
    return prediction.variance


@pytest.fixture
def x_t(images: Callable[..., Images]) -> Images:
    return images(5, 3, 16, 16)


@pytest.fixture
def t() -> Times:
    return torch.tensor([990, 500, 250, 30, 0])


def test_guidance_is_unconditional_at_0_and_conditional_at_1(x_t: Images, t: Times) -> None:
    cond, uncond = plain(1), plain(2)
    torch.testing.assert_close(guided(cond, uncond, scale=0)(x_t, t).eps, uncond(x_t, t).eps)
    torch.testing.assert_close(guided(cond, uncond, scale=1)(x_t, t).eps, cond(x_t, t).eps)


def test_guidance_goes_on_in_a_straight_line(x_t: Images, t: Times) -> None:
    cond, uncond = plain(1), plain(2)
    answer = guided(cond, uncond, scale=7)(x_t, t)
    expected = 7 * cond(x_t, t).eps - 6 * uncond(x_t, t).eps
    torch.testing.assert_close(answer.eps, expected, rtol=1e-4, atol=1e-5)
    assert variance(answer).equal(variance(cond(x_t, t)))


def test_anagram_asks_each_about_its_own_view(x_t: Images, t: Times) -> None:
    one, two, flip = plain(1), plain(2), VerticalFlip()
    answer = anagram((one, Identity()), (two, flip), weights=(0.3, 0.7))(x_t, t)
    upright = one(x_t, t)
    flipped = two(x_t.flip(-2), t)
    torch.testing.assert_close(answer.eps, 0.3 * upright.eps + 0.7 * flipped.eps.flip(-2))
    expected = 0.3 * variance(upright) + 0.7 * variance(flipped).flip(-2)
    torch.testing.assert_close(variance(answer), expected)


def test_a_variance_is_turned_back_and_not_negated(x_t: Images, t: Times) -> None:
    for view in (Jigsaw(), Rotation(1), Negation()):
        answer = anagram((plain(1), view))(x_t, t)
        seen = variance(plain(1)(view.apply(x_t), t))
        back = seen if isinstance(view, Negation) else view.invert(seen)
        torch.testing.assert_close(variance(answer), back)


def test_anagram_of_one_denoiser_turns_with_the_image(x_t: Images, t: Times) -> None:
    """An anagram whose views form a group commutes with each of them."""
    turns = [Rotation(i) for i in range(4)]
    symmetric = anagram(*[(plain(1), turn) for turn in turns])
    for turn in turns:
        torch.testing.assert_close(
            symmetric(turn.apply(x_t), t).eps, turn.apply(symmetric(x_t, t).eps)
        )


def test_factorized_parts_of_one_denoiser_are_that_denoiser(x_t: Images, t: Times) -> None:
    one = plain(1)
    for split in (three_bands(BLUR, GaussianBlur(9, 2.0)), grey_and_colour()):
        answer = factorized(*[(one, part) for part in split])(x_t, t)
        torch.testing.assert_close(answer.eps, one(x_t, t).eps, rtol=1e-4, atol=1e-5)


def test_hybrid_is_low_of_far_and_high_of_near(x_t: Images, t: Times) -> None:
    far, near = plain(1), plain(2)
    answer = hybrid(far, near, low_pass=BLUR)(x_t, t)
    a, b = far(x_t, t), near(x_t, t)
    torch.testing.assert_close(answer.eps, BLUR(a.eps) + b.eps - BLUR(b.eps))
    assert variance(answer).equal(variance(b))


def test_thresholded_estimate_is_saharias(x_t: Images, t: Times) -> None:
    t = torch.tensor([900, 800, 500, 250, 100])
    answer = Thresholded(plain(1), SCHEDULE, ratio=0.9, max_value=3.0)(x_t, t)
    before = predict_x0(SCHEDULE, x_t, t, plain(1)(x_t, t).eps)
    after = predict_x0(SCHEDULE, x_t, t, answer.eps)
    for one, other in zip(before, after, strict=True):
        bound = one.abs().flatten().quantile(0.9).clamp(1, 3)
        torch.testing.assert_close(other, one.clamp(-bound, bound) / bound, rtol=1e-4, atol=1e-4)
    assert variance(answer).equal(variance(plain(1)(x_t, t)))


def test_without_one_variance_there_is_none(x_t: Images, t: Times) -> None:
    known, unknown = plain(1), RandomNetwork(variance=False)
    for combined in (
        guided(known, unknown, scale=2),
        anagram((known, Identity()), (unknown, VerticalFlip())),
        hybrid(unknown, known, low_pass=BLUR),
    ):
        assert combined(x_t, t).variance is None


def leaf(network: RandomNetwork, seed: int, batch: int = 1) -> Bound:
    condition = torch.randn(batch, 4, generator=torch.Generator().manual_seed(seed))
    return Bound(network, condition)


def nest(network: Callable[[int], Denoiser]) -> Denoiser:
    """Everything inside everything, over the denoisers that ``network`` makes of a number."""
    two_views = anagram((network(1), Identity()), (network(2), Jigsaw()), weights=(0.4, 0.6))
    mixed = hybrid(two_views, Thresholded(network(3), SCHEDULE), low_pass=BLUR)
    inner = guided(mixed, network(4), scale=3)
    outer = anagram((inner, Rotation(1)), (network(5), Negation()), (network(1), VerticalFlip()))
    return Thresholded(guided(outer, network(6), scale=2), SCHEDULE)


def test_a_view_turns_what_is_seen_once_a_call(
    x_t: Images, t: Times, network: RandomNetwork
) -> None:
    class Counted(VerticalFlip):
        def apply(self, x: Images) -> Images:
            turned.append(len(x))
            return super().apply(x)

    turned: list[int] = []
    both = anagram((leaf(network, 1), Counted()), (leaf(network, 2), Identity()))
    guided(both, leaf(network, 3), scale=2)(x_t, t)
    assert turned == [len(x_t)]


def test_any_nest_is_one_call(x_t: Images, t: Times, network: RandomNetwork) -> None:
    batched = nest(lambda seed: leaf(network, seed))(x_t, t)
    assert network.calls == batches(nest(lambda seed: leaf(network, seed)), x_t) == [7 * len(x_t)]

    def alone(seed: int) -> Denoiser:
        condition = leaf(network, seed).condition
        assert condition is not None
        return lambda x, t: network(x, t, condition.expand(len(x), -1))

    one_by_one = nest(alone)(x_t, t)
    assert len(network.calls) == 1 + 7
    torch.testing.assert_close(batched.eps, one_by_one.eps, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(batched.variance, one_by_one.variance, rtol=1e-3, atol=1e-4)


def test_networks_and_sizes_are_batched_apart(images: Callable[..., Images]) -> None:
    one, two = (RandomNetwork(seed=seed, variance=False) for seed in (1, 2))
    x_t, t = images(2, 3, 8, 16), torch.tensor([10, 20])
    parts: list[tuple[Denoiser, View]] = [
        (leaf(one, 1), Identity()),
        (leaf(one, 2), Rotation(1)),
        (leaf(two, 3), Identity()),
    ]
    parts += [(leaf(one, 4), Rotation(2))]
    answer = anagram(*parts)(x_t, t)
    assert sorted(one.calls) == [2, 4]
    assert two.calls == [2]
    function: Denoiser = lambda x_t, t: Prediction(x_t)  # noqa: E731
    assert sorted(batches(anagram(*parts, (function, Identity())), x_t)) == [2, 2, 2, 4]
    separate = [view.invert(part(view.apply(x_t), t).eps) for part, view in parts]
    torch.testing.assert_close(answer.eps, torch.stack(separate).mean(0), rtol=1e-4, atol=1e-5)


def test_conditions_may_differ_within_the_batch(
    x_t: Images, t: Times, network: RandomNetwork
) -> None:
    rows = leaf(network, 1, batch=5)
    assert rows.condition is not None
    together = guided(rows, Bound(network), scale=1)(x_t, t)
    for i in range(5):
        alone = Bound(network, rows.condition[i : i + 1])(x_t[i : i + 1], t[i : i + 1])
        torch.testing.assert_close(together.eps[i : i + 1], alone.eps, rtol=1e-4, atol=1e-5)


def test_no_condition_beside_one_is_zeros(x_t: Images, t: Times, network: RandomNetwork) -> None:
    null = guided(leaf(network, 1), Bound(network), scale=0)(x_t, t)
    torch.testing.assert_close(null.eps, network(x_t, t, torch.zeros(5, 4)).eps)


def test_condition_that_fits_nothing_is_refused(
    x_t: Images, t: Times, network: RandomNetwork
) -> None:
    with pytest.raises(ValueError, match=r"each of the 5 images, got the shape \[3, 4\]"):
        leaf(network, 1, batch=3)(x_t, t)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: guided(d, d, scale=float("inf")), "finite number, got inf"),
        (lambda d: guided(d, d, scale=7, interval=(600, 300)), r"to guide, got \(600, 300\)"),
        (lambda d: anagram(), "at least one"),
        (lambda d: anagram((d, Identity()), weights=(0.5, 0.5)), "expected 1 weights"),
        (lambda d: anagram((d, Identity()), weights=(0.9,)), "sum to 1"),
        (lambda d: factorized(), "at least one"),
        (lambda d: Thresholded(d, SCHEDULE, ratio=0), "ratio in"),
        (lambda d: Thresholded(d, SCHEDULE, max_value=0.5), "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[Denoiser], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(lambda x_t, t: Prediction(x_t))


def test_outside_its_interval_guidance_asks_one_denoiser(
    images: Callable[..., Images], network: RandomNetwork
) -> None:
    cond, uncond, x = leaf(network, 1), leaf(network, 2), images(2, 3, 16, 16)
    limited = guided(cond, uncond, scale=7, interval=(300, 600))
    always = guided(cond, uncond, scale=7)
    for number in (299, 300, 600, 601):
        t = torch.full((2,), number)
        inside = 300 <= number <= 600
        network.calls.clear()
        answer = limited(x, t)
        assert network.calls == batches(limited, x, t) == [4 if inside else 2]
        expected = always(x, t) if inside else cond(x, t)
        torch.testing.assert_close(answer.eps, expected.eps)
        torch.testing.assert_close(variance(answer), variance(cond(x, t)))
    assert batches(limited, x) == [4]


def test_an_interval_may_hold_some_of_a_batch(x_t: Images, t: Times) -> None:
    cond, uncond = plain(1), plain(2)
    limited = guided(cond, uncond, scale=7, interval=(30, 500))(x_t, t)
    always, never = guided(cond, uncond, scale=7)(x_t, t), cond(x_t, t)
    inside = torch.tensor([False, True, True, True, False])
    torch.testing.assert_close(limited.eps[inside], always.eps[inside])
    torch.testing.assert_close(limited.eps[~inside], never.eps[~inside])


def test_every_nest_has_the_interval(images: Callable[..., Images], network: RandomNetwork) -> None:
    x, at = images(3, 3, 16, 16), {number: torch.full((3,), number) for number in (100, 900)}
    cond, other, uncond = (leaf(network, seed) for seed in (1, 2, 3))
    both = anagram((cond, Identity()), (other, VerticalFlip()))
    mixed = hybrid(cond, other, low_pass=BLUR)
    each = anagram(
        (guided(cond, uncond, scale=3, interval=(0, 500)), Identity()),
        (guided(other, uncond, scale=3, interval=(0, 500)), Rotation(1)),
    )
    for nested, looks in (
        (guided(both, uncond, scale=3, interval=(0, 500)), (9, 6)),
        (Thresholded(guided(mixed, uncond, scale=3, interval=(0, 500)), SCHEDULE), (9, 6)),
        (each, (12, 6)),
    ):
        assert [batches(nested, x, t) for t in at.values()] == [[look] for look in looks]
        network.calls.clear()
        for t in at.values():
            nested(x, t)
        assert network.calls == [*looks]

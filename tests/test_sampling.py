from collections.abc import Callable
from functools import partial

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler
from diffusers.schedulers import scheduling_ddpm
from networks import RandomNetwork

from fundiff.filters import GaussianBlur, Grey
from fundiff.guidance import Bound, Thresholded, guided
from fundiff.illusions import anagram
from fundiff.permutations import InnerCircle
from fundiff.process import add_noise, ddim_step, ddpm_step
from fundiff.rng import noise
from fundiff.sampling import Step, denoise, inpaint, keep_part, sample, sdedit
from fundiff.schedule import NoiseSchedule, resampling
from fundiff.types import Denoiser, Images, Prediction, State, Times
from fundiff.views import Identity, VerticalFlip

SCHEDULE = NoiseSchedule.cosine()
TIMESTEPS = SCHEDULE.timesteps()
BLUR = GaussianBlur(5, 1.0)


def seed(number: int) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def precise(dtype: torch.dtype) -> tuple[NoiseSchedule, RandomNetwork, float]:
    """A schedule and a network in a precision, and the error that it may leave."""
    schedule = NoiseSchedule(SCHEDULE.alpha_bar.to(dtype))
    return schedule, RandomNetwork().to(dtype), 1e-5 if dtype == torch.float32 else 1e-10


def step_noise(x: Images, number: int) -> Images:
    """The noise of a step of a walk with the seed 2."""
    return noise(*x.shape, seed=2, stream="step", step=number).to(x)


def assert_same_walk(ours: list[Images], theirs: list[Images], bound: float) -> None:
    assert len(ours) == len(theirs) == 35
    for one, other in zip(ours, theirs, strict=True):
        assert (one - other).abs().max() <= bound * other.abs().max()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("thresholding", [False, True])
@pytest.mark.parametrize("eta", [0.0, 1.0])
def test_ddim_walk_is_diffusers(dtype: torch.dtype, thresholding: bool, eta: float) -> None:
    schedule, network, bound = precise(dtype)
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        clip_sample=False,
        thresholding=thresholding,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
    )
    scheduler.set_timesteps(33)
    scheduler.alphas_cumprod = schedule.alpha_bar
    scheduler.final_alpha_cumprod = schedule.alpha_bar.new_tensor(1.0)
    x = start = torch.randn(2, 3, 16, 16, generator=seed(1), dtype=dtype)
    theirs = [x]
    for number, t in enumerate(TIMESTEPS):
        eps, z = network(x, torch.full((2,), t)).eps, step_noise(x, number)
        x = scheduler.step(
            eps, t, x, eta=eta, use_clipped_model_output=thresholding, variance_noise=z
        ).prev_sample
        theirs.append(x)

    denoiser: Denoiser = lambda x, t: network(x, t)  # noqa: E731
    if thresholding:
        denoiser = Thresholded(denoiser, schedule)
    states = denoise(denoiser, schedule, start, step=partial(ddim_step, eta=eta), seed=2)
    assert_same_walk([state.x for state in states], theirs, bound)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("thresholding", [False, True])
@pytest.mark.parametrize("variance", ["learned_range", "fixed_small", "fixed_large"])
def test_ddpm_walk_is_diffusers(
    dtype: torch.dtype, thresholding: bool, variance: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule, network, bound = precise(dtype)
    scheduler = DDPMScheduler(
        beta_schedule="squaredcos_cap_v2",
        variance_type=variance,
        clip_sample=False,
        thresholding=thresholding,
        dynamic_thresholding_ratio=0.95,
        sample_max_value=1.5,
    )
    scheduler.set_timesteps(timesteps=TIMESTEPS)
    scheduler.alphas_cumprod = schedule.alpha_bar
    scheduler.one = schedule.alpha_bar.new_tensor(1.0)
    learned = variance == "learned_range"
    x = start = torch.randn(2, 3, 16, 16, generator=seed(1), dtype=dtype)
    theirs = [x]
    for number, t in enumerate(TIMESTEPS):
        prediction, z = network(x, torch.full((2,), t)), step_noise(x, number)
        monkeypatch.setattr(scheduling_ddpm, "randn_tensor", lambda *_, z=z, **__: z)
        output = torch.cat(prediction[:2], dim=1) if learned else prediction.eps
        x = scheduler.step(output, t, x).prev_sample
        theirs.append(x)

    def denoiser(x_t: Images, t: Times) -> Prediction:
        prediction = network(x_t, t)
        return prediction if learned else Prediction(prediction.eps)

    states = denoise(
        Thresholded(denoiser, schedule) if thresholding else denoiser,
        schedule,
        start,
        TIMESTEPS,
        step=partial(ddpm_step, large_variance=variance == "fixed_large"),
        seed=2,
    )
    assert_same_walk([state.x for state in states], theirs, bound)


MEAN, SPREAD = 0.4, 0.25


def gaussian(x_t: Images, t: Times) -> Prediction:
    """The best denoiser there is, in closed form, for pixels from N(MEAN, SPREAD²)."""
    alpha_bar = SCHEDULE.at(t).to(x_t)
    total = alpha_bar * SPREAD**2 + 1 - alpha_bar
    return Prediction((1 - alpha_bar).sqrt() * (x_t - alpha_bar.sqrt() * MEAN) / total)


@pytest.mark.parametrize(
    "step", [ddim_step, partial(ddim_step, eta=0.5), partial(ddim_step, eta=1.0), ddpm_step]
)
@pytest.mark.parametrize("stride", [1, 10])
def test_loop_lands_on_the_known_distribution(step: Step, stride: int) -> None:
    timesteps = SCHEDULE.timesteps(stride=stride, start=990)
    x = torch.randn(1, 1, 96, 96, generator=seed(0), dtype=torch.float64)
    last = sample(gaussian, SCHEDULE, x, timesteps, step=step, seed=1)
    assert last.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert last.std().item() == pytest.approx(SPREAD, rel=0.03 if stride == 1 else 0.08)


def test_loop_yields_a_state_for_every_timestep(network: RandomNetwork) -> None:
    x = torch.randn(2, 3, 16, 16, generator=seed(0))
    states = list(denoise(Bound(network), SCHEDULE, x, TIMESTEPS))
    assert [state.t for state in states] == [*TIMESTEPS, -1]
    assert network.calls == [2] * 34
    assert states[0].x.equal(x)
    assert states[-1].x.equal(states[-1].x0)
    torch.testing.assert_close(states[-2].x0, states[-1].x)


def test_every_composition_is_one_call_a_step(network: RandomNetwork) -> None:
    a, b, none = (Bound(network, torch.eye(4)[[i]]) for i in range(3))
    views = anagram((a, Identity()), (b, VerticalFlip()), (a, InnerCircle()))
    x = torch.randn(5, 3, 16, 16, generator=seed(0))
    list(denoise(guided(views, none, scale=7), SCHEDULE, x, TIMESTEPS))
    assert network.calls == [20] * 34


def test_loop_is_lazy(network: RandomNetwork) -> None:
    states = denoise(Bound(network), SCHEDULE, torch.zeros(1, 3, 8, 8), TIMESTEPS)
    assert network.calls == []
    next(states)
    next(states)
    assert len(network.calls) == 2


def test_loop_tracks_no_gradient() -> None:
    weight = torch.ones((), requires_grad=True)
    x = torch.ones(1, 1, 2, 2)
    for state in denoise(
        lambda x, t: Prediction(weight * x),
        SCHEDULE,
        x,
        [500, 0],
        constraint=lambda schedule, x, s, noise: weight * x,
    ):
        assert not state.x.requires_grad
        assert torch.is_grad_enabled()


@pytest.mark.parametrize("step", [ddpm_step, partial(ddim_step, eta=1.0)])
def test_a_picture_is_the_same_in_any_batch_and_order(step: Step) -> None:
    def one_by_one(x_t: Images, t: Times) -> Prediction:
        """A network whose arithmetic doesn't depend on the batch."""
        return Prediction(torch.cat([torch.sin(3 * x) for x in x_t.split(1)]))

    mask = torch.zeros(1, 1, 8, 8)
    mask[..., :4] = 1
    constraint = inpaint(torch.full((1, 3, 8, 8), 0.5), mask)

    def painted(first: int, count: int, seed: int = 3) -> Images:
        x = noise(count, 3, 8, 8, seed=seed, first=first)
        return sample(
            one_by_one,
            SCHEDULE,
            x,
            [900, 600, 300, 600, 300, 0],
            step=step,
            constraint=constraint,
            seed=seed,
            first=first,
        )

    whole = painted(0, 5)
    for first, count in ((4, 1), (2, 2), (0, 1), (1, 3)):
        assert painted(first, count).equal(whole[first : first + count])
    assert not painted(0, 5, seed=4).isclose(whole).all(dim=(1, 2, 3)).any()


def test_the_same_images_end_alike_however_they_are_asked_for(network: RandomNetwork) -> None:
    x, denoiser = noise(2, 3, 16, 16), Bound(network)
    *_, last = denoise(denoiser, SCHEDULE, x, TIMESTEPS, step=ddpm_step, seed=1)
    assert sample(denoiser, SCHEDULE, x, step=ddpm_step, seed=1).equal(last.x)


def test_going_up_adds_noise_and_asks_nobody(network: RandomNetwork) -> None:
    """On the way up and down again, as RePaint goes, only the way down costs calls."""
    x = torch.randn(1, 3, 16, 16, generator=seed(0))
    timesteps = [900, 600, 300, 600, 300, 0]
    states = list(denoise(Bound(network), SCHEDULE, x, timesteps, seed=2))
    assert [state.t for state in states] == [*timesteps, -1]
    assert len(network.calls) == 5
    up = states[2]
    assert up.x0.equal(states[1].x0)
    kept = SCHEDULE.alpha_bar[600] / SCHEDULE.alpha_bar[300]
    expected = kept.sqrt() * up.x + (1 - kept).sqrt() * step_noise(x, 2)
    torch.testing.assert_close(states[3].x, expected)


def test_resampling_keeps_the_known_distribution() -> None:
    down = SCHEDULE.timesteps(stride=10, start=990)
    middle = down.index(500)
    timesteps = [*down[: middle + 1], *(down[middle - 20 : middle + 1] * 3), *down[middle + 1 :]]
    x = torch.randn(1, 1, 128, 128, generator=seed(0), dtype=torch.float64)
    last = sample(gaussian, SCHEDULE, x, timesteps, step=ddpm_step, seed=1)
    assert last.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert last.std().item() == pytest.approx(SPREAD, rel=0.08)


@pytest.mark.parametrize("i_start", [0, 1, 10, 33])
def test_sdedit_is_the_walk_from_a_noised_image(i_start: int, network: RandomNetwork) -> None:
    x0 = torch.rand(2, 3, 16, 16, generator=seed(0)) * 2 - 1
    edited = sdedit(Bound(network), SCHEDULE, x0, i_start=i_start, step=ddpm_step, seed=1)
    t = torch.full((2,), TIMESTEPS[i_start])
    start, left = add_noise(SCHEDULE, x0, t, noise(*x0.shape, seed=1)), TIMESTEPS[i_start:]
    assert sample(Bound(network), SCHEDULE, start, left, step=ddpm_step, seed=1).equal(edited)


def test_sdedit_with_a_perfect_denoiser_gives_the_image_back() -> None:
    x0 = torch.rand(2, 3, 8, 8, generator=seed(0), dtype=torch.float64) * 2 - 1

    def perfect(x_t: Images, t: Times) -> Prediction:
        alpha_bar = SCHEDULE.at(t)
        return Prediction((x_t - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt())

    back = sdedit(perfect, SCHEDULE, x0, TIMESTEPS, i_start=5)
    torch.testing.assert_close(back, x0, rtol=1e-6, atol=1e-6)


def inpainted(network: RandomNetwork, x0: Images, mask: Images) -> list[State]:
    x, keep = torch.randn(3, 3, 16, 16, generator=seed(2)), inpaint(x0, mask)
    return list(denoise(Bound(network), SCHEDULE, x, constraint=keep, seed=1))


def test_inpainting_keeps_the_outside_exactly(network: RandomNetwork) -> None:
    x0 = torch.rand(1, 3, 16, 16, generator=seed(0)) * 2 - 1
    mask = torch.zeros(1, 1, 16, 16)
    mask[..., 4:10, 5:12] = 1
    states = inpainted(network, x0, mask)
    outside = (mask == 0).expand(3, 3, 16, 16)
    assert states[-1].x[outside].equal(x0.expand(3, 3, 16, 16)[outside])
    assert not torch.isclose(states[-1].x, x0)[~outside].any()


def test_inpainting_noises_the_outside_to_every_level(network: RandomNetwork) -> None:
    x0 = torch.full((1, 3, 16, 16), 0.5)
    states = inpainted(network, x0, torch.zeros(1, 1, 16, 16))
    noises = []
    for state in states[:-1]:
        alpha_bar = SCHEDULE.alpha_bar[state.t]
        noises.append((state.x - alpha_bar.sqrt() * x0) / (1 - alpha_bar).sqrt())
    found = torch.stack(noises)
    assert found.mean().item() == pytest.approx(0, abs=0.01)
    assert found.std().item() == pytest.approx(1, abs=0.01)
    assert len(found.flatten(1).unique(dim=0)) == 34
    assert not found[:, 0].equal(found[:, 1])


def test_a_mask_of_ones_changes_nothing(network: RandomNetwork) -> None:
    x0 = torch.rand(1, 3, 16, 16, generator=seed(0))
    free = denoise(
        Bound(network), SCHEDULE, torch.randn(3, 3, 16, 16, generator=seed(2)), TIMESTEPS
    )
    assert inpainted(network, x0, torch.ones(1, 1, 16, 16))[-1].x.equal(list(free)[-1].x)


def test_bad_walks_are_refused_before_the_first_step(network: RandomNetwork) -> None:
    x, denoiser = torch.zeros(1, 3, 8, 8), Bound(network)
    for timesteps, message in (
        ([], "at least one"),
        ([1000, 0], "0 to 999, got 1000"),
        ([5, -1], "0 to 999, got -1"),
        ([5, 5, 0], "timestep 5 follows itself"),
    ):
        with pytest.raises(ValueError, match=message):
            next(denoise(denoiser, SCHEDULE, x, timesteps))
    with pytest.raises(ValueError, match="index from 0 to 33, got 34"):
        sdedit(denoiser, SCHEDULE, x, TIMESTEPS, i_start=34)
    with pytest.raises(ValueError, match=r"mask must lie in \[0, 1\].*-1 to -1"):
        inpaint(x, torch.full((1, 1, 8, 8), -1.0))
    with pytest.raises(ValueError, match="from timestep 300 to 600 adds noise: pass a seed"):
        sample(denoiser, SCHEDULE, x, [300, 600])
    with pytest.raises(ValueError, match="this step draws noise: pass a seed"):
        sample(denoiser, SCHEDULE, x, [300, 0], step=ddpm_step)
    with pytest.raises(ValueError, match="this constraint draws noise: pass a seed"):
        sample(denoiser, SCHEDULE, x, constraint=inpaint(x, torch.ones(1, 1, 8, 8)))
    for other in (torch.zeros(1, 3, 4, 4), torch.zeros(2, 3, 8, 8)):
        for constraint in (inpaint(other, other[:, :1]), keep_part(other, lambda x: x)):
            with pytest.raises(ValueError, match=r"doesn't fit images of \[1, 3, 8, 8\]"):
                sample(denoiser, SCHEDULE, x, constraint=constraint, seed=0)
    assert network.calls == [1]


def published(steps: int, jump: int, times: int) -> list[int]:
    """RePaint's schedule: levels from the noisiest down, every level of a jump up listed."""
    left = dict.fromkeys(range(0, steps - jump, jump), times - 1)
    t, levels = steps, []
    while t >= 1:
        t -= 1
        levels.append(t)
        if left.get(t, 0) > 0:
            left[t] -= 1
            for _ in range(jump):
                t += 1
                levels.append(t)
    return levels


@pytest.mark.parametrize(("steps", "jump", "times"), [(250, 10, 10), (34, 5, 5), (34, 1, 3)])
def test_resampling_is_repaints_schedule_with_its_jumps_at_once(
    steps: int, jump: int, times: int
) -> None:
    timesteps = list(range(steps - 1, -1, -1))
    levels = published(steps, jump, times)
    assert steps != 250 or len(levels) == 4570
    expected = [
        t
        for before, t, after in zip([steps, *levels], levels, [*levels[1:], -1], strict=False)
        if not (before < t < after)
    ]
    assert resampling(timesteps, jump=jump, times=times) == expected


def test_resampling_once_is_the_plain_walk() -> None:
    timesteps = NoiseSchedule.cosine().timesteps()
    assert resampling(timesteps, jump=5, times=1) == timesteps
    assert len(resampling(timesteps, jump=5, times=5)) == 34 + 6 * 4 * 6
    with pytest.raises(ValueError, match="at least 1, got 0 and 2"):
        resampling(timesteps, jump=0, times=2)


@pytest.mark.parametrize("s", [400, -1])
def test_the_part_is_that_of_the_noised_picture(s: int, images: Callable[..., Images]) -> None:
    x, x0, z, blur = images(2, 3, 16, 16), images(1, 3, 16, 16), images(2, 3, 16, 16), BLUR
    at_s = torch.tensor([s, s])
    noised = add_noise(SCHEDULE, x0.expand_as(x), at_s, z)
    kept = keep_part(x0, blur)(SCHEDULE, x, at_s, z)
    torch.testing.assert_close(kept, x - blur(x) + blur(noised), rtol=1e-5, atol=1e-6)


def test_a_projection_ends_with_the_part_of_the_picture(
    images: Callable[..., Images], network: RandomNetwork
) -> None:
    x0, start, keep = images(1, 3, 16, 16), images(2, 3, 16, 16), keep_part
    timesteps = SCHEDULE.timesteps(stride=250, start=750)
    last = sample(network, SCHEDULE, start, timesteps, constraint=keep(x0, Grey()), seed=7)
    torch.testing.assert_close(Grey()(last), Grey()(x0).expand_as(last), rtol=0, atol=1e-5)
    assert (last - x0).abs().max() > 0.1


def test_a_mask_is_inpainting(images: Callable[..., Images]) -> None:
    x, x0, z, at_s = images(2, 3, 16, 16), images(1, 3, 16, 16), images(), torch.tensor([300, 300])
    mask = (images(1, 1, 16, 16) > 0).float()
    ours = keep_part(x0, lambda x: (1 - mask) * x)(SCHEDULE, x, at_s, z)
    torch.testing.assert_close(ours, inpaint(x0, mask)(SCHEDULE, x, at_s, z), rtol=1e-5, atol=1e-6)

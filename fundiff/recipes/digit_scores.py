"""What Part B's networks draw, and what it is worth, by two classifiers of the project's own."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from fundiff.data.labelled import Labelled
from fundiff.guidance import guided
from fundiff.metrics.coverage import precision_recall
from fundiff.metrics.distances import frechet_distance, kernel_distance
from fundiff.metrics.image import psnr
from fundiff.models.weights import load_weights, shipped
from fundiff.networks import bind, bind_flow
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.process import add_noise, ddpm_step
from fundiff.recipes.digit_tasks import mnist_schedule
from fundiff.rng import noise
from fundiff.sampling import sample
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images

Network = Callable[..., Tensor]

SCALE = 5.0
"""The guidance scale of the assignment."""

SCALES = (0.0, 1.0, 2.0, 5.0, 10.0)
"""The guidance scales that are compared."""

STEPS = (2, 3, 5, 10, 20, 50)
"""The numbers of steps that flow matching and DDPM are compared at."""

COUNT = 500
"""How many pictures each number is of."""

REFERENCE = 1_000
"""How many held-out pictures they are compared with."""

SIGMAS = (0.0, 0.2, 0.4, 0.5, 0.6, 0.8, 1.0)
"""The noise levels that the denoiser is tested on."""

FEW = 30
"""How many of the schedule's timesteps are walked where many pictures are compared."""

WALKED = 100
"""How many guided pictures are drawn by all of the timesteps, as the assignment does."""

_TOGETHER = 250

_A_CLASS = 4


def ddpm(
    network: Network,
    x: Images,
    labels: Int[Tensor, " batch"] | None = None,
    *,
    scale: float = SCALE,
    classes: int = 10,
    seed: int = 1,
) -> Images:
    """Draw pictures by the assignment's walk: 300 steps, with noise of the variance β.

    Args:
        network: The network.
        x: Gaussian noise.
        labels: The class of each picture; None for a network that isn't told one.
        scale: The guidance scale.
        classes: How many classes there are.
        seed: The seed of the noise of the walk.

    Returns:
        Pictures, about in [0, 1].
    """
    schedule = mnist_schedule()
    denoiser = _denoiser(bind, network, schedule, labels, scale, classes)
    step = partial(ddpm_step, large_variance=True)
    return sample(denoiser, schedule, x, schedule.timesteps(stride=1), step=step, seed=seed)


def ddim(
    network: Network,
    x: Images,
    labels: Int[Tensor, " batch"] | None = None,
    *,
    steps: int,
    scale: float = SCALE,
    classes: int = 10,
) -> Images:
    """Draw pictures by few steps without noise (DDIM), arguments as those of :func:`ddpm`."""
    schedule = mnist_schedule()
    denoiser = _denoiser(bind, network, schedule, labels, scale, classes)
    return sample(denoiser, schedule, x, schedule.timesteps(count=steps))


def by_flow(
    network: Network,
    x: Images,
    labels: Int[Tensor, " batch"],
    *,
    steps: int,
    scale: float = SCALE,
    classes: int = 10,
) -> Images:
    """Draw pictures by flow matching, arguments as those of :func:`ddim`."""
    schedule = NoiseSchedule.flow(steps)
    denoiser = _denoiser(bind_flow, network, schedule, labels, scale, classes)
    return sample(denoiser, schedule, x, schedule.timesteps(stride=1))


def _denoiser(
    bound: Callable[..., Denoiser],
    network: Network,
    schedule: NoiseSchedule,
    labels: Int[Tensor, " batch"] | None,
    scale: float,
    classes: int,
) -> Denoiser:
    if labels is None:
        return bound(network, schedule)
    told = one_hot(labels, classes).float()
    cond, uncond = bound(network, schedule, told), bound(network, schedule, torch.zeros_like(told))
    return cond if scale == 1 else guided(cond, uncond, scale=scale)


def each_class(network: Network, held_out: Labelled) -> Images:
    """Draw four pictures of each class, class by class in columns, guided."""
    labels = _columns(held_out)
    return ddpm(network, _start(len(labels)), labels, classes=len(held_out.classes))


def each_class_by_flow(network: Network, held_out: Labelled) -> Images:
    """Draw four pictures of each class by flow matching, class by class in columns, guided."""
    labels = _columns(held_out)
    return by_flow(network, _start(len(labels)), labels, steps=FEW, classes=len(held_out.classes))


def any_class(network: Network, held_out: Labelled) -> Images:
    """Draw forty pictures of no class in particular."""
    return ddpm(network, _start(_A_CLASS * len(held_out.classes)))


def denoised(network: Network, held_out: Labelled, *, sigma: float) -> Images:
    """Denoise the first held-out picture of each class, under the noise of the seed 0."""
    x = held_out.one_of_each().scaled()
    return network(x + sigma * _start(len(x)))


def restored(
    network: Network, seen: Labelled, held_out: Labelled, *, sigma: float
) -> dict[str, Any]:
    """Measure by how many decibels held-out pictures are restored, at several noise levels."""
    x = held_out.scaled()[:COUNT]
    eps = _start(len(x))
    rows = {}
    for level in SIGMAS:
        noisy = x + level * eps
        both = noisy, network(noisy)
        before, after = (psnr(part, x, data_range=1.0).mean().item() for part in both)
        rows[f"{level:g}"] = {"noisy": round(before, 2), "denoised": round(after, 2)}
    return {"psnr": rows, "trained at": sigma, "held-out pictures": len(x)}


def accuracy_held_out(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure how often a classifier is right about held-out pictures."""
    right = (network(held_out.scaled()).argmax(dim=1) == held_out.labels).float().mean().item()
    return {"accuracy": round(right, 4), "held-out pictures": len(held_out)}


class Judges:
    """The two classifiers that came with the package, and held-out pictures to compare with.

    Args:
        held_out: Pictures that no network was trained on, at least ``COUNT + REFERENCE``.
    """

    def __init__(self, held_out: Labelled) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        features, judge = ResidualClassifier(), LeNet()
        load_weights(features, shipped("mnist-features"))
        load_weights(judge, shipped("mnist-judge"))
        self._features, self._judge = features.eval().to(device), judge.eval().to(device)
        self._device = device
        real = held_out.scaled()
        self.reference = self.features(real[:REFERENCE])
        self.other, self.labels = real[REFERENCE:][:COUNT], held_out.labels[REFERENCE:][:COUNT]

    @torch.inference_mode()
    def features(self, images: Images) -> Float[Tensor, "sample 64"]:
        """Describe pictures in [0, 1] by the features of the one classifier."""
        return torch.cat([self._features.features(part) for part in self._parts(images)]).cpu()

    @torch.inference_mode()
    def classes(self, images: Images) -> Int[Tensor, " sample"]:
        """Say by the other classifier what pictures show."""
        return torch.cat([self._judge(part).argmax(dim=1) for part in self._parts(images)]).cpu()

    def row(self, images: Images, labels: Int[Tensor, " sample"] | None = None) -> dict[str, float]:
        """Measure a set of pictures.

        Args:
            images: The pictures; what is out of [0, 1] is clipped.
            labels: What each should show.

        Returns:
            Their distances from held-out pictures, the shares by which they cover one another,
            and how often they show what they should.
        """
        features = self.features(images)
        covered = precision_recall(features, self.reference)
        row = {
            "frechet": round(frechet_distance(features, self.reference), 3),
            "kernel": round(kernel_distance(features, self.reference), 5),
            "precision": round(covered.precision, 3),
            "recall": round(covered.recall, 3),
        }
        if labels is not None:
            row["accuracy"] = self.accuracy(images, labels)
        return row

    def accuracy(self, images: Images, labels: Int[Tensor, " sample"]) -> float:
        """Measure how often pictures show what they should.

        Args:
            images: The pictures.
            labels: What each should show.

        Returns:
            The share that the other classifier reads so.
        """
        return round((self.classes(images) == labels).float().mean().item(), 4)

    def _parts(self, images: Images) -> Iterator[Images]:
        return iter(images.clamp(0, 1).to(self._device).split(_TOGETHER))


def unconditional(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure what a network draws that isn't told a class, from pure noise and from noised digits.

    The schedule ends before the digits are gone, so what the network was shown last isn't pure
    noise, which its walks start from.
    """
    judges, schedule, x = Judges(held_out), mnist_schedule(), _start(COUNT)
    last = torch.full((COUNT,), schedule.steps - 1)
    noised = add_noise(schedule, seen.scaled()[:COUNT], last, x)
    drawn = ddpm(network, x)
    shares = judges.classes(drawn).bincount(minlength=len(held_out.classes)) / len(drawn)
    few = partial(ddim, network, steps=FEW)
    return {
        "rows": {
            "real": judges.row(judges.other),
            f"DDIM, {FEW} steps": judges.row(few(x)),
            f"DDIM, {FEW} steps, from noised digits": judges.row(few(noised)),
            "DDPM, 300 steps": judges.row(drawn),
        },
        "share of each class": [round(share, 3) for share in shares.tolist()],
        "pictures": COUNT,
    }


def conditional(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure what a network draws to order, at several guidance scales and numbers of steps."""
    labels = torch.arange(WALKED) % 10
    walked = ddpm(network, _start(WALKED), labels)
    right = Judges(held_out).accuracy(walked, labels)
    return {
        **_compared(partial(ddim, network), held_out, SCALES),
        f"accuracy of {WALKED} pictures, DDPM, 300 steps, guidance {SCALE:g}": right,
    }


def flowing(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure what flow matching draws, at several guidance scales and numbers of steps."""
    return _compared(partial(by_flow, network), held_out, (1.0, SCALE))


def _compared(
    draw: Callable[..., Images], held_out: Labelled, scales: Sequence[float]
) -> dict[str, Any]:
    judges, labels, x = Judges(held_out), torch.arange(COUNT) % 10, _start(COUNT)

    def row(steps: int, scale: float) -> dict[str, float]:
        return judges.row(draw(x, labels, steps=steps, scale=scale), labels)

    rows = {"real": judges.row(judges.other, judges.labels)}
    return {
        "rows": rows | {f"{scale:g}": row(FEW, scale) for scale in scales},
        "by steps": {f"{steps}": row(steps, 1.0) for steps in STEPS},
        "steps": FEW,
        "pictures": COUNT,
    }


def _start(count: int) -> Images:
    return noise(count, 1, 28, 28)


def _columns(held_out: Labelled) -> Int[Tensor, " batch"]:
    return torch.arange(len(held_out.classes)).repeat(_A_CLASS)

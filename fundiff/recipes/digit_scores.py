"""What Part B's networks draw, and what it is worth, by two classifiers of the project's own."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

from fundiff.data.labelled import Labelled
from fundiff.flow import conditioned, flow
from fundiff.guidance import bind, guided
from fundiff.metrics.coverage import precision_recall
from fundiff.metrics.distances import frechet_distance, kernel_distance
from fundiff.metrics.image import psnr
from fundiff.models.placement import bf16_is_fast
from fundiff.models.weights import load_weights, shipped
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.process import add_noise, ddim_step, ddpm_step
from fundiff.recipes.digit_tasks import mnist_schedule
from fundiff.sampling import denoise, noise_like
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


def frozen(network: nn.Module) -> Network:
    """Put a network into evaluation, and call it without gradients and as fast as is safe.

    Args:
        network: The network; it stays in evaluation.

    Returns:
        What calls it, in bfloat16 where that is fast, and returns float32.
    """
    network.eval()
    device = next(network.parameters()).device
    fast = device.type == "cuda" or bf16_is_fast()

    @torch.inference_mode()
    def call(*inputs: Tensor) -> Tensor:
        on_device = [value.to(device) for value in inputs]
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            answer: Tensor = network(*on_device)
        return answer.float().to(inputs[0].device)

    return call


def noise(count: int, *, seed: int = 0) -> Images:
    """Return the Gaussian noise of a seed, ``(count, 1, 28, 28)``."""
    return noise_like(torch.empty(count, 1, 28, 28), torch.Generator().manual_seed(seed))


def ddpm(
    network: Network,
    start: Images,
    labels: Int[Tensor, " batch"] | None = None,
    *,
    scale: float = SCALE,
    classes: int = 10,
    seed: int = 1,
) -> Images:
    """Draw pictures by the assignment's walk: 300 steps, with noise of the variance β.

    Args:
        network: The network.
        start: Gaussian noise.
        labels: The class of each picture; None for a network that isn't told one.
        scale: The guidance scale.
        classes: How many classes there are.
        seed: The seed of the noise of the walk.

    Returns:
        Pictures, about in [0, 1].
    """
    schedule = mnist_schedule()
    step = partial(ddpm_step, large_variance=True)
    generator = torch.Generator().manual_seed(seed)
    walk = denoise(
        _denoiser(network, labels, scale, classes),
        schedule,
        start,
        schedule.timesteps(stride=1),
        step=step,
        generator=generator,
    )
    *_, last = walk
    return last.x


def ddim(
    network: Network,
    start: Images,
    labels: Int[Tensor, " batch"] | None = None,
    *,
    steps: int,
    scale: float = SCALE,
    classes: int = 10,
) -> Images:
    """Draw pictures by few steps without noise (DDIM), arguments as those of :func:`ddpm`."""
    schedule = mnist_schedule()
    timesteps = torch.linspace(schedule.steps - 1, 0, steps).round().int().tolist()
    denoiser = _denoiser(network, labels, scale, classes)
    *_, last = denoise(denoiser, schedule, start, timesteps, step=ddim_step)
    return last.x


def _denoiser(
    network: Network, labels: Int[Tensor, " batch"] | None, scale: float, classes: int
) -> Denoiser:
    schedule = mnist_schedule()
    if labels is None:
        return bind(network, schedule)
    told = one_hot(labels, classes).float()
    cond, uncond = bind(network, schedule, told), bind(network, schedule, torch.zeros_like(told))
    return cond if scale == 1 else guided(cond, uncond, scale=scale)


def by_flow(
    network: Network,
    start: Images,
    labels: Int[Tensor, " batch"],
    *,
    steps: int,
    scale: float = SCALE,
    classes: int = 10,
) -> Images:
    """Draw pictures by flow matching, arguments as those of :func:`ddim`."""
    told = one_hot(labels, classes).float()
    *_, (_, last) = flow(conditioned(network, told, scale=scale), start, steps=steps)
    return last


def each_class(network: Network, held_out: Labelled) -> Images:
    """Draw four pictures of each class, class by class in columns, guided."""
    labels = _columns(held_out)
    return ddpm(network, noise(len(labels)), labels, classes=len(held_out.classes))


def each_class_by_flow(network: Network, held_out: Labelled) -> Images:
    """Draw four pictures of each class by flow matching, class by class in columns, guided."""
    labels = _columns(held_out)
    return by_flow(network, noise(len(labels)), labels, steps=FEW, classes=len(held_out.classes))


def any_class(network: Network, held_out: Labelled) -> Images:
    """Draw forty pictures of no class in particular."""
    return ddpm(network, noise(_A_CLASS * len(held_out.classes)))


def one_of_each(held_out: Labelled) -> Images:
    """Return the first held-out picture of each class, in [0, 1]."""
    firsts = [int((held_out.labels == label).nonzero()[0]) for label in held_out.labels.unique()]
    return held_out.scaled()[firsts]


def denoised(network: Network, held_out: Labelled, *, sigma: float) -> Images:
    """Denoise the first held-out picture of each class, under the noise of the seed 0."""
    x = one_of_each(held_out)
    return network(x + sigma * noise(len(x)))


def restored(
    network: Network, seen: Labelled, held_out: Labelled, *, sigma: float
) -> dict[str, Any]:
    """Measure by how many decibels held-out pictures are restored, at several noise levels."""
    x = held_out.scaled()[:COUNT]
    eps = noise(len(x))
    rows = {}
    for level in SIGMAS:
        noisy = x + level * eps
        outs = torch.cat([network(part) for part in noisy.split(_TOGETHER)])
        before, after = (psnr(part, x, data_range=1.0).mean().item() for part in (noisy, outs))
        rows[f"{level:g}"] = {"noisy": round(before, 2), "denoised": round(after, 2)}
    return {"psnr": rows, "trained at": sigma, "held-out pictures": len(x)}


def accuracy_held_out(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure how often a classifier is right about held-out pictures."""
    answers = torch.cat([network(part) for part in held_out.scaled().split(_TOGETHER)])
    right = (answers.argmax(dim=1) == held_out.labels).float().mean().item()
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
    judges, schedule = Judges(held_out), mnist_schedule()
    last = torch.full((COUNT,), schedule.steps - 1)
    noised = add_noise(schedule, seen.scaled()[:COUNT], last, noise(COUNT))
    drawn = _drawn(lambda start, labels: ddpm(network, start))
    shares = judges.classes(drawn).bincount(minlength=len(held_out.classes)) / len(drawn)

    def few(start: Images, labels: Tensor) -> Images:
        return ddim(network, start, steps=FEW)

    return {
        "rows": {
            "real": judges.row(judges.other),
            f"DDIM, {FEW} steps": judges.row(_drawn(few)),
            f"DDIM, {FEW} steps, from noised digits": judges.row(_drawn(few, noised)),
            "DDPM, 300 steps": judges.row(drawn),
        },
        "share of each class": [round(share, 3) for share in shares.tolist()],
        "pictures": COUNT,
    }


def conditional(network: Network, seen: Labelled, held_out: Labelled) -> dict[str, Any]:
    """Measure what a network draws to order, at several guidance scales and numbers of steps."""
    labels = _labels()[:WALKED]
    walked = ddpm(network, noise(WALKED), labels)
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
    judges, labels = Judges(held_out), _labels()

    def row(steps: int, scale: float) -> dict[str, float]:
        return judges.row(_drawn(partial(draw, steps=steps, scale=scale)), labels)

    rows = {"real": judges.row(judges.other, judges.labels)}
    return {
        "rows": rows | {f"{scale:g}": row(FEW, scale) for scale in scales},
        "by steps": {f"{steps}": row(steps, 1.0) for steps in STEPS},
        "steps": FEW,
        "pictures": COUNT,
    }


def _drawn(
    draw: Callable[[Images, Int[Tensor, " batch"]], Images], starts: Images | None = None
) -> Images:
    starts = noise(COUNT) if starts is None else starts
    pairs = zip(starts.split(_TOGETHER), _labels().split(_TOGETHER), strict=True)
    return torch.cat([draw(start, told) for start, told in pairs])


def _labels() -> Int[Tensor, " batch"]:
    return torch.arange(COUNT) % 10


def _columns(held_out: Labelled) -> Int[Tensor, " batch"]:
    return torch.arange(len(held_out.classes)).repeat(_A_CLASS)

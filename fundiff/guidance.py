r"""Denoisers made of denoisers, and the one call that asks them all.

A sampler sees a denoiser and nothing else, so whatever combines several estimates is one: guidance
and thresholding here, anagrams and hybrids in :mod:`fundiff.illusions`. A :class:`Combination`
names its parts and the picture that each has to see, and mixes their answers; :func:`evaluate`
walks the nest, gathers every picture that one network has to see into one batch, and calls it once.
Guidance around a three-view anagram for five seeds is one call of the network, not twenty.

Any callable with the signature of a denoiser can be a part; it is called once for itself.
"""

import math
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.process import predict_eps, predict_x0
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Network, Prediction, Times

Question = tuple[Denoiser, Float[Tensor, "batch channel _ _"]]
"""A denoiser and the picture that it has to see, which a view may have turned."""


class Combination(ABC):
    """A denoiser that asks other denoisers and mixes their answers."""

    def at(self, t: Times) -> Denoiser:
        """Name what answers the same at some timesteps: itself, or what asks fewer parts."""
        return self

    @abstractmethod
    def parts(self, x_t: Images) -> Sequence[Question]:
        """Name the denoisers to ask, each with the picture it has to see.

        Args:
            x_t: The noisy images that this denoiser was asked about.

        Returns:
            Pairs of a denoiser and its picture, of the same batch size.
        """

    @abstractmethod
    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        """Make one prediction of the parts' answers.

        Args:
            x_t: The noisy images that this denoiser was asked about.
            t: The timestep of each.
            answers: One prediction for each of :meth:`parts`, in their order.

        Returns:
            The combined prediction.
        """

    def __call__(self, x_t: Images, t: Times) -> Prediction:
        """Estimate the noise in ``x_t`` with one call of each network below."""
        return evaluate(self, x_t, t)


@dataclass(frozen=True, eq=False)
class Bound:
    """A network bound to what it should show: the leaf of every combination.

    Attributes:
        network: The network; leaves that share it are called as one batch.
        condition: What to show, shape ``(1, ...)`` or ``(batch, ...)``. None is the null
            condition: zeros wherever another leaf of the same network has a condition.
    """

    network: Network
    condition: Tensor | None = None

    def __call__(self, x_t: Images, t: Times) -> Prediction:
        """Estimate the noise in ``x_t``."""
        return evaluate(self, x_t, t)


def evaluate(denoiser: Denoiser, x_t: Images, t: Times) -> Prediction:
    """Ask a nest of denoisers with one batched call of each network in it.

    Args:
        denoiser: Any denoiser; only :class:`Combination` and :class:`Bound` are looked into.
        x_t: Noisy images.
        t: The timestep of each.

    Returns:
        What ``denoiser`` says about them.

    Raises:
        FundiffError: A condition fits neither one image nor the batch.
    """
    leaves: list[Question] = []
    answer = _asked(denoiser, x_t, t, leaves)
    return answer(t, _call(leaves, t))


def batches(denoiser: Denoiser, x_t: Images, t: Times | None = None) -> list[int]:
    """Say what one evaluation of a nest of denoisers costs, and call none of them.

    Args:
        denoiser: Any denoiser.
        x_t: Noisy images.
        t: The timestep of each; without, the cost is that inside of any interval of guidance.

    Returns:
        How many images go through the network in each call.
    """
    sizes: defaultdict[object, int] = defaultdict(int)
    leaves: list[Question] = []
    _asked(denoiser, x_t, t, leaves)
    for leaf, picture in leaves:
        shared = (leaf.network, picture.shape) if isinstance(leaf, Bound) else object()
        sizes[shared] += len(picture)
    return list(sizes.values())


def _asked(
    denoiser: Denoiser, x_t: Images, at: Times | None, leaves: list[Question]
) -> Callable[[Times, Sequence[Prediction]], Prediction]:
    """Append all that is asked in a nest, and return what makes one answer of the answers."""
    if isinstance(denoiser, Combination):
        here = denoiser if at is None else denoiser.at(at)
        if here is not denoiser:
            return _asked(here, x_t, at, leaves)
        parts = [_asked(*question, at, leaves) for question in denoiser.parts(x_t)]
        return lambda t, answers: denoiser.mix(x_t, t, [part(t, answers) for part in parts])
    index = len(leaves)
    leaves.append((denoiser, x_t))
    return lambda _, answers: answers[index]


def _call(leaves: Sequence[Question], t: Times) -> list[Prediction]:
    answers: dict[int, Prediction] = {}
    batches: defaultdict[tuple[Network, torch.Size], list[int]] = defaultdict(list)
    conditions: dict[int, Tensor | None] = {}
    for index, (leaf, picture) in enumerate(leaves):
        if isinstance(leaf, Bound):
            batches[leaf.network, picture.shape].append(index)
            conditions[index] = leaf.condition
        else:
            answers[index] = leaf(picture, t)
    for (network, shape), indices in batches.items():
        prediction = network(
            torch.cat([leaves[index][1] for index in indices]),
            t.repeat(len(indices)),
            _stack([conditions[index] for index in indices], batch=shape[0]),
        )
        eps = prediction.eps.chunk(len(indices))
        if prediction.variance is None:
            answers |= {i: Prediction(e) for i, e in zip(indices, eps, strict=True)}
        else:
            variance = prediction.variance.chunk(len(indices))
            answers |= {i: Prediction(e, v) for i, e, v in zip(indices, eps, variance, strict=True)}
    return [answers[index] for index in range(len(leaves))]


def _stack(conditions: Sequence[Tensor | None], *, batch: int) -> Tensor | None:
    given = [condition for condition in conditions if condition is not None]
    if not given:
        return None
    null = torch.zeros_like(given[0][:1])
    rows = [null if condition is None else condition for condition in conditions]
    for row in rows:
        if len(row) not in (1, batch):
            raise FundiffError(
                f"a condition must have 1 row or one for each of the {batch} images, "
                f"got the shape {[*row.shape]}"
            )
    return torch.cat([row.expand(batch, *row.shape[1:]) for row in rows])


@dataclass(frozen=True)
class Guided(Combination):
    r"""A denoiser that is guided away from another one: classifier-free guidance.

    .. math:: \epsilon = \epsilon_u + \gamma\, (\epsilon_c - \epsilon_u)

    It keeps the variance of ``cond``. In an interval of timesteps, outside of it
    :math:`\epsilon = \epsilon_c`, and ``uncond`` isn't asked.

    Attributes:
        cond: The denoiser that knows what to show.
        uncond: The one that doesn't, or that knows what not to show.
        scale: :math:`\gamma`: 0 is unconditional, 1 conditional, above 1 more so. (Ho and
            Salimans write :math:`1 + w` for it.)
        interval: The lowest and the highest timestep that are guided; None guides all.

    Raises:
        FundiffError: ``scale`` isn't finite, or the interval is empty.

    Source:
        Ho and Salimans 2022, *Classifier-free diffusion guidance*, eq. 6; Kynkäänniemi et al.
        2024, *Applying guidance in a limited interval*, eq. 5, there over noise levels.
    """

    cond: Denoiser
    uncond: Denoiser
    scale: float
    interval: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if not math.isfinite(self.scale):
            raise FundiffError(f"the guidance scale must be a finite number, got {self.scale}")
        if self.interval is not None and self.interval[0] > self.interval[1]:
            raise FundiffError(
                f"expected the lowest and the highest timestep to guide, got {self.interval}"
            )

    def at(self, t: Times) -> Denoiser:
        """Ask ``cond`` alone where no image is in the interval."""
        return self if self._inside(t).any() else self.cond

    def parts(self, x_t: Images) -> Sequence[Question]:
        """Ask both about the same images."""
        return [(self.cond, x_t), (self.uncond, x_t)]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        """Go from one answer towards the other, and beyond it."""
        cond, uncond = answers
        eps = uncond.eps + self.scale * (cond.eps - uncond.eps)
        if self.interval is not None:
            eps = torch.where(self._inside(t)[:, None, None, None], eps, cond.eps)
        return Prediction(eps, kept_variance(answers, cond.variance))

    def _inside(self, t: Times) -> Bool[Tensor, " batch"]:
        if self.interval is None:
            return torch.ones_like(t, dtype=torch.bool)
        lowest, highest = self.interval
        return (lowest <= t) & (t <= highest)


def guided(
    cond: Denoiser, uncond: Denoiser, *, scale: float, interval: tuple[int, int] | None = None
) -> Guided:
    """Return :class:`Guided` of the same arguments: :eq:`eq-cfg` in the book."""
    return Guided(cond, uncond, scale, interval)


@dataclass(frozen=True)
class Thresholded(Combination):
    r"""A denoiser whose clean estimate is kept in range: dynamic thresholding.

    .. math::

        \hat x_0 \leftarrow \mathrm{clip}(\hat x_0, -b, b) / b, \qquad
        b = \mathrm{clip}(\mathrm{quantile}_r |\hat x_0|,\, 1,\, b_{\max})

    and the noise is derived again from it. The bound :math:`b` is found for each image, and the
    variance stays as it is.

    Attributes:
        denoiser: The denoiser whose estimate is bounded.
        schedule: The noise levels.
        ratio: The quantile :math:`r`, in (0, 1]. DeepFloyd IF uses 0.95.
        max_value: :math:`b_{\max}`, at least 1. DeepFloyd IF uses 1.5.

    Raises:
        FundiffError: ``ratio`` or ``max_value`` is out of range.

    Source:
        Saharia et al. 2022, *Photorealistic text-to-image diffusion models*, section 2.3.
    """

    denoiser: Denoiser
    schedule: NoiseSchedule
    ratio: float = 0.95
    max_value: float = 1.5

    def __post_init__(self) -> None:
        if not 0 < self.ratio <= 1 or not self.max_value >= 1:
            raise FundiffError(
                "expected a ratio in (0, 1] and a max_value of at least 1, got "
                f"{self.ratio}, {self.max_value}"
            )

    def parts(self, x_t: Images) -> Sequence[Question]:
        """Ask the denoiser."""
        return [(self.denoiser, x_t)]

    def mix(self, x_t: Images, t: Times, answers: Sequence[Prediction]) -> Prediction:
        """Bound the clean estimate, and derive the noise again."""
        (answer,) = answers
        x0 = predict_x0(self.schedule, x_t, t, answer.eps)
        bound = x0.abs().flatten(1).quantile(self.ratio, dim=1).clamp(1, self.max_value)
        bound = bound[:, None, None, None]
        clipped = x0.clamp(-bound, bound) / bound
        return answer._replace(eps=predict_eps(self.schedule, x_t, t, clipped))


def kept_variance(answers: Sequence[Prediction], variance: Images | None) -> Images | None:
    """Return the raw variance that a combination keeps, None where any of its parts has none."""
    known = all(answer.variance is not None for answer in answers)
    return variance if known else None

r"""Distributions so simple that their ideal denoiser is a formula: mixtures of Gaussians.

Nothing is learned here. A mixture that is noised is a mixture again, so its density at every
timestep, the score of that density and the mean of what may lie under the noise are exact. With a
width of 0 it is a finite set, such as a training set, and its denoiser is what a network would be
that had learned the set by heart.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.types import Denoiser, Images, Prediction, Times

Shares = Float[Tensor, "batch components"]
"""For each picture how likely each component is, ``(batch, components)``."""


@dataclass(frozen=True, eq=False)
class Mixture:
    r"""A mixture of round Gaussians of one width, or of single pictures.

    .. math:: p(x_0) = \sum_k w_k\, \mathcal N(x_0;\, \mu_k,\, r^2 I)

    Noised to timestep :math:`t` it is one again, which is :eq:`eq-mixture` in the book:

    .. math::

        p_t(x) = \sum_k w_k\, \mathcal N\!\left(x;\, \sqrt{\bar\alpha_t}\, \mu_k,\, v_t I\right),
        \qquad v_t = \bar\alpha_t r^2 + 1 - \bar\alpha_t

    Attributes:
        means: The centres :math:`\mu_k`, ``(components, channel, height, width)``. A point of the
            plane is a picture of two pixels.
        std: Each component's width :math:`r`; 0 for a finite set of pictures.
        weights: The shares :math:`w_k`; equal ones by default.

    Raises:
        FundiffError: There is no component, the width isn't a number from 0, or there isn't one
            share above 0 a component, with a sum of 1.
    """

    means: Images
    std: float = 0.0
    weights: Float[Tensor, " _"] | None = None

    def __post_init__(self) -> None:
        if not len(self.means) or not 0 <= self.std < math.inf:
            raise FundiffError(
                "expected at least one component and a width from 0, got "
                f"{len(self.means)} and {self.std}"
            )
        shares = self._shares
        fits = shares.shape == (len(self.means),) and bool((shares > 0).all())
        if not fits or abs(shares.sum().item() - 1) > 1e-5:
            raise FundiffError(
                f"expected a share above 0 for each of {len(self.means)} components, with a sum of "
                f"1, got {shares.tolist()}"
            )

    def draw(self, count: int, *, seed: int = 0) -> Images:
        """Draw clean pictures.

        Args:
            count: How many.
            seed: The seed; picture ``i`` depends on it and on ``i`` alone.

        Returns:
            The pictures.
        """
        draws = Draws(seed, 0, max(count, 1), 0, count, self.means.device)
        marks = self._shares.cumsum(0)[:-1].to(draws.device)
        chosen = torch.bucketize(draws.uniform("component"), marks.contiguous(), right=True)
        around = draws.normal("picture", *self.means.shape[1:]).to(self.means)
        return self.means[chosen] + self.std * around

    def posterior(self, schedule: NoiseSchedule, x_t: Images, t: Times) -> Shares:
        r"""Say how likely each component is to lie under the noise.

        .. math::

            p(k \mid x_t) = \operatorname{softmax}_k\!\left(\ln w_k
                - \frac{\lVert x_t - \sqrt{\bar\alpha_t}\, \mu_k \rVert^2}{2 v_t}\right)

        Args:
            schedule: The noise levels.
            x_t: Noisy pictures.
            t: The timestep of each; -1, clean, only where the components have a width.

        Returns:
            A row for each picture, with a sum of 1. This is :eq:`eq-which` in the book.

        Raises:
            FundiffError: A finite set is asked about clean pictures, or a timestep isn't in the
                schedule.
        """
        return self._joint(schedule, x_t, t).softmax(dim=1)

    def log_density(
        self, schedule: NoiseSchedule, x_t: Images, t: Times
    ) -> Float[Tensor, " batch"]:
        r"""The logarithm of the noised density, :math:`\ln p_t(x_t)`.

        Args:
            schedule: The noise levels.
            x_t: Noisy pictures.
            t: As in :meth:`posterior`.

        Returns:
            A number for each, in nats.

        Raises:
            FundiffError: As :meth:`posterior`.
        """
        size = x_t[0].numel()
        variance = self._variance(schedule, t).flatten()
        joint = self._joint(schedule, x_t, t).logsumexp(dim=1)
        return joint - size / 2 * (2 * math.pi * variance).log()

    def score(self, schedule: NoiseSchedule, x_t: Images, t: Times) -> Images:
        r"""The score: where, and how steeply, the noised density's logarithm rises.

        .. math::

            \nabla_x \ln p_t(x) = \sum_k p(k \mid x)\,
                \frac{\sqrt{\bar\alpha_t}\, \mu_k - x}{v_t}

        Args:
            schedule: The noise levels.
            x_t: Noisy pictures.
            t: As in :meth:`posterior`.

        Returns:
            The gradient, of the pictures' shape. This is :eq:`eq-mixture-score` in the book.

        Raises:
            FundiffError: As :meth:`posterior`.

        Source:
            Song and Ermon 2019, *Generative modeling by estimating gradients*, section 2.
        """
        shares = self.posterior(schedule, x_t, t)
        mean = torch.einsum("bk,kchw->bchw", shares, self.means.to(x_t))
        return (schedule.at(t).sqrt() * mean - x_t) / self._variance(schedule, t)

    def denoiser(self, schedule: NoiseSchedule) -> Denoiser:
        r"""Make the ideal denoiser: no other has a smaller mean squared error.

        .. math::

            \epsilon(x_t, t) = \mathbb E[\epsilon \mid x_t]
                = -\sqrt{1 - \bar\alpha_t}\; \nabla \ln p_t(x_t)

        Args:
            schedule: The noise levels.

        Returns:
            The denoiser. This is :eq:`eq-ideal` in the book.

        Source:
            Robbins 1956, *An empirical Bayes approach to statistics*, for Tweedie's formula;
            Efron 2011, *Tweedie's formula and selection bias*, section 1.
        """

        def ideal(x_t: Images, t: Times) -> Prediction:
            sigma = (1 - schedule.at(t)).sqrt()
            return Prediction(-sigma * self.score(schedule, x_t, t))

        return ideal

    @property
    def _shares(self) -> Float[Tensor, " components"]:
        if self.weights is not None:
            return self.weights
        return self.means.new_full((len(self.means),), 1 / len(self.means))

    def _variance(self, schedule: NoiseSchedule, t: Times) -> Float[Tensor, "batch 1 1 1"]:
        alpha_bar = schedule.at(t)
        variance = alpha_bar * self.std**2 + 1 - alpha_bar
        if not (variance > 0).all():
            raise FundiffError(
                f"single pictures have no density where nothing is noised, got t = {t.tolist()}: "
                "ask from t = 0, or give the components a width"
            )
        return variance

    def _joint(self, schedule: NoiseSchedule, x_t: Images, t: Times) -> Shares:
        """The logarithm of what each component gives to the density, but for a common constant."""
        centres = schedule.at(t).sqrt()[:, None] * self.means.to(x_t)
        squares = (x_t[:, None] - centres).flatten(2).square().sum(dim=2)
        return self._shares.to(x_t).log() - squares / (2 * self._variance(schedule, t).flatten(1))

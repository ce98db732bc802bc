"""Part B's tasks: what the networks that are trained from scratch learn, and from which data."""

from hashlib import sha256
from typing import Literal

import torch
from jaxtyping import Int
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from fundiff.data.labelled import Labelled
from fundiff.losses import Losses, denoising_loss, flow_loss, noise_loss
from fundiff.rng import Draws
from fundiff.schedule import NoiseSchedule
from fundiff.types import Images

SHIFT = 2
"""By how many pixels a classifier's pictures are moved at most, in each direction."""


def mnist_schedule() -> NoiseSchedule:
    """Return the schedule of Part B: 300 timesteps, linear."""
    return NoiseSchedule.linear(300)


class _Pictures:
    """The pictures of a step, on the device that asks for them."""

    def __init__(self, data: Labelled) -> None:
        self.data, self.classes = data, len(data.classes)
        self._images, self._labels = data.scaled(), data.labels

    def batch(self, draws: Draws) -> tuple[Images, Int[Tensor, " batch"]]:
        items = draws.shuffled(len(self.data))
        if self._images.device != draws.device:
            self._images = self._images.to(draws.device)
            self._labels = self._labels.to(draws.device)
        return self._images[items], self._labels[items]


class DenoiserTask:
    """Make noisy pictures clean in one step.

    Args:
        network: The network.
        data: The pictures, taken in [0, 1].
        sigma: The noise level.
        started_from: What the network's weights were read from, for the run's identity.
    """

    def __init__(
        self, network: nn.Module, data: Labelled, *, sigma: float, started_from: str | None = None
    ) -> None:
        self.network, self.sigma = network, sigma
        self._pictures, self._started_from = _Pictures(data), started_from

    def identity(self) -> dict[str, object]:
        """Name the data, the noise level and what the weights started from."""
        return {
            "objective": "picture",
            "data": self._pictures.data.digest,
            "sigma": self.sigma,
            "started_from": self._started_from,
        }

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch pictures."""
        return self._pictures.batch(draws)[:1]

    def losses(self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]) -> Losses:
        """Compute the squared error of each clean picture."""
        (x,) = batch
        return denoising_loss(network, x, draws.normal("noise", *x.shape[1:]), sigma=self.sigma)


class DiffusionTask:
    """Tell the noise in noisy pictures, or the velocity from noise to pictures.

    Args:
        network: The network; with classes it is told one.
        data: The pictures, taken in [0, 1], and their classes.
        objective: ``noise`` as in DDPM, or ``velocity`` as in flow matching.
        classes: Whether the network is told the class.
        left_out: How often it isn't, so that guidance can be had.
        schedule: The noise levels of the objective ``noise``; Part B's by default.
        started_from: What the network's weights were read from, for the run's identity.
    """

    def __init__(
        self,
        network: nn.Module,
        data: Labelled,
        *,
        objective: Literal["noise", "velocity"] = "noise",
        classes: bool = False,
        left_out: float = 0.1,
        schedule: NoiseSchedule | None = None,
        started_from: str | None = None,
    ) -> None:
        self.network, self.schedule = network, schedule or mnist_schedule()
        self._pictures, self._started_from = _Pictures(data), started_from
        self._objective, self._classes, self._left_out = objective, classes, left_out

    def identity(self) -> dict[str, object]:
        """Name the data, what is learned, the noise levels and what the weights started from."""
        return {
            "objective": self._objective,
            "data": self._pictures.data.digest,
            "classes": self._classes,
            "left out": self._left_out if self._classes else None,
            "schedule": sha256(self.schedule.alpha_bar.cpu().numpy().tobytes()).hexdigest()[:16],
            "started_from": self._started_from,
        }

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch pictures and their classes."""
        self.schedule = self.schedule.to(draws.device)
        return self._pictures.batch(draws)

    def losses(self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]) -> Losses:
        """Compute the squared error of each sample's noise or velocity."""
        x, labels = batch
        told = None
        if self._classes:
            known = ~draws.chance("class", self._left_out)
            told = one_hot(labels, self._pictures.classes).float() * known[:, None]
        noise = draws.normal("noise", *x.shape[1:])
        if self._objective == "velocity":
            return flow_loss(network, x, draws.uniform("time"), noise, told)
        t = draws.timesteps(self.schedule.steps)
        return noise_loss(network, self.schedule, x, t, noise, told)


class ClassifierTask:
    """Tell the class of pictures, each moved a little at random.

    Args:
        network: The classifier, from images to a score a class.
        data: The pictures, taken in [0, 1], and their classes.
        started_from: What the network's weights were read from, for the run's identity.
    """

    def __init__(
        self, network: nn.Module, data: Labelled, *, started_from: str | None = None
    ) -> None:
        self.network = network
        self._pictures, self._started_from = _Pictures(data), started_from

    def identity(self) -> dict[str, object]:
        """Name the data and what the weights started from."""
        return {
            "objective": "class",
            "data": self._pictures.data.digest,
            "started_from": self._started_from,
        }

    def batch(self, draws: Draws) -> tuple[Tensor, ...]:
        """Fetch pictures and their classes."""
        return self._pictures.batch(draws)

    def losses(self, network: nn.Module, draws: Draws, batch: tuple[Tensor, ...]) -> Losses:
        """Compute the cross-entropy of each picture's class."""
        x, labels = batch
        return cross_entropy(network(moved(x, draws)).float(), labels, reduction="none")


def moved(x: Images, draws: Draws) -> Images:
    """Move each picture by up to two whole pixels each way, filling up with its background, 0.

    Args:
        x: The pictures.
        draws: The random numbers, for as many samples.

    Returns:
        The moved pictures.
    """
    rows, columns = ((draws.uniform("move", 2) * (2 * SHIFT + 1)).long()).unbind(dim=1)
    padded = nn.functional.pad(x, (SHIFT,) * 4)
    places = torch.arange(x.shape[-1], device=x.device)
    sample = torch.arange(len(x), device=x.device)[:, None, None]
    at_rows = (rows[:, None] + places)[:, :, None]
    at_columns = (columns[:, None] + places)[:, None, :]
    return padded[sample, :, at_rows, at_columns].movedim(-1, 1)

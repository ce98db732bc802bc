r"""Random numbers that depend on what they are for, and on nothing else.

Each number is a function of a seed, the global index of a picture or sample, and a name for the
draw: the same on every device, in any batch and for any number of processes, whatever was drawn
before. :func:`noise` is all the noise of sampling; :class:`Draws` is what a step of training draws,
so that a run that was stopped goes on as if it hadn't been, with no generator to save.

Bits come from the counter-based mixer SplitMix64, Gaussian numbers by Box and Muller's transform.

Source: Steele et al. 2014, *Fast splittable pseudorandom number generators*; Salmon et al. 2011,
*Parallel random numbers: as easy as 1, 2, 3*.
"""

import math
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.types import Images, Times

Stream = Literal["start", "step", "constraint"]
"""The start of a walk, its steps, or what is kept of a given picture."""

_GOLDEN = -7046029254386353131  # 0x9E3779B97F4A7C15 as a signed number

_ROUNDS = (
    (30, -4658895280553007687),  # 0xBF58476D1CE4E5B9
    (27, -7723592293110705685),  # 0x94D049BB133111EB
)


def noise(
    count: int,
    channels: int,
    height: int,
    width: int,
    *,
    seed: int = 0,
    first: int = 0,
    stream: Stream = "start",
    step: int = 0,
) -> Images:
    r"""Draw standard Gaussian noise for pictures that are numbered.

    .. math:: z = \sqrt{-2 \ln(1 - u_1)}\, (\cos 2 \pi u_2,\; \sin 2 \pi u_2)

    with :math:`u_1` and :math:`u_2` uniform in [0, 1), from the bits of seed, picture, stream and
    step. It is computed in float64 on the CPU, so that a seed means the same everywhere.

    Args:
        count: How many pictures.
        channels: Their channels.
        height: Their height in pixels.
        width: Their width in pixels.
        seed: Two seeds have no picture's noise in common.
        first: The number of the first picture; those after it are counted up.
        stream: What the noise is for.
        step: Which step of a walk it is for, from 0.

    Returns:
        The noise, float32; that of a picture doesn't depend on the others.

    Raises:
        FundiffError: The seed isn't in :math:`[0, 2^{63})`, or a number of pictures is below 0.
    """
    if not 0 <= seed < 2**63 or count < 0 or first < 0:
        raise FundiffError(
            "expected a seed from 0 to 2^63 - 1, and a count and a first number from 0, got "
            f"{seed}, {count} and {first}"
        )
    size = channels * height * width
    pictures = torch.arange(first, first + count)
    streams = _mix(pictures * _GOLDEN + _key(seed, f"{stream} {step}"))
    half = (size + 1) // 2
    bits = _mix(streams[:, None] + torch.arange(1, 2 * half + 1) * _GOLDEN)
    radius, angle = (_shifted(bits, 11).double() * 2.0**-53).chunk(2, dim=1)
    radius, angle = (-2 * (1 - radius).log()).sqrt(), 2 * math.pi * angle
    both = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
    return both[:, :size].float().reshape(count, channels, height, width)


@dataclass(frozen=True)
class Draws:
    """The random numbers of one training step, for the samples that this process has.

    Attributes:
        seed: The run's seed.
        step: Which step of the run this is, from 0.
        batch_size: How many samples the step has over all processes.
        first: The place within the step of this process's first sample.
        count: How many samples this process has.
        device: Where the numbers are made.
        indices: The global index of each sample, counted over the whole run.
    """

    seed: int
    step: int
    batch_size: int
    first: int
    count: int
    device: torch.device
    indices: Int[Tensor, " batch"] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        samples = torch.arange(self._start, self._start + self.count, device=self.device)
        object.__setattr__(self, "indices", samples)

    def uniform(self, name: str, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Draw numbers in [0, 1).

        Args:
            name: What they are for; other names give independent numbers.
            shape: The shape of one sample.

        Returns:
            The numbers, float32, shape ``(batch, *shape)``.
        """
        size = math.prod(shape)
        return _unit(self._bits(name, size)).reshape(self.count, *shape)

    def normal(self, name: str, *shape: int) -> Float[Tensor, "batch *shape"]:
        """Draw standard Gaussian numbers.

        Args:
            name: What they are for; other names give independent numbers.
            shape: The shape of one sample.

        Returns:
            The numbers, float32, shape ``(batch, *shape)``.
        """
        size = math.prod(shape)
        radius, angle = _unit(self._bits(name, 2 * ((size + 1) // 2))).chunk(2, dim=1)
        radius.neg_().add_(1).log_().mul_(-2).sqrt_()
        angle.mul_(2 * math.pi)
        both = torch.cat([radius * angle.cos(), radius * angle.sin()], dim=1)
        return both[:, :size].reshape(self.count, *shape)

    def chance(self, name: str, probability: float) -> Bool[Tensor, " batch"]:
        """Decide for each sample whether something happens.

        Args:
            name: What is decided.
            probability: How likely it is, from 0 to 1.

        Returns:
            True where it happens.
        """
        return self.uniform(name) < probability

    def timesteps(self, steps: int) -> Times:
        """Draw a timestep for each sample, spread evenly over the step's whole batch.

        Sample :math:`i` of :math:`B` gets a uniform one from the :math:`i`-th of :math:`B` equal
        intervals, so each is uniform and a batch covers them all.

        Args:
            steps: The number of timesteps.

        Returns:
            Timesteps from 0 to ``steps - 1``.
        """
        place = self.first + torch.arange(self.count, device=self.device)
        within = (place + self.uniform("timestep")) / self.batch_size
        return (within * steps).long().clamp(max=steps - 1)

    def shuffled(self, length: int) -> Int[Tensor, " batch"]:
        """Pick items of a data set, each once an epoch, in an order of the epoch's own.

        Args:
            length: How many items there are.

        Returns:
            The item of each sample, from 0 to ``length - 1``.
        """
        start, end = self._start, self._start + self.count
        parts = []
        for epoch in range(start // length, (end - 1) // length + 1):
            order, begun = _order(self.seed, epoch, length, self.device), epoch * length
            parts.append(order[max(start - begun, 0) : end - begun])
        return torch.cat(parts)

    def key(self, name: str) -> int:
        """Return a number for seeding another generator in this step.

        Args:
            name: What it is for.

        Returns:
            A number from 0 to 2**63 - 1.
        """
        return int(_key(self.seed, f"{name}, step {self.step}") % 2**63)

    @property
    def _start(self) -> int:
        return self.step * self.batch_size + self.first

    def _bits(self, name: str, size: int) -> Int[Tensor, "batch size"]:
        streams = _mix(self.indices * _GOLDEN + _key(self.seed, name))
        return _mix(streams[:, None] + torch.arange(1, size + 1, device=self.device) * _GOLDEN)


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, length: int, device: torch.device) -> Int[Tensor, " length"]:
    """Shuffle a data set for an epoch; a step may see the end of one and the start of another."""
    generator = torch.Generator().manual_seed(_key(seed, f"epoch {epoch}") % 2**63)
    return torch.randperm(length, generator=generator).to(device)


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _key(seed: int, name: str) -> int:
    key = _mixed(_mixed(seed * _GOLDEN) + zlib.crc32(name.encode()) * _GOLDEN)
    return key - 2**64 if key >= 2**63 else key


def _mixed(x: int) -> int:
    """Mix the bits of one number, as :func:`_mix` does, without a sign."""
    for bits, factor in _ROUNDS:
        x %= 2**64
        x = (x ^ (x >> bits)) * factor
    x %= 2**64
    return x ^ (x >> 31)


def _mix(x: Int[Tensor, "..."]) -> Int[Tensor, "..."]:
    """Mix bits; what it is given is changed."""
    for bits, factor in _ROUNDS:
        x.bitwise_xor_(_shifted(x, bits)).mul_(factor)
    return x.bitwise_xor_(_shifted(x, 31))


def _shifted(x: Int[Tensor, "..."], bits: int) -> Int[Tensor, "..."]:
    """Shift right without carrying the sign along."""
    return (x >> bits).bitwise_and_((1 << (64 - bits)) - 1)


def _unit(bits: Int[Tensor, "batch size"]) -> Float[Tensor, "batch size"]:
    return _shifted(bits, 40).float().mul_(2.0**-24)

r"""Noise schedules: how much of the image is left at each timestep.

A schedule is the table :math:`\bar\alpha_t = \prod_{i \le t} (1 - \beta_i)`. Timesteps are the
indices of this table, :math:`0 \dots T - 1`, as in diffusers; papers that count
:math:`t = 1 \dots T` mean index :math:`t - 1`. Index :math:`-1` is the clean image,
:math:`\bar\alpha_{-1} = 1`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.errors import FundiffError
from fundiff.types import Times

WALK = 34
"""How many timesteps a walk has at most, unless a number is asked for, as in the write-up."""

NOISY = 0.9
"""How far up the timesteps a walk from noise has to begin, as a share of the last one."""


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    r"""The table :math:`\bar\alpha_t` and the one place where it meets a batch.

    Attributes:
        alpha_bar: :math:`\bar\alpha_0 > \bar\alpha_1 > \dots > \bar\alpha_{T-1}`, all in
            :math:`(0, 1)`, in float32, or in float64 where more digits matter.

    Raises:
        FundiffError: The table isn't one-dimensional, or isn't strictly decreasing inside
            :math:`(0, 1)`.
    """

    alpha_bar: Float[Tensor, " steps"]

    def __post_init__(self) -> None:
        table = self.alpha_bar
        if table.ndim != 1 or not len(table):
            raise FundiffError(
                f"alpha_bar must be a table with at least one step, got the shape {[*table.shape]}"
            )
        if not (table.diff() < 0).all() or not 0 < table[-1] <= table[0] < 1:
            raise FundiffError(
                "alpha_bar must decrease strictly inside (0, 1), got values "
                f"from {table[0].item():.6g} to {table[-1].item():.6g}"
            )

    @classmethod
    def linear(
        cls, steps: int = 1000, *, beta_min: float = 1e-4, beta_max: float = 0.02
    ) -> "NoiseSchedule":
        r"""The schedule of DDPM, :math:`\beta` in equal steps between two bounds.

        .. math:: \beta_t = \beta_{\min} + \frac{t}{T - 1} (\beta_{\max} - \beta_{\min})

        Args:
            steps: The number of timesteps :math:`T`.
            beta_min: :math:`\beta_0`.
            beta_max: :math:`\beta_{T-1}`.

        Returns:
            The schedule, equal to diffusers' ``beta_schedule="linear"`` to the last bit.

        Raises:
            FundiffError: ``steps`` is below 1, or the bounds aren't in order inside (0, 1).

        Source:
            Ho et al. 2020, *Denoising diffusion probabilistic models*, section 4.
        """
        _require_steps(steps)
        if not 0 < beta_min <= beta_max < 1:
            raise FundiffError(
                f"expected 0 < beta_min <= beta_max < 1, got {beta_min} and {beta_max}"
            )
        beta = torch.linspace(beta_min, beta_max, steps, dtype=torch.float32)
        return cls(torch.cumprod(1 - beta, dim=0))

    @classmethod
    def cosine(cls, steps: int = 1000) -> "NoiseSchedule":
        r"""The schedule of Improved DDPM and of DeepFloyd IF, named ``squaredcos_cap_v2``.

        .. math::

            \beta_t = \min\!\left(1 - \frac{f(t + 1)}{f(t)},\; 0.999\right), \qquad
            f(t) = \cos^2\!\left(\frac{t / T + 0.008}{1.008} \cdot \frac{\pi}{2}\right)

        Args:
            steps: The number of timesteps :math:`T`.

        Returns:
            The schedule, equal to diffusers' ``squaredcos_cap_v2`` to the last bit. This is
            :eq:`eq-cosine` in the book.

        Raises:
            FundiffError: ``steps`` is below 1.

        Source:
            Nichol and Dhariwal 2021, *Improved denoising diffusion probabilistic models*, eq. 17.
        """
        _require_steps(steps)

        def signal(fraction: float) -> float:
            return math.cos((fraction + 0.008) / 1.008 * math.pi / 2) ** 2

        beta = torch.tensor(
            [min(1 - signal((t + 1) / steps) / signal(t / steps), 0.999) for t in range(steps)],
            dtype=torch.float32,
        )
        return cls(torch.cumprod(1 - beta, dim=0))

    @classmethod
    def flow(cls, steps: int = 1000) -> "NoiseSchedule":
        r"""The noise levels of flow matching, at even distances in its time :math:`\tau`.

        .. math::

            \bar\alpha_t = \frac{\tau^2}{\tau^2 + (1 - \tau)^2}, \qquad
            \tau = 1 - \frac{t + 1}{T}

        A point :math:`\tau x_0 + (1 - \tau) \epsilon` of a straight line has the signal and the
        noise of this schedule once it is divided by :math:`\sqrt{\tau^2 + (1 - \tau)^2}`. A step of
        :func:`fundiff.process.ddim_step` from one timestep to the next is Euler's rule along it,
        :eq:`eq-euler` in the book.

        Args:
            steps: The number of timesteps :math:`T`.

        Returns:
            The schedule. At its noisy end :math:`\tau` is at most 1/5000 and not 0, since of noise
            alone no clean estimate can be derived. Euler's rule in :math:`T` steps is the walk over
            all timesteps, ``timesteps(stride=1)``.

        Raises:
            FundiffError: ``steps`` is below 1, or so many that float32 can't tell the cleanest
                timestep from the clean image, some 5,000.

        Source:
            Lipman et al. 2023, *Flow matching for generative modeling*, section 4.1; Kingma and
            Gao 2023, *Understanding diffusion objectives as the ELBO*, appendix D.
        """
        _require_steps(steps)
        tau = 1 - (torch.arange(steps, dtype=torch.float64) + 1) / steps
        tau[-1] = min(0.0002, 0.5 / steps)
        return cls((tau.square() / (tau.square() + (1 - tau).square())).float())

    @property
    def steps(self) -> int:
        """The number of timesteps :math:`T`."""
        return len(self.alpha_bar)

    def to(self, device: torch.device) -> "NoiseSchedule":
        """Put the table on a device, so that no lookup for pictures there has to wait for it.

        Args:
            device: Where the pictures are.

        Returns:
            This schedule if its table is there already, else one whose table is.
        """
        table = self.alpha_bar.to(device)
        return self if table is self.alpha_bar else replace(self, alpha_bar=table)

    def at(self, t: Times) -> Float[Tensor, "batch 1 1 1"]:
        r"""Look up :math:`\bar\alpha_t` for a batch, shaped to multiply images.

        Args:
            t: Timesteps from -1, where :math:`\bar\alpha = 1`, to :math:`T - 1`.

        Returns:
            :math:`\bar\alpha_t`, shape ``(batch, 1, 1, 1)``, on the device of ``t``.

        Raises:
            FundiffError: They aren't one whole number a picture, or one lies outside
                :math:`-1 \dots T - 1`; the latter isn't looked at where torch compiles the code.
        """
        if t.ndim != 1 or t.dtype.is_floating_point or t.dtype.is_complex:
            raise FundiffError(
                f"expected a whole timestep a picture, from -1 (clean) to {self.steps - 1}, got "
                f"{t.dtype} of the shape {[*t.shape]}"
            )
        index = t.to(self.alpha_bar.device, torch.long)
        seen = len(index) and not torch.compiler.is_compiling()
        if seen and not -1 <= index.min() <= index.max() < self.steps:
            raise FundiffError(
                f"expected timesteps from -1 (clean) to {self.steps - 1}, "
                f"got {index.min().item()} to {index.max().item()}"
            )
        table = torch.cat([self.alpha_bar.new_ones(1), self.alpha_bar])
        return table[index + 1].to(t.device)[:, None, None, None]

    def snr(self) -> Float[Tensor, " steps"]:
        r"""The signal-to-noise ratio at every timestep.

        .. math:: \mathrm{SNR}(t) = \frac{\bar\alpha_t}{1 - \bar\alpha_t}

        Returns:
            The ratio of powers, shape ``(steps,)``. This is :eq:`eq-snr` in the book.

        Source:
            Kingma et al. 2021, *Variational diffusion models*, eq. 3.
        """
        return self.alpha_bar / (1 - self.alpha_bar)

    def timesteps(
        self, *, stride: int | None = None, count: int | None = None, start: int | None = None
    ) -> list[int]:
        """List the timesteps of a walk, from noisy to clean, ending at 0.

        Args:
            stride: The distance between neighbours: the multiples of it up to ``start`` are listed,
                such as 990, 960, …, 0 for a stride of 30 and 1000 steps. The default is the least
                that gives at most 34, which is all of them where there are no more. Without a
                start the first has to lie in the last tenth, where pictures are noise.
            count: Instead of a stride, how many timesteps, evenly spread from ``start`` to 0.
            start: No timestep is above this; :math:`T - 1` by default.

        Returns:
            The timesteps, in falling order.

        Raises:
            FundiffError: ``stride`` or ``count`` is below 1 or both are given, ``count`` is above
                the number of timesteps, ``start`` isn't a timestep, or a stride begins too far
                from noise.
        """
        top = self.steps - 1 if start is None else start
        if not 0 <= top < self.steps:
            raise FundiffError(f"start must be a timestep from 0 to {self.steps - 1}, got {top}")
        if count is not None:
            if stride is not None or not 1 <= count <= top + 1:
                raise FundiffError(
                    f"expected a stride, or a count from 1 to {top + 1}, got {stride} and {count}"
                )
            return [round(t) for t in torch.linspace(top, 0, count, dtype=torch.float64).tolist()]
        stride = math.ceil(self.steps / WALK) if stride is None else stride
        if stride < 1:
            raise FundiffError(f"stride must be at least 1, got {stride}")
        first = top - top % stride
        if start is None and first < NOISY * top:
            raise FundiffError(
                f"a stride of {stride} begins at timestep {first} of {top}, where a picture isn't "
                "noise yet: take a smaller one or a count, or say the start"
            )
        return list(range(first, -1, -stride))


def resampling(timesteps: Sequence[int], *, jump: int, times: int) -> list[int]:
    """List the timesteps of a walk that goes over each stretch of its way several times.

    Counted from the end of the list, every ``jump`` stops the walk goes back up by ``jump`` stops
    and comes down again, until it has gone that stretch ``times`` times. On the way up
    :func:`fundiff.sampling.denoise` adds noise; on each way down the network can bring new and old
    parts of a picture together.

    Args:
        timesteps: The plain walk, from noisy to clean.
        jump: How many stops it goes back up, at least 1.
        times: How often each stretch is walked down; 1 gives the plain walk.

    Raises:
        FundiffError: ``jump`` or ``times`` is below 1.

    Source:
        Lugmayr et al. 2022, *RePaint*, section 4.2, whose jumps up are taken at once here.
    """
    if jump < 1 or times < 1:
        raise FundiffError(f"jump and times must be at least 1, got {jump} and {times}")
    last = len(timesteps) - 1
    left = dict.fromkeys(range(0, last + 1 - jump, jump), times - 1)
    walk, level = [], last + 1
    while level > 0:
        level -= 1
        walk.append(timesteps[last - level])
        if left.get(level):
            left[level] -= 1
            level += jump
            walk.append(timesteps[last - level])
    return walk


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise FundiffError(f"a schedule needs at least 1 step, got {steps}")

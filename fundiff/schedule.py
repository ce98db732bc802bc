r"""Noise schedules: how much of the image is left at each timestep.

A schedule is the table :math:`\bar\alpha_t = \prod_{i \le t} (1 - \beta_i)`. Timesteps are the
indices of this table, :math:`0 \dots T - 1`, as in diffusers; papers that count
:math:`t = 1 \dots T` mean index :math:`t - 1`. Index :math:`-1` is the clean image,
:math:`\bar\alpha_{-1} = 1`.
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from fundiff.types import Times


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    r"""The table :math:`\bar\alpha_t` and the one place where it meets a batch.

    Attributes:
        alpha_bar: :math:`\bar\alpha_0 > \bar\alpha_1 > \dots > \bar\alpha_{T-1}`, all in
            :math:`(0, 1)`, in float32, or in float64 where more digits matter.

    Raises:
        ValueError: The table isn't one-dimensional, or isn't strictly decreasing inside
            :math:`(0, 1)`.
    """

    alpha_bar: Float[Tensor, " steps"]

    def __post_init__(self) -> None:
        table = self.alpha_bar
        if table.ndim != 1 or not len(table):
            raise ValueError(
                f"alpha_bar must be a table with at least one step, got the shape {[*table.shape]}"
            )
        if not (table.diff() < 0).all() or not 0 < table[-1] <= table[0] < 1:
            raise ValueError(
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
            ValueError: ``steps`` is below 1, or the bounds aren't in order inside (0, 1).

        Source:
            Ho et al. 2020, *Denoising diffusion probabilistic models*, section 4.
        """
        _require_steps(steps)
        if not 0 < beta_min <= beta_max < 1:
            raise ValueError(
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
            ValueError: ``steps`` is below 1.

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

    @property
    def steps(self) -> int:
        """The number of timesteps :math:`T`."""
        return len(self.alpha_bar)

    def at(self, t: Times) -> Float[Tensor, "batch 1 1 1"]:
        r"""Look up :math:`\bar\alpha_t` for a batch, shaped to multiply images.

        Args:
            t: Timesteps from -1, where :math:`\bar\alpha = 1`, to :math:`T - 1`.

        Returns:
            :math:`\bar\alpha_t`, shape ``(batch, 1, 1, 1)``, on the device of ``t``.

        Raises:
            ValueError: A timestep lies outside :math:`-1 \dots T - 1`.
        """
        index = t.to(self.alpha_bar.device, torch.long)
        if len(index) and not -1 <= index.min() <= index.max() < self.steps:
            raise ValueError(
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

    def timesteps(self, *, stride: int = 30, start: int | None = None) -> list[int]:
        """List every ``stride``-th timestep, from noisy to clean, ending at 0.

        Args:
            stride: The distance between neighbours.
            start: No timestep is above this; :math:`T - 1` by default.

        Returns:
            The multiples of ``stride`` up to ``start``, in falling order, such as 990, 960, …, 0
            for a stride of 30 and 1000 steps.

        Raises:
            ValueError: ``stride`` is below 1, or ``start`` isn't a timestep.
        """
        top = self.steps - 1 if start is None else start
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        if not 0 <= top < self.steps:
            raise ValueError(f"start must be a timestep from 0 to {self.steps - 1}, got {top}")
        return list(range(top - top % stride, -1, -stride))


def _require_steps(steps: int) -> None:
    if steps < 1:
        raise ValueError(f"a schedule needs at least 1 step, got {steps}")

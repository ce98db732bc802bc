"""What a machine has room for, and where and in which precision a network therefore runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from torch import Tensor, nn

from fundiff.errors import FundiffError

WORKSPACE = 2**29
"""The bytes that are kept free for what a network computes with, beside its weights."""

CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux tells what the container of a process may use."""

_MEMORY = ("memory.max", "memory.current")


class MemoryShortageError(FundiffError):
    """A network doesn't fit the machine; the message says what it needs and what there is."""


@dataclass(frozen=True)
class Machine:
    """What a machine has for a network.

    Attributes:
        cores: How many cores may be used.
        memory: Its free memory in bytes.
        gpu: The name of its GPU, None without one.
        gpu_memory: The GPU's free memory in bytes.
        fast_bf16: Whether its processor has instructions for bfloat16.
    """

    cores: int
    memory: int
    gpu: str | None = None
    gpu_memory: int = 0
    fast_bf16: bool = False


@dataclass(frozen=True)
class Placement:
    """Where a network runs.

    Attributes:
        device: The device that computes.
        dtype: The precision of the weights.
        by_layer: Whether the weights stay in memory and go to the device layer by layer, which is
            slow and needs little there.
    """

    device: torch.device
    dtype: torch.dtype
    by_layer: bool = False

    @property
    def precision(self) -> str:
        """The name of the precision, such as ``float32``."""
        return str(self.dtype).removeprefix("torch.")

    def __str__(self) -> str:
        """Say it in words."""
        where = {"cuda": "the GPU", "cpu": "the processor"}.get(self.device.type, str(self.device))
        return f"{self.precision} on {where}{', layer by layer' if self.by_layer else ''}"


def this_machine() -> Machine:
    """Look at what this machine has free at the moment.

    Returns:
        What it has.
    """
    gpu, gpu_memory = None, 0
    if torch.cuda.is_available():
        gpu = torch.cuda.get_device_name()
        gpu_memory, _ = torch.cuda.mem_get_info()
    return Machine(
        cores=_cores(),
        memory=_memory(),
        gpu=gpu,
        gpu_memory=gpu_memory,
        fast_bf16=bf16_is_fast(),
    )


def place(
    weights: int,
    machine: Machine,
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    rounding: bool = False,
) -> Placement:
    """Choose where a network runs: on the GPU where there is one, whole if it fits.

    A GPU computes in float16. A processor computes in float32; in bfloat16 only where it has
    instructions for it and the network can bear it, or where float32 doesn't fit.

    Args:
        weights: How many weights it has.
        machine: What there is.
        device: The device, where that is wanted.
        dtype: The precision, where that is wanted.
        rounding: Whether the network bears bfloat16 well. One that predicts the noise doesn't: at
            :math:`t = 990` of IF's schedule the clean estimate has 71 times its error.

    Returns:
        The choice.

    Raises:
        MemoryShortageError: It doesn't fit.
    """
    where = torch.device(device or ("cuda" if machine.gpu else "cpu"))
    if where.type == "cuda":
        precision = dtype or torch.float16
        size = weights * precision.itemsize
        if size + WORKSPACE <= machine.gpu_memory:
            return Placement(where, precision)
        if size + WORKSPACE <= machine.memory and machine.gpu_memory >= WORKSPACE:
            return Placement(where, precision, by_layer=True)
        need, memory = gigabytes(size + WORKSPACE), gigabytes(machine.memory)
        raise MemoryShortageError(
            f"{weights:,} weights in {precision} and their workspace need {need}; free are "
            f"{gigabytes(machine.gpu_memory)} on the GPU and {memory} of memory: free some, or "
            "take a smaller model"
        )
    both = (torch.float32, torch.bfloat16)
    choices = (dtype,) if dtype else both[::-1] if machine.fast_bf16 and rounding else both
    for precision in choices:
        if weights * precision.itemsize + WORKSPACE <= machine.memory:
            return Placement(where, precision)
    least = min(precision.itemsize for precision in choices) * weights + WORKSPACE
    raise MemoryShortageError(
        f"{weights:,} weights and their workspace need {gigabytes(least)} of memory, and "
        f"{gigabytes(machine.memory)} are free: free some, or take a smaller model"
    )


def bf16_is_fast() -> bool:
    """Tell whether this processor has instructions for bfloat16, and oneDNN to use them.

    The answer is the same in every run: nothing is timed.

    Returns:
        Whether it has AVX512-BF16, AMX-BF16 or Arm's BF16; without, bfloat16 isn't faster than
        float32.
    """
    has = torch.cpu.get_capabilities()
    names = ("avx512_bf16", "amx_bf16", "bf16")
    return torch.backends.mkldnn.is_available() and any(has.get(name, False) for name in names)


def frozen(network: nn.Module, *, together: int = 250) -> Callable[..., Tensor]:
    """Put a network into evaluation, and call it without gradients and as fast as is safe.

    Args:
        network: The network; it stays in evaluation.
        together: How many samples go through it at a time, for the memory's sake.

    Returns:
        What calls it, in bfloat16 where that is fast, and returns float32.
    """
    network.eval()
    device = next(network.parameters()).device
    fast = device.type == "cuda" or bf16_is_fast()

    @torch.inference_mode()
    def call(*inputs: Tensor) -> Tensor:
        answers = []
        for parts in zip(*(value.split(together) for value in inputs), strict=True):
            with torch.autocast(device.type, torch.bfloat16, enabled=fast):
                answer = network(*(part.to(device) for part in parts))
            answers.append(answer.float().to(inputs[0].device))
        return torch.cat(answers)

    return call


def _cores() -> int:
    """Count the cores that this process may use, by its affinity and its container's quota."""
    try:
        allowed = len(psutil.Process().cpu_affinity())
    except AttributeError:  # macOS has no affinity
        allowed = psutil.cpu_count() or 1
    quota, _, period = _limit("cpu.max").partition(" ")
    return min(allowed, -(-int(quota) // int(period))) if quota.isdecimal() else allowed


def _memory() -> int:
    """Count the bytes that this process may still take, by the machine and by its container."""
    free, limit, used = psutil.virtual_memory().available, *map(_limit, _MEMORY)
    if not (limit.isdecimal() and used.isdecimal()):
        return free
    stat = dict(line.split() for line in _limit("memory.stat").splitlines())
    return min(free, int(limit) - int(used) + int(stat.get("inactive_file", 0)))


def _limit(name: str) -> str:
    """Read what Linux says of this process's container, empty where it says nothing."""
    try:
        return (CONTAINER / name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def gigabytes(size: int) -> str:
    """Say a number of bytes in gigabytes.

    Args:
        size: The number.

    Returns:
        Such as ``8.6 GB``.
    """
    return f"{size / 1e9:.1f} GB"

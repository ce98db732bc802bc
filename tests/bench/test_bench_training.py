"""What is timed beside one another makes as many steps."""

from collections.abc import Iterator

import bench_training
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook

from fundiff.data.digits import digits


@pytest.fixture
def steps() -> Iterator[list[torch.optim.Optimizer]]:
    made: list[torch.optim.Optimizer] = []
    handle = register_optimizer_step_post_hook(lambda optimizer, *_: made.append(optimizer))
    yield made
    handle.remove()


@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set:UserWarning")  # the peer's
@pytest.mark.parametrize(
    "name",
    ["a plain loop", "denoising-diffusion-pytorch's Trainer", "fundiff", "fundiff, compiled"],
)
def test_every_contender_makes_as_many_steps(
    name: str, steps: list[torch.optim.Optimizer], monkeypatch: pytest.MonkeyPatch
) -> None:
    if "Trainer" in name:
        pytest.importorskip("denoising_diffusion_pytorch")
    # What checks shapes in tests can't be compiled.
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)
    monkeypatch.setattr(bench_training, "STEPS", 3)
    monkeypatch.setattr(bench_training, "digits", lambda split: digits(split).first(256))
    go_on = bench_training.training()[name]
    for made in (3, 6):
        network = go_on()
        assert len(steps) == made
        assert len({id(optimizer) for optimizer in steps}) == 1
        assert isinstance(network, nn.Module)
        weights = [*network.parameters()]
        assert len(weights) == 300
        assert all(weight.any() and weight.isfinite().all() for weight in weights)

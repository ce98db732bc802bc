"""A fused network answers as it did, without a normalisation."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.nn.fusing import fused
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet


def lived_in(network: nn.Module, generator: torch.Generator) -> nn.Module:
    """Give normalisations the statistics and weights of a training."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            with torch.no_grad():
                part.running_mean.normal_(generator=generator)
                part.running_var.uniform_(0.3, 3, generator=generator)
                part.weight.normal_(1, 0.2, generator=generator)
                part.bias.normal_(generator=generator)
    return network.eval()


@pytest.mark.parametrize(
    ("kind", "told"), [(UNet, ()), (TimeUNet, (1,)), (ClassUNet, (1, 10))],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_u_net_answers_the_same(
    kind: type[nn.Module],
    told: tuple[int, ...],
    memory_format: torch.memory_format,
    generator: torch.Generator,
) -> None:
    network = lived_in(kind(8), generator).to(memory_format=memory_format)
    inputs = [torch.randn(3, 1, 28, 28, generator=generator)]
    inputs += [torch.rand(3, *((n,) if n > 1 else ()), generator=generator) for n in told]
    faster = fused(network)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in faster.modules())
    with torch.inference_mode():
        assert_close(faster(*inputs), network(*inputs), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [LeNet, ResidualClassifier])
def test_a_classifier_answers_the_same(kind: type[nn.Module], generator: torch.Generator) -> None:
    network = lived_in(kind(), generator)
    x = torch.randn(3, 1, 28, 28, generator=generator)
    with torch.inference_mode():
        assert_close(fused(network)(x), network(x), rtol=1e-4, atol=1e-4)


def test_the_network_itself_stays_as_it_is(generator: torch.Generator) -> None:
    network = lived_in(UNet(4), generator).train()
    before = copy.deepcopy(network.state_dict())
    made = fused(network)
    assert network.training
    assert not made.training
    assert_close(network.state_dict(), before, rtol=0, atol=0)
    assert not any(weight.requires_grad for weight in made.parameters())
    assert all(weight.requires_grad for weight in network.parameters())

"""The networks of Part B, against the assignment's counts and formulas."""

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from fundiff.nn.blocks import (
    Conv,
    ConvBlock,
    DownBlock,
    DownConv,
    FCBlock,
    Flatten,
    Unflatten,
    UpBlock,
    UpConv,
)
from fundiff.nn.classifiers import LeNet, ResidualClassifier
from fundiff.nn.unet import ClassUNet, TimeUNet, UNet


def weights(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_networks_have_the_assignments_numbers_of_weights() -> None:
    assert weights(UNet(128)) == 7_891_073
    assert weights(TimeUNet(64)) == 1_996_417
    assert weights(ClassUNet(64)) == 2_019_201


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (Conv(3, 5), (5, 28, 28)),
        (DownConv(3, 5), (5, 14, 14)),
        (UpConv(3, 5), (5, 56, 56)),
        (Flatten(), (3, 4, 4)),
        (Unflatten(3), (3, 196, 196)),
        (ConvBlock(3, 5), (5, 28, 28)),
        (DownBlock(3, 5), (5, 14, 14)),
        (UpBlock(3, 5), (5, 56, 56)),
    ],
)
def test_blocks_change_pixels_and_channels_as_they_say(
    block: nn.Module, shape: tuple[int, ...]
) -> None:
    x = torch.randn(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    assert block(x).shape == (2, *shape)


def test_flatten_is_the_gelu_of_the_mean() -> None:
    x = torch.randn(2, 3, 7, 7, generator=torch.Generator().manual_seed(1))
    mean = x.mean(dim=(2, 3))
    normal = torch.distributions.Normal(0.0, 1.0)
    assert_close(Flatten()(x)[..., 0, 0], mean * normal.cdf(mean))


def test_a_conv_is_normalised_over_the_batch() -> None:
    x = torch.randn(4, 3, 28, 28, generator=torch.Generator().manual_seed(2))
    conv, normalised, gelu = Conv(3, 5)
    out = conv(x)
    mean, var = out.mean(dim=(0, 2, 3)), out.var(dim=(0, 2, 3), correction=0)
    expected = (out - mean[:, None, None]) / (var[:, None, None] + 1e-5).sqrt()
    assert_close(normalised(out), expected, atol=1e-5, rtol=1e-4)
    assert isinstance(gelu, nn.GELU)


def assembled(
    network: ClassUNet, x: Tensor, t1: Tensor, t2: Tensor, c1: Tensor, c2: Tensor
) -> Tensor:
    """The assignment's forward pass, with the network's blocks, written out."""
    trunk = network.trunk
    one = trunk.into(x)
    two = trunk.down1(one)
    three = trunk.down2(two)
    low = c1 * trunk.unflatten(trunk.flatten(three)) + t1
    high = c2 * trunk.up1(torch.cat([low, three], 1)) + t2
    last = trunk.up2(torch.cat([high, two], 1))
    out: Tensor = trunk.out(torch.cat([last, one], 1))
    return out


def test_time_is_added_and_the_class_multiplies_at_both_places() -> None:
    generator = torch.Generator().manual_seed(3)
    network = ClassUNet(8).eval()
    x, time = torch.randn(3, 1, 28, 28, generator=generator), torch.rand(3, generator=generator)
    told = torch.eye(10)[[1, 5, 9]]

    def block(block: FCBlock, inputs: Tensor) -> Tensor:
        first, second = (layer for layer in block if isinstance(layer, nn.Linear))
        hidden = nn.functional.gelu(inputs @ first.weight.T + first.bias)
        out = hidden @ second.weight.T + second.bias
        return out[:, :, None, None]

    expected = assembled(
        network,
        x,
        block(network.time.low, time[:, None]),
        block(network.time.high, time[:, None]),
        block(network.condition.low, told),
        block(network.condition.high, told),
    )
    assert_close(network(x, time, told), expected)
    assert not torch.equal(network(x, time, told), network(x, time, torch.zeros(3, 10)))


def test_the_plain_networks_are_the_trunk_with_ones_and_zeros() -> None:
    generator = torch.Generator().manual_seed(4)
    x, time = torch.randn(2, 1, 28, 28, generator=generator), torch.rand(2, generator=generator)
    rich, timed, plain = ClassUNet(8).eval(), TimeUNet(8).eval(), UNet(8).eval()
    timed.trunk.load_state_dict(rich.trunk.state_dict())
    timed.time.load_state_dict(rich.time.state_dict())
    plain.trunk.load_state_dict(rich.trunk.state_dict())
    one, zero = torch.ones(()), torch.zeros(())
    t1, t2 = rich.time(time[:, None])
    assert_close(timed(x, time), assembled(rich, x, t1, t2, one, one))
    assert_close(plain(x), assembled(rich, x, zero, zero, one, one))


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="takes 28 × 28 pixels, got"):
        UNet(8)(torch.zeros(1, 1, 32, 32))


def test_a_network_can_learn_one_batch() -> None:
    generator = torch.Generator().manual_seed(5)
    x = torch.rand(8, 1, 28, 28, generator=generator)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = UNet(8)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    losses = []
    for _ in range(30):
        loss = (network(x) - x).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


def test_classifiers_score_every_class() -> None:
    x = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(6))
    for network in (ResidualClassifier(7).eval(), LeNet(7).eval()):
        assert network(x).shape == (3, 7)
        assert_close(network(x)[:1], network(x[:1]), atol=1e-5, rtol=1e-4)
    residual = ResidualClassifier().eval()
    assert_close(residual(x), residual.head(residual.features(x)))

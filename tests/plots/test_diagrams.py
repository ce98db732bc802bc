"""The drawing of a U-Net says what the network is."""

import pytest
import torch
from torch import Tensor, nn

from fundiff.nn.unet import ClassUNet, TimeUNet, UNet
from fundiff.plots.diagrams import Block, blocks, unet_diagram

INPUTS: dict[type[nn.Module], tuple[Tensor, ...]] = {
    UNet: (torch.zeros(1, 1, 28, 28),),
    TimeUNet: (torch.zeros(1, 1, 28, 28), torch.zeros(1)),
    ClassUNet: (torch.zeros(1, 1, 28, 28), torch.zeros(1), torch.zeros(1, 10)),
}


def test_blocks_are_those_of_the_assignment() -> None:
    found = blocks(UNet(128), *INPUTS[UNet])
    assert [(b.kind, b.taken, b.channels, b.side, b.carried) for b in found] == [
        ("ConvBlock", 1, 128, 28, None),
        ("DownBlock", 128, 128, 14, None),
        ("DownBlock", 128, 256, 7, None),
        ("Flatten", 256, 256, 1, None),
        ("Unflatten", 256, 256, 7, None),
        ("UpBlock", 512, 128, 14, "down2"),
        ("UpBlock", 256, 128, 28, "down1"),
        ("ConvBlock +", 256, 1, 28, "into"),
    ]
    assert sum(block.weights for block in found) == 7_891_073
    assert found[3] == Block("flatten", "Flatten", 256, 256, 1, 0, None)


@pytest.mark.parametrize("kind", [UNet, TimeUNet, ClassUNet])
def test_a_network_is_drawn_and_left_as_it_was(kind: type[nn.Module]) -> None:
    network = kind(8)
    network.train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    figure = unet_diagram(network, *INPUTS[kind])
    words = "\n".join(text.get_text() for axes in figure.axes for text in axes.texts)
    assert ("+ time: 16" in words) == (kind is not UNet)
    assert ("× class: 8" in words) == (kind is ClassUNet)
    assert "16 × 7²" in words
    assert network.training
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    assert not network.trunk.get_submodule("into")._forward_hooks  # type: ignore[union-attr]
    assert figure._repr_svg_().startswith("<?xml")

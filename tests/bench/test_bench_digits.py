"""What is timed beside one another does the same work."""

import bench_digits
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from fundiff import sampling
from fundiff.data.digits import digits
from fundiff.nn.unet import ClassUNet


@pytest.fixture
def network() -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ClassUNet(8).eval()


def test_the_plain_walk_and_ours_draw_the_same(
    network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, generator = torch.tensor([3, 0, 7]), torch.Generator().manual_seed(0)
    for module in (bench_digits, sampling):
        monkeypatch.setattr(
            module, "noise", lambda *shape, **_: torch.randn(shape, generator=generator)
        )
    plain = bench_digits.plain_sampling(network, labels)
    assert plain.std() > 0.1
    largest = plain.abs().max()
    ours = bench_digits.our_sampling(network, labels)
    assert_close(ours / largest, plain / largest, rtol=0, atol=1e-3)


def test_the_plain_loop_and_ours_learn_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_digits, "BATCH", 16)
    monkeypatch.setattr(bench_digits, "ClassUNet", lambda dim: ClassUNet(8))
    seen = digits("train").first(24 * 16)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        plain = torch.tensor(bench_digits.plain_training(seen))
        ours = torch.tensor(bench_digits.our_training(seen, precision="fp32"))
    assert plain.shape == ours.shape == (24,)
    for losses in (plain, ours):
        assert 0.7 < losses[0] < 2
        assert losses[-4:].mean() < 0.8 * losses[0]
    assert_close(ours[-4:].mean(), plain[-4:].mean(), rtol=0.3, atol=0)

import math
from collections.abc import Callable

import pytest
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from fundiff.metrics import psnr, ssim
from fundiff.types import Images


@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_psnr_is_scikit_images(data_range: float, images: Callable[..., Images]) -> None:
    x, y = images(3, 3, 20, 20), images(3, 3, 20, 20)
    ours = psnr(x, y, data_range=data_range)
    for one, image, reference in zip(ours, x, y, strict=True):
        theirs = peak_signal_noise_ratio(reference.numpy(), image.numpy(), data_range=data_range)
        assert one.item() == pytest.approx(theirs, rel=1e-5)


def test_psnr_of_a_known_error() -> None:
    x = torch.zeros(1, 1, 4, 4)
    assert psnr(x, x + 0.2).item() == pytest.approx(20, abs=1e-4)
    assert psnr(x, x).item() == math.inf


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("data_range", [1.0, 2.0])
def test_ssim_is_scikit_images(
    batch: int, data_range: float, images: Callable[..., Images]
) -> None:
    y = images(batch, 3, 32, 32, dtype=torch.float64)
    x = y + 0.5 * images(batch, 3, 32, 32, dtype=torch.float64)
    ours = ssim(x, y, data_range=data_range)
    assert ours.shape == (batch,)
    for one, image, reference in zip(ours, x, y, strict=True):
        theirs = structural_similarity(
            reference.numpy(),
            image.numpy(),
            channel_axis=0,
            data_range=data_range,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        assert one.item() == pytest.approx(theirs, rel=1e-6)


def test_ssim_of_an_image_with_itself_is_one(images: Callable[..., Images]) -> None:
    x = images(2, 3, 16, 16)
    torch.testing.assert_close(ssim(x, x), torch.ones(2))


def test_ssim_needs_room_for_its_window() -> None:
    with pytest.raises(ValueError, match=r"at least 11 pixels a side, got \[10, 16\]"):
        ssim(torch.zeros(1, 1, 10, 16), torch.zeros(1, 1, 10, 16))

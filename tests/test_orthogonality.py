from dataclasses import dataclass

import pytest
import torch
from test_views import VIEWS
from torchvision.transforms.functional import InterpolationMode, rotate

from fundiff.orthogonality import ViewError, noise_covariance, require_orthogonal, viewed_noise
from fundiff.types import Images, View


@dataclass(frozen=True)
class Louder:
    factor: float = 2.0

    def apply(self, x: Images) -> Images:
        return self.factor * x.flip(-2)

    def invert(self, x: Images) -> Images:
        return x.flip(-2) / self.factor


@dataclass(frozen=True)
class Smeared:
    """An autoregression along the rows, scaled to keep the variance."""

    share: float = 0.5

    def apply(self, x: Images) -> Images:
        columns = [x[..., 0]]
        for column in x.unbind(-1)[1:]:
            columns.append(self.share * columns[-1] + (1 - self.share**2) ** 0.5 * column)
        return torch.stack(columns, dim=-1)

    def invert(self, x: Images) -> Images:
        others = (x[..., 1:] - self.share * x[..., :-1]) / (1 - self.share**2) ** 0.5
        return torch.cat([x[..., :1], others], dim=-1)


@dataclass(frozen=True)
class Tilted:
    def apply(self, x: Images) -> Images:
        turned: Images = rotate(x, 45, InterpolationMode.BILINEAR)
        return turned

    def invert(self, x: Images) -> Images:
        turned: Images = rotate(x, -45, InterpolationMode.BILINEAR)
        return turned


@dataclass(frozen=True)
class Undone:
    """A flip whose inverse was forgotten."""

    def apply(self, x: Images) -> Images:
        return x.flip(-2)

    def invert(self, x: Images) -> Images:
        return x


@pytest.mark.parametrize("view", VIEWS)
def test_the_views_of_the_library_are_orthogonal(view: View) -> None:
    require_orthogonal(view)
    torch.testing.assert_close(noise_covariance(view, size=12), torch.eye(144).double())


def test_the_covariance_is_that_of_many_draws() -> None:
    noise = torch.randn(200_000, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    drawn = Smeared(0.6).apply(noise).flatten(1).T.cov().double()
    torch.testing.assert_close(noise_covariance(Smeared(0.6), size=4), drawn, rtol=0, atol=0.02)


def test_what_noise_becomes_by_hand() -> None:
    """An autoregression correlates neighbours by its share, and keeps the variance."""
    louder, smeared = viewed_noise(Louder(3.0)), viewed_noise(Smeared(0.3))
    assert louder == pytest.approx((9, 9, 0, 0))
    assert smeared == pytest.approx((1, 1, 0.3, 0), abs=1e-12)


@pytest.mark.parametrize(
    ("view", "failed", "passed"),
    [
        (Louder(), ["variance from 1 to 4 ... 4"], ["correlates", "undone"]),
        (Smeared(), ["correlates the noise of two pixels by up to 0.5"], ["variance", "undone"]),
        (Tilted(), ["variance from 1 to 0 ... ", "correlates", "undone, it leaves"], []),
        (Undone(), ["undone, it leaves an image off by up to 1"], ["variance", "correlates"]),
    ],
)
def test_the_checks_that_fail_are_named(view: View, failed: list[str], passed: list[str]) -> None:
    with pytest.raises(ViewError, match="isn't orthogonal") as caught:
        require_orthogonal(view)
    assert all(words in str(caught.value) for words in failed)
    assert not any(words in str(caught.value) for words in passed)

"""Two classifiers of small grey pictures, built differently, that judge what networks draw.

One gives the features by which sets of pictures are compared; the other says what a picture shows.
Neither judges by what the other has learned to see.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fundiff.types import Images

Features = Float[Tensor, "batch 64"]

Scores = Float[Tensor, "batch classes"]


class _Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Images) -> Images:
        return torch.relu(x + self.body(x))


def _level(channels: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(out),
        nn.ReLU(),
        _Residual(out),
    )


class ResidualClassifier(nn.Module):
    """Residual blocks at 14, 7 and 4 pixels a side, and the mean over the picture.

    Args:
        classes: How many classes there are.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.trunk = nn.Sequential(_level(1, 16), _level(16, 32), _level(32, 64))
        self.head = nn.Linear(64, classes)

    def features(self, x: Images) -> Features:
        """Describe pictures in [0, 1] by 64 numbers each, the layer below the scores."""
        features: Tensor = self.trunk(x).mean(dim=(2, 3))
        return features

    def forward(self, x: Images) -> Scores:
        """Return a score a class, the logarithm of a probability up to a constant."""
        scores: Tensor = self.head(self.features(x))
        return scores


class LeNet(nn.Sequential):
    """Two 5 × 5 convolutions with pooling and three dense layers, after LeNet-5.

    Takes pictures of 28 pixels a side in [0, 1] and returns a score a class.

    Args:
        classes: How many classes there are.

    Source:
        LeCun et al. 1998, *Gradient-based learning applied to document recognition*, section II.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(800, 120),
            nn.ReLU(),
            nn.Linear(120, 84),
            nn.ReLU(),
            nn.Linear(84, classes),
        )

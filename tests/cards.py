"""A card of weights for tests, and a small judge."""

import torch

from fundiff.models.image_text import ImageTextNetwork
from fundiff.models.weights import Card

BLANK = Card(
    recipe="small",
    preset="cpu",
    title="a small network",
    parameters=10,
    plan={"steps": 3},
    data={"what": "stripes", "sha256": "0" * 64},
    code="abc",
    started_from=None,
    steps=3,
    pictures=24,
    seconds=1.5,
    device="CPU",
    versions={"torch": "2"},
    date="2026-01-02",
    losses=[1.0, 0.5],
    notes={"preview": True},
    files={},
)


def small(seed: int = 0) -> ImageTextNetwork:
    """An image-text network of a few weights."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return ImageTextNetwork((8, 16), width=24)

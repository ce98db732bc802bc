"""The examples of the front door that need no model; the README's and the book's run with one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from PIL import Image
from torch import Tensor, nn

import fundiff as fd


class MyUNet(nn.Module):
    def forward(self, x_t: Tensor, time: Tensor) -> Tensor:
        return x_t * time[:, None, None, None]


def test_a_network_and_a_schedule_of_ones_own() -> None:
    mine = fd.NoiseSchedule(torch.linspace(5, -7, 60).sigmoid())
    x = fd.noise(3, 1, 8, 8)
    images = fd.sample(fd.bind(MyUNet(), mine), mine, x, step=fd.ddpm_step, seed=0)
    assert images.shape == x.shape
    assert images[1:2].equal(
        fd.sample(fd.bind(MyUNet(), mine), mine, x[1:2], step=fd.ddpm_step, seed=0, first=1)
    )
    *walk, last = fd.denoise(fd.bind(MyUNet(), mine), mine, x, step=fd.ddpm_step, seed=0)
    assert last.x.equal(images)
    assert [state.t for state in walk] == mine.timesteps()


@pytest.mark.parametrize(("columns", "size"), [(None, (32, 8)), (2, (16, 16)), (3, (24, 16))])
def test_pictures_are_saved_side_by_side(
    columns: int | None, size: tuple[int, int], tmp_path: Path
) -> None:
    images = torch.rand(4, 1, 8, 8)
    fd.save(images, tmp_path / "a.png", columns=columns, low=0)
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == size
        found = torch.from_numpy(np.array(image))
    torch.testing.assert_close(found[:8, :8, 0] / 255, images[0, 0], rtol=0, atol=0.5 / 255)


def test_pictures_are_saved_whole_or_not_at_all(tmp_path: Path) -> None:
    fd.save(torch.zeros(1, 3, 4, 6), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    for images, name, message in (
        (torch.full((1, 3, 4, 6), float("nan")), "a.png", "must be finite"),
        (torch.zeros(0, 3, 4, 6), "a.png", "a sheet needs pictures"),
        (torch.zeros(1, 3, 4, 6), "a.jpg", r"ends in \.png, got '.*a\.jpg'"),
        (torch.zeros(1, 2, 4, 6), "a.png", "grey or RGB images, got 2 channels"),
    ):
        with pytest.raises(fd.FundiffError, match=message):
            fd.save(images, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_pictures_are_shown_as_the_book_shows_them(monkeypatch: pytest.MonkeyPatch) -> None:
    pyplot.switch_backend("agg")
    shown = []
    monkeypatch.setattr(pyplot, "show", lambda: shown.append(pyplot.gcf()))
    fd.show(torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, 3, 8, 8), ["black", "white"])
    (figure,) = shown
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    height, width = pixels.shape[:2]
    assert pixels[height // 2, width // 4, :3].tolist() == [0, 0, 0]
    assert pixels[height // 2, 3 * width // 4, :3].tolist() == [255, 255, 255]
    pyplot.close(figure)

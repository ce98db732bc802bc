import numpy as np
import pytest
import torch
from matplotlib.collections import PathCollection
from matplotlib.quiver import Quiver

from fundiff.errors import FundiffError
from fundiff.mixtures import Mixture
from fundiff.plots.plane import Panel, grid, plane
from fundiff.rng import noise
from fundiff.types import Images

CENTRE = Mixture(torch.tensor([0.6, -0.3]).view(1, 1, 1, 2), 0.2)


def density(x: Images) -> torch.Tensor:
    return (-(x - CENTRE.means).flatten(1).square().sum(1)).exp()


def test_a_density_and_points_lie_where_their_pictures_are() -> None:
    points = CENTRE.draw(30)
    figure = plane([Panel("a", density, points={"drawn": points}), Panel("b")], reach=1)
    axes = figure.axes[0]
    (shade,) = axes.get_images()
    array = np.asarray(shade.get_array())
    row, column = np.unravel_index(array.argmax(), array.shape)
    places = np.linspace(-1, 1, len(array))
    assert (places[column], places[row]) == pytest.approx((0.6, -0.3), abs=0.02)
    assert tuple(shade.get_extent()) == (-1, 1, -1, 1)
    (dots,) = [each for each in axes.collections if isinstance(each, PathCollection)]
    np.testing.assert_allclose(np.asarray(dots.get_offsets()), points.flatten(1).numpy())
    assert not figure.axes[1].has_data()
    assert figure._repr_svg_().startswith("<?xml")


def test_arrows_point_where_the_field_does() -> None:
    figure = plane([Panel("a", arrows=lambda x: CENTRE.means - x)])
    (arrows,) = [each for each in figure.axes[0].collections if isinstance(each, Quiver)]
    x, y, u, v = (np.asarray(each) for each in (arrows.X, arrows.Y, arrows.U, arrows.V))
    ends = np.stack([x + u, y + v], axis=1)
    np.testing.assert_allclose(ends, np.tile([0.6, -0.3], (len(ends), 1)), atol=1e-6)


def test_paths_are_drawn_from_stop_to_stop() -> None:
    stops = [noise(3, 1, 1, 2, seed=seed) for seed in range(5)]
    lines = plane([Panel("a", paths=stops)]).axes[0].get_lines()
    walked = [way for line in lines if len(way := np.asarray(line.get_xydata())) == 5]
    for i, way in enumerate(walked):
        expected = torch.stack([stop[i].flatten() for stop in stops])
        np.testing.assert_allclose(way, expected.numpy())
    assert len(walked) == 3


def test_a_legend_names_the_points_of_all_panels_once() -> None:
    one, two = CENTRE.draw(3), CENTRE.draw(4, seed=1)
    panels = [Panel("a", points={"one": one}), Panel("b", points={"one": one, "two": two})]
    (legend,) = plane(panels).legends
    assert [text.get_text() for text in legend.get_texts()] == ["one", "two"]


def test_the_grid_runs_row_by_row_from_below() -> None:
    first, second, *_, last = grid(3, 2.0).flatten(1).tolist()
    assert (first, second, last) == ([-2, -2], [0, -2], [2, 2])


def test_what_is_not_in_the_plane_is_refused() -> None:
    with pytest.raises(FundiffError, match=r"pictures of two pixels, got \[3, 2, 2\]"):
        plane([Panel("a", points={"large": noise(2, 3, 2, 2)})])
    with pytest.raises(FundiffError, match="at least one panel"):
        plane([])

import base64
import io
import itertools
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from matplotlib.lines import Line2D
from PIL import Image

from fundiff.errors import FundiffError
from fundiff.plots.curves import curves, panels
from fundiff.plots.figures import Pictures, image_grid, image_row
from fundiff.plots.players import animation
from fundiff.plots.style import COLOURS, INK
from fundiff.types import Images


def drawn(figure: Pictures) -> torch.Tensor:
    png = Image.open(io.BytesIO(figure._repr_png_())).convert("RGBA")
    return torch.frombuffer(bytearray(png.tobytes()), dtype=torch.uint8).reshape(
        png.height, png.width, 4
    )


def numbers(line: Line2D) -> list[float]:
    return [float(value) for value in np.asarray(line.get_ydata())]


def contrast(one: str, other: str) -> float:
    """The contrast of two colours as WCAG 2 defines it."""

    def luminance(colour: str) -> float:
        linear = []
        for i in (1, 3, 5):
            value = int(colour[i : i + 2], 16) / 255
            linear.append(value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4)
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colour", [INK, *COLOURS])
@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_ink_reads_on_light_and_dark(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3.5


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [(64, 64), (28, 28), (20, 30)])
def test_every_pixel_is_a_whole_square(channels: int, size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    bytes_ = torch.randint(0, 256, (3, channels, *size), generator=generator)
    seen = drawn(image_row(bytes_ / 127.5 - 1))
    opaque = seen[..., 3] == 255
    columns = opaque.all(0).nonzero().flatten()
    zoom = int(opaque.any(1).sum()) // size[0]
    assert zoom * size[0] == seen.shape[0]
    assert len(columns) == 3 * zoom * size[1]
    inside = seen[:, columns, :3].reshape(size[0], zoom, 3, size[1], zoom, 3)
    assert (inside == inside[:, :1, :, :, :1]).all()
    shown = inside[:, 0, :, :, 0].permute(1, 3, 0, 2)
    assert shown.equal(bytes_.expand(3, 3, *size).to(torch.uint8))


def test_titles_stand_above_and_beside_on_nothing(images: Callable[..., Images]) -> None:
    plain = drawn(image_grid([images(3, 3, 16, 16)] * 2))
    figure = image_grid(
        [images(3, 3, 16, 16)] * 2, row_titles=["one", "two"], column_titles=["a", "b", "c"]
    )
    titled = drawn(figure)
    left, top = titled.shape[1] - plain.shape[1], titled.shape[0] - plain.shape[0]
    assert left > 0
    assert top > 0
    assert titled[top:, left:, 3].equal(plain[..., 3])
    for margin in (titled[:top], titled[:, :left]):
        assert (margin[..., 3] == 0).any()
        assert (margin[..., 3] > 200).any()
    assert {text.get_text() for text in figure.texts} == {"one", "two", "a", "b", "c"}


@pytest.mark.parametrize(("columns", "size"), [(3, 64), (7, 28), (10, 28), (24, 64)])
def test_titles_can_be_read_at_the_width_of_a_page_and_keep_to_their_place(
    images: Callable[..., Images], columns: int, size: int
) -> None:
    rows, shown_at = 4, 690
    figure = image_grid(
        [images(columns, 1, size, size)] * rows,
        row_titles=["denoised", "hat,\nflipped"] * 2,
        column_titles=["σ"] * columns,
    )
    figure.draw_without_rendering()
    extents = {text: text.get_window_extent() for text in figure.texts}
    width, height = figure.get_size_inches() * figure.dpi
    cells = [axes.get_window_extent() for axes in figure.axes]
    for text, extent in extents.items():
        assert extent.x0 >= 0
        assert extent.y0 >= 0
        assert extent.y1 <= height
        assert not any(extent.overlaps(cell) for cell in cells)
        assert not any(extent.overlaps(other) for it, other in extents.items() if it is not text)
        size_in_page = float(text.get_fontsize()) / 0.72 * min(1.0, shown_at / width)
        assert size_in_page >= (11 if columns <= 10 else 8)


def test_long_titles_of_columns_do_not_run_into_one_another(
    images: Callable[..., Images],
) -> None:
    figure = image_row(images(8, 1, 28, 28), [f"epoch number {n}" for n in range(8)])
    figure.draw_without_rendering()
    extents = sorted((text.get_window_extent().extents for text in figure.texts), key=tuple)
    for (_, _, end, _), (start, *_) in itertools.pairwise(extents):
        assert end < start


def test_range_is_said_and_kept() -> None:
    x = torch.tensor([-0.5, 0.0, 0.5, 1.0, 1.5]).reshape(5, 1, 1, 1)
    seen = drawn(image_row(x, low=0.0, high=1.0))
    values = [run[0].item() for run in seen[0, :, 0][seen[0, :, 3] == 255].chunk(5)]
    assert values == [0, 0, 128, 255, 255]


def test_figures_are_the_same_bytes_again(images: Callable[..., Images]) -> None:
    x = images(2, 3, 16, 16)
    assert image_row(x)._repr_png_() == image_row(x)._repr_png_()
    first, second = (
        curves([1, 2, 3], {"a": [1, 2, 4], "b": [2, 1, 3]}, x_label="x", y_label="y")
        for _ in range(2)
    )
    assert first._repr_svg_() == second._repr_svg_()


def test_panels_hold_their_series_under_one_legend() -> None:
    series = {"a": ([34, 8], [0.5, 0.4]), "b": ([34], [0.3])}
    figure = panels({"one": series, "two": {"a": ([34], [7])}}, x_label="calls")
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["one", "two"]
    found = {line.get_label(): line.get_xydata() for line in first.lines}
    for name, points in series.items():
        np.testing.assert_array_equal(found[name], np.stack(points, axis=1))
    assert first.lines[0].get_color() == second.lines[0].get_color()
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]


def test_no_two_of_six_series_look_alike() -> None:
    lines = {str(i): [i, i + 1] for i in range(6)}
    plotted = curves([0, 1], lines, x_label="x", y_label="y")
    side_by_side = panels({"m": {name: ([0, 1], y) for name, y in lines.items()}}, x_label="x")
    for figure in (plotted, side_by_side):
        (axes,) = figure.axes
        assert len({line.get_color() for line in axes.lines}) == 6
        assert len({str(line._dash_pattern) for line in axes.lines}) == 6  # type: ignore[attr-defined]
    assert len({line.get_marker() for line in side_by_side.axes[0].lines}) == 6


def test_curves_hold_their_numbers() -> None:
    figure = curves(
        torch.tensor([1.0, 10, 100]),
        {"a": torch.tensor([3.0, 2, 1]), "b": [1, 1, 2]},
        x_label="time",
        y_label="height (m)",
        log_x=True,
        log_y=True,
    )
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["a", "b"]
    assert [numbers(line) for line in axes.lines] == [[3, 2, 1], [1, 1, 2]]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("time", "height (m)")
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["a", "b"]
    assert figure._repr_svg_().lstrip().startswith("<?xml")


def test_animation_holds_every_frame_and_asks_for_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    bytes_ = torch.randint(0, 256, (5, 2, 3, 8, 6), generator=generator)
    labels = [f"t = {i} <&>" for i in range(5)]
    page, said = animation([*(bytes_ / 127.5 - 1)], labels, alt='two "runs"')._repr_html_()
    assert said == {"kind": "Animation", "alt": 'two "runs"'}
    (data,) = re.findall(r"data:image/png;base64,([^)]*)", page)
    strip = Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
    assert strip.size == (12, 40)
    seen = torch.frombuffer(bytearray(strip.tobytes()), dtype=torch.uint8).reshape(5, 8, 2, 6, 3)
    assert seen.permute(0, 2, 4, 1, 3).equal(bytes_.to(torch.uint8))
    assert 'aria-label="two &quot;runs&quot;"' in page
    assert "t = 4 &lt;&amp;&gt;" in page
    assert "://" not in page
    assert "<&>" not in page


def test_animation_of_grey_images() -> None:
    page, _ = animation([torch.zeros(1, 1, 4, 4)], ["only"], alt="grey")._repr_html_()
    assert "aspect-ratio:4/4" in page


@pytest.mark.parametrize(
    ("rest", "label", "start"), [(None, "c", "100%"), (0, "a", "0%"), (1, "b", "50%")]
)
def test_an_animation_rests_on_a_frame(rest: int | None, label: str, start: str) -> None:
    frames = [torch.zeros(1, 1, 4, 4)] * 3
    page, _ = animation(frames, ["a", "b", "c"], alt="grey", rest=rest)._repr_html_()
    assert f">{label}</output>" in page
    assert f") 0 {start}/100% 300%" in page
    with pytest.raises(FundiffError, match=r"a frame in \[0, 2\] to rest on, got 3"):
        animation(frames, ["a", "b", "c"], alt="grey", rest=3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: image_row(x, ["one"]), r"expected 2 column titles, got 1: \['one'\]"),
        (lambda x: image_grid([]), "at least one row"),
        (lambda x: image_grid([x, x[:1]]), r"got \[\[2, 3, 8, 8\], \[1, 3, 8, 8\]\]"),
        (lambda x: image_grid([x], row_titles=["a", "b"]), "expected 1 row titles"),
        (lambda x: panels({}, x_label=""), "at least one measure to plot, got none"),
        (lambda x: panels({"m": {"a": ([1, 2], [3])}}, x_label=""), "'a' has 1 values of m for 2"),
        (lambda x: curves([1, 2], {"a": [1]}, x_label="", y_label=""), "'a' has 1 points for 2"),
        (lambda x: animation([], [], alt=""), "at least one frame"),
        (lambda x: animation([x, x[:1]], ["a", "b"], alt=""), "all of one shape"),
        (lambda x: animation([x], ["a", "b"], alt=""), "expected 1 frame titles"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[Images], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 3, 8, 8))

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from fundiff.data.pictures import to_uint8
from fundiff.filters import Grey
from fundiff.illusions import VIEWS
from fundiff.plots.animation import fade, save_gif, turn
from fundiff.plots.players import turning
from fundiff.types import Images, View
from fundiff.views import Rotation


def larger(x: Images, zoom: int) -> Images:
    return x.repeat_interleave(zoom, -1).repeat_interleave(zoom, -2)


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("size", [16, 15])
def test_a_turn_begins_upright_and_ends_with_the_view(
    name: str, size: int, images: Callable[..., Images]
) -> None:
    x, view = images(2, 3, size, size), VIEWS[name]
    first, *between, last = turn(x, view, frames=5, zoom=3)
    assert first.equal(larger(x, 3))
    assert last.equal(larger(view.apply(x), 3))
    assert len(between) == 3
    assert all(frame.shape == first.shape for frame in between)


@pytest.mark.parametrize("name", [name for name in VIEWS if name != "negate"])
def test_no_frame_has_a_colour_that_its_source_lacks(
    name: str, images: Callable[..., Images]
) -> None:
    """Where pixels cross, one of them is on top as a whole."""
    x = images(1, 3, 64, 64)
    there = {tuple(colour) for colour in x[0].flatten(1).T.tolist()} | {(-1.0, -1.0, -1.0)}
    for frame in turn(x, VIEWS[name], frames=3, zoom=1):
        assert {tuple(colour) for colour in frame[0].flatten(1).T.tolist()} <= there


def test_a_flip_is_halfway_a_line(images: Callable[..., Images]) -> None:
    """Halfway over, all rows are at the middle."""
    _, middle, _ = turn(images(1, 3, 16, 16).abs(), VIEWS["flip"], frames=3, zoom=2)
    lit = (middle > -1).any(dim=1)[0].any(dim=1).nonzero().flatten()
    assert lit.min() >= 14
    assert lit.max() <= 17


@pytest.mark.parametrize("turns", [1, -1, 2])
def test_a_rotation_is_a_rotation_all_the_way(turns: int) -> None:
    """A lit pixel on the right keeps its distance from the middle, and goes the short way."""
    x = torch.full((1, 1, 15, 15), -0.5)
    x[..., 7, 14] = 1
    _, middle, _ = turn(x, Rotation(turns), frames=3, zoom=5)
    y, column = (middle[0, 0] == 1).nonzero().double().mean(dim=0) - 37
    radius = (y**2 + column**2).sqrt()
    assert radius.item() == pytest.approx(35, abs=1.5)
    degrees = torch.rad2deg(torch.atan2(-y, column)).item()
    assert degrees == pytest.approx(45 * turns, abs=3)


def test_a_fade_is_a_straight_line(images: Callable[..., Images]) -> None:
    x = images(1, 3, 8, 8)
    first, middle, last = fade(x, Grey(), frames=3)
    assert first.equal(x)
    torch.testing.assert_close(middle, (x + Grey()(x)) / 2)
    assert last.equal(Grey()(x))


def test_a_gif_goes_there_and_back(tmp_path: Path) -> None:
    greys = [torch.full((1, 3, 8, 8), value) for value in (-1.0, 0.0, 1.0)]
    save_gif(greys, tmp_path / "a.gif", seconds=0.3)
    with Image.open(tmp_path / "a.gif") as image:
        seen = []
        for i in range(getattr(image, "n_frames", 1)):
            image.seek(i)
            seen.append((image.convert("L").getpixel((0, 0)), image.info["duration"]))
        assert image.info["loop"] == 0
    assert seen == [(0, 300), (128, 100), (255, 300), (128, 100)]


def test_a_page_holds_each_picture_and_how_it_turns(images: Callable[..., Images]) -> None:
    x = images(2, 3, 8, 8)
    words = [('an "old" man', "a fire"), ("falls", "a man")]
    page, said = turning(x, VIEWS["flip"], alts=words)._repr_html_()
    assert said["alt"] == 'an "old" man; turned, a fire. falls; turned, a man'
    assert page == turning(x, VIEWS["flip"], alts=words)._repr_html_()[0]
    found = re.findall(r"data:image/png;base64,([^\"]*)", page)
    for data, pixels in zip(found, to_uint8(x), strict=True):
        shown = Image.open(io.BytesIO(base64.b64decode(data)))
        assert torch.frombuffer(bytearray(shown.tobytes()), dtype=torch.uint8).equal(
            pixels.flatten()
        )
    assert 'aria-label="an &quot;old&quot; man; turned, a fire"' in page
    assert page.count('<button type="button" aria-pressed="false"') == 2
    assert "rotateX(180deg)" in page
    assert "prefers-reduced-motion" in page
    assert "://" not in page


@pytest.mark.parametrize(
    ("view", "style"),
    [
        (VIEWS["mirror"], "rotateY(180deg)"),
        (Rotation(1), "rotate(-90deg)"),
        (Rotation(-1), "rotate(90deg)"),
        (VIEWS["negate"], "invert(1)"),
    ],
)
def test_a_style_for_each_view_that_a_page_can_show(
    view: View, style: str, images: Callable[..., Images]
) -> None:
    assert style in turning(images(1, 3, 4, 4), view, alts=[("a", "b")])._repr_html_()[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: turn(x, VIEWS["flip"], frames=1), "at least 2 frames of square pictures, got 1"),
        (lambda x: turn(x[..., :4], VIEWS["flip"]), r"got 25 of \[8, 4\]"),
        (lambda x: fade(x, Grey(), frames=1), "at least 2 frames, got 1"),
        (lambda x: save_gif([], Path("a.gif")), "at least one frame"),
        (lambda x: save_gif([x], Path("a.gif")), "each of one picture"),
        (lambda x: turning(x, VIEWS["flip"], alts=[]), "each of 2 pictures, got 0"),
        (lambda x: turning(x, VIEWS["skew"], alts=[("a", "b")] * 2), "not show Skew.*: use turn"),
    ],
)
def test_what_makes_no_sense_is_refused(call: Callable[[Images], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(torch.zeros(2, 3, 8, 8))

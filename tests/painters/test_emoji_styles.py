from collections.abc import Callable

import numpy as np
import pytest

from fundiff.painters.emoji import (
    backdrops,
    buildings,
    cats,
    coast,
    countryside,
    ink,
    landscapes,
    looks,
    nature,
    portraits,
    skies,
)
from fundiff.painters.emoji.canvas import (
    Layer,
    Picture,
    blur,
    contrast,
    glow,
    gradient,
    grey,
    merged,
    over,
    placed,
    plain,
    varied,
)
from fundiff.painters.emoji.scenes import Cast, Scene
from fundiff.painters.emoji.shapes import Shapes
from fundiff.painters.emoji.styles import (
    CARTOON,
    DRAWING,
    ICON,
    LITHOGRAPH,
    OIL,
    PHOTO,
    PLAIN,
    STYLES,
    WATERCOLOUR,
    Style,
)

Paint = Callable[[np.random.Generator], Picture]
RED, BLUE = (0.9, 0.1, 0.1), (0.1, 0.2, 0.9)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def apple() -> Layer:
    art = Shapes()
    art.ellipse(0.5, 0.52, 0.32, 0.3, RED)
    art.ellipse(0.4, 0.45, 0.08, 0.08, (1.0, 0.8, 0.8))
    art.box(0.48, 0.12, 0.52, 0.26, (0.2, 0.4, 0.1))
    return art.layer()


def spread(picture: Picture) -> float:
    """How colourful a picture is: the mean distance between its channels."""
    return float(np.ptp(picture, axis=0).mean())


def finished(style: Style, seed: int = 0) -> Picture:
    rng = np.random.default_rng(seed)
    back, _ = style.backdrop(rng)
    result: Picture = np.clip(style.finish(rng, back, apple()), 0, 1)
    return result


# what the styles claim


@pytest.mark.parametrize("seed", range(5))
def test_a_lithograph_is_ink_on_paper(seed: int) -> None:
    picture = finished(LITHOGRAPH, seed)
    tones = picture.reshape(3, -1)
    paper = tones[:, tones.sum(0).argmax()]
    black = tones[:, tones.sum(0).argmin()]
    assert paper[0] > paper[2] > 0.6
    assert black.max() < 0.35
    along = (tones - paper[:, None]).T @ (black - paper) / ((black - paper) ** 2).sum()
    line = paper[:, None] + along * (black - paper)[:, None]
    assert np.abs(tones - line).max() < 0.02


def test_a_lithograph_has_more_ink_where_it_is_darker(rng: np.random.Generator) -> None:
    light = gradient((1, 1, 1), (0, 0, 0))
    picture = grey(LITHOGRAPH.finish(rng, light, None))
    rows = blur(picture, 3).mean(1)
    assert (np.diff(rows[4:60:8]) < 0).all()


def test_hatching_is_lines_not_grey(rng: np.random.Generator) -> None:
    lines = ink.hatched(rng, np.full((64, 64), 0.5, np.float32))
    assert lines.std() > 0.2
    assert ink.hatched(rng, np.zeros((64, 64), np.float32)).max() < 0.3
    assert ink.hatched(rng, np.ones((64, 64), np.float32)).mean() > 0.75


@pytest.mark.parametrize("seed", range(5))
def test_a_drawing_is_dark_lines_on_white(seed: int) -> None:
    picture = finished(DRAWING, seed)
    assert np.median(grey(picture)) > 0.9
    assert grey(picture).min() < 0.5
    assert spread(picture) < 0.5 * spread(over(plain((1, 1, 1)), apple()))


def test_an_oil_painting_is_warm_and_brushed(rng: np.random.Generator) -> None:
    flat = plain((0.5, 0.5, 0.5))
    picture = OIL.finish(rng, flat, None)
    means = picture.mean((1, 2))
    assert means[0] > means[1] > means[2]
    assert 0.005 < (picture - blur(picture, 3)).std() < 0.1


def test_a_photo_is_shaded_and_casts_a_shadow(rng: np.random.Generator) -> None:
    art = Shapes()
    art.ellipse(0.5, 0.5, 0.3, 0.3, (0.6, 0.6, 0.6))
    back = plain((0.8, 0.8, 0.8))
    picture = grey(PHOTO.finish(rng, back, art.layer()))
    assert picture[22:30, 28:36].mean() > picture[44:50, 28:36].mean() + 0.05
    assert picture[52:55, 28:36].mean() < picture[8:10, 28:36].mean() - 0.1


def test_a_photos_background_is_out_of_focus() -> None:
    board = np.indices((64, 64)).sum(0) % 8 < 4
    sharp = np.repeat(board[None], 3, axis=0).astype(np.float32)
    picture = PHOTO.finish(np.random.default_rng(0), sharp, apple())
    assert picture[:, :12].std() < 0.5 * sharp[:, :12].std()


def test_a_cartoon_is_outlined_and_strong(rng: np.random.Generator) -> None:
    back = plain(BLUE)
    picture = CARTOON.finish(rng, back, apple())
    alpha = apple()[3]
    ring = (blur(alpha, 1.5) > 0.2) & (alpha < 0.05)
    assert grey(picture)[ring].mean() < 0.6 * grey(back).mean() + 0.05
    assert spread(picture) > 0.9 * spread(over(back, apple()))


def test_a_watercolour_is_light_with_paper_around(rng: np.random.Generator) -> None:
    back = plain(BLUE)
    picture = WATERCOLOUR.finish(rng, back, None)
    assert picture[:, (0, -1)].mean() > 0.9
    assert picture.mean() > back.mean() + 0.1


def test_a_plain_picture_and_an_icon_are_left_alone(rng: np.random.Generator) -> None:
    back = plain(BLUE)
    for style in (PLAIN, ICON):
        np.testing.assert_array_equal(style.finish(rng, back, apple()), over(back, apple()))
        assert style.finish(rng, back, None) is back
    assert ICON.stencils


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_styles_differ_from_each_other(style: Style) -> None:
    for other in STYLES:
        if other is not style and {style, other} != {PLAIN, ICON}:
            assert np.abs(finished(style) - finished(other)).mean() > 0.02


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_a_style_changes_none_of_its_arguments(style: Style) -> None:
    back, front = plain(BLUE), apple()
    style.finish(np.random.default_rng(0), back, front)
    np.testing.assert_array_equal(back, plain(BLUE))
    np.testing.assert_array_equal(front, apple())


def test_a_named_backdrop_has_its_colour() -> None:
    for seed in range(40):
        back, name = backdrops.coloured(np.random.default_rng(seed))
        mean = back.mean((1, 2))
        near = {k: np.abs(mean - v).sum() for k, v in backdrops.BRIGHT.items()}
        assert near[name] < 0.85


# places and people


@pytest.mark.parametrize(
    "paint",
    [
        landscapes.waterfalls,
        landscapes.snowy_village,
        coast.amalfi_coast,
        nature.meadow,
        nature.sea,
        nature.space,
        nature.sky,
        nature.camp_night,
        nature.indoors,
    ],
)
def test_a_place_is_a_picture_that_varies(paint: Paint) -> None:
    a, b, again = (paint(np.random.default_rng(seed)) for seed in (0, 1, 0))
    assert a.shape == (3, 64, 64)
    assert a.min() > -1e-5
    assert a.max() < 1 + 1e-5
    np.testing.assert_array_equal(a, again)
    assert np.abs(a - b).mean() > 0.01


def test_colours_of_places_are_those_one_expects() -> None:
    rng = np.random.default_rng(0)
    sea, meadow, night = nature.sea(rng), nature.meadow(rng), nature.camp_night(rng)
    assert sea[2, -8:].mean() > sea[0, -8:].mean() + 0.2
    assert meadow[1, -8:].mean() > meadow[2, -8:].mean() + 0.2
    assert night.mean() < 0.3
    assert landscapes.snowy_village(np.random.default_rng(3))[:, -4:].mean() > 0.5


@pytest.mark.parametrize(
    "look", [looks.someone, looks.old_man, looks.woman, looks.barista, looks.hatted]
)
def test_a_portrait_stands_on_the_lower_edge(
    look: Callable[[np.random.Generator], looks.Look],
) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        alpha = portraits.portrait(rng, look(rng))[3]
        assert alpha[-1, 28:36].min() > 0.99
        assert alpha[:, 0].max() < 0.99 or look is looks.hatted or alpha[40:, 0].max() > 0
        assert 0.25 < alpha.mean() < 0.8


def test_looks_are_what_they_say() -> None:
    rng = np.random.default_rng(0)
    assert all(looks.hatted(rng).hat is not None for _ in range(20))
    assert all(looks.old_man(rng).old for _ in range(20))
    assert all(looks.barista(rng).beard and looks.barista(rng).apron for _ in range(20))
    assert not any(looks.woman(rng).beard for _ in range(20))


# subjects with words of their own


@pytest.mark.parametrize("paint", [buildings.tall_building, countryside.landscape, cats.cat])
def test_a_scene_says_what_it_shows(
    paint: Callable[[np.random.Generator, Cast, bool], Scene],
) -> None:
    cast, shown, words = Cast((), np.zeros((0, 64, 64, 4), np.uint8), {}, {}, {}), [], set()
    for seed in range(60):
        scene = paint(np.random.default_rng(seed), cast, False)
        back = plain(BLUE) if scene.back is None else scene.back
        shown.append(back if scene.front is None else over(back, scene.front))
        words.add(scene.words)
        assert shown[-1].min() > -0.01
        assert shown[-1].max() < 1.01
        assert shown[-1].std() > 0.04
    assert len(words) > 5
    assert np.abs(np.diff(shown, axis=0)).mean((1, 2, 3)).min() > 0.02


def test_a_cat_has_a_face_like_in_a_mirror() -> None:
    for coat in cats.COATS:
        art = Shapes()
        cats.head(art, np.random.default_rng(0), coat, (0.5, 0.55), 1.0)
        layer = art.layer()
        assert np.abs(layer - layer[:, :, ::-1]).mean() < 0.03
        assert 0.25 < layer[3].mean() < 0.6


@pytest.mark.parametrize("seed", range(8))
def test_a_sky_has_the_light_that_it_names(seed: int) -> None:
    rng = np.random.default_rng(seed)
    day, dusk, night = skies.blue(rng), skies.sunset(rng), skies.night(rng)
    assert day.picture[2, :20].mean() > day.picture[0, :20].mean() + 0.1
    assert dusk.picture[0, -20:].mean() > dusk.picture[2, -20:].mean() + 0.2
    assert night.picture.mean() < 0.35
    assert [sky.dark for sky in (day, dusk, night)] == [False, False, True]
    assert night.lit(apple())[0].sum() < day.lit(apple())[0].sum() == apple()[0].sum()


# the tools


def test_placing_a_sprite() -> None:
    sprite = np.zeros((64, 64, 4), np.uint8)
    sprite[16:48, 16:32] = 255
    whole = placed(sprite)
    np.testing.assert_array_equal(whole[3] * 255, sprite[..., 3])
    np.testing.assert_array_equal(placed(sprite, flip=True)[3], whole[3, :, ::-1])
    np.testing.assert_allclose(placed(sprite, degrees=180)[3], whole[3, ::-1, ::-1], atol=0.02)
    turned = placed(sprite, degrees=90)[3]
    np.testing.assert_allclose(turned, np.rot90(whole[3]), atol=0.02)
    small = placed(sprite, x=0.25, y=0.75, width=0.5)[3]
    assert abs(small.sum() - whole[3].sum() / 4) < 10
    assert small[32:, :32].sum() > 0.99 * small.sum()


def test_layers_are_laid_over_one_another() -> None:
    art = Shapes()
    art.box(0, 0, 0.5, 1, RED)
    picture = over(plain(BLUE), art.layer())
    np.testing.assert_allclose(picture[:, 5, 5], RED, atol=0.01)
    np.testing.assert_allclose(picture[:, 5, 60], BLUE, atol=0.01)
    both = over(plain(BLUE), merged(art.layer(), apple()))
    np.testing.assert_allclose(both, over(over(plain(BLUE), art.layer()), apple()), atol=1e-6)


def test_contrast_and_light() -> None:
    assert contrast(plain(BLUE), apple()) > 0.5
    assert contrast(plain(RED), apple()) < 0.2
    spot = glow(0.25, 0.75, 0.2)
    assert spot[46:50, 14:18].max() == spot.max() > 0.99
    rng = np.random.default_rng(0)
    assert all(0 <= value <= 1 for _ in range(50) for value in varied(rng, RED, 0.5))


def test_a_blur_keeps_what_is_flat() -> None:
    np.testing.assert_allclose(blur(plain(RED), 3.0), plain(RED), atol=1e-5)

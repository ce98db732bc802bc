import io
import json
import math
import random
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from tiny_emoji import packages
from torch.testing import assert_close

from fundiff.cli.main import main
from fundiff.data.digits import SHIPPED, Shipped, read_shipped
from fundiff.data.digits import glyphs as shipped_glyphs
from fundiff.data.digits import shapes as shipped_shapes
from fundiff.data.labelled import Labelled, Split
from fundiff.painters.characters import build as sheets
from fundiff.painters.characters.build import sheet
from fundiff.painters.characters.layout import Placing, placed
from fundiff.painters.characters.lettering import FACES, glyphs
from fundiff.painters.characters.numerals import numerals
from fundiff.painters.characters.outlines import OUTLINES, shapes
from fundiff.painters.characters.stencils import GROUPS, emoji
from fundiff.painters.emoji import sprites
from fundiff.painters.emoji.sources import SourceError

Pixels = dict[str, list[float]]
Pack = Callable[[Mapping[int, object]], Path]


def test_a_sheet_comes_back_in_both_parts(
    tmp_path: Path, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = torch.randint(256, (130, 28, 28), generator=generator, dtype=torch.uint8)
    labels = torch.randint(3, (130,), generator=generator)
    parts = [
        Labelled(images[i], labels[i], ("a", "b", "c"), "few", "")
        for i in (slice(0, 104), slice(104, 130))
    ]
    known = Shipped("few", ("a", "b", "c"), {"train": parts[0].digest, "test": parts[1].digest})
    monkeypatch.setitem(SHIPPED, "few", known)
    (tmp_path / "few.png").write_bytes(sheet(*parts))
    with Image.open(tmp_path / "few.png") as image:
        assert (image.mode, image.size) == ("L", (2800, 56))
    splits: tuple[Split, Split] = ("train", "test")
    for part, split in zip(parts, splits, strict=True):
        back = read_shipped("few", tmp_path / "few.png", split)
        assert_close(back.images, part.images)
        assert_close(back.labels, part.labels)


# digits


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    def write(content: Mapping[int, object]) -> Path:
        with tarfile.open(tmp_path / "it.tgz", "w:gz") as tar:
            for label, data in content.items():
                encoded = json.dumps(data).encode()
                info = tarfile.TarInfo(f"package/src/digits/{label}.json")
                info.size = len(encoded)
                tar.addfile(info, io.BytesIO(encoded))
        return tmp_path / "it.tgz"

    return write


def fractions(generator: torch.Generator) -> tuple[torch.Tensor, dict[int, Pixels]]:
    """Ten random pictures of each digit, and what the package would hold of them."""
    drawn = torch.randint(256, (10, 10, 28, 28), generator=generator, dtype=torch.uint8)
    return drawn, {
        label: {"data": [round(value / 255, 3) for value in one.flatten().tolist()]}
        for label, one in enumerate(drawn)
    }


def test_rounded_fractions_give_the_bytes_and_both_parts(
    pack: Pack, generator: torch.Generator
) -> None:
    drawn, content = fractions(generator)
    train, test = numerals(pack(content))
    assert train.labels.bincount().tolist() == [8] * 10
    assert test.labels.bincount().tolist() == [2] * 10
    for label, one in enumerate(drawn):
        back = torch.cat([train.of(label).images, test.of(label).images]).flatten(1)
        assert sorted(back.tolist()) == sorted(one.flatten(1).tolist())


def test_the_split_does_not_depend_on_the_order(pack: Pack, generator: torch.Generator) -> None:
    _, content = fractions(generator)
    train, test = numerals(pack(content))
    turned = {
        label: {"data": data["data"][784:] + data["data"][:784]} for label, data in content.items()
    }
    assert [part.digest for part in numerals(pack(turned))] == [train.digest, test.digest]


@pytest.mark.parametrize(
    "data", [{}, {"data": [0.5] * 784}, {"data": [0] * 783}, {"data": ["a"] * 784}, {"data": [2]}]
)
def test_other_numbers_are_refused(data: dict[str, object], pack: Pack) -> None:
    with pytest.raises(SourceError, match=r"expected in src/digits/0\.json pictures of 28 by 28"):
        numerals(pack({0: data}))


# drawings


def bar(width: int, height: int) -> Image.Image:
    canvas = Image.new("L", (200, 200))
    ImageDraw.Draw(canvas).rectangle((60, 40, 60 + width - 1, 40 + height - 1), fill=255)
    return canvas


def moments(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre of mass from the fifteenth pixel, and covariance, in pixels, of (x, y)."""
    y, x = np.mgrid[:28, :28] - 14.0
    points, weights = np.stack([x.ravel(), y.ravel()]), picture.ravel().astype(float)
    return points @ weights / weights.sum(), np.cov(points, aweights=weights, ddof=0)


def test_a_bar_fills_the_box_in_the_middle() -> None:
    picture = placed(bar(40, 80), Placing(box=20))
    # from 4.5 to 24.5 and from 9.5 to 19.5, half a pixel at each end
    rows, columns = np.zeros(28), np.zeros(28)
    rows[4:25], columns[9:20] = 1, 1
    rows[[4, 24]], columns[[9, 19]] = 0.5, 0.5
    assert abs(picture - 255 * np.outer(rows, columns)).max() < 10


@pytest.mark.parametrize("seed", range(5))
def test_a_bar_is_stretched_slanted_and_turned(seed: int) -> None:
    placing = Placing.draw(random.Random(seed), turn=math.pi)  # noqa: S311
    centre, covariance = moments(placed(bar(40, 80), placing))
    assert abs(centre).max() < 0.1
    # by hand: y points down, so leaning to the right and turning to the left are these
    lean = np.array([[placing.stretch, -placing.slant], [0, 1]])
    cos, sin = math.cos(placing.turn), math.sin(placing.turn)
    linear = np.array([[cos, sin], [-sin, cos]]) @ lean
    corners = linear @ np.array([[0, 40, 0, 40], [0, 0, 80, 80]])
    scale = placing.box / np.ptp(corners, axis=1).max()
    expected = scale**2 * linear @ np.diag([40**2 / 12, 80**2 / 12]) @ linear.T
    assert abs(covariance - expected).max() < 0.04 * expected.max()


def test_leaning_is_to_the_right_and_turning_to_the_left() -> None:
    for placing, sign in ((Placing(slant=0.4), 1), (Placing(turn=0.4), -1)):
        _, covariance = moments(placed(bar(10, 80), placing))
        # y points down: a top to the right is a negative covariance of x and y
        assert np.sign(-covariance[0, 1]) == sign


def test_a_drawing_needs_ink() -> None:
    with pytest.raises(ValueError, match="a drawing needs ink, found none"):
        placed(Image.new("L", (20, 20)), Placing())


@pytest.mark.parametrize("split", ["train", "test"])
def test_drawing_again_gives_what_is_shipped(split: Split) -> None:
    for again, shipped in (
        (glyphs(split, 100), shipped_glyphs(split)),
        (shapes(split, 100), shipped_shapes(split)),
    ):
        assert_close(again.labels, shipped.labels[:100])
        # other versions of FreeType may round otherwise
        assert_close(again.images.int(), shipped.images[:100].int(), rtol=0, atol=8)


def test_no_face_is_in_both_parts() -> None:
    assert not set(FACES["train"]) & set(FACES["test"])
    assert (len(FACES["train"]), len(FACES["test"])) == (17, 5)


def test_outlines_stay_in_their_square() -> None:
    assert tuple(OUTLINES) == SHIPPED["shapes"].classes
    for outline in OUTLINES.values():
        for line in outline():
            assert len(line) > 1
            for z in line:
                assert max(abs(z.real), abs(z.imag)) < 1.01


def test_emoji_are_drawn_once_by_group(tmp_path: Path) -> None:
    words, *_, mono, _, _ = packages(tmp_path)
    train, test = emoji(tmp_path / words.file, tmp_path / mono.file, source=mono)
    assert train.classes == tuple(GROUPS)
    counts = train.labels.bincount(minlength=5) + test.labels.bincount(minlength=5)
    # three animals, two foods, three of travel, no activity and one object are in those packages
    assert counts.tolist() == [3, 2, 3, 0, 1]
    one, _ = emoji(tmp_path / words.file, tmp_path / mono.file, each=1, source=mono)
    assert one.labels.bincount(minlength=5).tolist() == [1, 1, 1, 0, 1]


def test_every_sheet_is_built(
    tmp_path: Path, pack: Pack, generator: torch.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, *_, mono, _, _ = packages(tmp_path)
    _, content = fractions(generator)
    tarballs = {"digits": pack(content), "names": tmp_path / words.file}
    tarballs["fluent-contrast"] = tmp_path / mono.file
    monkeypatch.setattr(
        sheets,
        "fetch",
        lambda folder, sources: {source.name: tarballs[source.name] for source in sources},
    )
    monkeypatch.setattr(sheets, "COUNTS", {"glyphs": (20, 10), "shapes": (20, 10)})
    built = sheets.build(tmp_path / "out", tmp_path)
    assert [path.name for path in built] == [f"{name}.png" for name in SHIPPED]
    for path in built:
        with Image.open(path) as image:
            assert image.size[0] == 2800
            assert {"train", "test"} <= set(image.info)


def test_packages_are_fetched_into_an_absolute_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # npm runs in another folder, where a relative one would lead elsewhere
    asked: list[Path] = []

    def build(out: Path, packages: Path) -> tuple[Path, ...]:
        asked.append(packages)
        return (out,)

    monkeypatch.setattr(sprites, "build", build)
    monkeypatch.setattr(sheets, "build", build)
    monkeypatch.chdir(tmp_path)
    for command in ("emoji", "characters"):
        assert main([command, "--out", "made"]) == 0
    assert asked == [tmp_path / "made" / "packages"] * 2

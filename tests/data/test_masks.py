"""What of a picture is marked, in every way that people mark it."""

import hashlib
import io
import json
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from fundiff.data.masks import load_inpainting, load_mask, mask, mask_names
from fundiff.data.pictures import PictureError, load_picture, picture_names
from fundiff.errors import FundiffWarning

PICTURES = Path(str(files("fundiff") / "pictures"))
RECORDS = json.loads((PICTURES / "pictures.json").read_text(encoding="utf-8"))
MIDDLE = (96, 96, 159, 159)
CLEAR = (0, 0, 0, 0)

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def keep(image: Image.Image, name: str = "m.png") -> Path:
        image.save(tmp_path / name)
        return tmp_path / name

    return keep


def box(
    mode: str,
    ground: object,
    fill: object,
    *,
    size: tuple[int, int] = (256, 256),
    at: tuple[int, int, int, int] = MIDDLE,
) -> Image.Image:
    image = Image.new(mode, size, ground)  # type: ignore[arg-type]
    ImageDraw.Draw(image).rectangle(at, fill=fill)  # type: ignore[arg-type]
    return image


def erased(at: tuple[int, int, int, int]) -> Image.Image:
    """A photograph with a part erased."""
    photo = Image.open(PICTURES / "cat.png").convert("RGBA")
    ImageDraw.Draw(photo).rectangle(at, fill=CLEAR)
    return photo


def wide(low: int, high: int) -> Image.Image:
    values = np.full((256, 256), low, np.uint16)
    values[96:160, 96:160] = high
    return Image.fromarray(values)


def labels(value: int) -> Image.Image:
    image = box("P", 0, value)
    image.putpalette([0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759)
    return image


MARKED = {
    "white on black": box("L", 0, 255),
    "white strokes on a transparent layer": box("RGBA", CLEAR, "white"),
    "red strokes on a transparent layer": box("RGBA", CLEAR, "red"),
    "strokes that let half through": box("RGBA", CLEAR, (255, 255, 255, 100)),
    "grey strokes on a transparent layer": box("LA", (0, 0), (90, 255)),
    "a flat picture with a part erased": box("RGBA", (90, 200, 60, 255), CLEAR),
    "a photograph with a part erased": erased(MIDDLE),
    "red on black": box("RGB", "black", "red"),
    "blue on black": box("RGB", "black", "blue"),
    "a map of 0 and 1": box("L", 0, 1),
    "one bit a pixel": box("1", 0, 1),
    "grey on darker grey": box("L", 40, 90),
    "16 bits, 0 and 1": wide(0, 1),
    "16 bits, black and white": wide(0, 65535),
    "labels with a palette": labels(1),
    "whole numbers of 32 bits": box("I", 0, 1),
    "opaque, with a layer of transparency": box("RGBA", "black", "white"),
}


@pytest.mark.parametrize("name", MARKED)
def test_what_is_marked_is_repainted(name: str, save: Save) -> None:
    file = "m.tiff" if MARKED[name].mode == "I" else "m.png"
    m = load_mask(save(MARKED[name], file))
    assert m[..., 24:40, 24:40].all()
    assert m.mean() == 1 / 16


@pytest.mark.parametrize("colour", ["white", "red", "blue"])
def test_marks_in_a_jpeg_are_told_from_its_noise(colour: str, save: Save) -> None:
    m = load_mask(save(box("RGB", "black", colour), "m.jpg"))
    assert m[..., 24:40, 24:40].all()
    assert m.mean() < 0.08


def test_a_larger_part_is_marked_where_that_is_plain(save: Save) -> None:
    most = (20, 20, 235, 235)
    for image in (box("RGBA", CLEAR, "white", at=most), erased(most), box("L", 0, 255, at=most)):
        assert load_mask(save(image)).mean() > 0.7
    assert load_mask(save(box("L", 255, 255))).all()


@pytest.mark.parametrize("width", [1, 6])
def test_a_thin_line_is_not_lost(width: int, save: Save) -> None:
    line = box("L", 0, 255, size=(1024, 1024), at=(100, 500, 900, 499 + width))
    m = load_mask(save(line))
    assert m[..., 31, 7:56].all()
    assert m.sum() <= 2 * 51


@pytest.mark.parametrize("size", [1, 7, 64, 300])
def test_a_mask_of_soft_edges_is_exactly_binary(size: int, save: Save) -> None:
    m = load_mask(save(box("L", 0, 255).filter(ImageFilter.GaussianBlur(20))), size=size)
    assert m.shape == (1, 1, size, size)
    assert m.dtype == torch.float32
    assert ((m == 0) | (m == 1)).all()


@pytest.mark.parametrize(
    "image",
    [
        box("L", 0, 0),
        box("RGB", "red", "red"),
        box("RGBA", CLEAR, CLEAR),
        box("L", 0, 255, size=(512, 256), at=(0, 96, 100, 160)),
        Image.fromarray(np.random.default_rng(0).integers(0, 4, (64, 64), np.uint8)),
        box("RGBA", (255, 255, 255, 0), (9, 9, 9, 0)),
        wide(300, 300),
        Image.fromarray(np.random.default_rng(0).integers(0, 60, (64, 64), np.uint16)),
    ],
    ids=["black", "red", "clear", "beside", "noise", "clear white", "16 bits", "noise of 16 bits"],
)
def test_a_mask_that_marks_nothing_is_refused(image: Image.Image, save: Save) -> None:
    with pytest.raises(PictureError, match=r"m\.png: expected a mask, white where to repaint"):
        load_mask(save(image))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_mask_of_no_numbers_is_refused(value: float, save: Save) -> None:
    values = np.zeros((8, 8), np.float32)
    values[0] = value
    with pytest.raises(PictureError, match="values that aren't finite"):
        load_mask(save(Image.fromarray(values), "m.tiff"))


def test_a_mask_is_cropped_like_its_picture(save: Save) -> None:
    image = Image.new("L", (24, 8))
    image.paste(255, (8, 0, 12, 8))
    m = load_mask(save(image), size=8)
    assert (m[..., :4] == 1).all()
    assert (m[..., 4:] == 0).all()


@pytest.mark.parametrize("at", [(0, 96, 100, 160), (300, 0, 511, 255), (200, 0, 280, 10)])
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("scale", [1, 2])
def test_picture_and_mask_show_the_same_square_with_the_marks(
    at: tuple[int, int, int, int], upright: bool, scale: int, save: Save
) -> None:
    marked = box("RGB", "black", "white", size=(512, 256), at=at)
    other = marked.resize((512 * scale, 256 * scale), Image.Resampling.NEAREST)
    if upright:
        marked, other = (image.transpose(Image.Transpose.TRANSPOSE) for image in (marked, other))
    x, m = load_inpainting(save(other, "p.png"), save(marked), size=64)
    assert m.sum() * 16 >= np.asarray(marked.convert("L")).astype(bool).sum()
    inside = x.mean(dim=1, keepdim=True) > 0
    assert (inside == m.bool()).float().mean() > 0.95


def test_the_square_in_the_middle_is_taken_where_it_has_the_marks(save: Save) -> None:
    photo = save(Image.open(PICTURES / "cat.png").resize((512, 256)), "p.png")
    x, m = load_inpainting(photo, save(box("L", 0, 255, size=(512, 256), at=(200, 9, 300, 20))))
    assert x.equal(load_picture(photo))
    assert m.equal(load_mask(photo.with_name("m.png")))


def test_marks_that_no_square_has_are_refused_or_told_of(save: Save) -> None:
    marked = save(box("L", 0, 255, size=(512, 256), at=(40, 100, 511, 150)))
    with pytest.raises(PictureError, match=r"spread over 472 pixels, in a picture of 512 by 256"):
        load_inpainting(marked, marked)
    with pytest.warns(FundiffWarning, match="46% of the marks lie outside of the square"):
        assert load_mask(marked)[..., 25:37, :].all()


def strokes(*, textured: bool) -> Image.Image:
    layer = Image.new("RGBA", (512, 512), CLEAR)
    pen = ImageDraw.Draw(layer)
    for i, colour in enumerate(((220, 30, 30), (30, 160, 60), (40, 60, 220))):
        pen.line((100, 150 + 90 * i, 400, 190 + 90 * i), (*colour, 255), 24)
    if textured:
        values = np.array(layer)
        values[..., :3] += np.random.default_rng(0).integers(0, 30, (512, 512, 1), np.uint8)
        layer = Image.fromarray(values)
    return layer.resize((256, 256), Image.Resampling.LANCZOS)


@pytest.mark.parametrize("name", ["m.png", "50.webp", "80.webp"])
@pytest.mark.parametrize("textured", [False, True])
def test_strokes_are_told_from_a_photograph(name: str, textured: bool, tmp_path: Path) -> None:
    layer, path = strokes(textured=textured), tmp_path / name
    layer.save(path, quality=int(path.stem) if path.suffix == ".webp" else -1)
    assert 0.08 < load_mask(path).mean() < 0.15


@pytest.mark.parametrize("most", [1.0, 255.0, 65535.0])
def test_floats_of_any_scale_are_marks(most: float, save: Save) -> None:
    soft = np.asarray(box("L", 0, 255).filter(ImageFilter.GaussianBlur(3))).astype(np.float32)
    m = load_mask(save(Image.fromarray(soft * (most / 255)), "m.tiff"))
    assert m[..., 24:40, 24:40].mean() > 0.95
    assert m.mean() < 0.09


@pytest.mark.parametrize("name", picture_names())
def test_a_picture_is_no_mask(name: str) -> None:
    with pytest.raises(PictureError, match="found: all shades, as of a photograph, where"):
        load_mask(PICTURES / f"{name}.png")


def test_a_mask_of_another_shape_is_refused(save: Save) -> None:
    photo = save(Image.open(PICTURES / "cat.png"), "p.png")
    with pytest.raises(PictureError, match=r"proportions of .*256 by 256; found: 300 by 256"):
        load_inpainting(photo, save(box("L", 0, 255, size=(300, 256))))


@pytest.mark.parametrize("name", mask_names())
def test_a_shipped_mask(name: str) -> None:
    content = (PICTURES / f"{name}-mask.png").read_bytes()
    assert hashlib.sha256(content).hexdigest() == RECORDS[name]["mask"]["sha256"]
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (256, 256))
        assert set(np.unique(np.asarray(image)).tolist()) == {0, 255}
    m = mask(name)
    assert m.shape == (1, 1, 64, 64)
    assert ((m == 0) | (m == 1)).all()
    assert 0.05 < m.mean() < 0.5
    assert torch.equal(m, load_mask(PICTURES / f"{name}-mask.png"))


def test_masks_have_the_names_of_their_files() -> None:
    found = {path.stem.removesuffix("-mask") for path in PICTURES.glob("*-mask.png")}
    assert {*mask_names()} == found < {*picture_names()}


@pytest.mark.parametrize("name", ["nobody", "", "../data", "rocket", "pictures.json"])
def test_an_unknown_name_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=f"no {name}-mask.png; the names are {mask_names()[0]}"):
        mask(name)

import hashlib
import io
import json
import random
import struct
import threading
import zlib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile, ImageOps, PngImagePlugin

from fundiff.data import pictures as data
from fundiff.data.masks import load_mask
from fundiff.data.pictures import (
    Credit,
    PictureError,
    credits,  # noqa: A004
    load_picture,
    picture,
    picture_names,
    save_picture,
    to_uint8,
)

PICTURES = Path(str(files("fundiff") / "pictures"))
PAGE = Path(__file__).parents[2] / "book" / "reference" / "pictures.md"
FORMATS = ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"]
RED, GREEN, BLUE, YELLOW = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def keep(image: Image.Image, name: str = "it.png", **options: Any) -> Path:  # noqa: ANN401
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return keep


@pytest.fixture
def keep(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        (tmp_path / "it").write_bytes(content)
        return tmp_path / "it"

    return write


def encoded(image: Image.Image, file_format: str, **options: Any) -> bytes:  # noqa: ANN401
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def plain(
    colour: float | str | tuple[int, ...], mode: str = "RGB", size: tuple[int, int] = (8, 8)
) -> Image.Image:
    return Image.new(mode, size, colour)


def corners(size: int = 8) -> Image.Image:
    """Four quarters: red, green over blue, yellow."""
    image = Image.new("RGB", (size, size))
    half = size // 2
    for colour, at in (
        (RED, (0, 0)),
        (GREEN, (half, 0)),
        (BLUE, (0, half)),
        (YELLOW, (half, half)),
    ):
        image.paste(colour, (*at, at[0] + half, at[1] + half))
    return image


def photograph(size: int = 32) -> Image.Image:
    return Image.open(PICTURES / "cat.png").resize((size, size))


def expect(x: torch.Tensor, *rgb: float, tolerance: float = 0.0) -> None:
    """Every pixel has the colour, given in 0 to 255."""
    want = (torch.tensor(rgb) / 127.5 - 1).view(1, 3, 1, 1).expand_as(x)
    torch.testing.assert_close(x, want, rtol=0, atol=tolerance / 127.5 + 1e-6)


def quarters(x: torch.Tensor) -> list[tuple[int, ...]]:
    """The colours in the middle of the quarters, row by row."""
    pixels, n = to_uint8(x)[0], x.shape[-1]
    return [
        tuple(pixels[i, j].tolist()) for i in (n // 4, 3 * n // 4) for j in (n // 4, 3 * n // 4)
    ]


# what is read


@pytest.mark.parametrize("file_format", FORMATS)
def test_every_format_gives_the_colour(file_format: str, keep: Callable[[bytes], Path]) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    x = load_picture(keep(encoded(plain((51, 102, 204)), file_format, **options)), size=4)
    assert x.shape == (1, 3, 4, 4)
    assert x.dtype == torch.float32
    expect(x, 51, 102, 204, tolerance=2 if file_format == "JPEG" else 0)


def test_black_and_white_are_the_ends_of_the_range(save: Save) -> None:
    assert (load_picture(save(plain("black"))) == -1).all()
    assert (load_picture(save(plain("white"))) == 1).all()


def test_the_default_side_is_64(save: Save) -> None:
    assert load_picture(save(plain("red"))).shape == (1, 3, 64, 64)


def test_a_picture_of_the_size_asked_for_is_not_resampled(save: Save) -> None:
    image = photograph(16)
    want = np.asarray(image)[None]
    assert (to_uint8(load_picture(save(image), size=16)).numpy() == want).all()


def test_the_name_does_not_decide(save: Save) -> None:
    expect(load_picture(save(plain(RED), "it.jpg", format="PNG")), 255, 0, 0)
    expect(load_picture(save(plain(RED), "it.txt", format="BMP")), 255, 0, 0)


def test_the_middle_square_is_kept(save: Save) -> None:
    wide = Image.new("RGB", (24, 8), RED)
    wide.paste(GREEN, (8, 0, 16, 8))
    expect(load_picture(save(wide), size=8), 0, 255, 0)
    expect(load_picture(save(wide.rotate(90, expand=True)), size=8), 0, 255, 0)


def test_a_fine_chequerboard_becomes_grey(save: Save) -> None:
    board = np.indices((256, 256)).sum(0) % 2 * 255
    x = load_picture(save(Image.fromarray(board.astype(np.uint8))), size=16)
    assert x.abs().max() < 0.05


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (1, 500), (500, 1), (2, 3)])
def test_thin_and_tiny_pictures(size: tuple[int, int], save: Save) -> None:
    expect(load_picture(save(plain((10, 20, 30), size=size)), size=5), 10, 20, 30)


@given(
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    size=st.integers(1, 40),
    colour=st.tuples(*[st.integers(0, 255)] * 3),
)
@settings(
    max_examples=60,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_size_of_one_colour_keeps_it(
    tmp_path: Path, width: int, height: int, size: int, colour: tuple[int, int, int]
) -> None:
    plain(colour, size=(width, height)).save(tmp_path / "it.png")
    x = load_picture(tmp_path / "it.png", size=size)
    assert x.shape == (1, 3, size, size)
    expect(x, *colour)


# kinds of pixels


@pytest.mark.parametrize("value", [0, 1, 200])
def test_grey(value: int, save: Save) -> None:
    expect(load_picture(save(plain(value, "L"))), value, value, value)


@pytest.mark.parametrize("value", [0, 255])
def test_one_bit(value: int, save: Save) -> None:
    expect(load_picture(save(plain(value, "1"))), value, value, value)


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
@pytest.mark.parametrize("value", [0, 257, 32896, 51400, 65535])
def test_sixteen_bits_are_scaled(
    value: int, file_format: str, keep: Callable[[bytes], Path]
) -> None:
    image = Image.fromarray(np.full((6, 6), value, np.uint16))
    assert image.mode == "I;16"
    x = load_picture(keep(encoded(image, file_format)))
    expect(x, *[value / 257] * 3)


def test_sixteen_bits_with_a_transparent_grey(keep: Callable[[bytes], Path]) -> None:
    values = np.full((8, 8), 1000, np.uint16)
    values[:, 4:] = 30000
    whole = encoded(Image.fromarray(values), "PNG")
    header = whole.index(b"IDAT") - 4
    chunk = b"tRNS" + struct.pack(">H", 1000)
    chunk = struct.pack(">I", 2) + chunk + struct.pack(">I", zlib.crc32(chunk))
    x = load_picture(keep(whole[:header] + chunk + whole[header:]), size=8)
    expect(x[..., :4], 255, 255, 255)
    expect(x[..., 4:], *[round(30000 / 257)] * 3)


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_without_a_range_are_refused(mode: str, save: Save) -> None:
    with pytest.raises(PictureError, match="32 bits a channel"):
        load_picture(save(plain(7, mode), "it.tiff"))


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_cmyk(file_format: str, keep: Callable[[bytes], Path]) -> None:
    x = load_picture(keep(encoded(plain((0, 255, 255, 0), "CMYK"), file_format)))
    expect(x, 255, 0, 0, tolerance=3)
    x = load_picture(keep(encoded(plain((0, 0, 0, 0), "CMYK"), file_format)))
    expect(x, 255, 255, 255, tolerance=3)


def test_palette(save: Save) -> None:
    assert quarters(load_picture(save(corners().quantize(4)), size=8)) == [RED, GREEN, BLUE, YELLOW]


# transparency


@pytest.mark.parametrize("alpha", [0, 1, 51, 128, 254, 255])
def test_half_transparent_lies_over_white(alpha: int, save: Save) -> None:
    colour = (200, 100, 0)
    want = [c * alpha / 255 + 255 - alpha for c in colour]
    expect(load_picture(save(plain((*colour, alpha), "RGBA"))), *want, tolerance=1)


def test_invisible_pixels_do_not_bleed(save: Save) -> None:
    image = plain((0, 0, 0, 0), "RGBA", (64, 64))
    image.paste((255, 255, 255, 255), (32, 0, 64, 64))
    assert (load_picture(save(image), size=5) == 1).all()


def test_grey_with_alpha(save: Save) -> None:
    expect(load_picture(save(plain((0, 51), "LA"))), *[204] * 3, tolerance=1)
    expect(load_picture(save(plain((90, 255), "LA"))), *[90] * 3)


@pytest.mark.parametrize("file_format", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(file_format: str, keep: Callable[[bytes], Path]) -> None:
    image = plain(0, "P")
    image.putpalette([*RED, *GREEN])
    image.paste(1, (4, 0, 8, 8))
    x = load_picture(keep(encoded(image, file_format, transparency=0)), size=8)
    expect(x[..., :4], 255, 255, 255)
    expect(x[..., 4:], *GREEN)


def test_palette_with_an_alpha_for_each_colour(save: Save) -> None:
    image = plain(0, "P")
    image.putpalette([*RED, *GREEN])
    image.paste(1, (4, 0, 8, 8))
    x = load_picture(save(image, transparency=bytes([128, 255])), size=8)
    expect(x[..., :4], 255, 127, 127, tolerance=1)
    expect(x[..., 4:], *GREEN)


def test_one_transparent_colour_without_a_palette(save: Save) -> None:
    image = plain(RED)
    image.paste(BLUE, (4, 0, 8, 8))
    x = load_picture(save(image, transparency=RED), size=8)
    expect(x[..., :4], 255, 255, 255)
    expect(x[..., 4:], *BLUE)


# frames and orientation


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_gives_its_first_frame(
    file_format: str, keep: Callable[[bytes], Path]
) -> None:
    options = {"lossless": True} if file_format == "WEBP" else {}
    frames = [plain(GREEN), plain(BLUE)]
    content = encoded(plain(RED), file_format, save_all=True, append_images=frames, **options)
    with Image.open(io.BytesIO(content)) as image:
        assert getattr(image, "n_frames", 1) == 3
    expect(load_picture(keep(content)), *RED)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, file_format: str, keep: Callable[[bytes], Path]) -> None:
    upright = {
        1: [RED, GREEN, BLUE, YELLOW],
        2: [GREEN, RED, YELLOW, BLUE],
        3: [YELLOW, BLUE, GREEN, RED],
        4: [BLUE, YELLOW, RED, GREEN],
        5: [RED, BLUE, GREEN, YELLOW],
        6: [BLUE, RED, YELLOW, GREEN],
        7: [YELLOW, GREEN, BLUE, RED],
        8: [GREEN, YELLOW, RED, BLUE],
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    options |= {"quality": 100, "subsampling": 0} if file_format == "JPEG" else {}
    path = keep(encoded(corners(32), file_format, exif=exif, **options))
    got = torch.tensor(quarters(load_picture(path, size=32)))
    assert (got - torch.tensor(upright[orientation])).abs().max() <= 4
    with Image.open(path) as image:
        theirs = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert (to_uint8(load_picture(path, size=32))[0].numpy() == theirs).all()


def test_orientation_of_sixteen_bits(save: Save) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    values = np.zeros((8, 8), np.uint16)
    values[:4] = 65535
    x = load_picture(save(Image.fromarray(values), exif=exif), size=8)
    assert (x[..., 4:] == 1).all()
    assert (x[..., :4] == -1).all()


# what is refused


def refused(path: Path, match: str) -> None:
    with pytest.raises(PictureError, match=match) as caught:
        load_picture(path)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value)
    assert "found" in str(caught.value)
    assert caught.value.__cause__ is not None
    with pytest.raises(PictureError, match=match):
        load_mask(path)


def test_a_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere.png", "No such file")


def test_a_folder(tmp_path: Path) -> None:
    refused(tmp_path, "a folder or a device")


def test_an_impossible_name() -> None:
    with pytest.raises(PictureError):
        load_picture("it\0.png")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0",
        b"hello, this is no picture",
        b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>',
        b"%PDF-1.4",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a",
        b"\xff\xd8\xff",
        bytes(1000),
    ],
)
def test_other_content(content: bytes, keep: Callable[[bytes], Path]) -> None:
    refused(keep(content), "no such format")


@pytest.mark.parametrize("file_format", ["PPM", "ICO", "TGA", "PCX", "EPS", "PDF", "ICNS"])
def test_other_formats(file_format: str, keep: Callable[[bytes], Path]) -> None:
    refused(keep(encoded(photograph(), file_format)), "no such format")


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_truncated(share: float, file_format: str, keep: Callable[[bytes], Path]) -> None:
    whole = encoded(photograph(), file_format)
    refused(keep(whole[: int(share * len(whole))]), "found")


def test_a_damaged_file_is_a_picture_or_refused(keep: Callable[[bytes], Path]) -> None:
    draw = random.Random(0)  # noqa: S311
    seeds = [
        encoded(photograph(16).convert(mode), file_format)
        for file_format in FORMATS
        for mode in ("RGB", "L")
    ]
    refusals = 0
    for _ in range(400):
        content = bytearray(draw.choice(seeds))
        for _ in range(draw.randint(1, 5)):
            content[int(len(content) * draw.random() ** 2)] = draw.choice(
                (0, 255, draw.randrange(256))
            )
        path = keep(bytes(content))
        try:
            assert load_picture(path, size=4).isfinite().all()
        except PictureError:
            refusals += 1
    assert refusals > 50


def test_too_many_bytes(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(photograph())
    monkeypatch.setattr(data, "MAX_BYTES", path.stat().st_size)
    load_picture(path)
    monkeypatch.setattr(data, "MAX_BYTES", path.stat().st_size - 1)
    refused(path, "more bytes")


def test_too_many_pixels(save: Save, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(plain(RED, size=(30, 20)))
    monkeypatch.setattr(data, "MAX_PIXELS", 600)
    load_picture(path)
    monkeypatch.setattr(data, "MAX_PIXELS", 599)
    refused(path, "30 by 20 pixels")


def png_claiming(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [header, b"IDAT" + zlib.compress(bytes(100)), b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])
def test_a_bomb_is_refused_before_it_is_decoded(side: int, keep: Callable[[bytes], Path]) -> None:
    refused(keep(png_claiming(side, side)), "pixels")


def test_a_long_text_is_refused(save: Save) -> None:
    def with_text(length: int, *, packed: bool) -> Path:
        info = PngImagePlugin.PngInfo()
        info.add_text("comment", "a" * length, zip=packed)
        return save(plain(RED), pnginfo=info)

    expect(load_picture(with_text(1000, packed=False)), *RED)
    expect(load_picture(with_text(1000, packed=True)), *RED)
    refused(with_text(2 * 2**20, packed=False), "a comment of 2,097,152 characters")
    refused(with_text(2 * 2**20, packed=True), "(?i)too large")


def test_pillow_is_left_as_it_was(save: Save) -> None:
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    load_picture(save(plain(RED)))
    with pytest.raises(PictureError):
        load_picture(PICTURES)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_below_one(size: int, save: Save) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        load_picture(save(plain(RED)), size=size)


# bytes and files


def test_bytes_are_rounded_and_clamped() -> None:
    x = torch.tensor([-9.0, -1.0, -1 + 1.4 / 127.5, -1 + 1.6 / 127.5, 0.999, 1.0, 9.0])
    got = to_uint8(x.view(1, 1, 1, -1))
    assert got.shape == (1, 1, 7, 1)
    assert got.dtype == torch.uint8
    assert got.flatten().tolist() == [0, 0, 1, 2, 255, 255, 255]


def test_bytes_of_another_range() -> None:
    x = torch.tensor([[[[0.0, 0.2, 1.0]]]])
    assert to_uint8(x, low=0.0, high=1.0).flatten().tolist() == [0, 51, 255]


def test_bytes_keep_batch_and_channels() -> None:
    x = torch.rand(2, 3, 4, 5) * 2 - 1
    pixels = to_uint8(x)
    assert pixels.shape == (2, 4, 5, 3)
    torch.testing.assert_close(
        pixels.permute(0, 3, 1, 2).float(), (x + 1) * 127.5, rtol=0, atol=0.5001
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value: float, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="finite"):
        save_picture(torch.full((1, 3, 2, 2), value), tmp_path / "it.png")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("file_format", ["TIFF", "PNG"])
def test_few_bits_in_sixteen_are_refused(
    bits: int, file_format: str, keep: Callable[[bytes], Path]
) -> None:
    values = np.linspace(0, 2**bits - 1, 64).astype(np.uint16).reshape(8, 8)
    content = encoded(Image.fromarray(values), file_format)
    with pytest.raises(PictureError, match=rf"no value above {2**bits - 1:,}, as of a camera"):
        load_picture(keep(content))
    full = encoded(Image.fromarray(values * 2 ** (16 - bits)), file_format)
    assert load_picture(keep(full), size=8).max() > 0.9


def test_an_empty_range_is_refused() -> None:
    with pytest.raises(ValueError, match="low"):
        to_uint8(torch.zeros(1, 3, 2, 2), low=1.0, high=1.0)


def test_all_bytes_survive_a_file(tmp_path: Path) -> None:
    pixels = torch.arange(256).view(1, 1, 16, 16).expand(1, 3, 16, 16)
    x = pixels / 127.5 - 1
    save_picture(x, tmp_path / "it.png")
    assert torch.equal(load_picture(tmp_path / "it.png", size=16), x)
    assert [path.name for path in tmp_path.iterdir()] == ["it.png"]


def test_a_file_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(torch.zeros(1, 3, 4, 4), tmp_path / "it.png")
    before = (tmp_path / "it.png").read_bytes()

    def fail(descriptor: int) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(OSError, match="no space left"):
            save_picture(torch.ones(1, 3, 4, 4), tmp_path / "it.png")
    assert (tmp_path / "it.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["it.png"]
    save_picture(torch.ones(1, 3, 4, 4), tmp_path / "it.png")
    expect(load_picture(tmp_path / "it.png"), 255, 255, 255)


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    path, done, seen = tmp_path / "it.png", threading.Event(), []
    save_picture(torch.zeros(1, 3, 64, 64), path)

    def read() -> None:
        while not done.is_set():
            seen.append(load_picture(path, size=4).unique().numel())

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(20):
        save_picture(torch.zeros(1, 3, 64, 64), path)
    done.set()
    reader.join()
    assert set(seen) <= {1}


# what comes with the library


RECORDS = json.loads((PICTURES / "pictures.json").read_text(encoding="utf-8"))


def test_names_are_the_files() -> None:
    pngs = {path.stem for path in PICTURES.glob("*.png")}
    assert set(picture_names()) == {name for name in pngs if not name.endswith("-mask")}
    assert list(picture_names()) == sorted(picture_names())
    assert {path.stem for path in PICTURES.glob("*.svg")} < set(picture_names())


def test_the_record_is_sorted_and_printed_evenly() -> None:
    text = (PICTURES / "pictures.json").read_text(encoding="utf-8")
    assert text == json.dumps(RECORDS, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", picture_names())
def test_a_shipped_picture(name: str) -> None:
    content = (PICTURES / f"{name}.png").read_bytes()
    assert hashlib.sha256(content).hexdigest() == RECORDS[name]["sha256"]
    assert len(content) < 200_000
    with Image.open(io.BytesIO(content)) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (256, 256))
        assert not image.info
        pixels = np.array(image)
    assert (to_uint8(picture(name, size=256))[0].numpy() == pixels).all()
    x = picture(name)
    assert x.shape == (1, 3, 64, 64)
    assert x.std() > 0.2
    assert torch.equal(x, load_picture(PICTURES / f"{name}.png"))


@pytest.mark.parametrize("name", sorted(path.stem for path in PICTURES.glob("*.svg")))
def test_a_drawing_gives_its_picture(name: str) -> None:
    resvg_py = pytest.importorskip("resvg_py")
    drawn = resvg_py.svg_to_bytes(svg_path=str(PICTURES / f"{name}.svg"), width=1024, height=1024)
    with Image.open(io.BytesIO(bytes(drawn))) as image:
        small = image.convert("RGB").resize((256, 256), Image.Resampling.LANCZOS)
    with Image.open(PICTURES / f"{name}.png") as image:
        difference = np.abs(np.asarray(small, float) - np.asarray(image, float))
    assert difference.mean() < 1


@pytest.mark.parametrize("name", ["nobody", "", "../data", "pictures.json", "nobody-mask"])
def test_an_unknown_name_is_told_the_known_ones(name: str) -> None:
    with pytest.raises(ValueError, match=", ".join(picture_names())):
        picture(name)


def test_no_name_is_spelled_in_the_module() -> None:
    source = Path(data.__file__).read_text(encoding="utf-8")
    for name in picture_names():
        assert f'"{name}' not in source


def test_every_picture_has_a_credit() -> None:
    assert [credit.name for credit in credits()] == list(picture_names())
    for credit in credits():
        assert isinstance(credit, Credit)
        for said in (credit.title, credit.author, credit.source, credit.changes):
            assert said.strip() == said != ""
        assert credit.licence in ("CC0-1.0", "LicenseRef-public-domain")


@pytest.mark.parametrize("credit", credits(), ids=lambda credit: credit.name)
def test_the_page_credits_every_picture(credit: Credit) -> None:
    (row,) = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| `{credit.name}` | {credit.title} |")
    ]
    assert f"| {credit.author} |" in row
    assert credit.licence in row

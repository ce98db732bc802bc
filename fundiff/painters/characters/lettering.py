"""The sheet of glyphs: the letters A to J in matplotlib's fonts, drawn with pens of any width.

The fonts are DejaVu, STIX and Computer Modern. A face is drawn to train on or held out, never both.
"""

import random
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fundiff.data.digits import SHIPPED
from fundiff.data.labelled import Labelled, Split
from fundiff.painters.characters.layout import Placing, placed
from fundiff.painters.characters.splitting import labelled

FACES: dict[Split, tuple[str, ...]] = {
    "train": (
        "DejaVuSans",
        "DejaVuSans-Bold",
        "DejaVuSans-Oblique",
        "DejaVuSans-BoldOblique",
        "DejaVuSansMono-Bold",
        "DejaVuSansMono-Oblique",
        "DejaVuSansMono-BoldOblique",
        "DejaVuSerif",
        "DejaVuSerif-Bold",
        "DejaVuSerif-BoldItalic",
        "STIXGeneral",
        "STIXGeneralBol",
        "STIXGeneralItalic",
        "cmb10",
        "cmmi10",
        "cmr10",
        "cmtt10",
    ),
    "test": ("DejaVuSansMono", "DejaVuSerif-Italic", "STIXGeneralBolIta", "cmss10", "cmti10"),
}
"""The files of the faces, without their ending, of each part."""

SEED = 0
"""The seed of all that is drawn."""

_SIZE, _CANVAS = 200, 400


def glyphs(split: Split, count: int) -> Labelled:
    """Draw letters: the classes take turns, all else is drawn at random.

    Each glyph has its face, a pen that makes its strokes wider, by about 2 pixels at the most, and
    a :class:`~fundiff.painters.characters.layout.Placing`.

    Args:
        split: Which faces.
        count: How many.
    """
    known, pictures = SHIPPED["glyphs"], []
    for i in range(count):
        rng = random.Random(f"glyphs {SEED} {split} {i}")  # noqa: S311
        faces = FACES[split]
        face = faces[int(rng.random() * len(faces))]
        letter = known.classes[i % len(known.classes)]
        drawing = _letter(letter, face, pen=int(rng.random() * 8))
        pictures.append(placed(drawing, Placing.draw(rng)))
    return labelled("glyphs", pictures, [i % len(known.classes) for i in range(count)])


def _letter(letter: str, face: str, *, pen: int) -> Image.Image:
    from matplotlib import get_data_path

    path = Path(get_data_path()) / "fonts" / "ttf" / f"{face}.ttf"
    font = ImageFont.truetype(str(path), _SIZE, layout_engine=ImageFont.Layout.BASIC)
    canvas = Image.new("L", (_CANVAS, _CANVAS))
    where = (_CANVAS / 2, _CANVAS / 2)
    ImageDraw.Draw(canvas).text(where, letter, fill=255, font=font, anchor="mm", stroke_width=pen)
    return canvas

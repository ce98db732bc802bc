import io
from pathlib import Path

import pytest
import torch
from IPython.display import HTML, Image, Markdown
from matplotlib.figure import Figure
from PIL import Image as Picture

from fundiff.plots.curves import curves
from fundiff.plots.figures import image_row
from fundiff.plots.players import animation
from fundiff.plots.showing import into_files


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_pictures_are_written_as_a_notebook_has_them(capsys: pytest.CaptureFixture[str]) -> None:
    figure = image_row(torch.zeros(2, 3, 8, 8))
    show = into_files("a")
    show(figure)
    show(Image(data=figure._repr_png_()))
    assert Path("a-figure-1.png").read_bytes() == figure._repr_png_()
    assert Path("a-figure-2.png").read_bytes() == figure._repr_png_()
    assert capsys.readouterr().out == "wrote a-figure-1.png\nwrote a-figure-2.png\n"


def test_lines_are_written_as_a_sharp_picture() -> None:
    show = into_files("a")
    show(curves(range(3), {"up": [0, 1, 2]}, x_label="x", y_label="y"))
    show(Figure(figsize=(2, 1)))
    for number, size in enumerate([(1280, 660), (400, 200)], start=1):
        with Picture.open(f"a-figure-{number}.png") as picture:
            assert picture.size == size


def test_what_plays_is_written_as_a_page() -> None:
    played = animation([torch.zeros(1, 3, 4, 4)] * 2, ["first", "last"], alt="A <thing>")
    show = into_files("a")
    show(played)
    show(HTML("<p>½</p>"))
    page = Path("a-figure-1.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>\n")
    assert played._repr_html_() in page
    assert "<p>½</p>" in Path("a-figure-2.html").read_text(encoding="utf-8")


def test_other_formats_keep_theirs() -> None:
    show, buffer = into_files("a"), io.BytesIO()
    Picture.new("RGB", (2, 2)).save(buffer, "JPEG")
    show(Image(data=buffer.getvalue()))
    assert Path("a-figure-1.jpg").read_bytes() == buffer.getvalue()


def test_everything_else_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    show = into_files("a")
    for value in (None, 3, "word", Markdown("| a |\n|---|"), torch.tensor([1, 2])):
        show(value)
    assert capsys.readouterr().out == "3\n'word'\n| a |\n|---|\ntensor([1, 2])\n"
    assert list(Path().iterdir()) == []

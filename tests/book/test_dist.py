"""What a wheel must hold, and the licences of what it holds."""

import json
import re
import zipfile
from pathlib import Path

import pytest

import dist
from dist import LICENCES, PROMISED, first_lines, lacking
from fundiff.painters.characters.numerals import SOURCE
from fundiff.painters.emoji.sources import SOURCES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "fundiff" / "LICENSES.md").read_text(encoding="utf-8")
INFO = "fundiff-1.dist-info"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one module more than what is promised."""
    for name in (*PROMISED, "fundiff/module.py", "fundiff/__pycache__/module.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def wheel(folder: Path, *without: str, extra: str = "fundiff/more.py") -> Path:
    path = folder / "fundiff-1-py3-none-any.whl"
    names = [*PROMISED, "fundiff/module.py", f"{INFO}/METADATA", extra]
    names += [f"{INFO}/licenses/{name}" for name in LICENCES]
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            if name not in without:
                file.writestr(name, name)
    return path


def test_a_whole_wheel_lacks_nothing(root: Path) -> None:
    assert list(lacking(wheel(root), root)) == []


@pytest.mark.parametrize(
    "name", ["fundiff/py.typed", "fundiff/module.py", f"{INFO}/licenses/fundiff/LICENSES.md"]
)
def test_what_a_wheel_lacks_is_named(root: Path, name: str) -> None:
    (said,) = lacking(wheel(root, name), root)
    assert said.endswith(f"lacks {name}")


def test_what_lies_beside_the_package_is_named(root: Path) -> None:
    (said,) = lacking(wheel(root, extra="tests/test_x.py"), root)
    assert said.endswith("has tests/test_x.py beside the package")


def test_a_large_wheel_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dist, "LARGEST", 1000)
    (said,) = lacking(wheel(root), root)
    assert "which should be below" in said


def test_the_readme_begins_with_lines_to_run() -> None:
    assert first_lines("a\n```python\nx = 1\n```\n```python\ny\n```") == "x = 1\n"
    with pytest.raises(ValueError, match="expected a block of Python"):
        first_lines("```bash\nls\n```")


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_every_set_of_emoji_is_attributed(source: object) -> None:
    author, licence, home = (getattr(source, name) for name in ("author", "licence", "home"))
    lines = [line for line in TEXT.splitlines() if f"<{home}>" in line]
    assert any(author in line and licence in line for line in lines)


def test_every_picture_and_sheet_is_attributed() -> None:
    known = json.loads((ROOT / "fundiff" / "pictures" / "pictures.json").read_text("utf-8"))
    for name, picture in known.items():
        (line,) = [line for line in TEXT.splitlines() if f"`{name}" in line]
        licence = picture["licence"].replace("LicenseRef-public-domain", "public domain")
        assert f"| {picture['author']} | {licence} |" in line
    for path in (ROOT / "fundiff" / "characters").glob("*.png"):
        assert f"`{path.name}`" in TEXT
    for word in re.split(r", | and ", SOURCE.author.replace("with digits of MNIST by ", "")):
        assert word in TEXT

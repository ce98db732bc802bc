"""Where figures come from: the slice of a chapter's code, its seeds, and the page of it all."""

import ast
import shutil
from pathlib import Path

import nbformat
import pytest

from layout import Book, BookError
from results import Result, results, weights_of
from slices import Script, abridged

ROOT = Path(__file__).parents[2]
MODULE = """
WEIGHTS = "digits"


def noise(seed=3, *, other=None):
    return manual_seed(seed)


def fixed():
    return manual_seed(11)


def walk(seed=None):
    return seed


def load():
    return open(WEIGHTS)
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "__init__.py").write_text("from tiny.draws import noise\n")
    (tmp_path / "tiny" / "__init__.pyi").write_text(
        "from .draws import noise as noise\nfrom .draws import walk as walk\n"
    )
    (tmp_path / "tiny" / "draws.py").write_text(MODULE)
    return tmp_path


def seeds(package: Path, *cells: str) -> list[str]:
    script = Script(cells, package, "tiny")
    return script.seeds(script.slice(len(cells) - 1))


def sliced(*cells: str) -> list[str]:
    """The lines that the last statement depends on."""
    script = Script(cells, Path(), "tiny")
    return [ast.unparse(statement) for statement in script.slice(len(cells) - 1)]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("a = 1", "b = 2", "a"), ["a = 1", "a"]),
        (("a = 1", "a = 2", "a"), ["a = 2", "a"]),
        (("a = 1", "a = a + 1", "a"), ["a = 1", "a = a + 1", "a"]),
        (("a = []", "a.append(1)", "b = []", "a"), ["a = []", "a.append(1)", "a"]),
        (("a = {}", "a['x'] = y", "a"), ["a = {}", "a['x'] = y", "a"]),
        (("import x as y", "import z", "y.f()"), ["import x as y", "y.f()"]),
        (("n = 1", "f = lambda a: a + n", "n = 2", "f(1)"),
         ["n = 1", "f = lambda a: a + n", "f(1)"]),
        (("a = 1", "[a for a in (2, 3)]"), ["[a for a in (2, 3)]"]),
        (("net = make()", "load_weights(net)", "net"),
         ["net = make()", "load_weights(net)", "net"]),
    ],
)  # fmt: skip
def test_a_slice_is_what_a_statement_depends_on(
    cells: tuple[str, ...], expected: list[str]
) -> None:
    assert sliced(*cells) == expected


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (("torch.Generator().manual_seed(7)",), ["7"]),
        (("g = manual_seed(7)", "h = manual_seed(8)", "h"), ["8"]),
        (("for s in (1, 5):\n    manual_seed(s)",), ["1", "5"]),
        (("[manual_seed(s) for s in range(4)]",), ["0–3"]),
        (("[manual_seed(s) for s in range(100, 140, 10)]",), ["100, 110, …, 130"]),
        (
            (
                "SEEDS = [4, 2]",
                "[manual_seed(s) for s in SEEDS]",
            ),
            ["2", "4"],
        ),
        (("def f(s):\n    return manual_seed(s)", "f(9)"), ["9"]),
        (("from tiny.draws import noise", "noise()"), ["3"]),
        (("from tiny.draws import noise", "noise(5)"), ["5"]),
        (("from tiny import draws, noise", "noise(seed=6)"), []),
        (("from tiny.draws import fixed", "fixed()"), ["11"]),
        (("manual_seed(len(x))",), ["len(x)"]),
        (("import tiny as t", "t.noise()"), ["3"]),
        (("import tiny as t", "t.noise(seed=6)"), ["6"]),
        (("import tiny as t", "t.walk(seed=7)", "t.walk()"), []),
        (("import tiny as t", "t.walk(seed=7)"), ["7"]),
        (("model.noise(4)",), ["0"]),
        (("model.noise(4, 5)",), ["5"]),
        (("i = 8", "model.noise(4, seed=i)"), ["8"]),
    ],
)
def test_seeds_are_read_from_the_code(
    package: Path, cells: tuple[str, ...], expected: list[str]
) -> None:
    assert seeds(package, *cells) == expected


def test_strings_are_followed_into_the_package(package: Path) -> None:
    script = Script(("from tiny.draws import load, fixed", "load()", "fixed()"), package, "tiny")
    assert "digits" in script.texts(script.slice(1))
    assert "digits" not in script.texts(script.slice(2))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], []),
        ([3, 1, 3], ["1", "3"]),
        ([0, 1, 2, 3], ["0–3"]),
        ([0, 1, 2], ["0", "1", "2"]),
        ([0, 1, 2, 3, 9, "x"], ["0–3", "9", "x"]),
        ([2, 4, 6, 8, 9], ["2, 4, …, 8", "9"]),
    ],
)
def test_many_seeds_are_abridged(values: list[int | str], expected: list[str]) -> None:
    assert abridged(values) == expected


@pytest.fixture(scope="module")
def found() -> list[Result]:
    """What is known of the real book's figures."""
    return results(Book(ROOT))


@pytest.mark.slow
def test_every_picture_of_the_book_is_listed(found: list[Result]) -> None:
    """Counted in the committed results, where the page counts in the chapters' sources."""
    book = Book(ROOT)
    for result in found:
        done = nbformat.read(book.export(result.docname), nbformat.NO_CONVERT)
        cells = [
            index
            for index, cell in enumerate(done.cells)
            for output in cell.outputs
            if any(kind.startswith("image/") for kind in output.get("data", {}))
            or '<div class="fd-' in output.get("data", {}).get("text/html", "")
        ]
        assert {picture.cell for picture in result.pictures} >= set(cells)
        assert result.made.keys() >= {"engine", "device", "versions", "date", "seconds"}
    first, *_ = found
    assert [picture.kind for picture in first.pictures] == ["Animation", "Turning pictures"]


@pytest.mark.slow
def test_seeds_and_weights_of_known_figures(found: list[Result]) -> None:
    """Read by eye in the chapters."""
    named = {picture.name: picture for result in found for picture in result.pictures}
    known = {
        "fig-forward": (("0",), ()),
        "fig-anagram-best": (("1",), ("image-text", "text-to-image")),
        "fig-letters": ((), ("glyph-class",)),
        "fig-unet": ((), ()),
    }
    assert {name: (named[name].seeds, named[name].weights) for name in known} == known
    used = {weights for picture in named.values() for weights in picture.weights}
    assert used <= set(weights_of(Book(ROOT)))
    assert {"text-to-image", "mnist-denoiser", "mnist-time", "mnist-class", "mnist-flow"} <= used


def test_a_chapter_without_its_result_is_refused(tmp_path: Path) -> None:
    shutil.copyfile(ROOT / "_config.yml", tmp_path / "_config.yml")
    (tmp_path / "_toc.yml").write_text("root: index\n")
    (tmp_path / "fundiff").mkdir()
    front = "---\nfile_format: mystnb\nkernelspec: {name: python3, display_name: Python 3}\n---\n"
    (tmp_path / "index.md").write_text(f"{front}\n# A\n\n```{{code-cell}}\n1\n```\n")
    with pytest.raises(BookError, match="index has no committed result of its code"):
        results(Book(tmp_path))

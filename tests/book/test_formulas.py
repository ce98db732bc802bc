"""One home a formula: a label in the book, one docstring that names it, and tests."""

import re
from pathlib import Path

import pytest
from conftest import Write

from book._ext.layout import Book, BookError
from book._ext.pages.formulas import formulas, homes, labels

ROOT = Path(__file__).parents[2]
SUMS = '''
def add(a, b):
    """Add, :eq:`eq-sum`."""
    return a + b


def subtract(a, b):
    """Subtract, :eq:`eq-minus`."""
    return add(a, -b)


class Scale:
    def times(self, a):
        """Scale, :eq:`eq-scale`."""
        return 2 * a
'''
TESTS = """
import math

from tiny import sums
from tiny.sums import Scale, add, subtract


def checked(a):
    return add(a, 1)


def test_other_things():
    assert checked(1) == 2


def test_nothing():
    assert sums.add(0, 0) == 0


def test_sum():
    assert add(math.pi, 0) == math.pi


def test_difference():
    assert subtract(2, 1) == 1


def test_scale():
    assert Scale().times(1) == 2
"""
PAGE = "# A book\n\n$$\na + b\n$$ (eq-sum)\n\n$$\na - b\n$$ (eq-minus)\n\n$$\n2a\n$$ (eq-scale)\n"


@pytest.fixture
def book(tmp_path: Path, write: Write) -> Book:
    write("_toc.yml", "root: index\n")
    write("index.md", PAGE)
    write("tiny/__init__.py", "")
    write("tiny/sums.py", SUMS)
    write("tests/test_sums.py", TESTS)
    return Book(tmp_path, "tiny")


def test_each_formula_of_the_book_has_one_function_and_tests() -> None:
    """The directive refuses anything else; here the count is taken in another way."""
    book = Book(ROOT)
    pages = "".join(book.source(docname).read_text("utf-8") for docname in book.docnames)
    counted = len(re.findall(r"\$\$ ?\(eq-|^:label: eq-", pages, re.M))
    found = formulas(book)
    assert len(found) == counted > 30
    for formula in found:
        for file, name in formula.tests:
            text = (ROOT / "tests" / file).read_text(encoding="utf-8")
            assert f"\ndef {name}(" in text


def test_no_page_outside_the_table_of_contents_sets_a_label() -> None:
    listed = {Book(ROOT).source(docname) for docname in Book(ROOT).docnames}
    others = {*(ROOT / "book").rglob("*.md")} - listed
    assert not [page for page in others if "(eq-" in page.read_text("utf-8")]


def test_functions_and_their_tests_are_found(book: Book) -> None:
    found = {formula.label.name: formula for formula in formulas(book)}
    assert {name: (f.home.name, f.label.formula) for name, f in found.items()} == {
        "eq-sum": ("add", "a + b"),
        "eq-minus": ("subtract", "a - b"),
        "eq-scale": ("Scale.times", "2a"),
    }
    names = {name: [test for _, test in f.tests] for name, f in found.items()}
    assert names == {
        "eq-sum": ["test_sum", "test_nothing"],
        "eq-minus": ["test_difference"],
        "eq-scale": ["test_scale"],
    }


def test_labels_and_homes_are_listed_in_order(book: Book) -> None:
    names = [label.name for label in labels(book)]
    assert names == ["eq-sum", "eq-minus", "eq-scale"]
    assert [(name, home.target) for name, home in homes(book)] == [
        ("eq-sum", "tiny.sums.add"), ("eq-minus", "tiny.sums.subtract"),
        ("eq-scale", "tiny.sums.Scale.times"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("page", "module", "tests", "message"),
    [
        (PAGE + "\n$$\nc\n$$ (eq-c)\n", SUMS, TESTS, "sets the label eq-c.*named by none"),
        (PAGE + "\n$$\nc\n$$ (eq-sum)\n", SUMS, TESTS, "eq-sum.*it is set 2 times"),
        (
            PAGE,
            SUMS.replace("Subtract", ":eq:`eq-sum`"),
            TESTS,
            "sums.add, tiny.sums.subtract",
        ),
        (PAGE, SUMS + '\n"""."""\ndef f():\n    """:eq:`eq-no`."""\n', TESTS, "sums.f names eq-no"),
        (PAGE, SUMS, TESTS.replace(".times(", ".other("), "Scale.times computes eq-scale and has"),
    ],
)
def test_what_does_not_fit_is_refused(
    book: Book, write: Write, page: str, module: str, tests: str, message: str
) -> None:
    write("index.md", page)
    write("tiny/sums.py", module)
    write("tests/test_sums.py", tests)
    with pytest.raises(BookError, match=message):
        formulas(book)

"""How code is shown: what is folded, and where docstrings are."""

import pytest

from book._ext.pages.listings import is_secondary, parted

PAGE = {
    "torch": "torch",
    "fd": "fundiff",
    "sample": "fundiff.sampling.sample",
    "image_grid": "fundiff.plots.figures.image_grid",
    "shipped": "fundiff.models.weights.shipped",
    "Markdown": "IPython.display.Markdown",
}


@pytest.mark.parametrize(
    ("code", "folded"),
    [
        ("import torch\n\nx = sample(y)", True),
        ("image_grid(rows)", True),
        ("rows = [x[i] for i in best]\nimage_grid(rows, row_titles=list(best))", True),
        ("fd.show(x)", True),
        ("fd.save(fd.picture('sea'), 'a.png')\nfd.show(x)", True),
        ("card = shipped('scores')\nMarkdown(str(card))", True),
        ("image_grid([sample(x)])", False),
        ("image_grid([fd.sample(x)])", False),
        ("x = fd.sample(y)", False),
        ("def f(x):\n    return x + 1", False),
        ("print(x)", False),
        ("x = shipped('scores')", False),
        ("%matplotlib inline", False),
    ],
)
def test_what_draws_and_nothing_else_is_folded(code: str, folded: bool) -> None:
    assert is_secondary(code, "fundiff", dict(PAGE)) is folded


def test_names_are_known_from_the_cells_before() -> None:
    origins: dict[str, str] = {}
    assert is_secondary("from fundiff.plots.curves import curves as c", "fundiff", origins)
    assert origins == {"c": "fundiff.plots.curves.curves"}
    assert is_secondary("c(x)", "fundiff", origins)
    assert not is_secondary("d(x)", "fundiff", origins)


FUNCTION = '''\
@cache
def add(a, b):
    """Add.

    Args:
        a: One.
    """

    text = """not a docstring"""
    return a + b'''
CLASS = '''\
class Sums:
    """Sums."""

    one = 1

    def add(self, a):
        """Add."""
        return a + self.one

    def nothing(self):
        """Do nothing."""'''


def test_a_definition_is_parted_from_its_docstring() -> None:
    code, said = parted(FUNCTION)
    assert said == "Add.\n\nArgs:\n    a: One."
    assert code == ('@cache\ndef add(a, b):\n    text = """not a docstring"""\n    return a + b')
    assert parted(code) == (code, "")


def test_a_class_is_parted_from_its_methods_docstrings() -> None:
    code, said = parted(CLASS)
    assert said == "Sums."
    assert code == (
        "class Sums:\n    one = 1\n\n    def add(self, a):\n        return a + self.one\n\n"
        '    def nothing(self):\n        """Do nothing."""'
    )

"""One home a formula: a label in the book, one docstring that names it, one test."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
LABEL = re.compile(r"^(?:\$\$ *\(|:label: |\\label\{)(eq-[\w-]+)", re.MULTILINE)
NAMED = re.compile(r":eq:`(eq-[\w-]+)`")


def labels() -> Counter[str]:
    """The equation labels that the book sets, with how often."""
    pages = (ROOT / "book").rglob("*.md")
    return Counter(name for page in pages for name in LABEL.findall(page.read_text("utf-8")))


def named() -> Counter[str]:
    """The equation labels that docstrings of the library name, with how many do."""
    found: Counter[str] = Counter()
    for path in (ROOT / "fundiff").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                found.update(set(NAMED.findall(ast.get_docstring(node) or "")))
    return found


def test_every_label_is_set_once_and_named_in_one_docstring() -> None:
    assert labels() == named()
    assert labels()
    assert set(labels().values()) == {1}


def test_every_named_function_has_a_test() -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests").glob("test_*.py"))
    for path in (ROOT / "fundiff").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and NAMED.search(
                ast.get_docstring(node, clean=False) or ""
            ):
                assert re.search(rf"\b{node.name}\(", tests), f"{node.name} has no test"

"""A module imports only from lower layers, and heavy packages where they have their place."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from book._ext.layout import Book
from book._ext.pages.library import LAYERS, Library, unit

LIBRARY = Library(Book(Path(__file__).parents[1]))
MODULES = LIBRARY.modules
HEAVY = {
    "accelerate": ("cli", "jobs", "models", "recipes", "training"),
    "diffusers": ("models",),
    "matplotlib": ("plots", "painters.characters.lettering"),
    "torchvision": ("filters", "data"),
    "transformers": ("models",),
}


def imports(code: ast.AST) -> Iterator[str]:
    """The dotted names that some code imports, relative ones refused."""
    for node in ast.walk(code):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def under(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def layer(name: str) -> int:
    """The layer of a module or of a name in it; the root package is above all."""
    return LIBRARY.layers.get(unit(name), len(LAYERS))


def imported(module: str) -> set[str]:
    """The modules of the library that a module imports, or imports names from."""
    names = set(imports(tree(module)))
    return {name if name in MODULES else name.rpartition(".")[0] for name in names} & {*MODULES}


def test_every_name_in_the_layers_is_there_once() -> None:
    names = [name for layer in LAYERS for name in layer]
    assert sorted(names) == sorted(LIBRARY.layers)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_lower_layers(module: str) -> None:
    for name in imports(tree(module)):
        assert not under(name, "book", "tests")
        if under(name, "fundiff") and unit(name) != unit(module):
            assert layer(name) < layer(module), f"{module} imports {name}, not in a lower layer"


def test_modules_import_one_another_without_a_circle() -> None:
    list(TopologicalSorter({module: imported(module) for module in MODULES}).static_order())


@pytest.mark.parametrize("module", MODULES)
def test_heavy_packages_have_their_places(module: str) -> None:
    for name in imports(tree(module)):
        for package, places in HEAVY.items():
            allowed = under(module, *(f"fundiff.{place}" for place in places))
            assert allowed or not under(name, package), f"{module} imports {name}"


@pytest.mark.parametrize("module", MODULES)
def test_torchvision_is_imported_only_where_it_is_used(module: str) -> None:
    for node in tree(module).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not any(under(name, "torchvision") for name in imports(node))


@pytest.mark.parametrize(
    "package", [name for name, path in MODULES.items() if path.name == "__init__.py"]
)
def test_a_package_re_exports_nothing_when_it_is_imported(package: str) -> None:
    body = tree(package).body
    assert not [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]

"""What a chapter's outputs depend on besides its own code, as one short digest.

Pure functions over texts and files: the modules of the package that the chapter imports, without
docstrings, comments and version; the shipped pictures and weights that it names; the engine.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from layout import BookError

KERNELSPEC = "kernelspec: {name: python3, display_name: Python 3}"
BUNDLED = "bundled"
NO_ENGINE = "none"
MODEL = "text-to-image"
"""The weights that an engine other than the bundled one replaces."""

_FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.M | re.S)
_KERNELSPEC_LINE = re.compile(r"^kernelspec:[ \t]*\{(?P<inside>[^{}\n]*)\}[ \t]*$", re.M)
_FILE_STEM = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Dependencies:
    """What some code cells depend on.

    Attributes:
        modules: The modules of the package that they import, directly or through one another.
        files: The shipped pictures that they name, and the cards of the shipped weights that
            they or the modules name.
        weights: The shipped weights that the cells themselves name.
        engine: The text-to-image model that they can load, or ``none``.
    """

    modules: dict[str, Path]
    files: frozenset[Path]
    weights: frozenset[str]
    engine: str

    def digest(self, root: Path) -> str:
        """Sixteen hexadecimal digits that change with anything the outputs depend on.

        Args:
            root: The folder that the files' names are relative to.
        """
        parts = [f"engine {self.engine}".encode()]
        parts += [
            f"module {name} {_fingerprint(path.read_text(encoding='utf-8'))}".encode()
            for name, path in sorted(self.modules.items())
        ]
        parts += [
            f"file {path.relative_to(root).as_posix()} ".encode() + path.read_bytes()
            for path in sorted(self.files)
        ]
        sums = "".join(hashlib.sha256(part).hexdigest() for part in parts)
        return hashlib.sha256(sums.encode()).hexdigest()[:16]


def dependencies(codes: Iterable[str], root: Path, package: str, engine: str) -> Dependencies:
    """Find what some code cells depend on.

    Args:
        codes: The sources of the cells; IPython's magics are allowed.
        root: The folder that holds the package.
        package: The package's name.
        engine: The model that ``text_to_image`` would load, see :func:`engine_label`.

    Raises:
        BookError: If a cell is not Python.
    """
    trees = [_cell_tree(code) for code in codes]
    names = {name for tree in trees for name in _imports(tree)}
    modules = _reachable(names, root, package)
    if f"{package}.text_to_image" not in modules:
        engine = NO_ENGINE
    sources = (path.read_text(encoding="utf-8") for path in modules.values())
    named = set().union(*map(_module_texts, sources)) - {MODEL}
    if engine == BUNDLED:
        named.add(MODEL)
    own = {text for tree in trees for text in _texts(tree)}
    files = {*_pictures(own, root / package), *_cards(own | named, root / package)}
    weights = frozenset(card.parent.name for card in _cards(own, root / package))
    return Dependencies(modules, frozenset(files), weights, engine)


def engine_label(value: str | None) -> str:
    """Name the engine that ``$FUNDIFF_MODEL`` asks for, without a machine's paths.

    Args:
        value: The variable's value: a hub name, a folder, or nothing for the bundled model.
    """
    if not value:
        return BUNDLED
    folder = Path(value).expanduser()
    return folder.resolve().name if folder.is_dir() else value


def stamp(text: str, digest: str, page: str) -> str:
    """Write a digest into a chapter's ``kernelspec`` line, from where it reaches the cache's key.

    The line stays one line, so that line numbers in messages stay true.

    Args:
        text: The chapter's source.
        digest: What :meth:`Dependencies.digest` returned.
        page: The chapter's file, for messages.

    Raises:
        BookError: If the front matter has no such line, or has a digest already.
    """
    front = _FRONT_MATTER.match(text)
    line = _KERNELSPEC_LINE.search(front.group()) if front else None
    if front is None or line is None or "file_format: mystnb" not in front.group():
        raise BookError(
            f"{page} has code cells: its front matter should have the two lines\n"
            f"    file_format: mystnb\n    {KERNELSPEC}"
        )
    if "digest" in line["inside"]:
        raise BookError(f"{page} has a digest in its front matter: write\n    {KERNELSPEC}")
    at = line.end("inside")
    return f'{text[:at]}, digest: "{digest}"{text[at:]}'


def _cell_tree(code: str) -> ast.Module:
    """Parse a cell; a cell magic's body counts where it is Python, as after ``%%time``."""
    magic, _, body = code.lstrip().partition("\n")
    is_magic = magic.startswith("%%")
    try:
        return ast.parse(TransformerManager().transform_cell(body if is_magic else code))
    except SyntaxError as error:
        if is_magic:
            return ast.Module(body=[], type_ignores=[])
        raise BookError(f"a code cell is not Python ({error.msg}):\n{code}") from error


def _reachable(names: set[str], root: Path, package: str) -> dict[str, Path]:
    todo = set(names)
    found: dict[str, Path] = {}
    while todo:
        name = todo.pop()
        if name in found or name.split(".")[0] != package:
            continue
        parent = name.rpartition(".")[0]
        todo.add(parent)
        if (path := _module_file(root, name)) is not None:
            found[name] = path
            base = name if path.name == "__init__.py" else parent
            todo |= _module_imports(path.read_text(encoding="utf-8"), base)
    return found


def _module_file(root: Path, name: str) -> Path | None:
    base = root.joinpath(*name.split("."))
    candidates = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


@cache
def _tree(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _module_imports(source: str, base: str) -> frozenset[str]:
    return frozenset(_imports(_tree(source), base))


def _imports(tree: ast.Module, base: str = "") -> Iterator[str]:
    """Name everything that could be a module in the imports of some code.

    Args:
        tree: The code.
        base: The package that relative imports start from.
    """
    for node in _executed_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = base.split(".")
            start = above[: len(above) + 1 - node.level] if node.level else []
            module = ".".join([*start, *filter(None, [node.module])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _executed_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Walk some code, leaving out what only a type checker sees."""
    yield node
    typed = isinstance(node, ast.If) and ast.unparse(node.test).split(".")[-1] == "TYPE_CHECKING"
    for name, value in ast.iter_fields(node):
        if typed and name == "body":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _executed_nodes(child)


@cache
def _module_texts(source: str) -> frozenset[str]:
    return frozenset(_texts(_tree(source)))


def _texts(tree: ast.Module) -> Iterator[str]:
    """Find the string constants that could name a file."""
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return (text for text in constants if isinstance(text, str) and _FILE_STEM.fullmatch(text))


def _pictures(names: Iterable[str], package: Path) -> Iterator[Path]:
    for name in names:
        yield from (package / "pictures").glob(f"{name}.*")
        yield from (package / "pictures").glob(f"{name}-mask.*")


def _cards(names: Iterable[str], package: Path) -> Iterator[Path]:
    cards = (package / "weights" / name / "card.json" for name in names)
    return (card for card in cards if card.is_file())


@cache
def _fingerprint(source: str) -> str:
    return _canonical(_tree(source))


def _canonical(node: object) -> str:
    """Write code down without docstrings, comments and version, alike under every Python.

    ``ast.dump`` and ``ast.unparse`` write differently from one version to the next, and newer
    versions have more fields, which are empty here.
    """
    if isinstance(node, ast.Constant):
        return f"Constant({node.value!r})"
    if isinstance(node, ast.AST):
        fields = ((name, value) for name, value in ast.iter_fields(node) if value not in (None, []))
        return f"{type(node).__name__}({', '.join(f'{n}={_canonical(v)}' for n, v in fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_canonical(item) for item in node if not _says_nothing(item))}]"
    return repr(node)


def _says_nothing(node: object) -> bool:
    """Whether a statement is a docstring (or another bare string) or sets the version."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"

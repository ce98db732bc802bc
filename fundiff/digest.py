"""A digest of code: what some definitions compute, wherever in a package they stand.

What counts is found by itself: the definitions that the named ones use, however deep. Docstrings,
comments, annotations, import lines and the places of definitions don't count, so code that moves
keeps its digest; and it is the same under every version of Python.
"""

import ast
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path

LEFT_OUT = (
    "fundiff.digest",
    "fundiff.files",
    "fundiff.metrics",
    "fundiff.models.weights",
    "fundiff.plots",
    "fundiff.training.checkpoints",
)
"""The modules and packages that only draw, score or write, which decides no network's weights."""

Chain = tuple[str, ...]
"""A name and the attributes that are taken of it, such as ``("nn", "Linear")``."""

_UNREAD = frozenset({"annotation", "returns", "type_comment", "type_params", "kind"})
_EMPTY = "Constant('')"


def code_digest(*roots: Callable[..., object]) -> str:
    """Return a digest of the code that decides what some functions and classes of fundiff do.

    Args:
        roots: The functions and classes; of a :class:`functools.partial` its arguments count too.

    Returns:
        Sixteen hexadecimal digits.
    """
    lines, names = [], []
    for root in roots:
        while isinstance(root, partial):
            lines.append(f"{root.args} {sorted(root.keywords.items())}")
            root = root.func
        names.append(f"{root.__module__}.{root.__qualname__}")
    package = Path(__file__).parent
    return digest_of([*lines, *code(names, package.parent, left_out=LEFT_OUT)])


def digest_of(lines: Iterable[str]) -> str:
    """Return a digest of lines in any order, as sixteen hexadecimal digits."""
    return sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]


def code(names: Iterable[str], root: Path, *, left_out: Iterable[str] = ()) -> list[str]:
    """Write down the definitions that some names stand for, with all that these use.

    Args:
        names: Dotted names of definitions, or of modules, of which all definitions are meant.
        root: The folder that holds the package.
        left_out: Modules and packages in it whose definitions don't count.

    Returns:
        A line for each definition, alike under every Python, in no particular order.

    Raises:
        LookupError: A name of the package stands for nothing.
    """
    found = reached(names, root, left_out=left_out)
    return [f"{place.name} {written(statements)}" for place, statements in found.items()]


@dataclass(frozen=True)
class Place:
    """Where a definition stands.

    Attributes:
        module: The module's file.
        name: The name that it defines; empty for what a module does besides defining names.
    """

    module: Path
    name: str


def reached(
    names: Iterable[str], root: Path, *, left_out: Iterable[str] = ()
) -> dict[Place, list[ast.stmt]]:
    """Find the definitions that some names stand for and use; arguments are those of :func:`code`.

    Returns:
        The statements of each definition, by its place.
    """
    names = list(names)
    package = _Package(root, {name.partition(".")[0] for name in names})
    outside = {package.file(tuple(name.split("."))) for name in left_out}
    folders = {path.parent for path in outside if path is not None and path.stem == "__init__"}
    found: dict[Place, list[ast.stmt]] = {}
    todo = [place for name in names for place in package.places(tuple(name.split(".")))]
    while todo:
        place = todo.pop()
        if place in found or place.module in outside or folders & {*place.module.parents}:
            continue
        found[place] = package.module(place.module).definitions.get(place.name, [])
        todo.append(Place(place.module, ""))
        for statement in found[place]:
            for chain in _reads(statement):
                todo += package.resolved(place.module, chain)
    return {place: statements for place, statements in found.items() if statements}


def written(statements: Iterable[ast.stmt]) -> str:
    """Write down what statements compute, and nothing that doesn't count."""
    return "; ".join(map(_written_once, statements))


@dataclass(frozen=True)
class _Module:
    """A module's statements by the names that they set, and what its imports bind."""

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, Chain]


class _Package:
    """The modules of some packages in a folder, which may hold others, each read once."""

    def __init__(self, root: Path, packages: set[str]) -> None:
        self.file = cache(partial(_file, root))
        self.module = cache(self._module)
        self._root, self._packages = root, packages

    def resolved(self, path: Path, chain: Chain) -> list[Place]:
        """Find what a chain of names stands for in a module; nothing outside of the package."""
        module = self.module(path)
        if chain[0] in module.definitions:
            return [Place(path, chain[0])]
        if chain[0] in module.imports:
            return self.places((*module.imports[chain[0]], *chain[1:]))
        return []

    def places(self, dotted: Chain) -> list[Place]:
        """Find the definitions that a dotted name stands for; nothing outside of the package."""
        if dotted[0] not in self._packages:
            return []
        lengths = [n for n in range(1, len(dotted) + 1) if self.file(dotted[:n]) is not None]
        if 1 not in lengths:
            return []
        path = self.file(dotted[: lengths[-1]])
        assert path is not None  # noqa: S101  # for the type checker
        module = self.module(path)
        if lengths[-1] == len(dotted):
            return [Place(path, name) for name in module.definitions]
        name, rest = dotted[lengths[-1]], dotted[lengths[-1] + 1 :]
        if name in module.definitions:
            return [Place(path, name)]
        if name in module.imports:
            return self.places((*module.imports[name], *rest))
        raise LookupError(f"{'.'.join(dotted[: lengths[-1]])} defines no {name}")

    def _module(self, path: Path) -> _Module:
        definitions, imports = _parsed(path.read_text(encoding="utf-8"), path.name)
        stub = path.with_suffix(".pyi")
        if stub.is_file():  # what a module imports when it is asked for it
            imports = {**_parsed(stub.read_text(encoding="utf-8"), stub.name)[1], **imports}
        above = path.parent.relative_to(self._root).parts
        bound = {
            name: (*above[: len(above) + 1 - level], *chain) if level else chain
            for name, (level, chain) in imports.items()
        }
        return _Module(definitions, bound)


@cache
def _parsed(text: str, name: str) -> tuple[dict[str, list[ast.stmt]], dict[str, tuple[int, Chain]]]:
    """Return a module's statements by name, and by name what is imported, from how far above."""
    tree = ast.parse(text, name)
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        if not _says_nothing(statement):
            for name in sorted(_sets(statement)) or [""]:
                definitions.setdefault(name, []).append(statement)
    imports: dict[str, tuple[int, Chain]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = tuple(node.module.split(".")) if node.module else ()
            for alias in node.names:
                imports[alias.asname or alias.name] = node.level, (*source, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                whole = tuple(alias.name.split("."))
                imports[alias.asname or whole[0]] = 0, whole if alias.asname else whole[:1]
    return definitions, imports


def _file(root: Path, dotted: Chain) -> Path | None:
    base = root.joinpath(*dotted)
    paths = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in paths if path.is_file()), None)


@cache
def _reads(node: ast.AST) -> set[Chain]:
    """List the names that some code reads and doesn't set itself, with attributes taken of them."""
    if isinstance(node, ast.Name):
        return {(node.id,)} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Attribute):
        inner = _reads(node.value)
        base = node.value
        while isinstance(base, ast.Attribute):
            base = base.value
        return {(*chain, node.attr) for chain in inner} if isinstance(base, ast.Name) else inner
    found = set[Chain]().union(*map(_reads, _children(node)))
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        own = {name for part in ast.walk(node) for name in _bound(part)}
        outer = [*node.args.defaults, *node.args.kw_defaults, *getattr(node, "decorator_list", [])]
        kept = set[Chain]().union(*(_reads(part) for part in outer if part is not None))
        return {chain for chain in found if chain[0] not in own} | kept
    return found


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg


def _sets(statement: ast.stmt) -> set[str]:
    """Name what a statement of a module sets or changes there."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.If) and ast.unparse(statement.test).endswith("TYPE_CHECKING"):
        return set()
    found = set()
    for node in ast.walk(statement):
        found |= {*_bound(node)}
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
            found |= {chain[0] for chain in _reads(node.value)}
    return found


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name not in _UNREAD:
            parts = value if isinstance(value, list) else [value]
            yield from (part for part in parts if isinstance(part, ast.AST))


def _written(node: object) -> str:
    """Write code down without what doesn't count.

    ``ast.dump`` and ``ast.unparse`` write differently from one version to the next, and newer
    versions have more fields, which are empty here.
    """
    if isinstance(node, ast.Constant):
        return f"Constant({node.value!r})"
    if isinstance(node, ast.JoinedStr):  # Python 3.12.1 puts in empty strings
        return f"JoinedStr({[_written(v) for v in node.values if _written(v) != _EMPTY]})"
    if isinstance(node, ast.AnnAssign):
        if node.value is None:
            return f"Field({_written(node.target)})"
        return _written(ast.Assign(targets=[node.target], value=node.value))
    if isinstance(node, ast.AST):
        fields = (
            f"{name}={_written(value)}"
            for name, value in ast.iter_fields(node)
            if name not in _UNREAD and value not in (None, [])
        )
        return f"{type(node).__name__}({', '.join(fields)})"
    if isinstance(node, list):
        return f"[{', '.join(_written(item) for item in node if not _says_nothing(item))}]"
    return repr(node)


@cache
def _written_once(statement: ast.stmt) -> str:
    return _written(statement)


def _says_nothing(node: object) -> bool:
    """Tell whether a statement is a docstring, another bare string, an import or the version."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        return True
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "__version__"
    return isinstance(node, ast.Import | ast.ImportFrom)

"""What a figure depends on: the slice of its chapter's code, and the seeds and texts in it.

Nothing is run. The slice of a statement is that statement and, of the statements before it, those
that set or change what it reads, and so on; a function's own reads count where it is used.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from itertools import count, takewhile
from pathlib import Path
from typing import TypeVar

from IPython.core.inputtransformer2 import TransformerManager

T = TypeVar("T")
Function = ast.FunctionDef | ast.Lambda
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
FILLS = frozenset({"load_weights"})
"""Functions that change their first argument."""
UNREAD = frozenset({"annotation", "returns"})
LONG = 4
"""How many equally spaced seeds are abridged."""


@dataclass
class Script:
    """The cells of a chapter, as one run of statements.

    Attributes:
        codes: The sources of the cells; IPython's magics are allowed.
        root: The folder that holds the package.
        package: The package's name.
    """

    codes: Sequence[str]
    root: Path
    package: str
    _statements: list[ast.stmt] = field(init=False, default_factory=list)
    _ends: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Parse the cells."""
        door = _Door(self.root, self.package)
        for code in self.codes:
            self._statements += door.visit(parse(code)).body
            self._ends.append(len(self._statements))

    def slice(self, cell: int) -> list[ast.stmt]:
        """Return what the last statement of a cell depends on, in order, itself included.

        Args:
            cell: The cell's index.
        """
        last = self._ends[cell] - 1
        chosen, seen = {last}, set()
        todo = [(name, last) for name in reads(self._statements[last])]
        while todo:
            name, before = todo.pop()
            if (name, before) in seen:
                continue
            seen.add((name, before))
            for index in reversed(range(before)):
                statement = self._statements[index]
                is_set = name in sets(statement)
                if not is_set and name not in changes(statement):
                    continue
                chosen.add(index)
                at = before if isinstance(statement, ast.FunctionDef) else index
                todo += [(other, at) for other in reads(statement)]
                if is_set:
                    break
        return [self._statements[index] for index in sorted(chosen)]

    def texts(self, statements: Sequence[ast.stmt]) -> set[str]:
        """Return the strings in some statements, and in what they use of the package."""
        found, seen = {*self.named(statements)}, set[tuple[str, str]]()
        for module, name in self._imported(statements).values():
            found |= reached(self.root, module, name, seen)
        return found

    def named(self, statements: Sequence[ast.stmt]) -> frozenset[str]:
        """Return the strings in some statements themselves."""
        return union(strings, statements)

    def seeds(self, statements: Sequence[ast.stmt]) -> list[str]:
        """Return the seeds that some statements name, in order, abridged.

        A seed that isn't a number in the code is given as the code has it.
        """
        known = {
            name: node
            for name, (module, original) in self._imported(statements).items()
            if (node := definition(self.root, module, original)) is not None
        }
        functions = {name: Signature.of(node) for name, node in known.items()}
        own = [node for node in statements if isinstance(node, ast.FunctionDef)]
        for _ in range(len(own) + 1):  # each pass follows calls one level further
            functions |= {node.name: Signature.of(node, functions) for node in own}
        found = [seed for node in own for seed in functions[node.name].constants()]
        for statement in statements:
            if not isinstance(statement, ast.FunctionDef):
                found += seed_expressions(statement, functions)
        values = {
            target.id: node.value
            for node in statements
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        return abridged(value for seed in found for value in evaluated(seed, values))

    def _imported(self, statements: Sequence[ast.stmt]) -> dict[str, tuple[str, str]]:
        """Name what some statements use of the package: module and name there."""
        used = union(reads, statements)
        return {
            name: (module, original)
            for name, (module, original) in origins(self._statements)
            if name in used and module.split(".")[0] == self.package
        }


class _Door(ast.NodeTransformer):
    """Reads ``fd.sample``, after ``import fundiff as fd``, as imported from where it lives."""

    def __init__(self, root: Path, package: str) -> None:
        stub = root / package / "__init__.pyi"
        tree = ast.parse(stub.read_text(encoding="utf-8") if stub.is_file() else "")
        self._package, self._known = package, "?"
        self._homes = {name: f"{package}.{module}" for name, (module, _) in origins(tree.body)}

    def visit_Import(self, node: ast.Import) -> ast.stmt | list[ast.ImportFrom]:
        (alias, *others) = node.names
        if others or alias.name != self._package:
            return node
        self._known = alias.asname or alias.name
        return [
            ast.ImportFrom(home, [ast.alias(name, f"{self._known}.{name}")], 0)
            for name, home in self._homes.items()
        ]

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == self._known:
            return ast.Name(f"{self._known}.{node.attr}", node.ctx)
        return node


def parse(code: str) -> ast.Module:
    """Parse a cell; one that a magic keeps from being Python has no statements."""
    try:
        return ast.parse(TransformerManager().transform_cell(code))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


@cache
def reads(node: ast.AST) -> frozenset[str]:
    """Name what some code reads and doesn't set itself before; annotations don't count."""
    if isinstance(node, ast.Name):
        return frozenset({node.id} if isinstance(node.ctx, ast.Load) else ())
    if isinstance(node, ast.FunctionDef):
        inner = read_in_order(node.body) - union(sets, node.body) - {*parameters(node)}
        return inner | read_in_order([*node.decorator_list, *defaults(node)])
    if isinstance(node, ast.Lambda):
        return reads(node.body) - {*parameters(node)} | read_in_order(defaults(node))
    if isinstance(node, Comprehension):
        targets = union(sets, [each.target for each in node.generators])
        return union(reads, [*ast.iter_child_nodes(node)]) - targets
    if isinstance(node, ast.For):
        inner = read_in_order(node.body) - sets(node.target)
        return inner | reads(node.iter) | read_in_order(node.orelse)
    parts = (value for name, value in ast.iter_fields(node) if name not in UNREAD)
    lists = (part if isinstance(part, list) else [part] for part in parts)
    return union(read_in_order, [[n for n in part if isinstance(n, ast.AST)] for part in lists])


def read_in_order(nodes: Sequence[ast.AST]) -> frozenset[str]:
    """Name what some code reads, less what an assignment before in it has set."""
    found, done = set[str](), set[str]()
    for node in nodes:
        found |= reads(node) - done
        if isinstance(node, ast.Assign):
            done |= sets(node)
    return frozenset(found)


def union(names: Callable[[T], Iterable[str]], things: Iterable[T]) -> frozenset[str]:
    """Join the names in several things."""
    return frozenset(name for thing in things for name in names(thing))


@cache
def sets(node: ast.AST) -> frozenset[str]:
    """Name what some code sets in the scope that it stands in."""
    if isinstance(node, ast.Name):
        return frozenset({node.id} if isinstance(node.ctx, ast.Store) else ())
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return frozenset({node.name})
    if isinstance(node, ast.Import | ast.ImportFrom):
        return frozenset(alias.asname or alias.name.split(".")[0] for alias in node.names)
    if isinstance(node, ast.Lambda | Comprehension | ast.AugAssign):
        return frozenset()
    return union(sets, ast.iter_child_nodes(node))


@cache
def changes(node: ast.AST) -> frozenset[str]:
    """Name what some code changes in place: items, attributes, sums, and by bare method calls."""
    found = set[str]()
    for part in ast.walk(node):
        target: ast.AST | None = None
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store):
            target = part.value
        elif isinstance(part, ast.AugAssign):
            target = part.target
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            func = part.value.func
            target = func.value if isinstance(func, ast.Attribute) else None
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Name) and part.args:
            target = part.args[0] if part.func.id in FILLS else None
        if isinstance(target, ast.Name):
            found.add(target.id)
    return frozenset(found)


@cache
def strings(node: ast.AST) -> frozenset[str]:
    """Return the strings in some code."""
    constants = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return frozenset(value for value in constants if isinstance(value, str))


def origins(statements: Iterable[ast.stmt]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Give what statements import from modules: the name here, the module, the name there."""
    for node in statements:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)


def definition(root: Path, module: str, name: str) -> ast.stmt | None:
    """Find the statement that sets a name in a module of the package, None where there is none."""
    base = root.joinpath(*module.split("."))
    for path in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
        if path.is_file():
            return _definitions(path.read_text(encoding="utf-8")).get(name)
    return None


@cache
def _definitions(source: str) -> dict[str, ast.stmt]:
    return {name: node for node in ast.parse(source).body for name in sets(node)}


def reached(root: Path, module: str, name: str, seen: set[tuple[str, str]]) -> set[str]:
    """Return the strings in a name's definition and in what that uses, however deep.

    Args:
        root: The folder that holds the package.
        module: The module of the name.
        name: The name.
        seen: What was looked at; it grows.
    """
    node = definition(root, module, name)
    if node is None or (module, name) in seen:
        return set()
    seen.add((module, name))
    if isinstance(node, ast.ImportFrom):
        (origin,) = (origin for bound, origin in origins([node]) if bound == name)
        return reached(root, *origin, seen)
    return {*strings(node)}.union(*(reached(root, module, other, seen) for other in reads(node)))


@dataclass(frozen=True)
class Signature:
    """A function, or a class with fields, that may take seeds.

    Attributes:
        parameters: Its parameters in order.
        defaults: Those that have one.
        seeds: The seeds that it sets, as expressions of the parameters.
    """

    parameters: tuple[str, ...]
    defaults: dict[str, ast.expr]
    seeds: tuple[ast.expr, ...]

    @classmethod
    def of(cls, node: ast.stmt, known: "dict[str, Signature] | None" = None) -> "Signature":
        """Read a definition.

        Args:
            node: The definition.
            known: The functions whose calls in it are followed.
        """
        if isinstance(node, ast.ClassDef):
            fields = [
                part
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            ]
            names = tuple(part.target.id for part in fields if isinstance(part.target, ast.Name))
            given = {n: p.value for n, p in zip(names, fields, strict=True) if p.value is not None}
            taken = (ast.Name("seed", ast.Load()),) if "seed" in names else ()
            return cls(names, given, taken)
        if not isinstance(node, ast.FunctionDef):
            return cls((), {}, ())
        plain = [argument.arg for argument in (*node.args.posonlyargs, *node.args.args)]
        count = len(node.args.defaults)
        given = dict(zip(plain[len(plain) - count :], node.args.defaults, strict=True))
        for argument, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True):
            if value is not None:
                given[argument.arg] = value
        taken = (ast.Name("seed", ast.Load()),) if "seed" in parameters(node) else ()
        seeds = (*taken, *seed_expressions(node, known or {}))
        return cls(tuple(parameters(node)), given, seeds)

    def constants(self) -> list[ast.expr]:
        """Return the seeds that don't depend on how it is called."""
        return [seed for seed in self.seeds if not reads(seed) & set(self.parameters)]

    def called(self, call: ast.Call) -> list[ast.expr]:
        """Return the seeds of a call, those of :meth:`constants` left out."""
        values = dict(self.defaults)
        values |= dict(zip(self.parameters, call.args, strict=False))
        values |= {keyword.arg: keyword.value for keyword in call.keywords if keyword.arg}
        fixed = self.constants()
        return [replaced(seed, values) for seed in self.seeds if seed not in fixed]


def parameters(node: Function) -> list[str]:
    """Name a function's parameters in order."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [argument.arg for argument in every]


def defaults(node: Function) -> list[ast.expr]:
    """Return the defaults of a function's parameters."""
    return [value for value in (*node.args.defaults, *node.args.kw_defaults) if value]


def seed_expressions(node: ast.AST, known: dict[str, Signature]) -> list[ast.expr]:
    """Find the seeds that some code sets, loop variables replaced by what they run over.

    Args:
        node: The code.
        known: The functions whose calls count.
    """
    loops: dict[str, ast.expr] = {
        part.target.id: part.iter
        for part in ast.walk(node)
        if isinstance(part, ast.For | ast.comprehension) and isinstance(part.target, ast.Name)
    }
    found = []
    for part in ast.walk(node):
        if not isinstance(part, ast.Call):
            continue
        name = getattr(part.func, "attr", getattr(part.func, "id", ""))
        if name == "manual_seed":
            found += part.args[:1]
        elif isinstance(part.func, ast.Name) and name in known:
            found += [*known[name].called(part), *known[name].constants()]
        elif name == "noise":  # a model's own
            given = [k.value for k in part.keywords if k.arg == "seed"] or part.args[1:2]
            found += given or [ast.Constant(0)]
    return [replaced(seed, loops) for seed in found]


class _Replacement(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.values.get(node.id, node)


def replaced(node: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    """Return an expression with names replaced by expressions."""
    new: ast.expr = _Replacement(values).visit(deepcopy(node))
    return new


def evaluated(node: ast.expr, values: dict[str, ast.expr]) -> list[int | str]:
    """Return the numbers that an expression stands for, or its code where it isn't that plain.

    Args:
        node: An expression of one seed, or of what a loop over seeds runs over.
        values: What the names in it were set to.
    """
    if isinstance(node, ast.Constant) and isinstance(node.value, int | None):
        return [] if node.value is None else [node.value]
    if isinstance(node, ast.Tuple | ast.List):
        return [value for part in node.elts for value in evaluated(part, values)]
    if isinstance(node, ast.Name) and node.id in values:
        others = {name: value for name, value in values.items() if name != node.id}
        return evaluated(values[node.id], others)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        inner = [evaluated(argument, values) for argument in node.args]
        if node.func.id in ("list", "tuple", "sorted") and len(inner) == 1:
            return inner[0]
        numbers = [value for part in inner for value in part if isinstance(value, int)]
        if node.func.id == "range" and len(numbers) == len(inner):
            return [*range(*numbers)]
    return [ast.unparse(node)]


def abridged(values: Iterable[int | str]) -> list[str]:
    """Write seeds in order, each once; of many with equal distances the first and the last."""
    unique = set(values)
    numbers = sorted(value for value in unique if isinstance(value, int))
    found = []
    while numbers:
        step = numbers[1] - numbers[0] if numbers[1:] else 1
        even = takewhile(lambda pair: pair[0] == pair[1], zip(numbers, count(numbers[0], step)))
        run = len([*even])
        if run < LONG:
            found.append(str(numbers.pop(0)))
            continue
        between = "–" if step == 1 else f", {numbers[1]}, …, "
        found.append(f"{numbers[0]}{between}{numbers[run - 1]}")
        numbers = numbers[run:]
    return found + sorted(value for value in unique if isinstance(value, str))

"""What a chapter uses, noted in its own kernel while it runs: no text is searched for it.

The kernel runs this file before the chapter's first cell and asks for the notes after the last.

Noted are the names that cells take from the package and the functions of it that are called, the
files below the book's root that are opened, and the seeds that are set; each for the cell in which
it happens. What a cell takes over from others is told by the names that it reads, and by which
cells bound these or changed what they are bound to.
"""

import builtins
import dis
import json
import os
import platform
import sys
import threading
from ast import PyCF_ALLOW_TOP_LEVEL_AWAIT
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

UNCOUNTED = (".py", ".pyi", ".pyc")
"""Files that are code, which is counted by its names."""
SEED, SEEDING = "seed", "manual_seed"
LOADING, NAME = "models.if_model.load", "name"
"""The function of the package that loads the engine, where it is given no other model's name."""
PACKAGES = ("torch", "diffusers", "transformers", "numpy", "matplotlib")


@dataclass
class Cell:
    """What one cell did.

    Attributes:
        names: The package's definitions that it took or called itself, as dotted names.
        called: Those that were called for it by others.
        files: The files that it opened, named from the book's root.
        seeds: The seeds that it set, in order.
        reads: The notebook's names that it read as it ran.
        late: Those that its functions read when they are called.
        sets: Those that it bound; False for those whose value it changed in place.
    """

    names: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    seeds: dict[int, None] = field(default_factory=dict)
    reads: set[str] = field(default_factory=set)
    late: set[str] = field(default_factory=set)
    sets: dict[str, bool] = field(default_factory=dict)


class Recorder:
    """Notes what each cell of a notebook does.

    Args:
        root: The book's root.
        package: The package's name.
        namespace: The notebook's names.
    """

    def __init__(self, root: Path, package: str, namespace: Mapping[str, object]) -> None:
        self.cells: list[Cell] = []
        self.engine = False
        self._cell: Cell | None = None
        self._root, self._package, self._namespace = f"{root}{os.sep}", package, namespace
        self._folder = f"{root / package}{os.sep}"
        self._door = f"{self._folder}__init__.py"
        self._inside = tuple(f"{folder}{os.sep}" for folder in (root / package, root / "book"))
        self._hidden = {*namespace}
        self._before: dict[str, tuple[object, object]] = {}
        self._known: dict[tuple[str, CodeType], tuple[str, bool]] = {}
        self._import = builtins.__import__

    def start(self) -> None:
        """Hook into imports, calls and opened files, for as long as the process lives."""
        builtins.__import__ = self._importing
        sys.addaudithook(self._audited)
        threading.setprofile(self._called)
        sys.setprofile(self._called)

    def begin(self, source: str) -> None:
        """Note for the next cell from now on.

        Args:
            source: The cell, in plain Python.
        """
        reads, late = _names(compile(source, "cell", "exec", PyCF_ALLOW_TOP_LEVEL_AWAIT))
        self._cell = Cell(reads=reads, late=late)
        self._before = {name: (value, _state(value)) for name, value in self._own()}

    def end(self) -> None:
        """Note what the cell has bound and changed."""
        cell, self._cell = self._cell, None
        if cell is None:
            return
        self.cells.append(cell)
        before_, self._before = self._before, {}
        for name, value in self._own():
            before = before_.get(name)
            if before is None or before[0] is not value:
                cell.sets[name] = True
            elif before[1] != _state(value):
                cell.sets[name] = False

    def inherited(self, index: int) -> list[int]:
        """Number the cells that a cell takes something over from, itself included, in order."""
        found, seen = {index}, set[tuple[str, int]]()
        todo = [(name, index) for name in self.cells[index].reads | self.cells[index].late]
        while todo:
            name, before = todo.pop()
            if (name, before) in seen:
                continue
            seen.add((name, before))
            for earlier in reversed(range(before)):
                cell = self.cells[earlier]
                if name not in cell.sets:
                    continue
                found.add(earlier)
                todo += [(other, earlier) for other in cell.reads]
                todo += [(other, before) for other in cell.late]
                if cell.sets[name]:
                    break
        return sorted(found)

    def noted(self) -> dict[str, object]:
        """Return what the whole notebook used, and what each cell did with what it inherited."""
        cells = []
        for index in range(len(self.cells)):
            used = [self.cells[number] for number in self.inherited(index)]
            seeds = dict.fromkeys(seed for cell in used for seed in cell.seeds)
            files = {path for cell in used for path in cell.files}
            cells.append({"seeds": [*seeds], "files": sorted(files)})
        names = {name for cell in self.cells for name in cell.names}
        return {
            "engine": self.engine,
            "code": sorted(names),
            "called": sorted({name for cell in self.cells for name in cell.called} - names),
            "files": sorted({path for cell in self.cells for path in cell.files}),
            "cells": cells,
        }

    def _own(self) -> Iterator[tuple[str, object]]:
        for name, value in [*self._namespace.items()]:
            if name not in self._hidden and name[0] != "_" and not isinstance(value, ModuleType):
                yield name, value

    def _importing(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002  # Python's own name
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        done = self._import(name, globals, locals, fromlist or (), level)
        own = globals is not None and globals.get("__name__") == "__main__"
        if own and self._cell and name.partition(".")[0] == self._package:
            taken = [f"{name}.{each}" for each in fromlist or () if each != "*"]
            self._cell.names |= {*taken} or ({name} - {self._package})
        return done

    def _audited(self, event: str, args: tuple[object, ...]) -> None:
        if event != "open" or not self._cell or not isinstance(args[0], str | bytes):
            return
        path = str(Path(os.fsdecode(args[0])).absolute())
        flags = args[2] if isinstance(args[2], int) else 0
        is_read = path.startswith(self._inside) and not flags & (os.O_WRONLY | os.O_RDWR)
        if is_read and not path.endswith(UNCOUNTED) and Path(path).is_file():
            self._cell.files.add(Path(path).relative_to(self._root).as_posix())

    def _called(self, frame: FrameType, event: str, arg: object) -> None:
        cell = self._cell
        if cell is None:
            return
        if event == "call":
            code = frame.f_code
            name, seeded = self._known.get((code.co_filename, code)) or self._look(code)
            if name == self._package:
                taken = frame.f_locals["name"]
                if not taken.startswith("_"):
                    cell.names.add(f"{name}.{taken}")
            elif name:
                if name == f"{self._package}.{LOADING}" and not frame.f_locals.get(NAME, True):
                    self.engine = True
                caller = frame.f_back
                if caller is not None and caller.f_globals is self._namespace:
                    cell.names.add(name)
                elif name not in cell.called and not self._imports(caller):
                    cell.called.add(name)
            if seeded and isinstance(frame.f_locals.get(SEED), int):
                cell.seeds[frame.f_locals[SEED]] = None
        elif event == "c_return" and getattr(arg, "__name__", "") == SEEDING:
            cell.seeds[arg.__self__.initial_seed()] = None  # type: ignore[attr-defined]

    def _imports(self, frame: FrameType | None) -> bool:
        """Whether a module of the package is being imported, whose code counts where it is used."""
        while frame is not None:
            code = frame.f_code
            if code.co_name == "<module>" and code.co_filename.startswith(self._folder):
                return True
            frame = frame.f_back
        return False

    def _look(self, code: CodeType) -> tuple[str, bool]:
        """Name the definition that some code is of, and say whether it is given a seed."""
        name, path = "", code.co_filename
        if path == self._door and code.co_name == "__getattr__":
            name = self._package
        elif path.startswith(self._folder) and code.co_flags & CO_OPTIMIZED:  # a function's
            module = Path(path).relative_to(self._root).with_suffix("")
            outer = code.co_qualname.partition(".")[0]
            if not outer.startswith("<"):  # such as a lambda
                name = ".".join((*module.parts, outer)).replace(".__init__.", ".")
        given = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        own = bool(name) or (code.co_name == SEEDING and "torch" in path)
        self._known[path, code] = name, own and SEED in given
        return self._known[path, code]


def start(shell: "InteractiveShell", root: str, package: str) -> None:
    """Note what an IPython does from now on, and let it tell by the magic ``%noted``.

    Args:
        shell: The notebook's IPython.
        root: The book's root.
        package: The package's name.
    """
    recorder = Recorder(Path(root), package, shell.user_ns)

    def begin(info: "ExecutionInfo") -> None:
        recorder.begin(shell.transform_cell(info.raw_cell))

    def end(_: "ExecutionResult") -> None:
        recorder.end()

    def noted(_: str) -> None:
        record = recorder.noted()
        made = {"device": _device(), **_precision(shell.user_ns, package), "versions": _versions()}
        print(json.dumps({**made, "record": record}))

    shell.events.register("pre_run_cell", begin)
    shell.events.register("post_run_cell", end)
    shell.magics_manager.register_function(noted)
    recorder.start()


def _versions() -> dict[str, str]:
    """The versions of Python and of the packages that were imported, without build tags."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        if name in sys.modules:
            found[name] = str(sys.modules[name].__version__).partition("+")[0]
    return found


def _device() -> str:
    """The device that was computed on: a GPU's name if one was used, else ``CPU``."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_initialized():
            return torch.cuda.get_device_name()
        if torch.backends.mps.is_available() and torch.mps.current_allocated_memory():
            return "Apple GPU"
    return "CPU"


def _precision(variables: Mapping[str, object], package: str) -> dict[str, str]:
    """The precision of the text-to-image models among a chapter's variables, if there are any."""
    module = sys.modules.get(f"{package}.models.if_model")
    model = getattr(module, "TextToImage", ())
    models = [each for each in variables.values() if isinstance(each, model)]
    found = sorted({model.placement.precision for model in models})
    return {"dtype": " and ".join(found)} if found else {}


def _names(code: CodeType) -> tuple[set[str], set[str]]:
    """Give the names of the notebook that some code reads, and that its functions read later.

    A name that the code has bound before isn't read. A comprehension and the body of a class run
    where they stand, other code inside when it is called.
    """
    reads, late, bound = set[str](), set[str](), set[str]()
    for instruction in dis.get_instructions(code):
        kind, value = instruction.opname, instruction.argval
        if kind in ("LOAD_NAME", "LOAD_GLOBAL") and value not in bound:
            reads.add(value)
        elif kind in ("STORE_NAME", "STORE_GLOBAL"):
            bound.add(value)
        elif isinstance(value, CodeType):
            inner, later = _names(value)
            runs = value.co_name.startswith("<") and value.co_name != "<lambda>"
            if runs or not value.co_flags & CO_OPTIMIZED:
                reads |= inner - bound
            else:
                late |= inner
            late |= later
    return reads, late


def _state(value: object) -> object:
    """Return what changes when a value is changed in place."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        return None if value.is_inference() else value._version
    if torch is not None and isinstance(value, torch.nn.Module):
        return [_state(part) for part in (*value.parameters(), *value.buffers())]
    if isinstance(value, dict):
        return [(key, id(part)) for key, part in value.items()]
    return [id(part) for part in value] if isinstance(value, list | set) else None

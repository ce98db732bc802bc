"""What a chapter's outputs depend on besides its own code, as one short digest.

Pure functions over texts and files: the definitions of the package that the chapter uses, by
:mod:`fundiff.digest`; the shipped pictures, templates and weights that are named; the engine.
"""

import ast
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager

from fundiff.digest import LEFT_OUT, digest_of, imported, reached, texts, written
from layout import BookError

KERNELSPEC = "kernelspec: {name: python3, display_name: Python 3}"
BUNDLED = "bundled"
NO_ENGINE = "none"
MODEL = "text-to-image"
"""The weights that an engine other than the bundled one replaces."""
KEEPING = [name for name in LEFT_OUT if name.rpartition(".")[2] not in ("metrics", "plots")]
"""What of the library never changes what a chapter shows: it reads and writes files."""

_FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.M | re.S)
_KERNELSPEC_LINE = re.compile(r"^kernelspec:[ \t]*\{(?P<inside>[^{}\n]*)\}[ \t]*$", re.M)
_FILE_STEM = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Dependencies:
    """What some code cells depend on.

    Attributes:
        code: The definitions of the package that they use, directly or through one another.
        modules: The files in which these stand.
        files: The shipped pictures and templates that they or the definitions name.
        cards: The cards of the shipped weights and measurements that they or the definitions name.
        weights: The shipped weights and measurements that the cells themselves name.
        engine: The text-to-image model that they can load, or ``none``.
    """

    code: tuple[str, ...]
    modules: frozenset[Path]
    files: frozenset[Path]
    cards: frozenset[Path]
    weights: frozenset[str]
    engine: str

    def digest(self, root: Path) -> str:
        """Sixteen hexadecimal digits that change with anything the outputs depend on.

        Args:
            root: The folder that the files' names are relative to.
        """
        parts = [f"engine {self.engine}", *(f"code {line}" for line in self.code)]
        for path in self.files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            parts.append(f"file {path.relative_to(root).as_posix()} {content}")
        parts += [f"card {path.relative_to(root).as_posix()} {_sums(path)}" for path in self.cards]
        return digest_of(parts)


def dependencies(codes: Iterable[str], root: Path, package: str, engine: str) -> Dependencies:
    """Find what some code cells depend on.

    Args:
        codes: The sources of the cells; IPython's magics are allowed.
        root: The folder that holds the package.
        package: The package's name.
        engine: The model that ``models.if_model`` would load, see :func:`engine_label`.

    Raises:
        BookError: If a cell is not Python, or imports what the package hasn't.
    """
    tree = ast.Module([node for code in codes for node in _cell_tree(code).body], [])
    names = {name for name in imported(tree) if name.split(".")[0] == package}
    try:
        found = reached(names, root, left_out=KEEPING)
    except LookupError as error:
        raise BookError(f"a code cell imports what isn't there: {error}") from error
    modules = frozenset(place.module for place in found)
    if root / package / "models" / "if_model.py" not in modules:
        engine = NO_ENGINE
    own = {*texts(tree)}
    named = own.union(*(texts(node) for nodes in found.values() for node in nodes)) - {MODEL}
    if engine == BUNDLED:
        named.add(MODEL)
    files = {*_pictures(own, root / package), *_templates(named, root / package)}
    weights = frozenset(card.parent.name for card in _cards(own, root / package))
    code = tuple(sorted(f"{place.name} {written(nodes)}" for place, nodes in found.items()))
    cards = frozenset(_cards(own | named, root / package))
    return Dependencies(code, modules, frozenset(files), cards, weights, engine)


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


def _pictures(names: Iterable[str], package: Path) -> Iterator[Path]:
    for name in filter(_FILE_STEM.fullmatch, names):
        yield from (package / "pictures").glob(f"{name}.*")
        yield from (package / "pictures").glob(f"{name}-mask.*")


def _templates(names: Iterable[str], package: Path) -> Iterator[Path]:
    paths = (package / "plots" / name for name in names if _FILE_STEM.fullmatch(name))
    return (path for path in paths if path.is_file())


def _cards(names: Iterable[str], package: Path) -> Iterator[Path]:
    paths = (package / "weights" / name for name in names if _FILE_STEM.fullmatch(name))
    return (path / "card.json" for path in paths if (path / "card.json").is_file())


def _sums(card: Path) -> str:
    """Write down what a card has that chapters show, not by which code it was made."""
    content = json.loads(card.read_bytes())
    kept = {name: content[name] for name in ("files", "results", "settings") if name in content}
    return json.dumps(kept, sort_keys=True)

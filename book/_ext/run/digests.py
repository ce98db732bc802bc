"""What a chapter's outputs depend on besides its own code, as one short digest.

A chapter's kernel has noted what it used, see `record.py`: definitions of the package, which
count with all that they use, by :mod:`fundiff.digest`; files; the engine.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from book._ext.layout import BookError
from fundiff.digest import LEFT_OUT, digest_of, reached, written

KERNELSPEC = "kernelspec: {name: python3, display_name: Python 3}"
BUNDLED = "bundled"
NO_ENGINE = "none"
KEEPING = [name for name in LEFT_OUT if name.rpartition(".")[2] not in ("metrics", "plots")]
"""What of the library never changes what a chapter shows: it reads and writes files."""

_FRONT_MATTER = re.compile(r"\A---\n.*?^---$", re.M | re.S)
_KERNELSPEC_LINE = re.compile(r"^kernelspec:[ \t]*\{(?P<inside>[^{}\n]*)\}[ \t]*$", re.M)


@dataclass(frozen=True)
class Dependencies:
    """What a chapter's outputs depend on.

    Attributes:
        modules: The files of the definitions that were used, directly or through one another.
        files: The files that were opened; of weights and measurements their cards.
        engine: The text-to-image model that was loaded, or ``none``.
        digest: Sixteen hexadecimal digits that change with any of it.
    """

    modules: frozenset[Path]
    files: frozenset[Path]
    engine: str
    digest: str


def dependencies(record: Mapping[str, Any], root: Path, package: str, engine: str) -> Dependencies:
    """Find what a chapter that used this would depend on now.

    Args:
        record: What its kernel noted.
        root: The folder that holds the package.
        package: The package's name.
        engine: The model that ``models.if_model`` would load, see :func:`engine_label`.

    Raises:
        LookupError: Something that was used isn't there any more.
    """
    found = reached(record["code"], root, left_out=KEEPING)
    if not record["engine"]:
        engine = NO_ENGINE
    cards = {*_cards(record["files"], root / package)}
    opened = (root / name for name in record["files"])
    files = {path for path in opened if not {*path.parents} & {card.parent for card in cards}}
    if missing := [path for path in files | cards if not path.is_file()]:
        raise LookupError(f"there is no {missing[0]}")
    lines = [f"engine {engine}"]
    lines += [f"code {place.name} {written(nodes)}" for place, nodes in found.items()]
    lines += [f"file {_name(path, root)} {_sum(path)}" for path in files]
    lines += [f"card {_name(path, root)} {_shown(path)}" for path in cards]
    modules = frozenset(place.module for place in found)
    return Dependencies(modules, frozenset(files | cards), engine, digest_of(lines))


def trimmed(record: Mapping[str, Any], root: Path) -> dict[str, Any]:
    """Leave out of a record what follows from the rest, so that it outlives a change of helpers.

    Args:
        record: What a kernel noted; ``called`` has the functions that others called, of which only
            those stay that can't be found from the cells' own.
        root: The folder that holds the package.
    """
    places = reached(record["code"], root)
    modules = {p: _name(p.module.with_suffix(""), root).removesuffix("/__init__") for p in places}
    found = {f"{module.replace('/', '.')}.{place.name}" for place, module in modules.items()}
    others = [name for name in record["called"] if name not in found]
    kept = {name: value for name, value in record.items() if name != "called"}
    return {**kept, "code": sorted({*record["code"], *others})}


def weights(files: Iterable[str], package: Path) -> list[str]:
    """Name the shipped weights and measurements that some files are of.

    Args:
        files: The files, named from the folder that holds the package.
        package: The package's folder.
    """
    return sorted(card.parent.name for card in _cards(files, package))


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


def _cards(files: Iterable[str], package: Path) -> Iterator[Path]:
    """Give the cards of the folders of weights that some files lie in, each once."""
    weights = package / "weights"
    paths = (package.parent / name for name in files)
    names = {path.relative_to(weights).parts[0] for path in paths if weights in path.parents}
    return (weights / name / "card.json" for name in names)


def _name(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _shown(card: Path) -> str:
    """Write down what a card has that chapters show, not by which code it was made."""
    content = json.loads(card.read_bytes())
    kept = {name: content[name] for name in ("files", "results", "settings") if name in content}
    return json.dumps(kept, sort_keys=True)

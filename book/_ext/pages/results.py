"""The page that says where each figure comes from: its chapter, seeds, weights and machine.

All of it is read, when the page is, from the chapters' committed results, in which their runs noted
what each cell used, from the chapters' captions, and from the cards of the shipped weights.
"""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain, count, takewhile
from typing import Any

from docutils import nodes
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from book._ext.layout import Book
from book._ext.run.digests import BUNDLED, NO_ENGINE, weights
from book._ext.run.execute import Chapter

PAGE = "book/reference/provenance"
"""The page that has the directive."""
SHOWN = 12
"""How many hexadecimal digits of a SHA-256 are shown."""
LONG = 4
"""How many equally spaced seeds are abridged."""
ATTRIBUTION = (
    "DeepFloyd is licensed under the DeepFloyd License, Copyright (c) Stability AI Ltd. "
    "All Rights Reserved."
)
DEEPFLOYD = re.compile(r"deepfloyd|^IF-I+-", re.I)

_SOLUTION = re.compile(r"^`{3,}\{solution-(?:start\} (?P<label>\S+)|end\})$")
_TITLE = re.compile(r"^# (.+)$", re.M)


@dataclass(frozen=True)
class Picture:
    """A figure, an animation or another picture of a chapter.

    Attributes:
        cell: The index of its code cell.
        name: Its name, by which it is numbered; None where it has none.
        kind: What it is called where it has no number.
        words: What it shows: its alternative text, or its caption's first sentence.
        solution: The exercise in whose solution it stands, where it does.
        seeds: The seeds that were set for it, abridged.
        weights: The shipped weights that were loaded for it.
    """

    cell: int
    name: str | None
    kind: str
    words: str
    solution: str | None
    seeds: tuple[str, ...]
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """A chapter and what made its pictures.

    Attributes:
        docname: The chapter as Sphinx names it.
        title: Its title.
        made: Engine, device, versions, date and seconds, as the committed result has them.
        pictures: Its pictures in order.
    """

    docname: str
    title: str
    made: dict[str, Any]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Weights:
    """Shipped weights, by their card.

    Attributes:
        name: The recipe's name.
        digest: The first digits of the card's SHA-256.
        card: The card.
    """

    name: str
    digest: str
    card: dict[str, Any]


def weights_of(book: Book) -> dict[str, Weights]:
    """Read the cards of the weights that come with the package, by the recipes' names."""
    paths = sorted((book.root / book.package / "weights").glob("*/card.json"))
    files = {path.parent.name: path.read_bytes() for path in paths}
    return {
        name: Weights(name, sha256(data).hexdigest()[:SHOWN], json.loads(data))
        for name, data in files.items()
    }


def provenance_line(provenance: dict[str, Any], weights: Collection[str] = ()) -> str:
    """Say in plain words what made a chapter's figures."""
    loaded = f"Weights {', '.join(sorted(weights))}" if weights else "No model"
    engines = {NO_ENGINE: loaded, BUNDLED: "Bundled model"}
    versions = dict(provenance["versions"])
    names = {"python": "Python", "numpy": "NumPy", "matplotlib": "Matplotlib"}
    software = ", ".join(f"{names.get(name, name)} {number}" for name, number in versions.items())
    engine = engines.get(provenance["engine"], provenance["engine"])
    where = " · ".join(provenance[name] for name in ("device", "dtype") if name in provenance)
    return f"{engine} · {where} · {software} · made on {provenance['date']}"


def attribution_line(engine: str) -> str | None:
    """Return what DeepFloyd's licence wants said of a page that its model made figures of.

    Returns:
        The line, None where the engine isn't one of DeepFloyd's.
    """
    return ATTRIBUTION if DEEPFLOYD.search(engine) else None


def abridged(seeds: Iterable[int]) -> list[str]:
    """Write seeds in order, each once; of many with equal distances the first and the last."""
    numbers = sorted({*seeds})
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
    return found


def result(book: Book, chapter: Chapter, done: NotebookNode, text: str) -> Result:
    """Say what made a chapter's pictures."""
    title = _TITLE.search(text)
    pictures = tuple(_pictures(book, chapter, done, text))
    made = dict(done.metadata.provenance)
    return Result(chapter.docname, title[1] if title else chapter.docname, made, pictures)


def _pictures(book: Book, chapter: Chapter, done: NotebookNode, text: str) -> Iterator[Picture]:
    for index, cell in enumerate(chapter.notebook.cells):
        options = cell.metadata.get("mystnb", {})
        figure, output = options.get("figure", {}), done.cells[index].outputs
        drawn = _drawn(output)
        if drawn is None and "name" not in figure:
            continue
        kind, spoken = drawn or ("Picture", "")
        caption = re.split(r"(?<=[.:?!])\s", " ".join(figure.get("caption", "").split()))[0]
        used = done.metadata.provenance.record.cells[index]
        yield Picture(
            cell=index,
            name=figure.get("name"),
            kind=kind,
            words=options.get("image", {}).get("alt") or spoken or caption,
            solution=_solution(text, chapter.notebook.metadata.lines[index]),
            seeds=tuple(abridged(used.seeds)),
            weights=tuple(weights(used.files, book.root / book.package)),
        )


def _drawn(outputs: Sequence[NotebookNode]) -> tuple[str, str] | None:
    """Say what kind of picture a cell has put out, and in which words; None where it has none."""
    for output in outputs:
        data, said = output.get("data", {}), output.get("metadata", {}).get("text/html", {})
        if "kind" in said:
            return said["kind"], said["alt"]
        if any(kind.startswith("image/") for kind in data):
            return "Picture", ""
    return None


def _solution(text: str, line: int) -> str | None:
    """Name the exercise in whose solution a line of a chapter stands."""
    label = None
    for row in text.splitlines()[:line]:
        if found := _SOLUTION.match(row):
            label = found["label"]
    return label


def label(docname: str, cell: int) -> str:
    """Name the target of a cell whose picture has no name."""
    return nodes.make_id(f"{docname} cell {cell + 1}")


def mark_cells(app: Sphinx, doctree: nodes.document) -> None:
    """Make each code cell of a chapter a target that the page of figures can link to.

    Sphinx's event ``doctree-read``.
    """
    docname = app.env.docname
    domain = app.env.get_domain("std")
    assert isinstance(domain, StandardDomain)  # noqa: S101  # for the type checker
    cells = (n for n in doctree.findall(nodes.container) if n.get("nb_element") == "cell_code")
    for index, cell in enumerate(cells):
        name = label(docname, index)
        cell["ids"].append(name)
        domain.anonlabels[name] = docname, name
        domain.labels[name] = docname, name, name


class ProvenanceTable(SphinxDirective):
    """The directive ``{provenance-table}``: a section a chapter, and one on the weights."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        book = Book.of(self.env.app)
        cards, known = weights_of(book), _known(self.env)
        for card in cards:
            self.env.note_dependency(str(book.root / book.package / "weights" / card / "card.json"))
        found = (known[docname] for docname in book.docnames if docname in known)
        sections = [_section(book, each, cards) for each in found if each.pictures]
        sections += ["## The weights", *map(_described, cards.values())]
        return self.parse_text_to_nodes("\n\n".join(sections), allow_section_headings=True)


def _section(book: Book, found: Result, cards: Mapping[str, Weights]) -> str:
    """Write in Markdown what made a chapter's pictures."""
    name = book.name(found.docname)
    used = sorted({name for picture in found.pictures for name in picture.weights})
    line = f"{provenance_line(found.made, used)} in {found.made['seconds']:.0f} seconds"
    paragraphs = [f"`{name}` · {line}"]
    if used:
        digests = (f"{_to_weights(name)} `{cards[name].digest}`" for name in used)
        paragraphs.append("Weights: " + " · ".join(digests))
    rows = [_row(found.docname, picture) for picture in found.pictures]
    table = ["```{list-table}", ":header-rows: 1", ":widths: 15 50 13 22", ""]
    table += [*_item("Figure", "What it shows", "Seeds", "Weights"), *chain(*rows), "```"]
    target = f"({nodes.make_id(f'figures-{name}')})="
    head = f"{target}\n## {{doc}}`{found.title} </{found.docname}>`"
    return "\n\n".join([head, *paragraphs, "\n".join(table)])


def _row(docname: str, picture: Picture) -> list[str]:
    head = f"{{numref}}`{picture.name}`"
    if picture.name is None:
        head = f"{{ref}}`{picture.kind} <{label(docname, picture.cell)}>`"
    words = picture.words
    if picture.solution is not None:
        words += f" In the solution of {{ref}}`{picture.solution}`."
    links = map(_to_weights, picture.weights)
    return _item(head, words.strip(), ", ".join(picture.seeds), ", ".join(links))


def _item(*cells: str) -> list[str]:
    """Write a row of a list that becomes a table."""
    first, *others = (cell or "–" for cell in cells)
    return [f"* - {first}", *(f"  - {cell}" for cell in others)]


def _to_weights(name: str) -> str:
    return f"[`{name}`](#{nodes.make_id(f'weights-{name}')})"


def _described(found: Weights) -> str:
    """Write in Markdown what is known of some weights."""
    card = found.card
    title = card["title"][0].upper() + card["title"][1:]
    how = f"Preset {card['preset']}" if "preset" in card else "Measured"
    made = f"{how}, {card['date']}, {card['device']}. Card `{found.digest}`"
    tensors = {name: sum_ for name, sum_ in card["files"].items() if name.endswith(".safetensors")}
    files = ", ".join(f"`{name}` `{s[:SHOWN]}`" for name, s in (tensors or card["files"]).items())
    lines = [f"{title}. {made}.", f"{files}." if files else ""]
    target = f"({nodes.make_id(f'weights-{found.name}')})="
    return f"{target}\n`{found.name}`\n: " + "\n\n  ".join(filter(None, lines))


def _known(env: BuildEnvironment) -> dict[str, Result]:
    """What is known of each chapter that Sphinx has read; it is kept with what Sphinx keeps."""
    found: dict[str, Result] = vars(env).setdefault("chapter_results", {})
    return found


def note(env: BuildEnvironment, found: Result) -> None:
    """Keep what made a chapter's pictures, and read the page of all of them where that is news."""
    known, docnames = _known(env), vars(env)["being_read"]
    if known.get(found.docname) != found and PAGE in env.found_docs and PAGE not in docnames:
        docnames.append(PAGE)
    known[found.docname] = found


def read_last(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Read the page of all pictures after the chapters.

    Sphinx's event ``env-before-read-docs``; what is put at the list's end is read too.
    """
    docnames.sort(key=lambda name: name == PAGE)
    vars(env)["being_read"] = docnames


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("provenance-table", ProvenanceTable)
    app.connect("doctree-read", mark_cells)
    app.connect("env-before-read-docs", read_last)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}

"""The page that says where each figure comes from: its chapter, seeds, weights and machine.

All of it is read from the chapters' sources, their committed results, and the cards of the shipped
weights, when the page is read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from nbformat import NotebookNode
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.domains.std import StandardDomain
from sphinx.util.docutils import SphinxDirective

from chapters import ChapterRefusedError, provenance_line
from digests import BUNDLED, MODEL
from execute import Chapter, read_chapter
from layout import Book, BookError
from slices import Script
from store import read_export

SHOWN = 12
"""How many hexadecimal digits of a SHA-256 are shown."""
KINDS = {"animation": "Animation", "turning": "Turning pictures"}

_DRAWN = re.compile(r'<div class="fd-(animation|turning)"')
_WORDS = re.compile(r'aria-label="([^"]+)"')
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
        seeds: The seeds that its slice names.
        weights: The shipped weights that its slice uses.
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
    return {path.parent.name: _read_card(path) for path in paths}


def results(book: Book) -> list[Result]:
    """Say of each chapter with pictures what made them, in the order of the pages.

    Raises:
        BookError: A chapter has no committed result, or one of other code.
    """
    names = frozenset(weights_of(book))
    every = (_result(book, docname, names) for docname in book.docnames)
    return [result for result in every if result is not None and result.pictures]


def _read_card(path: Path) -> Weights:
    data = path.read_bytes()
    return Weights(path.parent.name, sha256(data).hexdigest()[:SHOWN], json.loads(data))


def _result(book: Book, docname: str, names: frozenset[str]) -> Result | None:
    text = book.source(docname).read_text(encoding="utf-8")
    chapter = read_chapter(book, docname, text)
    if chapter is None:
        return None
    done = read_export(book.export(docname))
    codes = [cell.source for cell in chapter.notebook.cells]
    if done is None or [cell.source for cell in done.cells] != codes:
        raise BookError(
            f"{docname} has no committed result of its code, so nothing says where its figures "
            "come from: run `nox -s book`, and commit what it writes into book/_executed"
        )
    made = dict(done.metadata.provenance)
    title = _TITLE.search(text)
    pictures = tuple(_pictures(book, chapter, done, text, names))
    return Result(docname, title[1] if title else docname, made, pictures)


def _pictures(
    book: Book, chapter: Chapter, done: NotebookNode, text: str, names: frozenset[str]
) -> Iterator[Picture]:
    script = Script([cell.source for cell in done.cells], book.root, book.package)
    replaced = {MODEL} if done.metadata.provenance.engine != BUNDLED else set()
    for index, cell in enumerate(chapter.notebook.cells):
        options = cell.metadata.get("mystnb", {})
        figure, output = options.get("figure", {}), done.cells[index].outputs
        drawn = _drawn(output)
        if drawn is None and "name" not in figure:
            continue
        kind, spoken = drawn or ("Picture", "")
        caption = re.split(r"(?<=[.:?!])\s", " ".join(figure.get("caption", "").split()))[0]
        parts = script.slice(index)
        used = script.texts(parts) - replaced | script.named(parts)
        yield Picture(
            cell=index,
            name=figure.get("name"),
            kind=kind,
            words=options.get("image", {}).get("alt") or spoken or caption,
            solution=_solution(text, chapter.notebook.metadata.lines[index]),
            seeds=tuple(script.seeds(parts)),
            weights=tuple(sorted(names & used)),
        )


def _drawn(outputs: Sequence[NotebookNode]) -> tuple[str, str] | None:
    """Say what kind of picture a cell has put out, and in which words; None where it has none."""
    for output in outputs:
        data = output.get("data", {})
        html = str(data.get("text/html", ""))
        if found := _DRAWN.search(html):
            words = [unescape(word) for word in _WORDS.findall(html.split("<input")[0])]
            return KINDS[found[1]], ". ".join(word for word in words if word != "Play")
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


def link(
    target: str, role: str, words: nodes.Node | str = "", *, domain: str = "std", refdoc: str
) -> pending_xref:
    """Make a reference that Sphinx resolves when it knows all pages.

    Args:
        target: What it refers to.
        role: The reference's type, such as ``doc`` or ``numref``.
        words: What to write; the target's own name or number if empty.
        domain: Sphinx's domain.
        refdoc: The page that it is on.
    """
    options = {"refexplicit": bool(words), "refwarn": True, "refdoc": refdoc}
    node = pending_xref("", refdomain=domain, reftype=role, reftarget=target, **options)
    node += words if isinstance(words, nodes.Node) else nodes.inline("", words or target)
    return node


def paragraph(*parts: nodes.Node | str) -> nodes.paragraph:
    """Make a paragraph of nodes and texts."""
    return nodes.paragraph("", "", *(nodes.Text(p) if isinstance(p, str) else p for p in parts))


def joined(parts: Sequence[nodes.Node], between: str) -> list[nodes.Node]:
    """Put a text between nodes."""
    return [node for part in parts for node in (nodes.Text(between), part)][1:]


def section(title: nodes.Node | str, name: str, *content: nodes.Node) -> nodes.section:
    """Make a section with a title of its own."""
    head = nodes.title("", "", nodes.Text(title) if isinstance(title, str) else title)
    return nodes.section("", head, *content, ids=[nodes.make_id(name)])


def table(
    header: Sequence[str], widths: Sequence[int], rows: Sequence[Sequence[nodes.Node]]
) -> nodes.table:
    """Make a table.

    Args:
        header: The heads of the columns.
        widths: The columns' widths, in proportion.
        rows: For each row what its cells hold.
    """
    group = nodes.tgroup("", cols=len(header))
    group += [nodes.colspec(colwidth=width) for width in widths]
    group += nodes.thead("", _row([paragraph(word) for word in header]))
    group += nodes.tbody("", *map(_row, rows))
    return nodes.table("", group, classes=["generated", "colwidths-given"])


def _row(cells: Sequence[nodes.Node]) -> nodes.row:
    return nodes.row("", *(nodes.entry("", cell) for cell in cells))


class ProvenanceTable(SphinxDirective):
    """The directive ``{provenance-table}``: a section a chapter, and one on the weights."""

    def run(self) -> list[nodes.Node]:
        """Write the sections."""
        book = Book(Path(self.env.srcdir), self.config.chapters_package)
        try:
            found, weights = results(book), weights_of(book)
        except BookError as error:
            raise ChapterRefusedError(str(error)) from error
        chapters = [self._chapter(book, result, weights) for result in found]
        return [*chapters, self._weights(weights)]

    def _chapter(self, book: Book, result: Result, weights: dict[str, Weights]) -> nodes.section:
        name, here = book.name(result.docname), self.env.docname
        title = link(f"/{result.docname}", "doc", result.title, refdoc=here)
        used = sorted({name for picture in result.pictures for name in picture.weights})
        line, seconds = provenance_line(result.made, used), f"{result.made['seconds']:.0f} seconds"
        said = paragraph(nodes.literal("", name), f" · {line} in {seconds}")
        content: list[nodes.Element] = [said]
        if used:
            cards = [self._with_digest(weights[name]) for name in used]
            content.append(paragraph("Weights: ", *joined(cards, " · ")))
        for part in content:
            part["classes"].append("made-by")
        rows = [self._picture(result.docname, picture) for picture in result.pictures]
        header = ["Figure", "What it shows", "Seeds", "Weights"]
        content.append(table(header, [15, 50, 13, 22], rows))
        return section(title, f"figures-{name}", *content)

    def _picture(self, docname: str, picture: Picture) -> list[nodes.Node]:
        here = self.env.docname
        if picture.name is not None:
            head = link(picture.name, "numref", refdoc=here)
        else:
            head = link(label(docname, picture.cell), "ref", picture.kind, refdoc=here)
        words: list[nodes.Node | str] = [picture.words]
        if picture.solution is not None:
            exercise = link(picture.solution, "ref", refdoc=here)
            words += [" In the solution of " if picture.words else "In the solution of ", exercise]
            words.append(".")
        seeds = [
            nodes.Text(seed) if seed[0].isdigit() else nodes.literal("", seed)
            for seed in picture.seeds
        ]
        weights = [self._to_weights(name) for name in picture.weights]
        none = [nodes.Text("–")]
        return [
            paragraph(head),
            paragraph(*words),
            paragraph(*joined(seeds or none, ", ")),
            paragraph(*joined(weights or none, ", ")),
        ]

    def _weights(self, weights: dict[str, Weights]) -> nodes.section:
        entries = [
            nodes.definition_list_item(
                "",
                nodes.term("", "", nodes.literal("", name), ids=[_weights_id(name)]),
                nodes.definition("", *_described(found)),
            )
            for name, found in weights.items()
        ]
        return section("The weights", "the-weights", nodes.definition_list("", *entries))

    def _with_digest(self, weights: Weights) -> nodes.inline:
        parts = (self._to_weights(weights.name), nodes.Text(" "), _digest(weights))
        return nodes.inline("", "", *parts)

    def _to_weights(self, name: str) -> nodes.reference:
        inner = nodes.literal("", name)
        return nodes.reference("", "", inner, refid=_weights_id(name), internal=True)


def _weights_id(name: str) -> str:
    return nodes.make_id(f"weights-{name}")


def _digest(weights: Weights) -> nodes.literal:
    return nodes.literal("", weights.digest, classes=["digest"])


def _described(weights: Weights) -> Iterator[nodes.paragraph]:
    card = weights.card
    title = card["title"][0].upper() + card["title"][1:]
    how = f"Preset {card['preset']}" if "preset" in card else "Measured"
    made = f"{how}, {card['date']}, {card['device']}. Card "
    yield paragraph(f"{title}. {made}", _digest(weights), ".")
    files = {
        name: digest for name, digest in card["files"].items() if name.endswith(".safetensors")
    }
    parts = [
        nodes.inline("", "", nodes.literal("", name), nodes.Text(" "), nodes.literal("", d[:SHOWN]))
        for name, d in (files or card["files"]).items()
    ]
    if parts:
        yield paragraph(*joined(parts, ", "), ".")


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.add_directive("provenance-table", ProvenanceTable)
    app.connect("doctree-read", mark_cells)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}

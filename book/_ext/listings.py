"""How code is shown: what isn't about diffusion is folded, and a docstring is one click away."""

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

CHAPTERS = "book/part-"
"""What the names of pages begin with whose code is folded."""
SHOWING = ("plots", "data", "models.weights", "metrics.alignment")
"""What of the package prepares and draws results."""
DOOR = {"show", "save", "picture", "load_picture", "mask", "load_mask", "digits"}
"""The same of what the package itself offers."""
PROMPTS = {"prompt_show": "Show the code", "prompt_hide": "Hide the code"}


def fold(app: Sphinx, doctree: nodes.document) -> None:
    """Fold the cells of a chapter that import, set up or only draw. Event ``doctree-read``."""
    if not app.env.docname.startswith(CHAPTERS):
        return
    package, origins = app.config.chapters_package, dict[str, str]()
    for cell in doctree.findall(nodes.container):
        if cell.get("nb_element") != "cell_code" or not cell.children:
            continue
        code = next(cell.findall(nodes.literal_block), None)
        if code is not None and is_secondary(code.astext(), package, origins):
            cell.attributes |= {"hide_mode": "input", **PROMPTS}


def is_secondary(code: str, package: str, origins: dict[str, str]) -> bool:
    """Whether some code imports, or draws and calls nothing else of the package.

    Args:
        code: A cell.
        package: The package's name.
        origins: What the page's names were imported as, so far; the cell's are added.
    """
    try:
        tree = ast.parse(code)
    except SyntaxError:
        return False
    imports = dict(_imports(tree))
    origins |= imports
    used = {_dotted(node, origins) for node in ast.walk(tree)}
    own = {name.removeprefix(f"{package}.") for name in used if name.startswith(f"{package}.")}
    drawing = {name for name in own if name.startswith(SHOWING) or name in DOOR}
    draws = any(name.startswith("plots") or name == "show" for name in own)
    displays = any(name.startswith("IPython.display.") for name in used)
    return bool(imports) or ((draws or displays) and own == drawing)


def _imports(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            yield from ((a.asname or a.name, f"{node.module}.{a.name}") for a in node.names)
        elif isinstance(node, ast.Import):
            yield from ((a.asname or a.name, a.name) for a in node.names)


def _dotted(node: ast.AST, origins: dict[str, str]) -> str:
    """Say where a name comes from, or an attribute of one; nothing where it isn't imported."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        above = origins.get(node.value.id, "")
        return f"{above}.{node.attr}" if above else ""
    return origins.get(node.id, "") if isinstance(node, ast.Name) else ""


def part_docstrings(app: Sphinx, doctree: nodes.document) -> None:
    """Show definitions of the library without their docstrings, and these below, folded.

    Sphinx's event ``doctree-read``, before code is made links.
    """
    for block in list(doctree.findall(nodes.literal_block)):
        path = Path(block.get("source") or "")
        if path.suffix != ".py" or block.get("nb_element"):
            continue
        listing = dedent(block.astext())
        code, documentation = parted(listing)
        if not documentation:
            continue
        target = _target(path.resolve(), listing, Path(app.srcdir))
        paragraph = nodes.paragraph()
        if target:
            options = {"refdomain": "py", "reftype": "obj", "refdoc": app.env.docname}
            words = nodes.literal("", target)
            link = pending_xref("", words, reftarget=target, refexplicit=True, **options)
            paragraph += [nodes.Text("In the reference: "), link]
        text = nodes.literal_block(documentation, documentation, language="none")
        opening = '<details class="docstring"><summary>Docstring</summary>'
        shown = block.deepcopy()
        shown.children, shown.rawsource = [nodes.Text(code)], code
        block.replace_self(
            [
                shown,
                nodes.raw("", opening, format="html"),
                *([paragraph] if target else []),
                text,
                nodes.raw("", "</details>", format="html"),
            ]
        )


_KINDS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _target(path: Path, listing: str, root: Path) -> str:
    """Find the dotted name of a definition of the library; nothing for what is private."""
    text = path.read_text(encoding="utf-8")
    module = ".".join(path.relative_to(root).with_suffix("").parts)
    for node in ast.parse(text).body:
        for part in (node, *(node.body if isinstance(node, ast.ClassDef) else ())):
            if not isinstance(part, _KINDS):
                continue
            start = min(each.lineno for each in (part, *part.decorator_list))
            lines = text.splitlines()[start - 1 : part.end_lineno]
            if dedent("\n".join(lines)).strip() == listing.strip():
                names = [each.name for each in dict.fromkeys((node, part))]  # type: ignore[attr-defined]
                hidden = any(name.startswith("_") for name in names)
                return "" if hidden else ".".join([module, *names])
    return ""


def parted(code: str) -> tuple[str, str]:
    """Part a definition from its docstring, and from those of a class's methods.

    Args:
        code: The definition.

    Returns:
        The code without them, and the definition's own; empty where it has none.
    """
    tree = ast.parse(code)
    lines = code.splitlines(keepends=True)
    documented = [node for node in ast.walk(tree) if isinstance(node, _KINDS)]
    for node in documented:
        first = node.body[0]
        if ast.get_docstring(node) is not None and len(node.body) > 1:
            after = node.body[1].lineno - 1
            blank = [n for n in range(first.end_lineno or 0, after) if not lines[n].strip()]
            for number in (*range(first.lineno - 1, first.end_lineno or 0), *blank):
                lines[number] = ""
    own = (ast.get_docstring(node) for node in tree.body if isinstance(node, _KINDS))
    return "".join(lines), next(own, None) or ""


def setup(app: Sphinx) -> dict[str, object]:
    """Register the extension."""
    app.connect("doctree-read", fold, priority=400)
    app.connect("doctree-read", part_docstrings, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

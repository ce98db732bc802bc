"""How code is shown: what isn't about diffusion is folded, and a docstring is one click away."""

import ast
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude

CHAPTERS = "book/part-"
"""What the names of pages begin with whose code is folded."""
SHOWING = ("plots", "data", "models.weights", "metrics.alignment")
"""What of the package prepares and draws results."""
DOOR = {"show", "save", "picture", "load_picture", "mask", "load_mask", "load_inpainting", "digits"}
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


class Listing(LiteralInclude):
    """Sphinx's ``literalinclude``, which keeps the name of the definition that it shows."""

    def run(self) -> list[nodes.Node]:
        """Include the code."""
        found = super().run()
        for block in (block for node in found for block in node.findall(nodes.literal_block)):
            block["pyobject"] = self.options.get("pyobject", "")
        return found


def part_docstrings(app: Sphinx, doctree: nodes.document) -> None:
    """Show definitions of the library without their docstrings, and these below, folded.

    Sphinx's event ``doctree-read``, before code is made links.
    """
    for block in list(doctree.findall(nodes.literal_block)):
        name = block.get("pyobject")
        code, documentation = parted(dedent(block.astext())) if name else ("", "")
        if not documentation:
            continue
        path = Path(block["source"]).resolve().relative_to(app.srcdir)
        target = ".".join((*path.with_suffix("").parts, name))
        paragraph = nodes.paragraph()
        if not any(part.startswith("_") for part in name.split(".")):  # the reference leaves it out
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
                *([paragraph] if paragraph.children else []),
                text,
                nodes.raw("", "</details>", format="html"),
            ]
        )


_KINDS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def parted(code: str) -> tuple[str, str]:
    """Part a definition from its docstring, and from those of a class's methods.

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
    app.add_directive("literalinclude", Listing, override=True)
    app.connect("doctree-read", fold, priority=400)
    app.connect("doctree-read", part_docstrings, priority=400)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

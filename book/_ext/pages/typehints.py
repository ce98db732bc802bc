"""How the types of jaxtyping are shown in the reference: aliases by name, others by their shape."""

import importlib
from dataclasses import dataclass
from typing import get_origin

from docutils import nodes
from jaxtyping import AbstractArray
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment


@dataclass(frozen=True)
class Formatter:
    """The ``typehints_formatter`` of sphinx-autodoc-typehints.

    An object rather than a function, which Sphinx could not keep with its configuration.

    Attributes:
        module: The module whose type aliases are shown by their names.
    """

    module: str

    def __call__(self, annotation: object, config: Config) -> str | None:
        """Write an annotation as reStructuredText, or leave it to the extension."""
        for name, alias in vars(importlib.import_module(self.module)).items():
            if _is_alias(alias) and repr(alias) == repr(annotation):
                return f":py:data:`~{self.module}.{name}`"
        if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
            return f"``{annotation.__name__}``".replace("'", '"')
        return None

    def resolve(
        self, app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
    ) -> nodes.Element | None:
        """Resolve autodoc's own references to jaxtyping types, which no inventory can have.

        Sphinx's event ``missing-reference``.
        """
        target = str(node.get("reftarget", ""))
        if not target.startswith("jaxtyping."):
            return None
        for name, alias in vars(importlib.import_module(self.module)).items():
            if isinstance(alias, type) and target == f"{alias.__module__}.{alias.__qualname__}":
                inner = nodes.literal(name, name)
                domain = env.get_domain("py")
                place = (env, node["refdoc"], app.builder, "data", f"{self.module}.{name}")
                return domain.resolve_xref(*place, node, inner) or inner
        return text


def skip_fields(
    app: Sphinx, what: str, name: str, member: object, skip: bool, options: object
) -> bool | None:
    """Leave out the fields of named tuples, which their class's docstring describes.

    Sphinx's event ``autodoc-skip-member``.
    """
    return True if type(member).__name__ == "_tuplegetter" else None


def _is_alias(value: object) -> bool:
    return get_origin(value) is not None or (
        isinstance(value, type) and issubclass(value, AbstractArray)
    )

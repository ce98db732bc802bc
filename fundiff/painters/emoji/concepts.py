"""What the emoji show: concepts with names and keywords, and which icon is which of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fundiff.painters.emoji.packages import read_json

LEFT_OUT = frozenset({2, 9})
"""Groups that are left out, components (skin tones, hair) and flags."""

LETTERS = frozenset({94, 95})
"""Subgroups that are left out, key caps and letters in squares."""

SKINS = frozenset({"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"})
"""The code points of the skin tones; what has one is left out, what has none is kept."""

FACING_RIGHT = "-200d-27a1"
"""How the code of a variant ends that only looks the other way, and is left out."""

ALSO = {
    "1f474": ("gpa",),
    "1f475": ("gma",),
    "1f415": ("dogside",),
    "1f408": ("catside",),
    "1f3d4": ("snowmountains",),
    "1f405": ("tigerside",),
    "1f416": ("pigside",),
    "1f407": ("bunnyside",),
    "1f430": ("bunny",),
    "1f3ce": ("racecar",),
    "1f332": ("evergreen",),
    "1f4d1": ("bookmarktab",),
    "1f46e": ("cop",),
    "1f3be": ("tennisball",),
    "1f33f": ("leaffluttering",),
}
"""Names that a set uses and nobody else does."""


@dataclass(frozen=True)
class Concept:
    """One emoji, whoever drew it.

    Attributes:
        code: Its code points in lower-case hexadecimal, joined by hyphens, without ``fe0f``.
        name: Its name, in lower case.
        keywords: Further words for it.
        group: The number of its group, as in emojibase.
        subgroup: The number of its subgroup.
    """

    code: str
    name: str
    keywords: tuple[str, ...]
    group: int
    subgroup: int


def bare(code: str) -> str:
    """Return a sequence of code points in the form of ``Concept.code``."""
    parts = re.split(r"[-_ ]", code.lower())
    return "-".join(part.removeprefix("u+") for part in parts if part != "fe0f")


def squeezed(name: str) -> str:
    """Return a name's letters and digits alone, in lower case: sets differ in the rest."""
    return re.sub(r"[^a-z0-9]+", "", name.lower())


def read_concepts(path: Path) -> dict[str, Concept]:
    """Read the concepts from emojibase's tarball, by their code, in Unicode's order.

    Left out are flags and components, key caps and letters, skin tones, and variants that only
    look the other way.

    Raises:
        SourceError: The tarball or its ``en/data.json`` can't be read.
    """
    concepts = {}
    for row in sorted(read_json(path, "en/data.json"), key=lambda row: row.get("order", 0)):
        code, group = bare(row["hexcode"]), row.get("group")
        if group is None or group in LEFT_OUT or row["subgroup"] in LETTERS:
            continue
        if SKINS & set(code.split("-")) or code.endswith(FACING_RIGHT):
            continue
        name = row["label"].lower().replace("’", "'").replace("“", "").replace("”", "")
        words = tuple(sorted({tag.lower() for tag in row.get("tags", ())} - {name}))
        concepts[code] = Concept(code, name, words, group, row["subgroup"])
    return concepts


def codes_of_names(
    concepts: Mapping[str, Concept],
    unicode_names: Mapping[str, str],
    charts: Iterable[Mapping[str, str]],
) -> dict[str, str]:
    """Return the code of every known name, for sets that tell names alone; the first name wins.

    Args:
        concepts: The concepts, by code.
        unicode_names: Unicode's names, by code.
        charts: Names by code, from sets that tell both.

    Returns:
        Codes by :func:`squeezed` name.
    """
    codes: dict[str, str] = {}
    for code, concept in concepts.items():
        codes.setdefault(squeezed(concept.name), code)
    for names in (unicode_names, *charts):
        for code, name in names.items():
            codes.setdefault(squeezed(name), bare(code))
    for code, others in ALSO.items():
        for name in others:
            codes.setdefault(name, code)
    return codes

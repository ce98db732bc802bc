"""Where the emoji come from: pinned packages of the npm registry, each free with attribution.

:data:`SOURCES` are the ones that pictures for training come from; :data:`UNSEEN` is a hand that the
model never sees, for its evaluation alone.
"""

from dataclasses import dataclass
from enum import Enum

from fundiff.errors import FundiffError


class SourceError(FundiffError):
    """A package that can't be had or is refused: what was expected, what was found, what to do."""


class Kind(Enum):
    """What a package holds."""

    ICONS = "icons"
    """Drawings, the SVG icons of an Iconify set, in ``icons.json``."""
    STENCILS = "stencils"
    """Icons in one colour, as :attr:`ICONS`."""
    RENDERS = "renders"
    """Pictures with transparency, ``assets/CODE.webp``."""
    NAMES = "names"
    """Names, keywords and groups of the emoji, in ``en/data.json``."""


@dataclass(frozen=True)
class Source:
    """One pinned package.

    Attributes:
        name: The set's short name.
        package: The package's name in the npm registry.
        version: The one version that is used.
        sha256: The digest of its tarball, in hexadecimal.
        licence: The licence's SPDX expression.
        author: Whom to name.
        title: What the set is called.
        home: The public address of the set.
        kind: What the package holds.
        evaluation: Whether the set is for evaluation only, never for training.
    """

    name: str
    package: str
    version: str
    sha256: str
    licence: str
    author: str
    title: str
    home: str
    kind: Kind = Kind.ICONS
    evaluation: bool = False

    @property
    def file(self) -> str:
        """The tarball's name, as ``npm pack`` gives it."""
        return f"{self.package.removeprefix('@').replace('/', '-')}-{self.version}.tgz"


_FLUENT = ("Microsoft Corporation", "https://github.com/microsoft/fluentui-emoji")

_NOTO = ("Google Inc", "Noto Emoji", "https://github.com/googlefonts/noto-emoji")

_TWO = ("Emoji One", "https://github.com/EmojiTwo/emojitwo")

SOURCES = (
    Source(
        "names",
        "emojibase-data",
        "17.0.0",
        "d01d0e2ca4e22cb402679532155342c71e2e871f25c32223c013b8b166ebdf5a",
        "MIT",
        "Miles Johnson",
        "Emojibase",
        "https://github.com/milesj/emojibase",
        Kind.NAMES,
    ),
    Source(
        "noto",
        "@iconify-json/noto",
        "1.2.9",
        "3e918d88fc945c0bb3d468dbace6f88caef67f01c9f0e7bcae0915a042e8f1ad",
        "Apache-2.0",
        *_NOTO,
    ),
    Source(
        "noto-v1",
        "@iconify-json/noto-v1",
        "1.2.5",
        "2bf62c26c2c2884aa99e90aec942cdaee17a5921f05690694f4978ad4b017c37",
        "Apache-2.0",
        _NOTO[0],
        "Noto Emoji, version 1",
        _NOTO[2],
    ),
    Source(
        "fxemoji",
        "@iconify-json/fxemoji",
        "1.2.2",
        "f3e72b3c59d05e1db03b7e308d55c0d05bd7ba3f625a90da1b79313c12858eef",
        "Apache-2.0",
        "Mozilla",
        "Firefox OS Emoji",
        "https://github.com/mozilla/fxemoji",
    ),
    Source(
        "twemoji",
        "@iconify-json/twemoji",
        "1.2.5",
        "19046dff7d8707ce96212ec86468b36ac5f8e60409629dd13f809265c6d0ebb7",
        "CC-BY-4.0",
        "Twitter",
        "Twitter Emoji",
        "https://github.com/jdecked/twemoji",
    ),
    Source(
        "emojione",
        "@iconify-json/emojione",
        "1.2.3",
        "26a14f44284407e8bcde91799388dca2bfd91dbcd55a97f425524a1c5b73610e",
        "CC-BY-4.0",
        _TWO[0],
        "Emoji One, coloured",
        _TWO[1],
    ),
    Source(
        "emojione-monotone",
        "@iconify-json/emojione-monotone",
        "1.2.1",
        "40b90004bafb406b59266155ef9b7e1dd67bf2947fc8db8d07388776f4d0d04e",
        "CC-BY-4.0",
        _TWO[0],
        "Emoji One, one colour",
        _TWO[1],
        Kind.STENCILS,
    ),
    Source(
        "fluent-flat",
        "@iconify-json/fluent-emoji-flat",
        "1.2.6",
        "7d064769dee690815f823bc5bcc511d957198caf9f5edd8dd9c1aa48a6aeb175",
        "MIT",
        _FLUENT[0],
        "Fluent Emoji, flat",
        _FLUENT[1],
    ),
    Source(
        "fluent-contrast",
        "@iconify-json/fluent-emoji-high-contrast",
        "1.2.6",
        "0b92d48c90d2200bd499e3cdd09a127ca6a8c8ddefd34c35eb5a1e4994012ae0",
        "MIT",
        _FLUENT[0],
        "Fluent Emoji, high contrast",
        _FLUENT[1],
        Kind.STENCILS,
    ),
    Source(
        "fluent-3d",
        "@lobehub/fluent-emoji-3d",
        "1.1.0",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        "MIT",
        f"{_FLUENT[0]}, packed by LobeHub",
        "Fluent Emoji, 3D",
        _FLUENT[1],
        Kind.RENDERS,
    ),
)
"""The packages that the training set is made of."""

UNSEEN = Source(
    "openmoji",
    "@iconify-json/openmoji",
    "1.2.29",
    "03181e2c156cab35cf4a62f1f7886bd971d59212e75ac3f189d5a4cae3930fc5",
    "CC-BY-SA-4.0",
    "OpenMoji",
    "OpenMoji",
    "https://github.com/hfg-gmuend/openmoji",
    evaluation=True,
)
"""A hand that the model never sees, for evaluation only; its licence asks to share alike."""

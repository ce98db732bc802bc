"""Captions: lower-case English phrases with the right article, from names, keywords and styles."""

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

from fundiff.painters.emoji.canvas import one_of
from fundiff.painters.emoji.concepts import Concept

SYNONYMS: dict[str, tuple[str, ...]] = {
    "1f474": ("old man", "elderly man", "grandfather", "grandpa"),
    "1f475": ("old woman", "elderly woman", "grandmother", "grandma"),
    "1f468": ("man", "man's face"),
    "1f436": ("dog", "dog's face", "puppy", "dog's head"),
    "1f415": ("dog", "dog standing"),
    "1f431": ("cat", "cat's face", "kitten"),
    "1f408": ("cat",),
    "1f680": ("rocket ship", "rocket", "spaceship", "space rocket"),
    "270f": ("pencil",),
    "1f480": ("skull", "human skull"),
    "2615": ("cup of coffee", "cup of tea", "coffee"),
    "1f3d4": ("snow-capped mountain", "snowy mountain"),
    "1f3e0": ("house", "home"),
    "1f525": ("fire", "flame", "campfire"),
    "1f697": ("car",),
    "1f920": ("cowboy", "face wearing a cowboy hat"),
}
"""Better words for a concept than its keywords."""

_UNCOUNTED = (
    "bacon badminton bowling bread breast-feeding broccoli butter camping cheese clothing "
    "coffee confetti construction cooking customs dizzy dna film fire fireworks fog foggy "
    "fondue garlic ginger gold hockey home honey ice lacrosse lightning locked luggage milk "
    "money music pong popcorn pottery racing rain rice sake salt shrimp skis snow soap "
    "spaghetti sunrise sunset sushi tea tennis thread unlocked water wind wine wireless wood "
    "yarn"
)

UNCOUNTED = frozenset(_UNCOUNTED.split())
"""Words that take no article."""

_PLURAL = re.compile(r"(?<![suio])s$|people|men$|children$|teeth$|feet$")

_BARE = re.compile(
    r"^(a|an|the|two|three|my|no|not|in|on|\d+|men|women|people|mount|santa|mrs\.?|mx|"
    r"japan|statue|earth|saturn|tokyo)(?![-\w])"
)

_SOMEONE = re.compile(r"^(man|woman|person|boy|girl|child|baby) ")

_AN = re.compile(r"^([ai]|e(?!u|w)|o(?!ne\b)|u(?!ni|se|ti|k)|hour|honest|heir|x-ray)")

_JOINTS = re.compile(r" (?:with|of|on|in|at|and|holding|wearing|behind|over|under|without) ")


def with_article(noun: str) -> str:
    """Return a noun phrase with "a" or "an" where it takes one: ``an old man``, ``scissors``."""
    head = _JOINTS.split(noun)[0]
    if not noun or _BARE.search(noun):
        return noun
    if not _SOMEONE.search(noun) and (_PLURAL.search(head) or head.split()[-1] in UNCOUNTED):
        return noun
    return ("an " if _AN.match(noun) else "a ") + noun


def tidied(name: str) -> str:
    """Return a name as a phrase: lower case, no brackets, no colon after the kind."""
    plain = unicodedata.normalize("NFKD", name.lower())
    name = re.sub(r"\s*\([^)]*\)|[\u0300-\u036f]", "", plain)
    kind, _, variant = name.partition(":")
    if variant:
        name = f"{kind.strip()} with {variant.strip()}"
    name = re.sub(r"^(man|woman|person) with (?:beard|man|woman).*", r"\1 with a beard", name)
    name = re.sub(r"^(man|woman|person) with bald$", r"bald \1", name)
    name = re.sub(r"^(family|couple with heart|kiss) with .*", r"\1", name).replace("&", "and")
    return " ".join(re.sub(r"[^a-z0-9' ,.!?-]+", " ", name).split())


def noun(rng: np.random.Generator, concept: Concept) -> str:
    """Return words for a concept, with their article: mostly its name, else a near word."""
    name, kind = tidied(concept.name), rng.random()
    if concept.code in SYNONYMS and kind < 0.85:
        words = SYNONYMS[concept.code]
        return with_article(one_of(rng, words))
    words = tuple(word for word in map(tidied, concept.keywords) if word and word not in name)
    if kind < 0.12 and words:
        return f"{with_article(name)}, {one_of(rng, words)}"
    if kind < 0.2 and len(words) > 1:
        first, second = rng.choice(len(words), 2, replace=False)
        return f"{with_article(name)}, {words[first]}, {words[second]}"
    if name.endswith(("o'clock", "-thirty")):
        return f"a clock showing {name}"
    short = name.removesuffix(" face")
    if kind < 0.45 and concept.group == 3 and short != name:
        return with_article(short)
    if concept.group == 0 and concept.subgroup < 11 and not re.search("face|head", name):
        return with_article(f"{name} face")
    return with_article(name)


def caption(
    rng: np.random.Generator,
    subject: str,
    phrases: Sequence[str],
    generic: Sequence[str],
    *,
    ground: str = "",
    share: float = 0.05,
) -> str:
    """Return a caption for one picture.

    Args:
        rng: Makes the choices.
        subject: What it shows, with its article.
        phrases: The style's captions, with ``{}`` for the subject.
        generic: The style's captions without a subject.
        ground: The name of the background's colour, told now and then.
        share: How often a caption leaves the subject out.
    """
    chance = rng.random()
    if chance < share:
        return one_of(rng, generic)
    if ground and chance > 0.75:
        subject = f"{subject} on {with_article(ground)} background"
    if chance < share + 0.08:
        return subject
    if chance < share + 0.11:
        return re.sub(r"^(an?|the) ", "", subject)
    return one_of(rng, phrases).format(subject)

"""How many captions of a training set bear on what is asked for."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

from fundiff.painters.emoji.styles import STYLES

_SMALL = frozenset({"a", "an", "the", "and", "of", "in", "on", "with", "around"})
_PHRASES = {
    phrase: re.compile(re.escape(phrase).replace(r"\{\}", "(.+)"))
    for phrase in sorted((p for style in STYLES for p in style.phrases), key=len, reverse=True)
}
_GENERIC = frozenset(phrase for style in STYLES for phrase in style.generic)


class Bearing(NamedTuple):
    """How many captions say a whole prompt, and how many name its subject in any style."""

    whole: int
    subject: int


def bearing(captions: Iterable[str], prompts: Sequence[str]) -> dict[str, Bearing]:
    """Count the captions that bear on each of some prompts.

    A caption says a whole prompt where it has the same phrase for the style and, within it, the
    subject's words in their order; it names the subject where it has the subject's words, whole
    and in any order, articles and other small words aside.

    Args:
        captions: The captions.
        prompts: What may be asked for.

    Returns:
        The two counts of each prompt.
    """
    told = [(phrase, f" {' '.join(words)} ", {*words}) for phrase, words in map(_parsed, captions)]
    found = {}
    for prompt in prompts:
        phrase, words = _parsed(prompt)
        asked, content = f" {' '.join(words)} ", {*words} - _SMALL
        same = sum(asked in said for style, said, _ in told if style == phrase)
        named = sum(content <= some for _, _, some in told) if content else same
        found[prompt] = Bearing(same, named)
    return found


@cache
def _parsed(caption: str) -> tuple[str, tuple[str, ...]]:
    """Return a caption's phrase, with ``{}`` for the subject, and the words of the subject."""
    if caption in _GENERIC:
        return caption, ()
    found = ((phrase, pattern.fullmatch(caption)) for phrase, pattern in _PHRASES.items())
    phrase, subject = next((phrase, match[1]) for phrase, match in found if match)
    words = re.sub(r"'s?\b|,", "", subject).split()
    return phrase, tuple(word for word in words if word not in {"a", "an", "the"})

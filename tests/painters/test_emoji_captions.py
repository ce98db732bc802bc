import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fundiff.painters.emoji.captions import caption, noun, tidied, with_article
from fundiff.painters.emoji.concepts import Concept
from fundiff.painters.emoji.styles import PHOTO, STYLES, Style
from fundiff.painters.emoji.themes import THEMES

WRITE_UP = (
    "an oil painting of an old man",
    "an oil painting of people around a campfire",
    "a lithograph of waterfalls",
    "a man wearing a hat",
    "an oil painting of a snowy mountain village",
    "a photo of a dog",
    "a photo of the amalfi coast",
    "a photo of a man",
    "a photo of a hipster barista",
    "a lithograph of a skull",
    "a rocket ship",
    "a pencil",
    "a high quality photo",
    "a high quality picture",
)
WORDS = st.text(st.sampled_from("abehilnostu ÅÉ()’:“”&-1"), min_size=1, max_size=24)


@pytest.mark.parametrize(
    ("noun", "want"),
    [
        ("old man", "an old man"),
        ("man wearing a hat", "a man wearing a hat"),
        ("umbrella", "an umbrella"),
        ("unicorn", "a unicorn"),
        ("one-piece swimsuit", "a one-piece swimsuit"),
        ("euro banknote", "a euro banknote"),
        ("hourglass done", "an hourglass done"),
        ("scissors", "scissors"),
        ("glasses", "glasses"),
        ("glass of milk", "a glass of milk"),
        ("octopus", "an octopus"),
        ("people holding hands", "people holding hands"),
        ("person lifting weights", "a person lifting weights"),
        ("house with stairs", "a house with stairs"),
        ("bread", "bread"),
        ("the amalfi coast", "the amalfi coast"),
        ("two hearts", "two hearts"),
        ("two-hump camel", "a two-hump camel"),
        ("", ""),
    ],
)
def test_articles(noun: str, want: str) -> None:
    assert with_article(noun) == want


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("man: beard", "man with a beard"),
        ("man: red hair", "man with red hair"),
        ("woman: bald", "bald woman"),
        ("family: man, woman, boy", "family"),
        ("Piñata", "pinata"),
        ("name (old)", "name"),
    ],
)
def test_names_become_phrases(name: str, want: str) -> None:
    assert tidied(name) == want


@given(
    name=WORDS.filter(tidied),
    tags=st.lists(WORDS, max_size=4),
    place=st.tuples(st.integers(0, 8), st.integers(0, 99)),
    seed=st.integers(0, 999),
    style=st.sampled_from(STYLES),
    ground=st.sampled_from(["", "blue", "orange"]),
)
def test_every_caption_is_a_clean_phrase(
    name: str, tags: list[str], place: tuple[int, int], seed: int, style: Style, ground: str
) -> None:
    rng = np.random.default_rng(seed)
    subject = noun(rng, Concept("1f9ff", name.lower(), tuple(tags), *place))
    said = caption(rng, subject, style.phrases, style.generic, ground=ground)
    assert re.fullmatch(r"[a-z0-9',.!?-]+( [a-z0-9',.!?-]+)*", said)
    assert not re.search(r"\ba orange|\ban blue", said)


@given(st.text(st.characters(categories=["Ll"], max_codepoint=127), min_size=2, max_size=12))
def test_an_article_is_added_once_at_most(word: str) -> None:
    once = with_article(word)
    assert once in (word, f"a {word}", f"an {word}")
    assert with_article(once) == once
    if once != word and word[0] in "ai":
        assert once.startswith("an ")
    if once != word and word[0] not in "aeioux" and not word.startswith("ho"):
        assert once.startswith("a ")


def test_captions_vary_and_are_reproducible() -> None:
    def said(seed: int) -> str:
        rng = np.random.default_rng(seed)
        return caption(rng, "a dog", PHOTO.phrases, PHOTO.generic, ground="")

    captions = [said(seed) for seed in range(400)]
    assert captions == [said(seed) for seed in range(400)]
    assert {"a photo of a dog", "a dog", "dog", "a high quality photo"} <= set(captions)
    assert 0.4 < captions.count("a photo of a dog") / 400 < 0.7


def test_the_background_is_told_now_and_then() -> None:
    rng = np.random.default_rng(0)
    said = [caption(rng, "a dog", ("{}",), ("x",), ground="orange") for _ in range(200)]
    assert 20 < said.count("a dog on an orange background") < 80


def test_the_write_ups_prompts_can_all_be_said() -> None:
    subjects = {words for theme in THEMES for words in theme.words}
    phrases = {phrase for style in STYLES for phrase in style.phrases}
    every = {phrase.format(words) for phrase in phrases for words in subjects}
    every |= {generic for style in STYLES for generic in style.generic}
    assert set(WRITE_UP) <= every
    for theme in THEMES:
        for words in theme.words:
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", words), words

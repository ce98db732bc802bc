import re
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_emoji import packages

from fundiff.cli.main import main
from fundiff.errors import FundiffError
from fundiff.painters.emoji import dataset as module
from fundiff.painters.emoji import sprites as sprites_module
from fundiff.painters.emoji.captions import tidied
from fundiff.painters.emoji.concepts import Concept
from fundiff.painters.emoji.coverage import bearing
from fundiff.painters.emoji.dataset import EmojiPictures, Example
from fundiff.painters.emoji.editions import EDITIONS, NEWCOMERS, Edition
from fundiff.painters.emoji.pairs import pair
from fundiff.painters.emoji.pools import pool
from fundiff.painters.emoji.rasters import SpriteError
from fundiff.painters.emoji.scenes import FAMILIAR, Cast
from fundiff.painters.emoji.sprites import Part, build, load_sprites
from fundiff.painters.emoji.styles import STYLES, Style
from fundiff.painters.emoji.themes import THEMES, Theme
from fundiff.recipes.text_to_image import PROMPTS

pytest.importorskip("resvg_py")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny build, a third of which is held out."""
    out = tmp_path_factory.mktemp("emoji")
    sources = packages(out / "packages")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sprites_module, "HELD_OUT", 0.35)
        build(out / "train", out / "packages", sources=sources[:-1])
    build(
        out / "unseen", out / "packages", sources=sources[:-1], unseen=sources[-1], evaluation=True
    )
    return out


@pytest.fixture(scope="module")
def pictures(folder: Path) -> EmojiPictures:
    return EmojiPictures(folder / "train", seed=3)


def same(a: Example, b: Example) -> bool:
    return bool((a.picture == b.picture).all()) and a.caption == b.caption


# examples


def test_an_example_is_a_picture_and_a_caption(pictures: EmojiPictures) -> None:
    picture, caption = pictures.example(5)
    assert picture.shape == (3, 64, 64)
    assert picture.dtype == np.uint8
    assert caption == caption.lower().strip() != ""


def test_examples_depend_on_seed_and_index_alone(folder: Path, pictures: EmojiPictures) -> None:
    forward = [pictures.example(i) for i in range(30)]
    again = EmojiPictures(folder / "train", seed=3, length=40)
    for i in reversed(range(30)):
        assert same(again.example(i), forward[i])
        assert same(again[i], forward[i])


def test_a_batch_is_its_examples(pictures: EmojiPictures) -> None:
    indices = [7, 2, 2, 40]
    batch, captions = pictures.batch(indices)
    assert batch.shape == (4, 3, 64, 64)
    for i, index in enumerate(indices):
        assert same(Example(batch[i], captions[i]), pictures.example(index))


def test_threads_do_not_disturb_each_other(pictures: EmojiPictures) -> None:
    alone = [pictures.example(i) for i in range(24)]
    found: dict[int, Example] = {}

    def work(first: int) -> None:
        for i in range(first, 24, 3):
            found[i] = pictures.example(i)

    threads = [threading.Thread(target=work, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(same(found[i], alone[i]) for i in range(24))


def test_other_seeds_and_indices_give_other_pictures(folder: Path, pictures: EmojiPictures) -> None:
    other = EmojiPictures(folder / "train", seed=4)
    assert not any(same(pictures.example(i), other.example(i)) for i in range(10))
    assert not any(same(pictures.example(i), pictures.example(i + 1)) for i in range(10))


@settings(max_examples=40)
@given(index=st.integers(0, 2**40), seed=st.integers(0, 2**64 - 1))
def test_any_example_can_be_made(folder: Path, index: int, seed: int) -> None:
    pictures = cached(folder, seed)
    picture, caption = pictures.example(index)
    assert picture.std() > 2
    assert caption


def cached(folder: Path, seed: int) -> EmojiPictures:
    if not CACHE:
        CACHE.append(EmojiPictures(folder / "train", seed=0, length=2**63))
    CACHE[0].seed = seed
    return CACHE[0]


CACHE: list[EmojiPictures] = []


def test_captions_are_as_varied_as_the_pictures(pictures: EmojiPictures) -> None:
    captions = pictures.batch(range(300))[1]
    assert len(set(captions)) > 150
    for word in ("photo", "oil painting", "lithograph", "drawing", "cartoon", "watercolor", "icon"):
        assert any(word in caption for caption in captions), word


def test_length_and_bounds(folder: Path) -> None:
    pictures = EmojiPictures(folder / "train", seed=0, length=10)
    assert len(pictures) == 10
    assert pictures.digest == load_sprites(folder / "train").digest
    assert pictures[9].caption == pictures.example(9).caption
    for index in (-1, 10):
        with pytest.raises(IndexError, match="examples 0 to 9"):
            pictures.example(index)
    with pytest.raises(ValueError, match="at least one"):
        pictures.batch([])


@pytest.mark.parametrize(("seed", "length"), [(-1, 1), (2**64, 1), (0, 0)])
def test_wrong_numbers_are_refused(seed: int, length: int, folder: Path) -> None:
    with pytest.raises(ValueError, match="seed must be"):
        EmojiPictures(folder / "train", seed=seed, length=length)


def test_missing_sprites_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SpriteError, match="build them first"):
        EmojiPictures(tmp_path, seed=0)
    with pytest.raises(ValueError, match="no sprites for TRAIN"):
        EmojiPictures(folder / "unseen", seed=0)
    with pytest.raises(ValueError, match="no sprites for UNSEEN"):
        EmojiPictures(folder / "train", seed=0, part=Part.UNSEEN)


# what is held out


def used(folder: Path, part: Part, monkeypatch: pytest.MonkeyPatch) -> set[bytes]:
    """The sprites that were looked at while 400 examples were made."""
    seen: set[bytes] = set()
    take = Cast.sprite

    def watched(self: Cast, *args: object, **options: object) -> np.ndarray:
        sprite = take(self, *args, **options)  # type: ignore[arg-type]
        seen.add(sprite.tobytes())
        return sprite

    with monkeypatch.context() as patch:
        patch.setattr(Cast, "sprite", watched)
        EmojiPictures(folder, seed=1, part=part).batch(range(400))
    return seen


def test_what_is_held_out_is_never_trained_on(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sprites = load_sprites(folder / "train")
    parts: dict[Part, set[bytes]] = {Part.TRAIN: set(), Part.HELD_OUT: set()}
    for part in parts:
        cast = module._cast(sprites, part)
        parts[part] = {pixels.tobytes() for pixels in cast.pixels}
        assert used(folder / "train", part, monkeypatch) <= parts[part]
    only = parts[Part.HELD_OUT] - parts[Part.TRAIN]
    assert len(only) > 10
    assert not used(folder / "train", Part.TRAIN, monkeypatch) & only


def test_every_train_sprite_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cast = module._cast(load_sprites(folder / "train"), Part.TRAIN)
    seen = used(folder / "train", Part.TRAIN, monkeypatch)
    assert len(seen) > 0.9 * len({pixels.tobytes() for pixels in cast.pixels})


@pytest.mark.parametrize(
    ("name", "part"),
    [("train", Part.HELD_OUT), ("unseen", Part.UNSEEN)],
    ids=["held out", "unseen"],
)
def test_evaluation_has_its_own_pictures(name: str, part: Part, folder: Path) -> None:
    pictures = EmojiPictures(folder / name, seed=3, part=part)
    batch, captions = pictures.batch(range(20))
    assert batch.std(axis=(1, 2, 3)).min() > 2
    assert all(captions)
    assert not any("waterfall" in caption for caption in captions)


def test_a_familiar_world_has_nothing_else(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EDITIONS", {1: replace(EDITIONS[1], themed=0.0)})
    small = EmojiPictures(folder / "train", seed=1, familiar=True)
    shown = {c.code for pool in (small._drawn, small._stencils) for c in pool.concepts}
    assert shown
    assert shown <= FAMILIAR
    names = {tidied(c.name) for c in small._cast.concepts if c.code not in FAMILIAR}
    told = " ".join(small.batch(range(300))[1])
    assert names
    assert not any(name in told for name in names)
    monkeypatch.setattr(module, "FAMILIAR", frozenset())
    with pytest.raises(ValueError, match="no familiar concept"):
        EmojiPictures(folder / "train", seed=1, familiar=True)


# what the write-up's subjects look like


@pytest.mark.parametrize(
    "theme",
    [*THEMES, *(theme for theme in NEWCOMERS if not theme.codes)],
    ids=lambda theme: theme.words[0],
)
@pytest.mark.parametrize("style", STYLES[:-1], ids=lambda style: style.name)
def test_every_subject_is_painted_in_every_style(theme: Theme, style: Style, folder: Path) -> None:
    cast = module._cast(load_sprites(folder / "train"), Part.TRAIN)
    seen = []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        scene = theme.paint(rng, cast, style.name == "photo")
        back = style.backdrop(rng)[0] if scene.back is None else scene.back
        picture = style.finish(rng, back, scene.front)
        assert picture.shape == (3, 64, 64)
        assert np.isfinite(picture).all()
        assert picture.min() > -0.1
        assert picture.max() < 1.1
        assert picture.std() > 0.03
        seen.append(picture)
    assert np.abs(seen[0] - seen[1]).mean() > 0.02
    assert np.abs(seen[1] - seen[2]).mean() > 0.02


def test_a_quarter_shows_the_write_ups_subjects() -> None:
    assert 0.2 < EDITIONS[1].themed < 0.35
    assert sum(theme.share for theme in THEMES[:12]) / sum(t.share for t in THEMES) > 0.85


# editions


def test_the_first_edition_stays_what_weights_learned_from(pictures: EmojiPictures) -> None:
    batch, captions = pictures.batch(range(300))
    digest = sha256("\n".join(captions).encode()).hexdigest()
    assert digest[:16] == "dfa6dc87a3c69d45"
    # the last bit of a blur depends on the processor, so the pixels are compared by their means
    means = batch.mean(axis=(0, 2, 3)).tolist()
    assert means == pytest.approx([157.27, 148.626, 140.331], abs=0.01)


def test_an_unknown_edition_is_refused(folder: Path) -> None:
    with pytest.raises(FundiffError, match=r"expected an edition among \[1, 2\], found 3"):
        EmojiPictures(folder / "train", seed=0, edition=3)


def test_newcomers_leave_the_old_subjects_their_share() -> None:
    old, new = EDITIONS[1], EDITIONS[2]
    kept = (new.themed / sum(t.share for t in new.themes)) / (
        old.themed / sum(t.share for t in old.themes)
    )
    assert kept > 0.85
    plain = {theme.words[0] for theme in old.themes}
    assert plain <= {theme.words[0] for theme in new.themes}
    assert {"a cat", "a tower", "a landscape"} <= {theme.words[0] for theme in new.themes}


def test_only_handsome_themes_go_without_a_subject(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generic = {words for style in STYLES for words in style.generic}

    def told(edition: Edition) -> int:
        monkeypatch.setattr(module, "EDITIONS", {2: edition})
        captions = EmojiPictures(folder / "train", seed=1, edition=2).batch(range(500))[1]
        return sum(caption in generic for caption in captions)

    new = EDITIONS[2]
    assert 10 < told(new) < 40
    assert told(replace(new, themed=0.0)) == told(replace(new, handsome=0.0)) == 0
    blunt = {theme.words[0] for theme in new.themes if not theme.handsome}
    assert blunt >= {"a skull", "a pencil", "a winking face", "a red heart"}


def test_a_pair_stands_in_the_order_of_its_words() -> None:
    concepts = (Concept("1f415", "dog", (), 3, 34), Concept("1f3e0", "house", (), 5, 51))
    pixels = np.zeros((2, 64, 64, 4), np.uint8)
    pixels[:, ..., 3] = 255
    pixels[0, ..., 0] = pixels[1, ..., 2] = 255
    drawn = {"1f415": (0,), "1f3e0": (1,)}
    cast, colours, forms = Cast(concepts, pixels, drawn, {}, {}), {"dog": 0, "house": 2}, set()
    for seed in range(60):
        some = pool(concepts)
        scene = pair(np.random.default_rng(seed), cast, some, some, photo=False)
        first, second = re.findall("dog|house", scene.words)
        assert scene.front is not None
        for channel, half in ((colours[first], slice(32)), (colours[second], slice(32, 64))):
            other = scene.front[2 - channel, :, half]
            assert scene.front[channel, :, half].sum() > 600 > 100 * other.sum()
        forms.add(scene.words)
    assert {"a dog and a house", "a house and a dog"} <= forms
    assert "a dog on the left and a house on the right" in forms


def test_a_pair_is_of_two_different_things(folder: Path) -> None:
    pictures = EmojiPictures(folder / "train", seed=2, edition=2)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scene = pair(rng, pictures._cast, pictures._familiar, pictures._drawn, photo=True)
        first, second = re.split(" (?:on the left )?(?:and|next to) ", scene.words)[:2]
        assert not second.startswith(first)


# what is counted


def test_captions_that_bear_on_a_prompt_are_counted() -> None:
    captions = (
        "a photo of a cat",
        "a photo of a black cat",
        "a drawing of a cat's face",
        "photo of a caterpillar",
        "a pencil drawing of a dog",
        "a house and a dog",
        "a photo of a dog and a house in a meadow",
        "a high quality photo",
        "a high quality photo of a cat",
    )
    asked = ("a photo of a cat", "a pencil", "a dog and a house", "a high quality photo", "an owl")
    found = bearing(captions, asked)
    assert list(found) == list(asked)
    assert found["a photo of a cat"] == (2, 4)
    assert found["a pencil"] == (0, 0)
    assert found["a dog and a house"] == (0, 2)
    assert found["a high quality photo"] == (1, 1)
    assert found["an owl"] == (0, 0)
    assert bearing((), ("a cat",)) == {"a cat": (0, 0)}


def test_the_command_line_counts_instead_of_building(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["emoji", "--out", str(folder / "train"), "--count", "60"]
    assert main([*words, "--edition", "1"]) == 0
    old = capsys.readouterr().out.splitlines()
    assert old[0] == "edition 1, 60 captions"
    assert len(old) == len(PROMPTS) + 4
    assert re.fullmatch(
        r" +\d+ +[1-9]\d*  a photo of a dog", old[2 + PROMPTS.index("a photo of a dog")]
    )
    assert main(words) == 0
    assert capsys.readouterr().out.splitlines()[0] == "edition 2, 60 captions"
    assert main(["emoji", "--count", "-1"]) == 1
    assert "--count must be 0 or more, got -1" in capsys.readouterr().err

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import tiny_floyd
import torch
from transformers import PreTrainedTokenizerBase

from fundiff.errors import FundiffWarning
from fundiff.models.embeddings import (
    CACHE,
    CachedEncoder,
    EmbeddingsError,
    cache_folder,
    read_embeddings,
    write_embeddings,
)
from fundiff.models.text_encoder import Embeddings, TextEncoder, unread


class Encoder:
    """Random embeddings, and a record of what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        self.asked.append(list(prompts))
        rows = [torch.Generator().manual_seed(sum(map(ord, prompt))) for prompt in prompts]
        return torch.stack([torch.randn(77, 5, generator=generator) for generator in rows])


def cached(encoder: Encoder, identity: str = "one") -> CachedEncoder:
    return CachedEncoder(encoder, words, identity=identity, width=5)


def words() -> PreTrainedTokenizerBase:
    return TextEncoder().tokenizer


def test_a_prompt_is_encoded_once_ever() -> None:
    first, second = Encoder(), Encoder()
    prompts = ["a dog", "", "a dog/../é"]
    expected = Encoder()(prompts)
    assert cached(first)(prompts).equal(expected)
    assert cached(second)(prompts).equal(expected)
    assert cached(second)(["", "a cat", "a dog"]).equal(Encoder()(["", "a cat", "a dog"]))
    assert first.asked == [prompts]
    assert second.asked == [["a cat"]]


def test_encoders_are_kept_apart() -> None:
    encoder = Encoder()
    for identity in ("one", "two", "one"):
        cached(encoder, identity)(["a dog"])
    assert encoder.asked == [["a dog"]] * 2


@pytest.mark.parametrize("damage", [b"", b"something else", None])
def test_damaged_files_are_made_again(damage: bytes | None) -> None:
    encoder = Encoder()
    expected = cached(encoder)(["a dog"])
    (path,) = (cache_folder() / "embeddings").rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-4] if damage is None else damage)
    with pytest.warns(UserWarning, match="of 'a dog' can't be used .*; it is encoded again"):
        assert cached(encoder)(["a dog"]).equal(expected)
    assert cached(encoder)(["a dog"]).equal(expected)
    assert len(encoder.asked) == 2


def test_embeddings_of_another_width_are_damage() -> None:
    cached(Encoder())(["a dog"])
    wide = CachedEncoder(lambda prompts: torch.zeros(1, 77, 6), words, identity="one", width=6)
    with pytest.warns(UserWarning, match="they are of another encoder"):
        assert wide(["a dog"]).shape == (1, 77, 6)


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="the embedding of 'a dog' can't be kept"):
        assert cached(Encoder())(["a dog"]).shape == (1, 77, 5)


@pytest.mark.parametrize("closed", ["read", "list", "damage"])
def test_a_cache_that_cannot_be_read_is_no_obstacle(
    closed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = cached(Encoder())(["a dog"])
    read = Path.read_bytes

    def refuse(self: Path) -> bytes:
        if closed == "damage":
            return read(self)[:-8] + b"\xff" * 8
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    if closed == "list":
        monkeypatch.setattr(Path, "is_file", refuse)
    with pytest.warns(FundiffWarning, match="can't be used .*; it is encoded again"):
        assert cached(Encoder())(["a dog"]).equal(expected)


def test_a_user_without_a_home_is_told_and_served(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv(CACHE)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", none)
    with pytest.warns(FundiffWarning, match="there is no home folder; FUNDIFF_CACHE can name"):
        assert cached(Encoder())(["a dog"]).shape == (1, 77, 5)


LONG = "an oil painting of a village, " + "very detailed, " * 30


@pytest.mark.filterwarnings("ignore:the text encoder doesn't know")
@pytest.mark.parametrize("end", ["with a white horse", "with a black dragon", "и дракон"])
def test_the_words_that_are_not_read_are_said(end: str) -> None:
    with pytest.warns(FundiffWarning, match=f"read up to 77 tokens; .*detailed, {end}'") as found:
        first = cached(Encoder())([LONG + end])
    (said,) = [str(warning.message) for warning in found]
    rest = said.partition("any more: ")[2].strip("'")
    encoder = TextEncoder()
    assert encoder([LONG + end]).equal(encoder([(LONG + end).removesuffix(rest)]))
    with pytest.warns(FundiffWarning, match="what isn't read any more"):
        assert cached(Encoder())([LONG + end]).equal(first)


@pytest.mark.parametrize(
    ("prompt", "message"),
    [
        ("기차 " * 20, "any more: .*기차"),
        ("a 🐶 in the snow", "doesn't know, and reads as nothing: 🐶"),
        ("x" * 200, "doesn't know, and reads as nothing: x{40}$"),
    ],
)
def test_words_that_no_token_stands_for_are_said(prompt: str, message: str) -> None:
    with pytest.warns(FundiffWarning, match=message):
        cached(Encoder())([prompt])


@pytest.mark.parametrize("tokenizer", [words, lambda: tiny_floyd.text()[0]], ids=["bert", "t5"])
def test_a_prompt_is_read_up_to_its_last_token(
    tokenizer: Callable[[], PreTrainedTokenizerBase],
) -> None:
    cutter = tokenizer()
    marks = len(cutter("")["input_ids"])
    fits = " ".join(["dog"] * (77 - marks))
    assert unread(cutter, fits) == ""
    assert unread(cutter, f"{fits} man of rocket").strip() == "man of rocket"
    rest = unread(cutter, " ".join(["dog"] * 100)).split()
    assert rest == ["dog"] * (100 - 77 + marks)


def test_the_cache_is_where_users_expect_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(CACHE)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "fundiff"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert cache_folder() == tmp_path / ".cache" / "fundiff"


def test_files_of_embeddings_are_read_as_written(tmp_path: Path) -> None:
    rows = torch.randn(2, 77, 5).half().float()
    write_embeddings(["", "é"], rows, tmp_path / "e.safetensors")
    read = read_embeddings(tmp_path / "e.safetensors", 5)
    assert list(read) == ["", "é"]
    assert torch.cat(list(read.values())).equal(rows)
    with pytest.raises(EmbeddingsError, match=r"where the model wants \[77, 6\]"):
        read_embeddings(tmp_path / "e.safetensors", 6)
    rows[1, 3, 2] = float("nan")
    write_embeddings(["", "é"], rows, tmp_path / "e.safetensors")
    with pytest.raises(EmbeddingsError, match="is damaged: numbers for 'é' aren't"):
        read_embeddings(tmp_path / "e.safetensors", 5)

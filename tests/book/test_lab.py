"""The lab's files: what is exported, and what comes from elsewhere."""

import hashlib
from pathlib import Path

import pytest

from book._ext.layout import Book
from book._ext.pages import lab

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
    before = lab.exported(book)
    assert {name: path.read_text() for name, path in before.items()} == {
        name: name for name in lab.NETWORKS
    }
    assert lab.exported(book) == before
    assert made == [*lab.NETWORKS]
    assert lab.sizes(book, before) == {
        **{
            name: (ROOT / lab.STATIC / "onnxruntime" / file).stat().st_size
            for name, file in lab.ENGINES.items()
        },
        **{name: len(name) for name in lab.NETWORKS},
    }
    monkeypatch.setattr(lab, "version", lambda package: "another")
    assert {*lab.exported(book).values()}.isdisjoint(before.values())
    assert not any(path.exists() for path in before.values())
    assert made == 2 * [*lab.NETWORKS]


@pytest.mark.slow
def test_an_export_is_always_the_same_and_its_weights_are_halves() -> None:
    onnx = pytest.importorskip("onnx")
    data = lab.export("mnist-class")
    assert lab.export("mnist-class") == data
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

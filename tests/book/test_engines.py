"""The chapters run unchanged on another model in IF's format."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import tiny_floyd
import torch
import yaml

from book._ext.layout import Book
from book._ext.run.execute import bring_up_to_date, read_chapter
from fundiff.models.if_model import MODEL

ROOT = Path(__file__).parents[2]


def on_any_engine() -> list[str]:
    """The chapters that load the model of the variable, and not the bundled one by its name."""
    book, found = Book(ROOT), []
    for docname in book.docnames:
        text = book.source(docname).read_text(encoding="utf-8")
        chapter = read_chapter(book, docname, text)
        if chapter is not None and re.search(r"\bfd\.load\(\)", text):
            found.append(docname)
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package, and a model of DeepFloyd's shape."""
    folder = tmp_path_factory.mktemp("engines")
    shutil.copytree(ROOT / "fundiff", folder / "fundiff")
    shutil.copy(ROOT / "_config.yml", folder)
    tiny_floyd.stage_one(folder / "models" / "IF-I-tiny")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("docname", on_any_engine())
def test_a_chapter_runs_on_a_model_of_deepfloyds_shape(
    root: Path, docname: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of 32 pixels a side, a T5 encoder, the noise predicted, and a learned variance."""
    (root / "_toc.yml").write_text(yaml.safe_dump({"root": docname}), encoding="utf-8")
    (root / f"{docname}.md").parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / f"{docname}.md", root / f"{docname}.md")
    monkeypatch.setenv(MODEL, str(root / "models" / "IF-I-tiny"))
    book = Book(root)
    bring_up_to_date(book)
    made = nbformat.read(book.export(docname), nbformat.NO_CONVERT).metadata.provenance
    assert made.engine == "IF-I-tiny"
    assert "float16" in made.dtype if torch.cuda.is_available() else made.dtype == "float32"


def test_part_a_runs_on_any_engine() -> None:
    names = {docname.removeprefix("book/") for docname in on_any_engine()}
    assert {"part-a/1-3-one-step", "part-a/1-7-2-inpainting", "part-c/2-running-deepfloyd"} < names

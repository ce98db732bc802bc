"""The chapters run unchanged on another model in IF's format."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import tiny_floyd
import yaml

from execute import bring_up_to_date, read_chapter
from fundiff.text_to_image import MODEL
from layout import Book

ROOT = Path(__file__).parents[1]


def on_any_engine() -> list[str]:
    """The chapters that load the model of the variable, and not the bundled one by its name."""
    book, found = Book(ROOT), []
    for docname in book.docnames:
        text = book.source(docname).read_text(encoding="utf-8")
        chapter = read_chapter(book, docname, text)
        if chapter is not None and re.search(r"(?<![.\w])load\(\)", text):
            found.append(docname)
    return found


@pytest.mark.slow
def test_chapters_run_on_a_model_of_deepfloyds_shape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pictures of 32 pixels a side, a T5 encoder, the noise predicted, and a learned variance."""
    docnames = on_any_engine()
    assert "book/part-c/2-running-deepfloyd" in docnames
    shutil.copytree(ROOT / "fundiff", tmp_path / "fundiff")
    shutil.copy(ROOT / "_config.yml", tmp_path)
    root, *others = docnames
    toc = {"root": root, "entries": [{"file": name} for name in others]}
    (tmp_path / "_toc.yml").write_text(yaml.safe_dump(toc), encoding="utf-8")
    book = Book(tmp_path)
    for docname in docnames:
        target = tmp_path / f"{docname}.md"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / f"{docname}.md", target)
    model = tmp_path / "models" / "IF-I-tiny"
    tiny_floyd.stage_one(model)
    monkeypatch.setenv(MODEL, str(model))
    bring_up_to_date(book)
    for docname in docnames:
        made = nbformat.read(book.export(docname), nbformat.NO_CONVERT).metadata.provenance
        assert made.engine == "IF-I-tiny"

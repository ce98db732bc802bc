"""The exercises: `check` says what is right, and every chapter's answer passes its own."""

import re
from pathlib import Path

import nbformat
import pytest
import torch

from fundiff.exercises import check

BOOK = Path(__file__).parents[1] / "book"
CHAPTERS = sorted(path.relative_to(BOOK) for path in BOOK.glob("part-*/*.md"))
TITLE = re.compile(r"^```\{exercise\} *(.*)$", re.M)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (..., "Not written yet: put your own code in place of the three dots."),
        (torch.tensor([1.0, 2.0]), "Right: at most 1e-05 off."),
        (torch.tensor([1.0, 2.0], dtype=torch.float64), "Right: at most 1e-05 off."),
        (torch.tensor([1.0, 2.5]), "Not yet: off by up to 0.5; at most 1e-05 is right."),
        (torch.tensor([1.0, torch.nan]), "Not yet: off by up to nan; at most 1e-05 is right."),
        (torch.ones(2, 1), "Not yet: the shape (2,) was expected, (2, 1) was found."),
        (None, "Not yet: a tensor or a number was expected, NoneType was found."),
    ],
)
def test_check_says_whether_it_is_right(
    found: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    check(found, torch.tensor([1.0, 2.0]))
    assert capsys.readouterr().out == f"{said}\n"


def test_numbers_can_be_checked(capsys: pytest.CaptureFixture[str]) -> None:
    check(0.25, 0.24, atol=0.02)
    check(0.25, torch.tensor(0.22), atol=0.02)
    lines = ["Right: at most 0.02 off.", "Not yet: off by up to 0.03; at most 0.02 is right."]
    assert capsys.readouterr().out.splitlines() == lines


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_each_chapter_has_an_exercise_whose_answer_is_checked(page: Path) -> None:
    titles = TITLE.findall((BOOK / page).read_text("utf-8"))
    assert titles[0] == "Warm-up"
    assert titles[-1] == "Your own code"
    done = nbformat.read((BOOK / "_executed" / page).with_suffix(".ipynb"), as_version=4)
    said = [
        "".join(output.get("text", "") for output in cell.outputs).splitlines()
        for cell in done.cells
        if cell.cell_type == "code" and re.search(r"^check\(", cell.source, re.M)
    ]
    blank, solved = said
    assert all(line.startswith("Not written yet: ") for line in blank)
    assert solved[0].startswith("Right: ")
    assert not any(line.startswith("Not ") for line in solved)

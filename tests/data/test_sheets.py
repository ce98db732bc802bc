from pathlib import Path

import pytest
import torch
from torch.testing import assert_close

from fundiff.data.sheets import read_sheet, sheet_png


def test_pictures_come_back_in_their_order(tmp_path: Path, generator: torch.Generator) -> None:
    pictures = torch.randint(256, (7, 3, 16, 16), generator=generator, dtype=torch.uint8)
    (tmp_path / "sheet.png").write_bytes(sheet_png(pictures, columns=3))
    back = read_sheet(tmp_path / "sheet.png", side=16)
    assert back.shape == (9, 3, 16, 16)
    assert_close(back[:7], pictures.float() / 127.5 - 1)
    assert back[7:].eq(-1).all()


def test_a_sheet_of_nothing_or_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a sheet needs pictures and columns, got 0 and 3"):
        sheet_png(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), columns=3)
    (tmp_path / "sheet.png").write_bytes(sheet_png(torch.zeros(2, 3, 8, 8).byte(), columns=2))
    with pytest.raises(ValueError, match="16 by 8 pixels: no sheet of 64 by 64"):
        read_sheet(tmp_path / "sheet.png")

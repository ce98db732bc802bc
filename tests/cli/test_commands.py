import json
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_floyd
import torch
from cards import small
from PIL import Image

from fundiff.cli import commands
from fundiff.cli.main import main
from fundiff.data.pictures import load_picture
from fundiff.illusions import VIEWS, Anagram, hybrids
from fundiff.jobs.choose import Judged, judge, keep, painted
from fundiff.jobs.order import Order, OrderError
from fundiff.jobs.paint import paint, picture_seed
from fundiff.metrics.alignment import alignment, concealment, cosine_scale, similarities
from fundiff.models.if_model import TextToImage, load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.sampling import denoise, noise_like
from fundiff.views import Identity

FLIPPED = Anagram((Identity(), VIEWS["flip"]))
PAIR = ("a photo of a dog", "a man wearing a hat")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("floyd")
    tiny_floyd.stage_one(folder)
    return folder


@pytest.fixture
def model(folder: Path) -> TextToImage:
    return load(folder, device="cpu")


@pytest.fixture
def encoder(monkeypatch: pytest.MonkeyPatch) -> ImageTextEncoder:
    encoder = ImageTextEncoder(small())
    monkeypatch.setattr(ImageTextEncoder, "load", lambda: encoder)
    return encoder


def test_an_order_of_an_illusion_is_its_denoiser_sampled(
    model: TextToImage, tmp_path: Path
) -> None:
    plain = replace(model, threshold=None)
    order = Order(PAIR[0], scale=2.0, stride=400, illusion=FLIPPED, others=PAIR[1:])
    list(paint(plain, order, tmp_path / "a.png"))
    conds, none = [plain.denoiser(prompt) for prompt in PAIR], plain.denoiser()
    denoiser = FLIPPED.guided(conds, none, scale=2.0)
    list(paint(plain, Order(PAIR[0], stride=400), tmp_path / "b.png"))
    start = noise_like(torch.empty(1, 3, 32, 32), torch.Generator().manual_seed(picture_seed(0, 0)))
    with torch.inference_mode():
        *_, last = denoise(denoiser, plain.schedule, start, plain.schedule.timesteps(stride=400))
    shown = load_picture(tmp_path / "a.png", size=32)
    torch.testing.assert_close(shown, last.x.clamp(-1, 1), rtol=0, atol=2.1 / 255)
    other = load_picture(tmp_path / "b.png", size=32)
    assert (shown - other).abs().max() > 0.1


def test_an_order_needs_a_prompt_for_each_reading() -> None:
    with pytest.raises(OrderError, match="a prompt for each of 2 readings, got 1"):
        Order("a dog", illusion=FLIPPED)
    with pytest.raises(OrderError, match="a prompt for each of 1 readings, got 2"):
        Order("a dog", others=("a man",))


def test_pictures_are_judged_by_both_scores(
    encoder: ImageTextEncoder, generator: torch.Generator
) -> None:
    x = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    told = torch.randn(2, 77, 384, generator=generator)
    found = judge(encoder, x, hybrids(kernel_size=5)["colour"], told)
    similarity = similarities(encoder, x, hybrids()["colour"].readings, told)
    torch.testing.assert_close(found.similarity, similarity)
    torch.testing.assert_close(found.alignment, alignment(similarity))
    scale = cosine_scale(encoder)
    torch.testing.assert_close(found.concealment, concealment(similarity, scale=scale))
    falling = found.alignment.sort(descending=True).values
    torch.testing.assert_close(found.alignment[found.order()], falling)


def test_the_best_is_kept_and_nothing_else_is_replaced(model: TextToImage, tmp_path: Path) -> None:
    order, out = Order("a dog", count=3, stride=400), tmp_path / "a.png"
    list(paint(model, order, out))
    for number in (2, 0):
        keep(model, order, out, number)
        assert out.read_bytes() == (tmp_path / f"a-{number:03}.png").read_bytes()
    assert painted(order, out, size=32).shape == (3, 3, 32, 32)
    with pytest.raises(OrderError, match=r"a\.png is there already"):
        keep(model, replace(order, seed=1), out, 0)


@pytest.mark.parametrize(
    ("words", "illusion"),
    [
        (["anagram", *PAIR, "--view", "rotate-90"], "Rotation(quarter_turns=1)"),
        (["hybrid", *PAIR, "--sigma", "3"], "GaussianBlur(kernel_size=33, sigma=3.0)"),
        (["hybrid", *PAIR, "--split", "colour"], "Grey()"),
        (["hybrid", *PAIR, "a rocket ship", "--split", "triple"], "Difference"),
    ],
)
def test_the_command_line_paints_chooses_and_turns(
    words: list[str],
    illusion: str,
    folder: Path,
    encoder: ImageTextEncoder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "a.png"
    options = ["--best-of", "3", "--stride", "400", "--model", str(folder), "--gif"]
    for _ in range(2):
        assert main([*words, *options, "--out", str(out)]) == 0
    with Image.open(out) as image:
        said = json.loads(image.info["fundiff"])
    assert illusion in said["illusion"]
    assert [said["prompt"], *said["others"]] == [word for word in words if word[:2] == "a "]
    best = tmp_path / f"a-{said['number']:03}.png"
    assert best.read_bytes() == out.read_bytes()
    assert f"the best of 3 is {best}: alignment" in capsys.readouterr().out
    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.size == (128, 128)
        assert getattr(gif, "n_frames", 1) > 10


@pytest.mark.parametrize("words", [["anagram", *PAIR], ["hybrid", *PAIR]])
def test_the_command_line_paints_in_the_precision_that_is_asked_for(
    words: list[str], folder: Path, encoder: ImageTextEncoder, tmp_path: Path
) -> None:
    options = ["--best-of", "2", "--stride", "400", "--model", str(folder)]
    out = ["--out", str(tmp_path / "a.png")]
    assert main([*words, *options, "--dtype", "bfloat16", *out]) == 0
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["fundiff"])["dtype"] == "bfloat16"


def test_what_is_kept_is_of_the_same_precision(folder: Path, tmp_path: Path) -> None:
    order, out = Order("a dog", count=2, stride=400), tmp_path / "a.png"
    model = load(folder, device="cpu", dtype=torch.float32)
    list(paint(model, order, out))
    keep(model, order, out, 1)
    with pytest.raises(OrderError, match=r"isn't of this order \(dtype was 'float32', is now 'bf"):
        keep(load(folder, device="cpu", dtype=torch.bfloat16), order, out, 1)


def test_the_command_line_chooses_by_alignment(
    folder: Path, encoder: ImageTextEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = torch.tensor([0.1, 0.5, 0.3])
    judged = Judged(torch.zeros(3, 2, 2), scores, torch.ones(3))
    monkeypatch.setattr(commands, "judge", lambda *_: judged)
    options = ["--best-of", "3", "--stride", "400", "--model", str(folder)]
    assert main(["anagram", *PAIR, *options, "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "a-001.png").read_bytes()
    assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["anagram", PAIR[0]], "a prompt for each of 2 readings, got 1"),
        (["hybrid", *PAIR, "--sigma", "0"], "sigma must be a number above 0"),
        (["hybrid", *PAIR, "--kernel-size", "65"], "reflects 32 at the border"),
        (["hybrid", *PAIR, "--best-of", "0"], "count must be at least 1"),
    ],
)
def test_the_command_line_says_what_is_wrong_in_a_line(
    words: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([*words, "--model", str(folder), "--out", str(tmp_path / "a.png")]) == 1
    assert message in capsys.readouterr().err

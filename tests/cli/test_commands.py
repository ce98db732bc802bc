import json
import os
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest
import tiny_floyd
import torch
from cards import small
from PIL import Image

from book._ext.layout import Book
from book._ext.pages.library import Library
from fundiff.cli import doctor
from fundiff.cli.main import main
from fundiff.data.pictures import load_picture
from fundiff.errors import FundiffError
from fundiff.illusions import VIEWS, ByView, hybrids
from fundiff.jobs import choose
from fundiff.jobs.choose import Judged, judge, keep, painted
from fundiff.jobs.order import Order, OrderError
from fundiff.jobs.paint import paint
from fundiff.metrics.alignment import alignment, concealment, cosine_scale, similarities
from fundiff.models.if_model import MODEL, TextToImage, load
from fundiff.models.image_text import ImageTextEncoder
from fundiff.sampling import sample
from fundiff.solvers import dpm_step, log_snr_timesteps
from fundiff.views import Identity

ROOT = Path(__file__).parents[2]
FLIPPED = ByView((Identity(), VIEWS["flip"]))
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
    order = Order(PAIR[0], scale=2.0, steps=3, illusion=FLIPPED, others=PAIR[1:])
    list(paint(plain, order, tmp_path / "a.png"))
    conds, none = [plain.denoiser(prompt) for prompt in PAIR], plain.denoiser()
    denoiser = FLIPPED.guided(conds, none, scale=2.0)
    list(paint(plain, Order(PAIR[0], steps=3), tmp_path / "b.png"))
    step, timesteps = dpm_step, log_snr_timesteps(plain.schedule, 3)
    x = sample(denoiser, plain.schedule, plain.noise(), timesteps, step=step)
    shown = load_picture(tmp_path / "a.png", size=32)
    torch.testing.assert_close(shown, x.clamp(-1, 1), rtol=0, atol=2.1 / 255)
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
    order, out = Order("a dog", count=3, steps=3), tmp_path / "a.png"
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
    options = ["--best-of", "3", "--steps", "3", "--model", str(folder), "--gif"]
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
    options = ["--best-of", "2", "--steps", "3", "--model", str(folder)]
    out = ["--out", str(tmp_path / "a.png")]
    assert main([*words, *options, "--dtype", "bfloat16", *out]) == 0
    with Image.open(tmp_path / "a.png") as image:
        assert json.loads(image.info["fundiff"])["dtype"] == "bfloat16"


def test_a_place_for_the_best_is_looked_at_before_any_is_painted(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    options = ["--best-of", "2", "--steps", "3", "--model", str(folder)]
    assert main(["anagram", *PAIR, *options, "--out", str(tmp_path / "a.png")]) == 1
    assert "a.png is there already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_threads_wait_asleep_unless_the_user_wants_otherwise(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for chosen, expected in (("", "PASSIVE"), ("ACTIVE", "ACTIVE")):
        monkeypatch.setenv("OMP_WAIT_POLICY", chosen)
        if not chosen:
            monkeypatch.delenv("OMP_WAIT_POLICY")
        assert main(["--help"]) == 0
        assert os.environ["OMP_WAIT_POLICY"] == expected
    assert "Paint" in capsys.readouterr().out


def test_what_is_kept_is_of_the_same_precision(folder: Path, tmp_path: Path) -> None:
    order, out = Order("a dog", count=2, steps=3), tmp_path / "a.png"
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
    monkeypatch.setattr(choose, "judge", lambda *_: judged)
    options = ["--best-of", "3", "--steps", "3", "--model", str(folder)]
    assert main(["anagram", *PAIR, *options, "--out", str(tmp_path / "a.png")]) == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "a-001.png").read_bytes()
    assert not (tmp_path / "a.gif").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["anagram", PAIR[0]], "a prompt for each of 2 readings, got 1"),
        (["hybrid", *PAIR, "--sigma", "0"], "sigma must be a number above 0"),
        (["hybrid", *PAIR, "--kernel-size", "65"], "reflects 32 at the border"),
        (["hybrid", *PAIR, "--best-of", "0"], "count and steps must be at least 1"),
        (["hybrid", *PAIR, "--sigma", "nan"], "sigma must be a number above 0"),
        (["sample", PAIR[0], "--scale", "nan"], "the scale must be a number from -1000 to 1000"),
        (["sample", PAIR[0], "--scale", "inf"], "the scale must be a number from -1000 to 1000"),
        (["sample", PAIR[0], "--seed", "-1"], "the seed in [0, 2^63), got 1, 12 and -1"),
        (["sample", PAIR[0], "--steps", "100000"], "expected"),
        (["sample", PAIR[0], "--out", ""], "expected a name that ends in .png, got '.'"),
        (["sample", PAIR[0], "--out", "/proc/a.png"], "nothing can be written to /proc"),
        (["embed", PAIR[0], "--out", "/proc/e.safetensors"], "nothing can be written to /proc"),
        (["train", "mnist-judge", "--runs", __file__], f"nothing can be written to {__file__}"),
        (["train", "mnist-judge", "--minutes", "nan"], "--minutes must be 0 or more, got nan"),
        (["train", "mnist-judge", "--minutes", "-1"], "--minutes must be 0 or more, got -1"),
        (["profile", "mnist-judge", "--seconds", "inf"], "--seconds must be a number above 0"),
        (["score", "--count", "10"], "the numbers need at least 200 pictures, got 10"),
        (["steps", "--count", "0"], "at least"),
        (["illusions", "--seeds", "2"], "the scores need at least 20 seeds, got 2"),
        (["anagram", *PAIR, "--out", "."], "expected a name that ends in .png, got '.'"),
        (["sample", PAIR[0], "--out", "a.jpg"], "expected a name that ends in .png, got 'a.jpg'"),
    ],
)
def test_the_command_line_says_what_is_wrong_in_a_line(
    words: list[str],
    message: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(MODEL, str(folder))
    out = [] if "--out" in words or words[0] == "profile" else ["--out", "a.png"]
    assert main([*words, *out]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FundiffError("no such thing:\ndo this"), 1, "no such thing: do this\n"),
        (OSError(28, "No space left on device", "a.png"), 1, "[Errno 28] No space left on"),
        (KeyboardInterrupt(), 130, "\nstopped: what is finished is kept"),
    ],
)
def test_a_command_ends_in_one_line(
    error: BaseException,
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(doctor, "checkup", fail)
    assert main(["doctor"]) == code
    found = capsys.readouterr()
    assert found.err.startswith(said)
    assert found.err.strip().count("\n") == 0
    assert found.out == ""


def test_a_warning_of_ours_is_a_line(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["sample", "a dog " * 90 + "and a man", "--model", str(folder), "--steps", "1"]
    assert main([*words, "--out", str(tmp_path / "a.png")]) == 0
    said = capsys.readouterr().err
    assert said.startswith("a prompt is read up to 77 tokens; what isn't read any more: ")
    assert said.endswith("dog and a man'\n")
    assert said.count("\n") == 1


def test_the_share_that_is_repainted_is_said(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wide = Image.new("RGB", (128, 64), "navy")
    wide.save(tmp_path / "p.png")
    wide.paste("red", (0, 16, 16, 48))
    wide.save(tmp_path / "m.png")
    files = [str(tmp_path / name) for name in ("p.png", "m.png")]
    words = ["inpaint", *files, "--prompt", "a dog", "--model", str(folder), "--steps", "1"]
    assert main([*words, "--out", str(tmp_path / "o.png")]) == 0
    assert "12.5% of the picture is repainted" in capsys.readouterr().out
    before, after = (load_picture(tmp_path / name, size=32) for name in ("p.png", "o.png"))
    assert after[..., 8:24, :8].ne(before[..., 8:24, :8]).any()
    assert after[..., 8:].eq(-1).sum() == before[..., 8:].eq(-1).sum()


def test_a_fault_of_ours_is_no_users_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(doctor, "checkup", fail)
    with pytest.raises(KeyError, match="a bug"):
        main(["doctor"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["anagram", *PAIR, "--view", "upside"], "there is no view 'upside'; known are flip, mir"),
        (["hybrid", *PAIR, "--split", "half"], "there is no split 'half'; known are blur, col"),
        (["sample", "a dog", "--dtype", "int8"], "there is no dtype 'int8'; known are float32, b"),
    ],
)
def test_names_that_stand_for_nothing_are_listed(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--out", "a.png"]) == 1
    assert capsys.readouterr().err.startswith(message)


@pytest.mark.parametrize("words", [[], ["paint"], ["sample"], ["sample", "a dog", "--seed", "x"]])
def test_wrong_words_are_told_apart_from_errors(words: list[str]) -> None:
    assert main(words) == 2


def test_the_commands_are_listed_by_what_they_are_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    for panel, command in (("Paint", "anagram"), ("Train", "train"), ("Measure", "score")):
        assert said.index(panel) < said.index(f" {command} ")


def test_every_error_of_the_library_is_one_kind() -> None:
    names = [name for name in Library(Book(ROOT)).modules if not name.endswith("__main__")]
    found = {
        value
        for name in names
        for value in vars(import_module(name)).values()
        if isinstance(value, type) and issubclass(value, Exception)
        if not issubclass(value, Warning)
        if value.__module__.startswith("fundiff") and not value.__name__.startswith("_")
    }
    assert len(found) >= 13
    assert all(issubclass(error, FundiffError) for error in found)

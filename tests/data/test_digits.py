import gzip
import struct
from collections.abc import Callable
from copy import copy
from dataclasses import replace
from importlib.resources import files
from inspect import unwrap
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from torch.testing import assert_close

from fundiff.data.digits import SHIPPED, digits, emoji, fashion, glyphs, mnist, read_shipped, shapes
from fundiff.data.labelled import Labelled, LabelledError, Split
from fundiff.painters.characters.build import sheet

SHEETS = Path(str(files("fundiff") / "digits"))
# numpy.bincount of the labels of the first 10,000 pictures of MNIST's training set
FIRST_10K = [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]
# the sixth row of the first picture of MNIST's training set, a five that tutorials print
FIVE = [3, 18, 18, 18, 126, 136, 175, 26, 166, 255, 247, 127]


@pytest.fixture
def few(generator: torch.Generator) -> Labelled:
    images = torch.randint(256, (6, 28, 28), generator=generator, dtype=torch.uint8)
    return Labelled(images, torch.tensor([2, 0, 1, 2, 2, 0]), ("a", "b", "c"), "few", "a few")


# one set


def test_scaled_goes_from_paper_to_ink(few: Labelled) -> None:
    expected = few.images.numpy()[:, None].astype(np.float32) / 255
    assert_close(few.scaled(), torch.from_numpy(expected))
    assert_close(few.scaled(-1), torch.from_numpy(2 * expected - 1))
    ends = replace(few, images=torch.tensor([0, 255] * 3).byte().view(6, 1, 1).expand(6, 28, 28))
    assert ends.scaled(-1).unique().tolist() == [-1, 1]
    assert ends.scaled().unique().tolist() == [0, 1]
    with pytest.raises(ValueError, match=r"low must be 0 or -1, got 0\.5"):
        few.scaled(0.5)


def test_one_class_or_the_first_few(few: Labelled) -> None:
    assert len(few) == 6
    assert_close(few.of(2).images, few.images[[0, 3, 4]])
    assert few.of(2).labels.tolist() == [2, 2, 2]
    assert_close(few.first(2).images, few.images[:2])
    assert few.first(2).labels.tolist() == [2, 0]
    with pytest.raises(ValueError, match="few has the classes 0 to 2: 3"):
        few.of(3)
    with pytest.raises(ValueError, match="few has 6 pictures, asked for the first 7"):
        few.first(7)


def test_a_label_a_picture_and_each_of_a_class(few: Labelled) -> None:
    unchecked, other = unwrap(Labelled.__init__), copy(few)
    with pytest.raises(ValueError, match="got 6 pictures and 5 labels"):
        unchecked(other, few.images, few.labels[1:], few.classes, "few", "a few")
    with pytest.raises(ValueError, match="labels of 2 classes must be from 0 to 1, got 0 to 2"):
        replace(few, classes=("a", "b"))


def test_the_digest_tells_content_apart(few: Labelled) -> None:
    other = few.images.clone()
    other[3, 4, 5] ^= 1
    changed = (
        replace(few, images=other),
        replace(few, labels=few.labels.flip(0)),
        replace(few, classes=("a", "b", "d")),
        few.first(5),
    )
    assert len({few.digest, *(one.digest for one in changed)}) == 5
    assert replace(few, images=few.images.clone(), name="same", title="same").digest == few.digest


# what comes with the library


def test_ten_thousand_digits_are_split_four_to_one() -> None:
    train, test = digits(), digits("test")
    assert (len(train), len(test)) == (8000, 2000)
    counts = train.labels.bincount() + test.labels.bincount()
    assert counts.tolist() == FIRST_10K
    assert test.labels.bincount().tolist() == [round(count / 5) for count in FIRST_10K]
    everything = torch.cat([train.images, test.images]).flatten(1)
    assert len({bytes(one) for one in everything.numpy()}) == 10_000
    assert train.title.startswith("8,000 handwritten digits")
    assert test.title.endswith("held out")


def test_they_are_mnists() -> None:
    x = torch.cat([digits("train").scaled(), digits("test").scaled()])
    # published for the sixty thousand: 0.1307 and 0.3081
    assert x.mean().item() == pytest.approx(0.1307, abs=0.001)
    assert x.std().item() == pytest.approx(0.3081, abs=0.001)
    fives = torch.cat([digits("train").of(5).images, digits("test").of(5).images])
    assert (fives[:, 5, 12:24] == torch.tensor(FIVE).byte()).all(dim=1).sum() == 1


def test_they_are_shuffled() -> None:
    first = digits().first(1000).labels.bincount(minlength=10)
    assert (first - 100).abs().max() < 40


@pytest.mark.parametrize(
    ("read", "name", "train", "test", "classes"),
    [
        (glyphs, "glyphs", 8000, 2000, 10),
        (shapes, "shapes", 800, 200, 10),
        (emoji, "emoji", 320, 80, 5),
    ],
)
def test_the_other_sets_have_as_many_of_each_class(
    read: Callable[[Split], Labelled], name: str, train: int, test: int, classes: int
) -> None:
    parts = read("train"), read("test")
    for part, count in zip(parts, (train, test), strict=True):
        assert part.name == name
        assert len(part.classes) == classes
        assert part.labels.bincount().tolist() == [count // classes] * classes
    everything = torch.cat([part.images for part in parts]).flatten(1)
    assert len({bytes(one) for one in everything.numpy()}) == train + test


@pytest.mark.parametrize("read", [digits, glyphs, shapes, emoji])
def test_ink_is_centred_as_mnists(read: Callable[[Split], Labelled]) -> None:
    x = read("test").scaled()[:, 0]
    at = torch.arange(28) - 14.0
    mass = x.sum(dim=(1, 2))
    for side in (1, 2):
        centre = (x.sum(dim=side) * at).sum(dim=1) / mass
        assert centre.mean().abs() < 0.05
        assert centre.abs().max() < 0.6
    assert (x.amax(dim=(1, 2)) > 0.5).all()


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_sheet_has_its_digest(name: str, split: Split) -> None:
    read = read_shipped(name, SHEETS / f"{name}.png", split)
    assert read.digest == SHIPPED[name].digests[split]
    assert read.classes == SHIPPED[name].classes


def test_a_changed_or_damaged_sheet_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "emoji.png", (SHEETS / "emoji.png").read_bytes()
    path.write_bytes(sheet(emoji().first(100), emoji("test")))
    assert read_shipped("emoji", path, "test").digest == emoji("test").digest
    expected = SHIPPED["emoji"].digests["train"]
    with pytest.raises(LabelledError, match=rf"digest {expected}, is \w{{16}}; install"):
        read_shipped("emoji", path, "train")
    for damaged in (whole[:-1000], whole[:20], b"", b"none", whole.replace(b"zTXt", b"iTXt")):
        path.write_bytes(damaged)
        with pytest.raises(LabelledError, match="expected the sheet of emoji that comes with"):
            read_shipped("emoji", path, "train")
    Image.new("L", (56, 56)).save(path)
    with pytest.raises(LabelledError, match="expected the sheet of emoji"):
        read_shipped("emoji", path, "train")


def test_there_are_two_parts() -> None:
    with pytest.raises(ValueError, match="split must be one of train, test, got 'validation'"):
        unwrap(read_shipped)("digits", SHEETS / "digits.png", "validation")


# what torchvision has


def idx(path: Path, numbers: np.ndarray) -> None:
    """Write a file in MNIST's format."""
    header = struct.pack(f">HBB{numbers.ndim}I", 0, 8, numbers.ndim, *numbers.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + numbers.astype(np.uint8).tobytes())


@pytest.mark.parametrize(
    ("read", "folder", "first"),
    [(mnist, "MNIST", "0"), (fashion, "FashionMNIST", "T-shirt/top")],
)
def test_torchvisions_files_are_read(
    read: Callable[..., Labelled], folder: str, first: str, tmp_path: Path, few: Labelled
) -> None:
    for part, count in (("train", 6), ("t10k", 3)):
        raw = tmp_path / folder / "raw"
        idx(raw / f"{part}-images-idx3-ubyte", few.images[:count].numpy())
        idx(raw / f"{part}-labels-idx1-ubyte", few.labels[:count].numpy())
    train, test = read(root=tmp_path), read("test", root=tmp_path)
    assert_close(train.images, few.images)
    assert_close(train.labels, few.labels)
    assert_close(test.images, few.images[:3])
    assert (train.classes[0], len(train.classes)) == (first, 10)
    assert train.title == f"6 pictures of {folder}, by torchvision: to train on"
    assert test.title == f"3 pictures of {folder}, by torchvision: held out"


def test_damaged_files_are_refused(tmp_path: Path, few: Labelled) -> None:
    for part in ("train", "t10k"):
        for name in (f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"):
            (tmp_path / "MNIST" / "raw").mkdir(parents=True, exist_ok=True)
            (tmp_path / "MNIST" / "raw" / name).write_bytes(gzip.compress(b"no"))
    with pytest.raises(LabelledError, match=r"MNIST can't be had in .*if one is damaged, remove"):
        mnist(root=tmp_path)


def test_without_a_network_the_error_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr("torchvision.datasets.mnist.download_and_extract_archive", fail)
    with pytest.raises(LabelledError, match=r"needs a network; .* digits\(\) comes with"):
        fashion(root=tmp_path)

import gzip
import io
import json
import struct
import tarfile
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

from fundiff.characters.numerals import numerals
from fundiff.characters.sheets import sheet
from fundiff.digits import (
    SHIPPED,
    Labelled,
    LabelledError,
    Split,
    digits,
    fashion,
    mnist,
    read_shipped,
)
from fundiff.emoji.sources import SourceError

SHEETS = Path(str(files("fundiff") / "characters"))
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


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("name", SHIPPED)
def test_a_sheet_has_its_digest(name: str, split: Split) -> None:
    read = read_shipped(name, SHEETS / f"{name}.png", split)
    assert read.digest == SHIPPED[name].digests[split]
    assert read.classes == SHIPPED[name].classes


@pytest.mark.parametrize("name", SHIPPED)
def test_a_sheet_is_written_as_it_was(name: str) -> None:
    path = SHEETS / f"{name}.png"
    assert sheet(read_shipped(name, path, "train"), read_shipped(name, path, "test")) == (
        path.read_bytes()
    )


def test_a_changed_or_damaged_sheet_is_refused(tmp_path: Path) -> None:
    train, test = digits(), digits("test")
    path = tmp_path / "digits.png"
    path.write_bytes(sheet(train.first(100), test))
    assert read_shipped("digits", path, "test").digest == test.digest
    with pytest.raises(LabelledError, match=r"digest 2f730ccbfd1c1748, is \w{16}; install"):
        read_shipped("digits", path, "train")
    whole = (SHEETS / "digits.png").read_bytes()
    for damaged in (whole[:-1000], whole[:20], b"", b"none", whole.replace(b"zTXt", b"iTXt")):
        path.write_bytes(damaged)
        with pytest.raises(LabelledError, match="expected the sheet of digits that comes with"):
            read_shipped("digits", path, "train")
    Image.new("L", (56, 56)).save(path)
    with pytest.raises(LabelledError, match="expected the sheet of digits"):
        read_shipped("digits", path, "train")


def test_there_are_two_parts() -> None:
    with pytest.raises(ValueError, match="split must be one of train, test, got 'validation'"):
        unwrap(read_shipped)("digits", SHEETS / "digits.png", "validation")


# how the digits are made


@pytest.fixture
def tarball(tmp_path: Path) -> Callable[[dict[int, object]], Path]:
    def pack(content: dict[int, object]) -> Path:
        with tarfile.open(tmp_path / "it.tgz", "w:gz") as tar:
            for label, data in content.items():
                encoded = json.dumps(data).encode()
                info = tarfile.TarInfo(f"package/src/digits/{label}.json")
                info.size = len(encoded)
                tar.addfile(info, io.BytesIO(encoded))
        return tmp_path / "it.tgz"

    return pack


def test_rounded_fractions_give_the_bytes_and_both_parts(
    tarball: Callable[[dict[int, object]], Path], generator: torch.Generator
) -> None:
    drawn = torch.randint(256, (10, 10, 28, 28), generator=generator, dtype=torch.uint8)
    path = tarball(
        {
            label: {"data": [round(value / 255, 3) for value in one.flatten().tolist()]}
            for label, one in enumerate(drawn)
        }
    )
    train, test = numerals(path)
    assert train.labels.bincount().tolist() == [8] * 10
    assert test.labels.bincount().tolist() == [2] * 10
    for label, one in enumerate(drawn):
        back = torch.cat([train.of(label).images, test.of(label).images]).flatten(1)
        assert sorted(back.tolist()) == sorted(one.flatten(1).tolist())
    again, _ = numerals(path)
    assert again.digest == train.digest


@pytest.mark.parametrize(
    "data", [{}, {"data": [0.5] * 784}, {"data": [0] * 783}, {"data": ["a"] * 784}, {"data": [2]}]
)
def test_other_numbers_are_refused(
    data: dict[str, object], tarball: Callable[[dict[int, object]], Path]
) -> None:
    with pytest.raises(SourceError, match=r"expected in src/digits/0\.json pictures of 28 by 28"):
        numerals(tarball({0: data}))


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

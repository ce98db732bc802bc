import os
import re
import stat
import sys
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_emoji import packages, tarball

from fundiff.painters.emoji.packages import fetch, members, read_json
from fundiff.painters.emoji.sources import SOURCES, UNSEEN, Kind, Source, SourceError

FREE = {"MIT", "Apache-2.0", "CC-BY-4.0"}


@pytest.fixture
def source(tmp_path: Path) -> Source:
    return packages(tmp_path / "packages")[1]


def npm(folder: Path, script: str) -> None:
    """A stand-in for npm: a program that packs whatever the script says."""
    folder.mkdir()
    path = folder / "npm"
    path.write_text(f"#!{sys.executable}\nimport pathlib, sys\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


# the table


@pytest.mark.parametrize("source", [*SOURCES, UNSEEN], ids=lambda source: source.name)
def test_a_source_is_pinned_and_attributed(source: Source) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", source.sha256)
    assert re.fullmatch(r"\d+\.\d+\.\d+", source.version)
    assert source.home.startswith("https://github.com/")
    for said in (source.name, source.package, source.author, source.title):
        assert said.strip() == said != ""


def test_training_takes_only_what_is_free_with_attribution() -> None:
    assert {source.licence for source in SOURCES} <= FREE
    assert not any(source.evaluation for source in SOURCES)
    assert len([source for source in SOURCES if source.kind is not Kind.NAMES]) == 9
    assert len({source.name for source in SOURCES}) == len(SOURCES)


def test_the_unseen_set_is_for_evaluation_only() -> None:
    assert UNSEEN.evaluation
    assert UNSEEN.licence == "CC-BY-SA-4.0"
    assert UNSEEN.name not in {source.name for source in SOURCES}


def test_a_tarball_is_named_as_npm_names_it() -> None:
    assert SOURCES[0].file == "emojibase-data-17.0.0.tgz"
    assert SOURCES[1].file == "iconify-json-noto-1.2.9.tgz"


# fetching


def test_what_is_there_is_checked_and_used(tmp_path: Path) -> None:
    sources = packages(tmp_path)
    paths = fetch(tmp_path, sources)
    assert paths == {source.name: tmp_path / source.file for source in sources}


def test_another_digest_is_refused_and_the_file_left(tmp_path: Path) -> None:
    source = replace(packages(tmp_path)[1], sha256="0" * 64)
    before = (tmp_path / source.file).read_bytes()
    with pytest.raises(SourceError, match=r"expected sha256 0{64} for @tiny/alpha 1.0.0, found"):
        fetch(tmp_path, [source])
    assert (tmp_path / source.file).read_bytes() == before


def test_without_npm_the_error_says_so(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match=r"tiny-alpha-1\.0\.0\.tgz is missing and so is npm"):
        fetch(tmp_path / "empty", [source])


def test_what_is_missing_comes_by_npm(
    tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tmp_path / "packages" / source.file
    npm(
        tmp_path / "bin",
        "assert sys.argv[1:3] == ['pack', '@tiny/alpha@1.0.0'], sys.argv\n"
        "target = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
        f"(target / {source.file!r}).write_bytes(pathlib.Path({str(stored)!r}).read_bytes())",
    )
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    paths = fetch(tmp_path / "new" / "folder", [source])
    assert paths[source.name].read_bytes() == stored.read_bytes()
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == [source.file]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("sys.exit('no network at all')", "no network at all; is there a network"),
        ("", "npm ended with 0; is there a network"),
        (
            "t = pathlib.Path(sys.argv[sys.argv.index('--pack-destination') + 1])\n"
            "(t / 'tiny-alpha-1.0.0.tgz').write_bytes(b'something else')",
            "expected sha256",
        ),
    ],
)
def test_a_failed_download_leaves_nothing(
    script: str, error: str, tmp_path: Path, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(SourceError, match=error):
        fetch(tmp_path / "new", [source])
    assert list((tmp_path / "new").iterdir()) == []


# reading


def test_members_are_read_without_their_folder(tmp_path: Path) -> None:
    tarball(tmp_path / "it.tgz", {"a.json": b'{"a": 1}', "b/c.txt": b"c"})
    assert list(members(tmp_path / "it.tgz")) == [("a.json", b'{"a": 1}'), ("b/c.txt", b"c")]
    assert list(members(tmp_path / "it.tgz", ["b/c.txt"])) == [("b/c.txt", b"c")]
    assert read_json(tmp_path / "it.tgz", "a.json") == {"a": 1}


@pytest.mark.parametrize("prefix", ["/", "../", "package/../../", "elsewhere/", ""])
def test_what_lies_outside_is_refused(prefix: str, tmp_path: Path) -> None:
    tarball(tmp_path / "it.tgz", {"a.txt": b"a"}, prefix)
    with pytest.raises(SourceError, match="expected plain files in package/"):
        list(members(tmp_path / "it.tgz"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE])
def test_what_is_no_plain_file_is_refused(kind: bytes, tmp_path: Path) -> None:
    info = tarfile.TarInfo("package/link")
    info.type, info.linkname = kind, "/etc/hostname"
    with tarfile.open(tmp_path / "it.tgz", "w:gz") as tar:
        tar.addfile(info)
    with pytest.raises(SourceError, match="expected plain files in package/"):
        list(members(tmp_path / "it.tgz"))


def test_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fundiff.painters.emoji.packages.MAX_BYTES", 10)
    tarball(tmp_path / "it.tgz", {"a.txt": b"123456", "b.txt": b"123456"})
    with pytest.raises(SourceError, match="unpacks to more than 10 bytes"):
        list(members(tmp_path / "it.tgz"))


def test_damage_is_told(tmp_path: Path) -> None:
    path = tmp_path / "it.tgz"
    tarball(path, {"a.json": b"{"})
    with pytest.raises(SourceError, match=r"a\.json is no JSON"):
        read_json(path, "a.json")
    with pytest.raises(SourceError, match=r"expected a file b\.json, found none"):
        read_json(path, "b.json")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(SourceError, match="expected a whole tarball"):
        list(members(path))
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(SourceError, match="expected a whole tarball"):
        list(members(path))

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from fundiff.files import ABANDONED, PlaceError, prepare, sha256, write


def test_write_replaces_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    for data in (b"old", b"new and longer", b""):
        write(path, data)
        assert path.read_bytes() == data
        assert sha256(path) == hashlib.sha256(data).hexdigest()
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
@pytest.mark.parametrize("broken", ["os.fsync", "pathlib.Path.replace", "os.open"])
def test_a_write_that_fails_leaves_the_old_file(
    broken: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.bin"
    write(path, b"old")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, "it says")

    monkeypatch.setattr(broken, fail)
    with pytest.raises(OSError, match="it says"):
        write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.bin"]


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write(tmp_path / "no" / "a.bin", b"")


def open_files_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows does."""
    replace = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        held = {os.path.realpath(n) for n in Path("/proc/self/fd").iterdir()}
        if os.path.realpath(self) in held:
            raise PermissionError(errno.EACCES, "used by another process")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refuse)


def folders_are_not_synced(number: int) -> Callable[[pytest.MonkeyPatch], None]:
    """As some file systems over a network, or in user space, do."""
    fsync = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, "it says")
        fsync(handle)

    return lambda monkeypatch: monkeypatch.setattr(os, "fsync", refuse)


def nothing_is_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int) -> None:
        raise OSError(errno.ENOSYS, "it says")

    monkeypatch.setattr(os, "fsync", refuse)


def modes_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """As exFAT and SMB do."""

    def refuse(*args: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    monkeypatch.setattr(os, "chmod", refuse)
    monkeypatch.setattr(os, "fchmod", refuse)


def folders_are_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a folder that may be written to and not be listed."""
    open_ = os.open

    def refuse(path: str, flags: int, mode: int = 0o777) -> int:
        if Path(path).is_dir():
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_(path, flags, mode)

    monkeypatch.setattr(os, "open", refuse)


@pytest.mark.parametrize(
    "elsewhere",
    [
        open_files_stay,
        folders_are_not_synced(errno.EINVAL),
        folders_are_not_synced(errno.ENOTSUP),
        nothing_is_synced,
        modes_stay,
        folders_are_not_opened,
    ],
)
def test_other_file_systems_are_written_to(
    elsewhere: Callable[[pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere(monkeypatch)
    prepare(tmp_path / "new")
    for data in (b"old", b"new"):
        write(tmp_path / "new" / "a.bin", data)
        assert (tmp_path / "new" / "a.bin").read_bytes() == data


@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o007, 0o660), (0o022, 0o644)])
def test_the_umask_decides_who_may_read(umask: int, mode: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        write(tmp_path / "a.bin", b"private")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.bin").stat().st_mode) == mode


def test_a_private_file_stays_private(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    write(path, b"old")
    path.chmod(0o600)
    write(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link = tmp_path / "a.bin"
    link.symlink_to(tmp_path / "far" / "b.bin")
    for data in (b"old", b"new"):
        write(link, data)
        assert link.is_symlink()
        assert (tmp_path / "far" / "b.bin").read_bytes() == data


@pytest.mark.parametrize("name", ["a" * 251 + ".png", "ä" * 125 + ".png", "a\nb.png", "[a]*?.png"])
def test_any_name_that_the_disk_takes_is_taken(name: str, tmp_path: Path) -> None:
    write(tmp_path / name, b"x")
    assert (tmp_path / name).read_bytes() == b"x"


def test_what_kills_left_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    now = time.time()
    for name, age in (("old", 2 * ABANDONED), ("young", 0.0)):
        (tmp_path / f".{name}.png.12ab34cd.partial").touch()
        os.utime(tmp_path / f".{name}.png.12ab34cd.partial", (now - age, now - age))
    (tmp_path / ".w.12ab34cd.partial").mkdir()
    (tmp_path / ".w.12ab34cd.partial" / "card.json").touch()
    os.utime(tmp_path / ".w.12ab34cd.partial", (0, 0))
    (tmp_path / "mine.partial").touch()
    os.utime(tmp_path / "mine.partial", (0, 0))
    prepare(tmp_path)
    for name in (".mine.partial", ".writable"):
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (0, 0))
    prepare(tmp_path)
    left = sorted(path.name for path in tmp_path.iterdir())
    kept = [".mine.partial", ".w.12ab34cd.partial", ".writable", ".young.png.12ab34cd.partial"]
    assert left == [*kept, "mine.partial"]
    assert (tmp_path / ".writable").read_text() == "mine"


def test_a_folder_that_cannot_be_written_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc")):
        with pytest.raises(PlaceError, match=f"nothing can be written to {folder}: .*; choose"):
            prepare(folder)

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PlaceError, match="Read-only file system; choose another place"):
        prepare(tmp_path)

"""Files that are written whole or not at all, never over what isn't ours, and their digests."""

import errno
import hashlib
import os
import struct
import time
import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryFile

import safetensors
from PIL import Image

from fundiff.errors import FundiffError

ABANDONED = 60.0
"""After how many seconds a temporary file that nobody touches is what a killed process left."""

DAMAGE = (
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
    safetensors.SafetensorError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What is raised of a file that isn't what it should be, by whatever reads files for us; a
tokenizer without its files asks for another package."""

_UNSYNCED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


class OccupiedError(FundiffError):
    """Something that isn't ours lies where a result should go; the message names it."""


class PlaceError(FundiffError):
    """A folder that can't be written to; the message names it and says why."""


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part.

    The bytes go to a temporary file in the same folder, to the disk, and then under their name.
    When that fails, as on a full disk, the temporary file is removed and the old file is left. A
    new file is as private as the user's umask says, a replaced one at least as private as it was.
    A link stays one, and what it points to is replaced.

    Args:
        path: The file; its folder must exist.
        data: What it holds.

    Raises:
        OSError: The file can't be written.
    """
    target = Path(os.path.realpath(path))
    partial = partial_of(target)
    mode = target.stat().st_mode & 0o777 | 0o600 if target.exists() else 0o666
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    handle = os.open(partial, flags, mode)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            _sync(file.fileno())
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)


def partial_of(path: Path) -> Path:
    """Name a file or a folder that stands in for another while that is written.

    Args:
        path: The other.

    Returns:
        A new name beside it, which :func:`abandoned` knows.
    """
    begins = path.name.encode(errors="ignore")[:99].decode(errors="ignore")  # names have limits
    return path.with_name(f".{begins}.{token_hex(4)}.partial")


def parent_of(path: str | os.PathLike[str]) -> Path:
    """Return the folder that :func:`write` writes a file to, which a link may lead to."""
    return Path(os.path.realpath(path)).parent


def prepare(folder: Path) -> None:
    """Make a folder that files are written to, and look at it as :func:`require_writable`.

    Args:
        folder: The folder.

    Raises:
        PlaceError: It can't be made or written to.
    """
    with _refusing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    require_writable(folder)


def require_writable(folder: Path) -> None:
    """See that files can be written to a folder, or where it would be made, before work begins.

    Temporary files of :func:`write` that nobody has touched for long are cleared away there.

    Args:
        folder: The folder, which needn't be there.

    Raises:
        PlaceError: They can't.
    """
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    with _refusing(folder):
        TemporaryFile(dir=there).close()
    for left in abandoned(there):
        if not left.is_dir():
            with suppress(OSError):
                left.unlink()


def abandoned(folder: Path, name: str = "*") -> list[Path]:
    """Find what stood in for files or folders that a killed process was writing.

    Args:
        folder: The folder that they are in.
        name: What they stood in for.

    Returns:
        What :func:`partial_of` has named and nobody has touched for long, nor anything in it.
    """
    found = []
    for left in folder.glob(f".{name}.{'[0-9a-f]' * 8}.partial"):
        with suppress(OSError):
            last = max(each.lstat().st_mtime for each in (left, *left.rglob("*")))
            if time.time() - last > ABANDONED:
                found.append(left)
    return found


@contextmanager
def _refusing(folder: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as error:
        raise PlaceError(
            f"nothing can be written to {folder}: {error.strerror or error}; choose another place"
        ) from error


def require_free(path: Path, is_ours: Callable[[Path], bool], *, kind: str) -> None:
    """Refuse a place where something lies that is neither empty nor ours, before it is replaced.

    Args:
        path: Where a file or a folder is to be written.
        is_ours: Tells by its content whether what lies there was written by the same command.
        kind: What that command writes, in words, for the message.

    Raises:
        OccupiedError: Something else lies there.
        PlaceError: As :func:`require_writable`, for the folder that it lies in.
    """
    require_writable(parent_of(path))
    if path.is_dir():
        is_empty = not any(path.iterdir())
    else:
        is_empty = not path.exists() or (path.is_file() and not path.stat().st_size)
    if not is_empty and not is_ours(path):
        raise OccupiedError(
            f"{path} is there already, and isn't {kind}: it is left alone; move it away, or choose "
            "another place"
        )


def sync_folder(folder: Path) -> None:
    """Bring a folder's list of names to the disk, where the system lets a folder be opened.

    Args:
        folder: The folder.
    """
    if os.name != "posix":
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except PermissionError:  # a folder may be written to and not be read
        return
    try:
        _sync(handle)
    finally:
        os.close(handle)


def sha256(path: str | os.PathLike[str]) -> str:
    """Return a file's digest, as 64 hexadecimal digits.

    Args:
        path: The file.

    Returns:
        The SHA-256 of its bytes.

    Raises:
        OSError: The file can't be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync(handle: int) -> None:
    """Bring a file to the disk, where the file system knows how."""
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _UNSYNCED:
            raise

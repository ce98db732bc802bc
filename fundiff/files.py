"""Files that are written whole or not at all, never over what isn't ours, and their digests."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from tempfile import NamedTemporaryFile

from fundiff.errors import FundiffError


def write(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that a reader finds the old one or the new one, never a part.

    The bytes go to a temporary file in the same folder, to the disk, and then under their name.
    When that fails, as on a full disk, the temporary file is removed and the old file is left.

    Args:
        path: The file; its folder must exist.
        data: What it holds.

    Raises:
        OSError: The file can't be written.
    """
    target = Path(path)
    with NamedTemporaryFile(
        dir=target.parent, prefix=f".{target.name}.", suffix=".partial", delete=False
    ) as file:
        partial = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            partial.chmod(0o644)
            partial.replace(target)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
    sync_folder(target.parent)


class OccupiedError(FundiffError):
    """Something that isn't ours lies where a result should go; the message names it."""


def require_free(path: Path, is_ours: Callable[[Path], bool], *, kind: str) -> None:
    """Refuse a place where something lies that is neither empty nor ours, before it is replaced.

    Args:
        path: Where a file or a folder is to be written.
        is_ours: Tells by its content whether what lies there was written by the same command.
        kind: What that command writes, in words, for the message.

    Raises:
        OccupiedError: Something else lies there.
    """
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
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
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

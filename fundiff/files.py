"""Files that are written whole or not at all, and their digests."""

import hashlib
import os
from pathlib import Path
from tempfile import NamedTemporaryFile


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

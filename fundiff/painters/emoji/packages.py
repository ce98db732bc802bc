"""How packages are had and read: fetched by npm, checked against their digests, never unpacked."""

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from fundiff.painters.emoji.sources import SOURCES, Source, SourceError

MAX_BYTES = 256 * 2**20
"""How many bytes a package may hold when it is unpacked."""


def fetch(folder: str | os.PathLike[str], sources: Iterable[Source] = SOURCES) -> dict[str, Path]:
    """Have every package's tarball in a folder: what is missing comes by ``npm pack``.

    A file is checked against its digest before it is used, and again each time; one that differs
    is refused and left as it is.

    Args:
        folder: Where the tarballs are kept, under the names that ``npm pack`` gives.
        sources: The packages.

    Returns:
        The path of each tarball, by the source's name.

    Raises:
        SourceError: npm isn't installed, a download failed, or a digest differs.
    """
    places = {source: Path(folder) / source.file for source in sources}
    for source, path in places.items():
        if not path.exists():
            _pack(source, path)
        _check(source, path)
    return {source.name: path for source, path in places.items()}


def members(path: Path, wanted: Iterable[str] | None = None) -> Iterator[tuple[str, bytes]]:
    """Read a tarball's files without unpacking it: name and content, in the tarball's order.

    Args:
        path: A tarball as npm makes it, with everything in ``package/``.
        wanted: Only these names (without ``package/``); by default all.

    Raises:
        SourceError: It is no whole tarball, an entry is no plain file, one lies outside
            ``package/``, or it unpacks to more than :data:`MAX_BYTES`.
    """
    names, total = None if wanted is None else frozenset(wanted), 0
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                if member.isdir():
                    continue
                total += member.size
                parts = PurePosixPath(member.name).parts
                if not member.isreg() or parts[:1] != ("package",) or ".." in parts:
                    raise SourceError(f"{path}: expected plain files in package/, found {member}")
                if total > MAX_BYTES:
                    raise SourceError(f"{path}: unpacks to more than {MAX_BYTES:,} bytes")
                name, file = "/".join(parts[1:]), tar.extractfile(member)
                if file is not None and (names is None or name in names):
                    yield name, file.read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise SourceError(f"{path}: expected a whole tarball, found: {error}") from error


def read_json(path: Path, name: str) -> Any:  # noqa: ANN401
    """Return the JSON in one file of a tarball.

    Raises:
        SourceError: The file isn't there, or is no JSON.
    """
    for _, content in members(path, [name]):
        try:
            return json.loads(content)
        except ValueError as error:
            raise SourceError(f"{path}: {name} is no JSON: {error}") from error
    raise SourceError(f"{path}: expected a file {name}, found none")


def _pack(source: Source, path: Path) -> None:
    npm, wanted = shutil.which("npm"), f"{source.package}@{source.version}"
    if npm is None:
        raise SourceError(
            f"{path.name} is missing and so is npm: install npm, or put the file there"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as new:
        command = [npm, "pack", wanted, "--pack-destination", new, "--silent"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=new, check=False)
        if done.returncode != 0 or not (Path(new) / path.name).is_file():
            found = done.stderr.strip() or f"npm ended with {done.returncode}"
            raise SourceError(
                f"npm pack {wanted} gave no {path.name}: {found}; is there a network?"
            )
        _check(source, Path(new) / path.name)
        (Path(new) / path.name).replace(path)


def _check(source: Source, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256:
        raise SourceError(
            f"{path}: expected sha256 {source.sha256} for {source.package} {source.version}, "
            f"found {found}; move that file away and fetch it again"
        )

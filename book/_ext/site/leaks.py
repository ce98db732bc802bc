"""Find what should not be online: tokens, this machine's name, and whose folders its files lie in.

Files are read as they are, and so is what is packed inside them: a PNG's text chunks, data URLs,
the pictures of a notebook, and what is compressed by zlib or gzip.
"""

import base64
import binascii
import gzip
import re
import socket
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

TOKENS = re.compile(
    rb"""\b(?:hf_[A-Za-z0-9]{30,}              # a model hub's
    |gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}
    |AKIA[A-Z0-9]{16}
    |npm_[A-Za-z0-9]{30,}|pypi-[\w-]{50,}
    |sk-[A-Za-z0-9_-]{32,})
    |-----BEGIN[ ](?:[A-Z]+[ ])*PRIVATE[ ]KEY-----""",
    re.X,
)
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIAL|API_?KEY", re.I)
SHORTEST_SECRET = 8
SHORTEST_HOST = 6
COMMON_HOSTS = {"localhost", "localhost.localdomain", "ubuntu", "debian"}

_PNG = b"\x89PNG\r\n\x1a\n"
_GZIP = b"\x1f\x8b"
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{40,}(?:\\n[A-Za-z0-9+/]+)*={0,2}")
_ZLIB_AT = re.compile(rb"\x78[\x01\x5e\x9c\xda]")
_CHUNK_HEADER = 8


def secrets(variables: Mapping[str, str]) -> dict[bytes, str]:
    """What of an environment no page may hold, each with words for it.

    Args:
        variables: The environment's variables: those whose names say that they are secret, the home
            folder, and the host's name. Values too short to be told from words are left out.
    """
    found = {
        value.encode(): f"the value of {name}"
        for name, value in variables.items()
        if SECRET_NAME.search(name) and len(value) >= SHORTEST_SECRET
    }
    for home in {variables.get("HOME", ""), str(Path.home())} - {"", "/"}:
        found[home.rstrip("/").encode() + b"/"] = "a path in the home folder"
    for host in {variables.get("HOSTNAME", ""), socket.gethostname()} - COMMON_HOSTS:
        if len(host) >= SHORTEST_HOST:
            found[host.encode()] = "the name of this machine"
    return found


def leaks(folder: Path, secret: Mapping[bytes, str]) -> Iterator[str]:
    """Name every file below a folder that holds a secret or anything that looks like a token.

    Args:
        folder: The folder.
        secret: What is looked for besides tokens, from :func:`secrets`.
    """
    words = re.compile(b"|".join(rb"(?<!\w)" + re.escape(value) for value in secret) or rb"(?!)")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        complaints = {
            secret.get(match, "what looks like a token")
            for content in layers(path.read_bytes())
            for match in [*words.findall(content), *TOKENS.findall(content)]
        }
        for complaint in sorted(complaints):
            yield f"{path.relative_to(folder)} holds {complaint}"


def layers(content: bytes) -> Iterator[bytes]:
    """A file's bytes, and everything that is packed inside, however deep."""
    yield content
    if content.startswith(_PNG):
        yield from _png_texts(content)
    elif content.startswith(_GZIP):
        yield from layers(gzip.decompress(content))
    elif content.startswith(b"# Sphinx inventory"):
        yield zlib.decompress(content[_ZLIB_AT.search(content).start() :])  # type: ignore[union-attr]
    else:
        for packed in _BASE64.findall(content):
            packed = packed.replace(b"\\n", b"")
            try:
                inside = base64.b64decode(packed + b"=" * (-len(packed) % 4))
            except binascii.Error:
                continue
            yield from layers(inside)


def _png_texts(content: bytes) -> Iterator[bytes]:
    """The chunks of a PNG that are not its pixels, unpacked where they are compressed."""
    at = len(_PNG)
    while at + _CHUNK_HEADER <= len(content):
        size = int.from_bytes(content[at : at + 4])
        kind = content[at + 4 : at + _CHUNK_HEADER]
        data = content[at + _CHUNK_HEADER : at + _CHUNK_HEADER + size]
        at += _CHUNK_HEADER + size + 4
        if kind in {b"zTXt", b"iTXt", b"iCCP"}:
            for match in _ZLIB_AT.finditer(data):
                try:
                    yield zlib.decompress(data[match.start() :])
                except zlib.error:
                    continue

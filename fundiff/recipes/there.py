"""What runs a packed training on a machine without a network, and collects what it made.

:mod:`fundiff.recipes.parcel` packs it. There, the standard library is all that this file needs:
``python3 there.py start FOLDER`` unpacks the parcel that lies beside it into a folder and starts
the run, which goes on by itself; ``python3 there.py collect FOLDER OUT`` brings what it made.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

PARCEL = "parcel.tar.xz"

STATUS = "status"

PIECE = 15_000_000
"""How many bytes a file that comes back has, at most."""

PIECES = 6
"""How many files the weights come back in, at most; the log and the status are two more."""


def start(folder: Path) -> None:
    """Unpack the parcel, install its wheels, and start the run in a session of its own."""
    began, here = time.time(), Path(__file__).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        sys.exit(f"{folder} isn't empty: choose another folder")
    with tarfile.open(here.with_name(PARCEL)) as tar:
        tar.extractall(folder, filter="data")
    shutil.copy(here, folder)
    if wheels := sorted(folder.glob("wheels/*.whl")):
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps"]
        site = ["--no-compile", "--no-cache-dir", "--target", f"{folder / 'site'}"]
        subprocess.run([*pip, *site, *wheels], check=True)
    with (folder / "log").open("wb") as log:
        subprocess.Popen(
            [sys.executable, folder / here.name, "run", folder, f"{began}"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    print(f"unpacked and started in {time.time() - began:.0f} s; its log is {folder / 'log'}")


def run(folder: Path, began: float) -> None:
    """Train until the minutes since the beginning are over, then say how the command ended."""
    order = json.loads((folder / "run.json").read_bytes())
    paths = (f"{folder / 'site'}", f"{folder / 'code'}", os.environ.get("PYTHONPATH"))
    settings = {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "FUNDIFF_TEXT_ENCODER": f"{folder / 'encoder'}",
    }
    left = max(0.0, order["minutes"] - (time.time() - began) / 60)
    command = [sys.executable, *order["words"], "--minutes", f"{left:.3f}"]
    ended = subprocess.call(command, cwd=folder, env={**os.environ, **settings})
    (folder / "done.new").write_text(f"{ended}\n")
    (folder / "done.new").rename(folder / "done")


def collect(folder: Path, out: Path, wait: float) -> None:
    """Show the log until the run is done or the wait is over, and bring the newest weights."""
    until, shown = time.monotonic() + wait, 0
    while True:
        over = (done := (folder / "done").exists()) or time.monotonic() >= until
        with (folder / "log").open("rb") as log:
            log.seek(shown)
            shown += sys.stdout.buffer.write(log.read())
            sys.stdout.flush()
            log.seek(max(0, shown - PIECE))
            end = log.read(PIECE)
        if over:
            break
        time.sleep(min(1.0, max(0.0, until - time.monotonic())))
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob("weights.tar.*"):
        old.unlink()
    (out / "log").write_bytes(end)
    cards = [folder / name / "card.json" for name in ("weights", "weights-80")]
    cards = sorted(filter(Path.is_file, cards), key=lambda card: card.stat().st_mtime)
    pieces = _pieces(cards[-1].parent, folder / "weights.tar", out) if cards else {}
    status = {
        "ended": int((folder / "done").read_text()) if done else None,
        "weights": cards[-1].parent.name if cards else None,
        "pieces": pieces,
    }
    (out / STATUS).write_text(json.dumps(status, indent=1) + "\n")
    how = f"ended with {status['ended']}" if done else "isn't done"
    print(f"the run {how}; brought: {status['weights'] or 'no weights'}, {len(pieces)} pieces")


def _pieces(weights: Path, whole: Path, out: Path) -> dict[str, str]:
    """Write a folder's archive in pieces, and return the digest of each by its name."""
    with tarfile.open(whole, "w") as tar:
        tar.add(weights, ".")
    if whole.stat().st_size > PIECES * PIECE:
        sys.exit(f"{weights} has {whole.stat().st_size / 1e6:.1f} MB, too many to bring")
    digests: dict[str, str] = {}
    with whole.open("rb") as file:
        while content := file.read(PIECE):
            name = f"weights.tar.{len(digests):03}"
            digests[name] = hashlib.sha256(content).hexdigest()
            (out / name).write_bytes(content)
    return digests


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("start", "run", "collect"))
    parser.add_argument("folder", type=lambda word: Path(word).resolve())
    parser.add_argument("more", nargs="?", help="for collect the folder that goes back")
    parser.add_argument("--wait", type=float, default=0.0, help="for how many seconds")
    words = parser.parse_args()
    if words.command == "start":
        start(words.folder)
    elif words.more is None:
        parser.error(f"{words.command} needs another word")
    elif words.command == "run":
        run(words.folder, float(words.more))
    else:
        collect(words.folder, Path(words.more), words.wait)


if __name__ == "__main__":
    main()

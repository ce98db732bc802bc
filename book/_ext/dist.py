"""Build the sdist and the wheel, and try the wheel where nothing else is: `nox -s dist`.

The wheel must hold what `pip install` promises: types, weights, pictures, and the licences of all
of them. It is installed into an empty environment, and runs the README's first lines there, and
the page on using the library.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

LARGEST = 100_000_000
"""Bytes of a wheel."""
PROMISED = (
    "fundiff/py.typed",
    "fundiff/LICENSES.md",
    "fundiff/pictures/campanile.png",
    "fundiff/digits/digits.png",
    "fundiff/weights/text-to-image/card.json",
)
LICENCES = ("LICENSE", "fundiff/LICENSES.md", "fundiff/LICENSE-Apache-2.0.txt")

PAGE = "book/_executed/reference/use-the-library.ipynb"
"""The notebook whose cells run from the wheel."""

_LINES = re.compile(r"```python\n(.*?)```", re.S)


def lacking(wheel: Path, root: Path) -> Iterator[str]:
    """Name what a wheel should have and doesn't, or shouldn't and does.

    Args:
        wheel: The file.
        root: The checkout that it was built from.
    """
    if wheel.stat().st_size >= LARGEST:
        yield f"{wheel.name} has {wheel.stat().st_size / 1e6:.0f} MB, which should be below 100"
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
    shipped = [path for path in (root / "fundiff").rglob("*") if path.is_file()]
    files = {
        path.relative_to(root).as_posix() for path in shipped if "__pycache__" not in path.parts
    }
    info = next(name.split("/")[0] for name in sorted(names) if ".dist-info/" in name)
    promised = {*PROMISED, *files, *(f"{info}/licenses/{name}" for name in LICENCES)}
    yield from (f"{wheel.name} lacks {name}" for name in sorted(promised - names))
    others = {name for name in names if not name.startswith(("fundiff/", f"{info}/"))}
    yield from (f"{wheel.name} has {name} beside the package" for name in sorted(others))


def first_lines(readme: str) -> str:
    """Return the README's first Python code."""
    found = _LINES.search(readme)
    if found is None:
        raise ValueError("expected a block of Python in the README, found none")
    return found[1]


def run(*command: str | Path, folder: Path) -> None:
    """Run a command without what the environment would add to Python's paths."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env.pop("VIRTUAL_ENV", None)
    subprocess.run(command, cwd=folder, env=env, check=True)


def main(arguments: Sequence[str]) -> int:
    """Build and try; 1 means that something has to be mended, as said on stderr."""
    root = Path(__file__).parents[2]
    target = Path(arguments[0]).resolve() if arguments else root / "dist"
    shutil.rmtree(target, ignore_errors=True)
    uv = Path(sys.executable).with_name("uv")
    run(uv, "build", "--quiet", "--out-dir", target, folder=root)
    (wheel,), (sdist,) = target.glob("*.whl"), target.glob("*.tar.gz")
    for path in (wheel, sdist):
        print(f"built {path.name}, {path.stat().st_size / 1e6:.1f} MB", flush=True)
    if found := list(lacking(wheel, root)):
        print("\n".join(found), file=sys.stderr)
        return 1
    with TemporaryDirectory() as empty:
        folder = Path(empty)
        python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
        run(uv, "venv", "--quiet", "--python", sys.executable, "venv", folder=folder)
        lock = root / "book" / "constraints.txt"
        install: list[str | Path] = [uv, "pip", "install", "--quiet", "--python", python]
        install += ["--constraint", lock]
        run(*install, wheel, folder=folder)
        lines = first_lines((root / "README.md").read_text(encoding="utf-8"))
        run(python, "-I", "-W", "error", "-c", lines, folder=folder)
        cells = json.loads((root / PAGE).read_text(encoding="utf-8"))["cells"]
        page = "\n".join("".join(cell["source"]) for cell in cells)
        run(python, "-I", "-W", "error", "-c", page, folder=folder)
        drawn = [path.name for path in folder.iterdir() if path.suffix == ".png"]
        print(f"the README's lines ran in an empty environment and drew {', '.join(drawn)}")
        print(f"so did the cells of {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

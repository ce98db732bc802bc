"""Everything the project does: `nox -l` lists the sessions, `nox -s book` builds the book."""

import hashlib
import json
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True
nox.options.sessions = ["lint", "types", "tests"]

PROJECT = nox.project.load_toml("pyproject.toml")
LOCK = "book/constraints.txt"
GROUPS = ("test", "train", "bench", "lint", "types", "book", "browser", "publish", "dist")
RECIPES = (
    "text-to-image",
    "image-text",
    "mnist-features",
    "mnist-judge",
    "mnist-denoiser",
    "mnist-time",
    "mnist-class",
    "mnist-flow",
    "glyph-class",
)
MEASURED = {
    "score": "scores",
    "steps": "steps",
    "compare": "ablations",
    "illusions": "illusions",
}
# Without bytecode, a build takes twice as long.
ENV = {"PYTHONDONTWRITEBYTECODE": None}


def install(session: nox.Session, *groups: str) -> None:
    """Install the package and dependency groups, at the locked versions, where these changed."""
    packages = nox.project.dependency_groups(PROJECT, *groups)
    kept = Path(session.virtualenv.location, "installed.txt")
    files = [Path(name).read_text() for name in ("pyproject.toml", LOCK)]
    wanted = hashlib.sha256("\n".join([*packages, *files]).encode()).hexdigest()
    if kept.is_file() and kept.read_text() == wanted:
        return
    kept.unlink(missing_ok=True)
    session.install("-c", LOCK, "-e", ".", *packages)
    code = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2])"
    session.run_install("python", "-c", code, kept, wanted, silent=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style: `nox -s lint -- --fix` mends what it can."""
    session.install("-c", LOCK, *nox.project.dependency_groups(PROJECT, "lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", *([] if "--fix" in session.posargs else ["--check"]))
    workflows = sorted(map(str, Path(".github", "workflows").glob("*.yml")))
    schema = "vendor.github-workflows"
    session.run("check-jsonschema", "--builtin-schema", schema, *workflows)
    session.run("zizmor", "--offline", "--quiet", *workflows)


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    install(session, "test", "train", "types", "book", "browser", "publish")
    session.run("mypy", *session.posargs, env=ENV)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, one process a core: `nox -s tests -- -m slow` runs the slow ones."""
    install(session, "test", "train", "book", "publish")
    # Threads of several processes on the same cores wait for one another.
    env = {**ENV, "OMP_NUM_THREADS": "1"}
    workers = ["-n", "logical", "--maxprocesses", "8", "--dist", "worksteal"]
    session.run("pytest", *workers, *session.posargs, env=env)


@nox.session
def book(session: nox.Session) -> None:
    """Build the book, executing what has changed: `-- --fresh` executes everything."""
    install(session, "book")
    session.run("python", "-m", "book._ext.site.build", *session.posargs, env=ENV)


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the built book in a real browser: needs `chromium`."""
    install(session, "test", "browser")
    session.run("pytest", "tests/book/test_browser.py", "-m", "browser", *session.posargs, env=ENV)


@nox.session
def linkcheck(session: nox.Session) -> None:
    """Follow every link that leads out of the book; needs the network."""
    install(session, "book")
    command = ["jupyter-book", "build", ".", "--builder", "linkcheck", "--all"]
    session.run(*command, "--path-output", "_build/links", *session.posargs, env=ENV)


@nox.session
def publish(session: nox.Session) -> None:
    """Publish the book as it is committed: `nox -s publish -- REMOTE`."""
    install(session, "book", "publish")
    session.run("python", "-m", "book._ext.site.publish", *session.posargs, env=ENV)


@nox.session
def dist(session: nox.Session) -> None:
    """Build sdist and wheel into dist, and run in an empty environment what the book promises."""
    session.install("-c", LOCK, *nox.project.dependency_groups(PROJECT, "dist"))
    shutil.rmtree("dist", ignore_errors=True)
    session.run("uv", "build", "--quiet")
    (wheel,) = (str(path.resolve()) for path in Path("dist").glob("*.whl"))
    session.run("check-wheel-contents", wheel)
    text = Path("README.md").read_text(encoding="utf-8")
    page = Path("book", "_executed", "reference", "use-the-library.ipynb").read_bytes()
    cells = ["".join(cell["source"]) for cell in json.loads(page)["cells"]]
    alone = ["uv", "run", "--quiet", "--isolated", "--no-project", "--with", wheel]
    env = {"PYTHONPATH": None, "UV_CONSTRAINT": str(Path(LOCK).resolve())}
    for code in (text.split("```python\n")[1].split("```")[0], "\n".join(cells)):
        script = Path(session.create_tmp(), "lines.py").resolve()
        script.write_text(code, encoding="utf-8")
        with session.chdir(script.parent):
            session.run(*alone, "python", "-I", "-W", "error", script, env=env)


@nox.session
def train(session: nox.Session) -> None:
    """Train every model whose shipped weights are old: `-- --preset full` on a GPU."""
    install(session, "train")
    session.run("python", "-m", "fundiff", "emoji")
    for name in RECIPES:
        command = ["train", name, "--if-stale", "--out", f"fundiff/weights/{name}"]
        session.run("python", "-m", "fundiff", *command, *session.posargs, env=ENV)
    for command, folder in MEASURED.items():
        options = ["--if-stale", "--out", f"fundiff/weights/{folder}"]
        session.run("python", "-m", "fundiff", command, *options, env=ENV)


@nox.session
def bench(session: nox.Session) -> None:
    """Time sampling and training beside their peers: `-- --out FILE` keeps the tables."""
    install(session, "bench")
    env = {**ENV, "TQDM_DISABLE": "1"}
    session.run("python", "tests/bench/bench.py", *session.posargs, env=env)


@nox.session(venv_backend="none")
def serve(session: nox.Session) -> None:
    """Serve the built book on this machine: `nox -s serve -- 8001` picks the port."""
    site = Path("_build", "html")
    command = ["python", "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(site)]
    session.run(*command, *session.posargs, external=True)


@nox.session
def lock(session: nox.Session) -> None:
    """Write the versions that everything is tested with, anew."""
    session.install("uv")
    groups = [word for group in GROUPS for word in ("--group", group)]
    options = ["--universal", "--python-version", "3.11", "--no-header", "--no-annotate"]
    options += ["--no-emit-index-url", "--upgrade", "--output-file", LOCK]
    session.run("uv", "pip", "compile", "pyproject.toml", *groups, *options, *session.posargs)

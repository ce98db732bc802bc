"""What a chapter used, as its kernel notes it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Write

Noted = Callable[..., dict[str, Any]]

ROOT = Path(__file__).parents[2]
DRIVER = """
import json, sys
from pathlib import Path
from book._ext.run.record import Recorder
root, cells = Path(sys.argv[1]), json.loads(sys.argv[2])
sys.path.insert(0, str(root))
namespace = {"__name__": "__main__"}
recorder = Recorder(root, "tiny", namespace)
recorder.start()
for cell in cells:
    recorder.begin(cell)
    exec(compile(cell, "cell", "exec"), namespace)
    recorder.end()
print(json.dumps(recorder.noted()))
"""


@pytest.fixture
def noted(tmp_path: Path, write: Write) -> Noted:
    """Run cells in a process of their own beside a tiny package, and return what was noted."""
    write(
        "tiny/__init__.py",
        "def __getattr__(name):\n    from tiny.sums import add\n    return add\n",
    )
    write("tiny/sums.py", "from .base import ONE\ndef add(a, b):\n    return a + b * ONE\n")
    write(
        "tiny/base.py",
        "from pathlib import Path\nimport torch\nONE = 1\n"
        "class Model:\n"
        "    def noise(self, count, seed=3):\n"
        "        return torch.randn(count, generator=torch.Generator().manual_seed(seed))\n"
        "def load():\n"
        "    return Path(__file__).with_name('weights.bin').read_bytes()\n"
        "def twice():\n"
        "    return load() * (lambda: 2)()\n",
    )
    write("tiny/models/__init__.py", "")
    write("tiny/models/if_model.py", "def load(name=None):\n    return [x for x in [1]]\n")
    write("tiny/jobs.py", "from .models.if_model import load\ndef paint():\n    load()\n")
    write("tiny/weights.bin", "w")
    write("book/notes.txt", "17")
    write("other.txt", "18")

    def run(*cells: str) -> dict[str, Any]:
        command = [sys.executable, "-c", DRIVER, str(tmp_path), json.dumps(cells)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found

    return run


def test_names_are_those_that_are_taken_and_called(noted: Noted) -> None:
    found = noted("import tiny as t\nfrom tiny.base import ONE", "print(t.add(ONE, 2))")
    assert found["code"] == ["tiny.add", "tiny.base.ONE", "tiny.sums.add"]
    assert found["called"] == []
    assert noted("import math\nmath.sin(1)")["code"] == []


def test_a_seed_and_a_file_that_no_text_tells(noted: Noted, tmp_path: Path) -> None:
    found = noted(
        "import torch, os\nfrom tiny import base",
        f"root = {str(tmp_path)!r}\nopen(root + '/other.txt').close()\n"
        "seed = int(open(os.path.join(root, 'book', 'no' + 'tes.txt')).read())",
        "x = base.Model().noise(2, seed + 1)",
        "torch.manual_seed(seed)\ny = torch.rand(2)",
        "print(x)",
        f"print(y, base.load()); open({str(tmp_path / 'written.txt')!r}, 'w').close()",
    )
    assert found["code"] == ["tiny.base", "tiny.base.Model", "tiny.base.load"]
    assert found["called"] == []
    assert noted("from tiny.base import twice\ntwice()")["called"] == ["tiny.base.load"]
    assert found["files"] == ["book/notes.txt", "tiny/weights.bin"]
    assert [cell["seeds"] for cell in found["cells"]] == [[], [], [18], [17], [18], [17]]
    assert found["cells"][4]["files"] == ["book/notes.txt"]
    assert found["cells"][5]["files"] == ["book/notes.txt", "tiny/weights.bin"]


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["x = draw(1)", "x = draw(2)", "print(x)"], [2]),
        (["x = draw(1)", "x += draw(2)", "print(x)"], [1, 2]),
        (["x = [draw(1)]", "x.append(draw(2))", "print(x)"], [1, 2]),
        (["x = draw(1)", "def show():\n    return x", "x = draw(2)", "show()"], [2]),
        (["x = draw(1)", "def show(x):\n    return x", "show(draw(2))"], [2]),
        (["x = draw(1)", "y = x + 1", "x = draw(2)", "print(y)"], [1]),
        (["x, y = draw(1), 0", "print(y)"], [1]),
        (["x = draw(1)", "x = draw(2)\nprint(x)"], [2]),
        (["x = draw(1)", "y = [x + k for k in range(2)]", "x = draw(2)", "y"], [1]),
        (["n = draw(1)", "n = n + draw(2)", "n"], [1, 2]),
        (["k = draw(1)", "[k for k in (2, 3)]"], []),
        (
            [
                "n = torch.nn.Linear(1, 1)",
                "n.requires_grad_(False).weight.fill_(float(draw(1)))",
                "n",
            ],
            [1],
        ),
    ],
)
def test_a_cell_inherits_what_it_reads(noted: Noted, cells: list[str], expected: list[int]) -> None:
    first = "import torch\nfrom tiny import base\ndef draw(s):\n    return base.Model().noise(1, s)"
    assert noted(first, *cells)["cells"][-1]["seeds"] == expected


def test_alike_functions_of_two_files_are_told_apart(noted: Noted, write: Write) -> None:
    for name in ("alike.py", "tiny/alike.py"):
        write(name, "def one():\n    return 1\n")
    cell = "import alike\nimport tiny.alike\nalike.one()\ntiny.alike.one()"
    assert "tiny.alike.one" in noted(cell)["code"]


@pytest.mark.parametrize(
    ("cell", "counts"),
    [
        ("from tiny.models.if_model import load", False),
        ("from tiny.models.if_model import load\nload('text-to-image')", False),
        ("from tiny.models.if_model import load\nload()", True),
        ("from tiny.jobs import paint\npaint()", True),
    ],
)
def test_the_engine_is_what_is_loaded_without_a_name(noted: Noted, cell: str, counts: bool) -> None:
    assert noted(cell)["engine"] is counts

"""Run one chapter's code cells in a kernel of their own."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from book._ext.layout import Book, BookError

RECORD = Path(__file__).with_name("record.py")
RULE = 75 * "-"
TRACEBACK_LINES = 15

_PASSED_ON = re.compile(
    r"""PATH|HOME|LANG|LANGUAGE|LC_\w+|TZ|TMPDIR|TEMP|TMP|VIRTUAL_ENV|USERPROFILE|SYSTEMROOT
    |FUNDIFF_\w+|HF_HOME|HF_HUB_CACHE|HF_HUB_OFFLINE|XDG_CACHE_HOME|TORCH_HOME|PYTHONPATH|LD_LIBRARY_PATH
    |CUDA_VISIBLE_DEVICES|OMP_NUM_THREADS|MKL_NUM_THREADS|SSL_CERT_FILE|SSL_CERT_DIR""",
    re.X,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class ChapterError(BookError):
    """A cell of a chapter that did not run as it should."""


def environment(book: Book, parent: Mapping[str, str]) -> dict[str, str]:
    """The variables that a chapter sees: an allow-list, so that tokens never reach one.

    The package that is digested is the one that is imported. Personal settings of IPython and
    matplotlib don't count, and nothing is fetched unless the engine has to come from a hub.
    """
    model = parent.get("FUNDIFF_MODEL", "")
    folder = Path(model).expanduser()
    is_local = not model or folder.is_dir()
    paths = [str(book.root), *filter(None, [parent.get("PYTHONPATH")])]
    return {
        **{name: value for name, value in parent.items() if _PASSED_ON.fullmatch(name)},
        **({"FUNDIFF_MODEL": str(folder.resolve())} if model and is_local else {}),
        **({"HF_HUB_OFFLINE": "1"} if is_local else {}),
        "OMP_WAIT_POLICY": "PASSIVE",  # or a busy process slows a chapter down eightfold
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONWARNINGS": "ignore:IProgress not found",
        "IPYTHONDIR": str(book.build / "ipython"),
        "MPLCONFIGDIR": str(book.build / "matplotlib"),
    }


def prepare(variables: Mapping[str, str]) -> None:
    """Let matplotlib find its fonts, which it would report on the first chapter's stderr."""
    code = "import matplotlib.font_manager"
    subprocess.run(
        [sys.executable, "-c", code], env=dict(variables), capture_output=True, check=False
    )


def run(
    book: Book, notebook: NotebookNode, page: str, timeout: int, variables: Mapping[str, str]
) -> dict[str, Any]:
    """Execute code cells in place.

    Args:
        book: The book.
        notebook: Code cells only; ``metadata.lines`` has the line that each starts at.
        page: The chapter's file, for messages.
        timeout: How many seconds one cell may take.
        variables: The kernel's environment.

    Returns:
        The device and the versions that they ran on, the precision of a text-to-image network, and
        the record of what they used.

    Raises:
        ChapterError: If a cell raises, writes to stderr, takes too long or kills the kernel.
    """
    specs = KernelSpecManager(kernel_dirs=[])
    with TemporaryDirectory() as folder, TemporaryDirectory() as sockets:
        # A port that was free a moment ago may have been taken by another process.
        over = {"transport": "ipc", "ip": f"{sockets}/kernel"} if os.name == "posix" else {}
        manager = AsyncKernelManager(
            kernel_name="python3", kernel_spec_manager=specs, transport_encryption="auto", **over
        )
        client = NotebookClient(
            notebook,
            km=manager,
            timeout=timeout,
            record_timing=False,
            coalesce_streams=True,
            shutdown_kernel="immediate",
            resources={"metadata": {"path": folder}},
        )
        client.owns_km = True
        client.reset_execution_trackers()
        with client.setup_kernel(env=dict(variables)):
            start = f"__import__('runpy').run_path({str(RECORD)!r})['start']"
            _ask(client, f"{start}(get_ipython(), {str(book.root)!r}, {book.package!r})")
            for index in range(len(notebook.cells)):
                _run_cell(client, index, page)
            made: dict[str, Any] = json.loads(_ask(client, "%noted"))
            return made


def _run_cell(client: NotebookClient, index: int, page: str) -> None:
    cell = client.nb.cells[index]
    lines = cell.source.strip().splitlines() or [""]
    where = f"{page}, code cell {index + 1} (line {client.nb.metadata.lines[index]}): `{lines[0]}`"
    try:
        client.execute_cell(cell, index, execution_count=index + 1)
    except CellTimeoutError as error:
        raise ChapterError(
            f"{where} took more than {client.timeout} seconds: make it faster, or write "
            f"`mystnb: {{execution_timeout: SECONDS}}` into the front matter"
        ) from error
    except DeadKernelError as error:
        raise ChapterError(
            f"{where} ended the kernel, perhaps for want of memory: run it alone in Python"
        ) from error
    except CellExecutionError as error:
        text = _COLOUR.sub("", error.traceback).rpartition(RULE)[-1].strip().splitlines()
        raise ChapterError("\n".join([f"{where} raised", *text[-TRACEBACK_LINES:]])) from error
    for output in cell.outputs:
        if output.output_type == "stream" and output.name == "stderr":
            raise ChapterError(
                f"{where} wrote to stderr; remove the cause, such as a warning or a progress bar:\n"
                f"{output.text.strip()}"
            )


def _ask(client: NotebookClient, code: str) -> str:
    """Run what is no cell of the chapter, and return what it prints."""
    cell = new_code_cell(code)
    client.nb.cells.append(cell)
    try:
        client.execute_cell(cell, len(client.nb.cells) - 1)
    finally:
        client.nb.cells.pop()
    return "".join(output.text for output in cell.outputs)

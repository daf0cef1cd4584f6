"""The tutorial notebook runs from top to bottom, and is kept without its outputs."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat

NOTEBOOK = Path(__file__).resolve().parent.parent / "docs/tutorial.ipynb"

# In a process of its own, with the kernel of this Python, whatever kernels are installed.
EXECUTE = """\
import sys
import nbformat
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

source, target = sys.argv[1:]
book = nbformat.read(source, as_version=4)
manager = AsyncKernelManager(kernel_name="python3")
kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
manager._kernel_spec = KernelSpec(argv=kernel, language="python")
NotebookClient(book, km=manager, timeout=120).execute()
nbformat.write(book, target)
"""


def read(path):
    book = nbformat.read(path, as_version=4)
    nbformat.validate(book)
    return book


def test_it_is_kept_without_outputs():
    cells = [c for c in read(NOTEBOOK).cells if c.cell_type == "code"]
    assert all(not c.outputs and c.execution_count is None for c in cells)


def test_it_runs_and_shows_what_it_speaks_of(tmp_path):
    homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    done = subprocess.run(
        [sys.executable, "-c", EXECUTE, str(NOTEBOOK), "executed.ipynb"], cwd=tmp_path, timeout=300,
        env={**os.environ, **{name: str(tmp_path / name) for name in homes}},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    outputs = [
        output
        for cell in read(tmp_path / "executed.ipynb").cells
        for output in cell.get("outputs", [])
    ]
    assert not [o.text for o in outputs if o.get("name") == "stderr"]
    shown = "".join(str(o.get("text") or o.get("data")) for o in outputs)
    for part in ("another dimension", "min must be below max", "converged", "result.nc", "True"):
        assert part in shown
    assert sum("image/png" in o.get("data", {}) for o in outputs) == 3

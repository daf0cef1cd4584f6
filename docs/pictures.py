"""Pictures of the manual: what the commands of its own pages draw, so that they are true.

A page asks for one with a comment, ``<!-- picture: my_fit/path.png | What it shows -->``. Its code
is run from the top, as the tests do, until the files it asks for are there. Experiments are
fitted, and the tutorial notebook is executed. What was made is used again until the page or the
package changes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE = ROOT / "build/pictures"
ASKED = re.compile(r"<!-- picture: (?P<file>[^|>]+?) \| (?P<says>[^>]+?) -->")


def of_page(page: Path) -> dict[str, bytes]:
    """Return each picture that a page asks for, by the file that it names."""
    wanted = list(dict.fromkeys(m["file"] for m in ASKED.finditer(page.read_text("utf-8"))))
    folder = MADE / f"{page.stem}-{_key(page)}"
    if wanted and not folder.is_dir():
        _make(folder, "page", str(page.resolve()), *wanted)
    return {name: (folder / f"{k}.png").read_bytes() for k, name in enumerate(wanted)}


def of_experiment(name: str) -> bytes:
    """Return the picture of a shipped experiment: of its fit, where it has targets."""
    folder = MADE / f"{name}-{_key(ROOT / 'experiments' / name / 'experiment.yaml')}"
    if not folder.is_dir():
        _make(folder, "experiment", name)
    return (folder / "0.png").read_bytes()


def executed(notebook: Path) -> dict:
    """Return the notebook with its outputs."""
    folder = MADE / f"{notebook.stem}-{_key(notebook)}"
    if not folder.is_dir():
        _make(folder, "notebook", str(notebook.resolve()))
    return json.loads((folder / "executed.ipynb").read_text("utf-8"))


def _key(source: Path) -> str:
    """Return a hash of a source and of everything that draws."""
    parts = ("stpspec/**/*.py", "conf/**/*.yaml", "mod/*.mod", "templates/*", "docs/pictures.py")
    files = [source, *(f for part in parts for f in sorted(ROOT.glob(part)) if f.is_file())]
    return hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()[:12]


def _make(folder: Path, *words: str) -> None:
    """Make pictures in a process of its own: NEURON keeps what it has loaded."""
    shutil.rmtree(folder, ignore_errors=True)
    MADE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=MADE) as made, tempfile.TemporaryDirectory() as work:
        bin_first = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        homes = {n: f"{work}/{n}" for n in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR",
                                            "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}  # fmt: skip
        done = subprocess.run(
            [sys.executable, __file__, made, *words], cwd=work, capture_output=True, text=True,
            env={**os.environ, **homes, "MPLBACKEND": "Agg", "PATH": bin_first}, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            said = done.stdout[-800:] + done.stderr[-2000:]
            raise RuntimeError(f"no pictures of {words[1]}:\n{said}")
        shutil.copytree(made, folder)


# -- in that process ------------------------------------------------------------------------------


def _run_page(made: Path, page: str, *wanted: str) -> None:
    sys.path.insert(0, str(ROOT / "tests"))
    import pages

    names: dict[str, object] = {"__name__": "page"}
    blocks = pages.blocks(Path(page).read_text("utf-8"))
    while lacking := [name for name in wanted if not any(Path().glob(name))]:
        if not blocks:
            raise SystemExit(f"{page} asks for {', '.join(lacking)}, which its code does not make")
        if not (block := blocks.pop(0)).skipped:
            pages._run(block, names)
    for k, name in enumerate(wanted):
        shutil.copy(next(iter(sorted(Path().glob(name)))), made / f"{k}.png")


def _fit_experiment(made: Path, name: str) -> None:
    import stpspec

    experiment = stpspec.load(name)
    has_targets = experiment.objective is not None and experiment.parameters
    shown = stpspec.fit(experiment) if has_targets else experiment
    (made / "0.png").write_bytes(shown.plot()._repr_png_())


def _execute(made: Path, notebook: str) -> None:
    import nbformat
    from jupyter_client.kernelspec import KernelSpec
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient

    book = nbformat.read(notebook, as_version=4)
    manager = AsyncKernelManager(kernel_name="python3")
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager._kernel_spec = KernelSpec(argv=kernel, language="python")
    NotebookClient(book, km=manager, timeout=300).execute()
    nbformat.write(book, made / "executed.ipynb")


if __name__ == "__main__":
    _made, _sort, *_words = sys.argv[1:]
    _WORK = {"page": _run_page, "experiment": _fit_experiment, "notebook": _execute}
    _WORK[_sort](Path(_made), *_words)

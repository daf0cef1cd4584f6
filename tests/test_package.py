"""A wheel, an editable install and `pip install .` all carry what they need."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from programs import tracked

ROOT = Path(__file__).resolve().parent.parent


def run(*words: object, cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        [str(w) for w in words], cwd=cwd, capture_output=True, text=True, check=False,
        env={**os.environ, "MPLBACKEND": "Agg", **variables},
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def build(tmp_path: Path) -> tuple[Path, Path]:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", tmp_path / "dist", ROOT,
        cwd=tmp_path)  # fmt: skip
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    (sdist,) = (tmp_path / "dist").glob("*.tar.gz")
    return wheel, sdist


def test_wheel_and_sdist_hold_every_shipped_file(tmp_path):
    shipped = set(tracked("conf", "mod", "templates", "experiments"))
    wheel, sdist = build(tmp_path)
    inside = set(zipfile.ZipFile(wheel).namelist())
    assert {f"stpspec/_data/{name}" for name in shipped} <= inside
    assert "stpspec/py.typed" in inside
    with tarfile.open(sdist) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    assert shipped <= names


@pytest.mark.long
@pytest.mark.parametrize("how", ["wheel", "checkout", "editable"])
def test_an_installation_in_a_fresh_environment_fits_a_shipped_experiment(tmp_path, how):
    """Nothing of this machine helps: new environment, new cache, neutral folder."""
    target: list[object] = {"checkout": [ROOT], "editable": ["-e", ROOT]}.get(how, [])
    if how == "wheel":
        target = [build(tmp_path)[0]]
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "install", "-q", "-c", ROOT / "constraints.txt", *target, cwd=tmp_path)
    cache = str(tmp_path / "cache")
    out = run(tmp_path / "venv/bin/stpspec", "fit", "experiment=pvalb_pyr", "--out", "fit",
              cwd=tmp_path, STPSPEC_CACHE=cache, PYTHONPATH="")  # fmt: skip
    assert "4 free parameters, 4 targets" in out
    assert out.count(" hit\n") == 4
    place = run(python, "-c", "from stpspec.resources import shipped; print(shipped('conf'))",
                cwd=tmp_path, PYTHONPATH="")  # fmt: skip
    assert place.startswith(str(ROOT if how == "editable" else tmp_path / "venv"))
    assert (tmp_path / "fit/result.nc").is_file()


GOLDEN = """
from neuron import h
h.load_file("stdrun.hoc")
soma = h.Section(name="soma")
synapse = h.TsodyksMarkram(soma(0.5))
synapse.U, synapse.tau_rec, synapse.tau_facil = 0.5, 671, 17
netcon = h.NetCon(None, synapse)
times = [20.0 * k for k in range(8)] + [390.0 + 20 * k for k in range(4)]
handler = h.FInitializeHandler(1, lambda: [netcon.event(t) for t in times])
u, R = h.Vector().record(synapse._ref_u_last), h.Vector().record(synapse._ref_R_last)
h.finitialize(-70)
h.continuerun(500)
print(*(f"{u[int((t + 1) / 0.025)] * R[int((t + 1) / 0.025)] / 0.5:.3f}" for t in times))
"""


@pytest.mark.long
def test_the_mechanisms_compile_and_hold_on_neuron_8_2_4(tmp_path):
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(
        python, "-m", "pip", "install", "-q", "neuron==8.2.4", "numpy<2", "setuptools", cwd=tmp_path
    )
    path = f"{tmp_path / 'venv/bin'}{os.pathsep}{os.environ['PATH']}"
    run(tmp_path / "venv/bin/nrnivmodl", ROOT / "mod", cwd=tmp_path, PATH=path)
    (tmp_path / "golden.py").write_text(GOLDEN)
    out = run(python, "golden.py", cwd=tmp_path, NEURON_MODULE_OPTIONS="-nogui", PYTHONPATH="")
    golden = "1.000 0.594 0.283 0.148 0.094 0.072 0.063 0.060 0.325 0.216 0.125 0.085"
    assert golden in out

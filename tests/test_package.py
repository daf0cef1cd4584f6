"""A wheel, an editable install and one from the checkout carry what they need, and declare it."""

import ast
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from programs import tracked

import stpspec

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PROJECT = PYPROJECT["project"]


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


def names(requirements):
    return {canonicalize_name(Requirement(r).name) for r in requirements}


def imported(folder: Path) -> dict[str, str]:
    """Return the top-level packages that the modules below a folder import, and where."""
    found: dict[str, str] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                modules = [node.module or ""]
            for module in modules:
                found.setdefault(
                    module.partition(".")[0], f"{path.relative_to(ROOT)}:{node.lineno}"
                )
    return {name: at for name, at in found.items() if name not in sys.stdlib_module_names}


def undeclared(folder: Path, declared: set[str]) -> dict[str, str]:
    """Return the imported packages that no declared distribution brings."""
    brought_by = importlib.metadata.packages_distributions()
    return {
        name: at
        for name, at in imported(folder).items()
        if not declared & {canonicalize_name(d) for d in brought_by.get(name, [])}
    }


def test_every_package_that_is_imported_is_a_dependency():
    core = names(PROJECT["dependencies"]) | {"stpspec"}
    extras = {name: names(r) for name, r in PROJECT["optional-dependencies"].items()}
    beyond = undeclared(ROOT / "stpspec", core)
    folders = {
        "dashboard": {"optuna_dashboard", "bottle"}, "tuner": {"panel", "bokeh", "tornado"},
        "data": {"pynwb", "pyabf", "openpyxl"}, "interop": {"h5py"},
    }  # fmt: skip
    assert set(beyond) == set.union(*folders.values()), beyond
    for folder, packages in folders.items():
        assert all(beyond[n].startswith(f"stpspec/{folder}/") for n in packages), beyond
    of_extras = set.union(*(extras[n] for n in extras if n != "all"))
    assert not undeclared(ROOT / "stpspec", core | of_extras)


def test_a_package_that_others_happen_to_install_is_told_as_undeclared():
    declared = names(PROJECT["dependencies"]) | {"stpspec"}
    assert "yaml" in undeclared(ROOT / "stpspec", declared - {"pyyaml"})  # hydra-core brings it


def test_every_requirement_has_a_lower_bound_and_a_pin_that_keeps_it():
    pins = {}
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()[1:]:
        requirement = Requirement(line)
        (pin,) = requirement.specifier
        assert pin.operator == "==", line
        pins[canonicalize_name(requirement.name)] = pin.version
    groups = [g for group in PYPROJECT["dependency-groups"].values() for g in group]
    written = PROJECT["dependencies"] + [g for g in groups if isinstance(g, str)]
    written += [r for extra in PROJECT["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, written):
        if requirement.name != "stpspec":
            assert any(s.operator == ">=" for s in requirement.specifier), requirement
            assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)])


def test_every_pin_installs_on_the_first_python_that_is_promised():
    """Debian 12 has Python 3.11.2, which a package that asks for 3.11.5 would refuse."""
    refused = {}
    for distribution in importlib.metadata.distributions():
        wanted = distribution.metadata.get("Requires-Python")
        if wanted and not SpecifierSet(wanted).contains("3.11.0"):
            refused[distribution.metadata["Name"]] = wanted
    assert refused == {}


def test_users_install_no_tool_of_development():
    wanted = PROJECT["dependencies"] + [
        r for extra in PROJECT["optional-dependencies"].values() for r in extra
    ]
    assert not names(wanted) & {"pytest", "ruff", "pyright", "mkdocs", "build", "uv", "pre-commit"}


def test_the_citation_names_the_authors_and_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == stpspec.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["authors"] == [{"name": a["name"]} for a in PROJECT["authors"]]


def test_the_changelog_has_a_section_for_this_version():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    sections = [line for line in text.splitlines() if line.startswith("## ")]
    assert sections[0].startswith(f"## [{stpspec.__version__}] - ")


def test_hooks_before_a_commit_run_the_tools_that_make_installs():
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (repository,) = config["repos"]  # of its own version none could differ from constraints.txt
    assert repository["repo"] == "local"
    commands = {hook["entry"].split()[0] for hook in repository["hooks"]}
    assert commands == {".venv/bin/ruff", ".venv/bin/pyright", ".venv/bin/lint-imports"}


def test_the_python_versions_of_the_metadata_are_those_that_ci_runs():
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))
    versions = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    prefix = "Programming Language :: Python :: 3."
    declared = [c.removeprefix(prefix) for c in PROJECT["classifiers"] if c.startswith(prefix)]
    assert [f"3.{minor}" for minor in declared] == versions
    assert PROJECT["requires-python"] == f">={versions[0]}"


def installed(folder: Path, constraints: Path, *targets: object) -> Path:
    """Install packages into a new environment, and return its Python; pip takes twice as long."""
    uv, python = [Path(sys.executable).with_name("uv"), "--quiet"], folder / "venv/bin/python"
    run(*uv, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
    run(*uv, "pip", "install", "--python", python, "-c", constraints, *targets, cwd=folder)
    return python


@pytest.mark.long
@pytest.mark.parametrize("how", ["wheel", "checkout", "editable"])
def test_an_installation_in_a_fresh_environment_fits_a_shipped_experiment(tmp_path, how):
    """Nothing of this machine helps: new environment, new cache, neutral folder."""
    target: list[object] = {"checkout": [ROOT], "editable": ["-e", ROOT]}.get(how, [])
    if how == "wheel":
        target = [build(tmp_path)[0]]
    python = installed(tmp_path, ROOT / "constraints.txt", *target)
    cache = str(tmp_path / "cache")
    out = run(tmp_path / "venv/bin/stpspec", "fit", "experiment=pvalb_pyr", "--out", "fit",
              cwd=tmp_path, STPSPEC_CACHE=cache, PYTHONPATH="")  # fmt: skip
    assert "4 free parameters, 4 targets" in out
    assert "4 targets: all hit\n" in out
    place = run(python, "-c", "from stpspec.resources import shipped; print(shipped('conf'))",
                cwd=tmp_path, PYTHONPATH="")  # fmt: skip
    assert place.startswith(str(ROOT if how == "editable" else tmp_path / "venv"))
    assert (tmp_path / "fit/result.nc").is_file()


@pytest.mark.long
def test_neuron_8_which_has_no_parser_of_mod_files_fits_a_shipped_experiment(tmp_path):
    """It can tell less of a mechanism, so that each candidate keeps its cell."""
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    others = [pin for pin in pins if not pin.startswith("neuron==")]
    (tmp_path / "constraints.txt").write_text("\n".join(others), encoding="utf-8")
    installed(tmp_path, tmp_path / "constraints.txt", "neuron==8.2.7", "setuptools", ROOT)
    out = run(tmp_path / "venv/bin/stpspec", "fit", "experiment=pvalb_pyr", cwd=tmp_path,
              STPSPEC_CACHE=str(tmp_path / "cache"), PYTHONPATH="")  # fmt: skip
    assert "4 targets: all hit\n" in out

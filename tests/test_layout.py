"""The layout: what stands at the top, how long a module is, which names are public."""

import ast
import importlib
import inspect
import types

import pytest
from programs import tracked
from small import ROOT, python

import stpspec

PACKAGE = ROOT / "stpspec"
MODULES = sorted(PACKAGE.rglob("*.py"))
IMPORTABLE = [path for path in MODULES if path.stem != "__main__"]  # which runs the command

# What the user fixed, and what every Python project has beside it.
TOP = {"mkdocs.yml",
    "pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE",
    "CITATION.cff", "SECURITY.md", "constraints.txt",
    "stpspec", "conf", "mod", "templates", "experiments",
    "tests", "docs",
}  # fmt: skip

PUBLIC = {
    "Experiment", "FitResult", "MetricError", "SpecError", "StpspecError", "campaign", "check",
    "collect", "cost", "fit", "fitter", "load", "loss", "measure", "measure_file", "metric",
    "protocol", "simulate", "sweep", "tune",
}  # fmt: skip


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_nothing_stands_at_the_top_that_was_not_agreed():
    tops = {f.partition("/")[0] for f in tracked()}
    assert {t for t in tops if not t.startswith(".")} <= TOP
    assert {"stpspec", "conf", "mod", "templates", "experiments", "tests", "docs"} <= tops


def test_every_experiment_has_its_question_and_answer():
    for folder in sorted((ROOT / "experiments").iterdir()):
        if folder.is_dir() and not folder.name.startswith((".", "_")):
            names = {p.name for p in folder.iterdir()}
            assert {"experiment.yaml", "README.md"} <= names, folder.name


# A noun phrase: no question, no sentence that begins in the middle.
NO_NOUNS = {"What", "Where", "Which", "How", "When", "For", "From", "All"}


def test_each_module_is_short_and_its_first_line_says_its_job():
    faults = {}
    for path in MODULES:
        text = path.read_text(encoding="utf-8")
        first = (ast.get_docstring(ast.parse(text)) or "").split("\n")[0]
        is_told = first.endswith((".", ":")) and first.split()[0] not in NO_NOUNS
        if not is_told or len(text.splitlines()) >= 400:
            faults[name_of(path)] = first
    assert faults == {}


def test_the_public_names_are_exactly_those_agreed():
    assert set(stpspec.__all__) == PUBLIC
    assert sorted(stpspec.__all__) == stpspec.__all__
    assert set(stpspec._PUBLIC) == PUBLIC


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_public_name_resolves_and_is_documented(name):
    thing = getattr(stpspec, name)
    assert not isinstance(thing, types.ModuleType)
    assert inspect.getdoc(thing)
    assert name in dir(stpspec)


ROOT_NAMES = {
    "__init__.py", "analytic.py", "api.py", "campaigns", "cli", "config", "dashboard", "data",
    "dataset.py", "engine", "errors.py", "fitters", "formatting", "interop", "log.py", "metrics",
    "plugins.py", "py.typed", "registry.py", "reports", "resources", "results", "specs",
    "studies", "sweeps.py", "testing", "tuner", "units.py", "view",
}  # fmt: skip


def test_the_root_of_the_package_has_the_agreed_names():
    assert {p.name for p in PACKAGE.iterdir() if p.name != "__pycache__"} == ROOT_NAMES
    assert len(ROOT_NAMES) <= 29


FACES = [
    "campaigns", "config", "dashboard", "engine", "fitters", "interop", "metrics", "plugins",
    "reports", "results", "specs", "studies", "testing", "tuner", "view",
]  # fmt: skip


@pytest.mark.parametrize("name", FACES)
def test_a_folder_exports_what_outsiders_may_use(name):
    face = importlib.import_module(f"stpspec.{name}")
    modules = {p.stem for p in (PACKAGE / name).glob("*.py")}
    assert len(face.__all__) == len(set(face.__all__))
    for exported in face.__all__:
        assert not isinstance(getattr(face, exported), types.ModuleType)
        assert exported not in modules, "the module would take the place of what is exported"
    with pytest.raises(AttributeError, match="nothing"):
        _ = face.nothing


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="nothing"):
        _ = stpspec.nothing


def test_no_module_has_the_name_of_a_public_function():
    # `import stpspec.fit` would put the module in the place of the function.
    direct = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in
              PACKAGE.glob("*/__init__.py")}  # fmt: skip
    assert not direct & PUBLIC


def test_importing_every_module_leaves_the_public_names_in_place():
    names = [name_of(p) for p in IMPORTABLE]
    done = python(
        f"import importlib, types, stpspec\nfor n in {names!r}: importlib.import_module(n)\n"
        "print([n for n in stpspec.__all__ if isinstance(getattr(stpspec, n), types.ModuleType)])"
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_what_a_module_says_it_exports_is_there():
    for path in IMPORTABLE:
        module = importlib.import_module(name_of(path))
        absent = [n for n in getattr(module, "__all__", []) if not hasattr(module, n)]
        assert absent == [], name_of(path)


def test_every_public_class_and_function_has_a_docstring():
    bare = [
        f"{name_of(path)}.{node.name}"
        for path in MODULES
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        if not ast.get_docstring(node)
    ]
    assert bare == []


def test_a_new_module_may_import_no_confined_package_whatever_it_is_called(tmp_path):
    import shutil
    import subprocess
    import sys
    from pathlib import Path

    shutil.copytree(PACKAGE, tmp_path / "stpspec", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    confined = ("bokeh", "hydra", "matplotlib", "neuron", "omegaconf", "optuna", "panel")
    inner = "".join(f"    import {name}\n" for name in confined)
    (tmp_path / "stpspec" / "stray.py").write_text(f"def stray():\n{inner}")
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = [name for name in confined if f"stpspec.stray -> {name}" in done.stdout]
    assert found == list(confined), done.stdout + done.stderr


def test_the_tree_is_complete_for_the_type_checker():
    assert (PACKAGE / "py.typed").is_file()
    assert all((p.parent / "__init__.py").is_file() for p in MODULES)


def test_nothing_in_the_repository_names_a_folder_of_one_machine():
    for name in tracked():
        path = ROOT / name
        if path.suffix in (".png", ".nc", ".npz") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        for place in ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/"):
            assert place not in text, f"{name} names {place}"

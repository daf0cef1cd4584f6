"""Another package adds a metric, a loss, a cost, a protocol and a fitter, by entry points only."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent / "plugin_package"

YAML = """\
defaults:
  - /protocol@protocols.two: doublet
  - override /model: tm_patch
  - override /fitter: grid
  - _self_
name: plugged
numerics: {dt: 0.1, settle: 20}
model:
  fixed: {tau_decay: 2 ms, tau_facil: 1 ms}
parameters:
  U: {min: 0.1, max: 0.9}
objective:
  terms:
    ratio: {metric: last_ratio, protocol: two, target: 0.4, sd: 0.1, loss: fourth_power}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Install the package into a folder of its own; return the environment that sees it."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--target", str(folder), str(PACKAGE)],
        check=True, capture_output=True,
    )  # fmt: skip
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(site, *words, cwd):
    return subprocess.run(
        [sys.executable, *words], cwd=cwd, capture_output=True, text=True, check=False, env=site
    )


def test_a_plug_in_package_keeps_the_contracts_with_three_lines_for_each_thing(site, tmp_path):
    done = run(
        site, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull,
        str(PACKAGE / "contracts.py"), cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    body = (PACKAGE / "contracts.py").read_text()
    for block in re.split(r"\n\n\nclass ", body)[1:]:
        assert len(block.strip().splitlines()) <= 3


def test_its_things_are_used_from_yaml(site, tmp_path):
    (tmp_path / "plugged.yaml").write_text(YAML)
    done = run(
        site, "-m", "stpspec.cli", "fit", "plugged.yaml", "--config-dir", str(PACKAGE / "conf"),
        "--out", "out", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "last_ratio" in done.stdout
    assert "9 simulations" in done.stdout
    cost = run(
        site, "-m", "stpspec.cli", "fit", "plugged.yaml", "objective.cost=largest_miss",
        "--config-dir", str(PACKAGE / "conf"), "--out", "cost", cwd=tmp_path,
    )  # fmt: skip
    assert cost.returncode == 0, cost.stderr


def test_its_things_are_listed_and_nothing_is_known_without_it(site, tmp_path):
    words = ("-m", "stpspec.cli", "list", "metrics", "fitters", "protocols", "losses")
    with_it = run(site, *words, cwd=tmp_path).stdout
    without = run(dict(os.environ), *words, cwd=tmp_path).stdout
    for name in ("last_ratio", "grid", "doublet", "fourth_power"):
        assert re.search(rf"^{name} ", with_it, re.MULTILINE)
        assert not re.search(rf"^{name} ", without, re.MULTILINE)


OWN = """\
import os
import stpspec


@stpspec.metric("last_over_first", unit="1", needs=("pair",))
def last_over_first(response):
    "Last amplitude over the first one; leaves a mark of each process that it runs in."
    open(f"ran-in-{os.getpid()}", "w").close()
    return float(response.amplitudes[-1] / response.amplitudes[0])
"""


@pytest.mark.long
def test_a_module_next_to_the_experiment_is_used_in_workers_and_kept_with_the_result(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/own_things.py").write_text(OWN)
    text = YAML.replace("doublet", "spike_times").replace("last_ratio", "last_over_first")
    text = text.replace("grid", "random").replace(", loss: fourth_power", "")
    text += "protocols: {two: {times: [0, 20], n_induction: null}}\nplugins: [own_things]\n"
    (tmp_path / "mine/own.yaml").write_text(text)
    # As the installed command: the current folder is not on Python's path.
    stpspec = ("-P", "-m", "stpspec.cli", "fit", "--quiet")
    done = run(
        dict(os.environ), *stpspec, "mine/own.yaml", "workers=1", "fitter.budget.evaluations=4",
        "--out", "fitted", cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("ran-in-*"))) >= 2
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    use = (
        "import stpspec; from stpspec.cli.main import main\n"
        "print(sorted(stpspec.FitResult.load('fitted').sources))\n"
        "main(['run', 'fitted', '--out', 'again'])"
    )
    again = run(dict(os.environ), "-P", "-c", use, cwd=tmp_path)
    assert "plugins/own_things.py" in again.stdout, again.stderr
    assert "files in again" in again.stdout

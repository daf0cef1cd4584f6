"""What the README and the manual show is what happens."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stpspec.spec.experiment import Experiment, json_schema

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    return [body for name, body in fenced if name == language]


def stpspec(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stpspec.cli", *words], cwd=cwd, capture_output=True, text=True,
        check=False, env={**os.environ, "MPLBACKEND": "Agg"},
    )  # fmt: skip


def test_the_readme_starts_with_two_commands_and_a_whole_example_within_45_lines():
    lines = README.splitlines()
    head = "\n".join(lines[:45])
    for part in ("make demo", "make test", "```yaml", "![", "```python", "stpspec.fit("):
        assert part in head
    assert (ROOT / re.findall(r"!\[.*?\]\((.*?)\)", head)[0]).is_file()


def test_the_table_in_the_readme_is_the_one_that_its_yaml_gives(tmp_path):
    (tmp_path / "depressing.yaml").write_text(blocks(README, "yaml")[0])
    done = stpspec("fit", "depressing.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    shown = blocks(README, "")[0].rstrip()
    assert done.stdout.startswith(shown)


def test_the_python_lines_in_the_readme_do_the_same(tmp_path):
    (tmp_path / "depressing.yaml").write_text(blocks(README, "yaml")[0])
    done = subprocess.run(
        [sys.executable, "-c", blocks(README, "python")[0]],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert blocks(README, "")[0].rstrip() in done.stdout


def test_the_mistakes_in_the_readme_are_reported_as_shown(tmp_path):
    good = blocks(README, "yaml")[0]
    bad = good.replace("min: 0.05, max: 0.9", "min: 0.9, max: 0.05")
    bad = bad.replace("20 ms, max: 1.5 s", "20 mV, max: 1500 mV")
    bad = bad.replace("metric: recovery", "metric: recvery")
    (tmp_path / "depressing.yaml").write_text(bad)
    done = stpspec("check", "depressing.yaml", cwd=tmp_path)
    assert done.returncode == 1
    printed = re.sub(r"\(amplitude, .*?\)", "(amplitude, …)", done.stderr)
    assert printed.strip() == blocks(README, "")[1].strip()


def test_every_command_of_the_readme_names_a_verb_that_exists():
    from stpspec.cli import VERBS

    for verb in re.findall(r"`stpspec (\w+)", README):
        assert verb in VERBS


def test_the_experiment_in_the_manual_is_valid(tmp_path):
    text = blocks((ROOT / "docs/specs.md").read_text(encoding="utf-8"), "yaml")[0]
    (tmp_path / "my.yaml").write_text(text)
    done = stpspec("check", "my.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_python_in_the_manual_runs(tmp_path):
    plugin, contracts, script = blocks(
        (ROOT / "docs/specs.md").read_text(encoding="utf-8"), "python"
    )
    (tmp_path / "my_metrics.py").write_text(plugin)
    (tmp_path / "test_my_metrics.py").write_text(contracts)
    (tmp_path / "script.py").write_text(script)
    for words in (["script.py"], ["-m", "pytest", "-q", "-p", "no:cacheprovider"]):
        done = subprocess.run(
            [sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "10 passed" in done.stdout


PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("experiments/*/*.md")]


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_no_link_of_a_page_is_broken(page):
    for link in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), link


PARTS = ("experiment", "model", "recording", "protocol", "objective", "fitter", "numerics")


@pytest.mark.parametrize("part", PARTS)
def test_the_shipped_schemas_are_up_to_date(part):
    shipped = json.loads((ROOT / f"conf/schema/{part}.json").read_text(encoding="utf-8"))
    assert shipped == json_schema(None if part == "experiment" else part), "run: make schema"


@pytest.mark.parametrize(
    "path",
    sorted([*ROOT.glob("conf/**/*.yaml"), *ROOT.glob("experiments/**/*.yaml")]),
    ids=lambda p: f"{p.parent.name}/{p.name}",
)
def test_every_shipped_yaml_file_names_its_schema_and_has_only_fields_of_it(path):
    text = path.read_text(encoding="utf-8")
    match = re.search(r"yaml-language-server: \$schema=(\S+)", text)
    assert match, "no schema named"
    schema = json.loads((path.parent / match.group(1)).read_text(encoding="utf-8"))
    data = yaml.safe_load(text)
    if "anyOf" in schema:
        kind = next(
            d for d in schema["$defs"].values()
            if d.get("properties", {}).get("kind", {}).get("const") == data["kind"]
        )  # fmt: skip
        schema = kind
    assert set(data) <= set(schema["properties"])


def test_the_changelog_and_citation_name_the_version():
    import stpspec as package

    for name in ("CHANGELOG.md", "CITATION.cff"):
        assert package.__version__ in (ROOT / name).read_text(encoding="utf-8")
    assert Experiment.model_fields["format"].default == 1

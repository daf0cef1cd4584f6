"""What the README and the manual show is what happens."""

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pages
import pytest
import yaml

from stpspec.specs.experiment import Experiment
from stpspec.specs.schema import json_schema

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
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
    from stpspec.cli.verb import verb_names

    for verb in re.findall(r"`stpspec (\w+)", README):
        assert verb in verb_names()


def test_the_commands_in_the_table_of_the_readme_are_understood(tmp_path, monkeypatch):
    from stpspec.config.compose import compose
    from stpspec.config.sweep_overrides import list_overrides
    from stpspec.specs.diagnosis import examine

    (tmp_path / "depressing.yaml").write_text(blocks(README, "yaml")[0])
    (tmp_path / "my_fit").mkdir()
    (tmp_path / "my_fit/experiment.yaml").write_text(blocks(README, "yaml")[0])
    monkeypatch.chdir(tmp_path)
    rows = [r for r in README.splitlines() if r.startswith("| `stpspec ")]
    commands = [c for r in rows for c in re.findall(r"`stpspec ((?:run|fit|sweep) [^`]+)`", r)]
    assert len(commands) >= 8
    for command in commands:
        verb, *words = shlex.split(command)
        words = words[: words.index("--out")] if "--out" in words else words
        jobs = "-m" in words
        words = [w for w in words if w != "-m"]
        path = None if "=" in words[0] else words.pop(0)
        words = [w.partition(",")[0] for w in words] if jobs else words
        words = [w.replace("range(5)", "0") for w in words]
        words = list_overrides(path, words)[1] if verb == "sweep" else words
        data, _ = compose(path, [w for w in words if not w.startswith("U=")])
        assert examine(data)[1] == [], command


def test_the_readme_has_no_block_that_is_not_tested_above():
    fences = re.findall(r"^```(\w*)[^\n]*\n.*?^```$", README, re.DOTALL | re.MULTILINE)
    assert fences == ["bash", "yaml", "", "python", ""]


MANUAL = sorted(p.name for p in ROOT.glob("docs/*.md"))


@pytest.fixture(scope="module")
def run_page(tmp_path_factory):
    """Return a function that runs the code of a page (see pages.py) in a folder of its own."""
    server = subprocess.Popen(
        [sys.executable, str(ROOT / "tests/pages.py")], text=True, encoding="utf-8",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "MPLBACKEND": "Agg"},
    )  # fmt: skip

    def run(page: Path) -> list[str]:
        assert server.stdin is not None
        assert server.stdout is not None
        print(page, tmp_path_factory.mktemp(page.stem), sep="\t", file=server.stdin, flush=True)
        return json.loads(server.stdout.readline())

    yield run
    server.communicate("", timeout=60)


# Its recipes start clusters and crowds of processes.
SLOW = dict.fromkeys(
    [
        "studies.md",
        "notebooks.md",
        "first-fit.md",
        "extending.md",
        "campaign.md",
        "interop.md",
        "ten-minutes.md",
        "specs.md",
    ],
    pytest.mark.long,
)


@pytest.mark.parametrize("page", [pytest.param(p, marks=SLOW.get(p, ())) for p in MANUAL])
def test_the_code_of_a_page_does_what_the_page_shows(page, run_page):
    wrong = run_page(ROOT / "docs" / page)
    assert not wrong, "\n\n".join(wrong)


def test_only_these_blocks_of_the_manual_are_not_run():
    skipped = {
        (page, block.body.split()[0], block.skipped)
        for page in MANUAL
        for block in pages.blocks((ROOT / "docs" / page).read_text(encoding="utf-8"))
        if block.skipped
    }
    assert skipped == {
        ("index.md", "make", "makes an environment of its own and runs all tests"),
        ("studies.md", "stpspec", "it serves until Ctrl-C"),
        ("recorded-traces.md", "stpspec",
         "half a minute; tests/test_trace_fits.py does the same in `make test-long`"),
        ("ten-minutes.md", "pip", "it serves until Ctrl-C"),
        ("tuner.md", "pip", "it serves until Ctrl-C"),
        ("studies.md", "createdb", "needs a server; tests/test_postgresql.py runs it with one"),
    }  # fmt: skip


def test_what_runs_the_pages_sees_errors_and_wrong_output(tmp_path, run_page):
    page = tmp_path / "page.md"
    page.write_text(
        "```bash\nstpspec list losses\n```\n\n```text\nno such line\n```\n\n"
        "```bash\nstpspec list nothing\n```\n\n```python\n1 / 0\n```\n\n"
        "```python\nprint(2.0)\n```\n\n```text\n2.5\n```\n\n```yaml\na: 1\n```\n\n"
        "<!-- run the last column -->\n| a | b |\n|---|---|\n| c | `print(`<br>`nothing)` |\n"
    )
    said = [w.partition(":")[0] for w in run_page(page)]
    assert said == [
        "printed something else", "failed", "failed", "printed something else", "failed", "failed",
    ]  # fmt: skip


def test_every_row_of_the_tables_for_notebook_users_is_run():
    """Each table that says what to do instead is one whose last column is run."""
    text = (ROOT / "docs/notebooks.md").read_text(encoding="utf-8")
    for title in ("SynapseTuner", "SynapseOptimizer", "GapJunctionTuner", "GapJunctionOptimizer"):
        section = re.split(r"^## ", text.partition(f"## {title}\n")[2], flags=re.MULTILINE)[0]
        tables = re.findall(r"(.*)\n+((?:^\|.*\n)+)", section, re.MULTILINE)
        assert [before for before, _ in tables] == ["<!-- run the last column -->"]
        for row in tables[0][1].splitlines()[2:]:
            code = re.findall(r"`[^`]+`", re.split(r"(?<!\\)\|", row)[-2])
            lines = [c for c in code if "=" in c or "(" in c or c.startswith("`stpspec ")]
            assert 1 <= len(code) == len(lines) <= 3 or "import " in row, row


def said_in_code() -> dict[str, str]:
    """Return the texts of errors, problems, notes and warnings in stpspec → where they are."""
    found: dict[str, str] = {}
    for path in sorted(ROOT.glob("stpspec/**/*.py")):
        if path.parent.name in ("testing", "completion") or path == ROOT / "stpspec/__init__.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for text in filter(None, map(_text, _told(node))):
                found.setdefault(text, f"{path.relative_to(ROOT)}:{node.lineno}")  # pyright: ignore
    return found


def _told(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.Call):
        name = getattr(node.func, "id", getattr(node.func, "attr", ""))
        told = ("_usage", "note", "note_pulse", "warning")
        is_ours = re.search(r"(Error|Problem)$", name) and name != "AttributeError"
        return node.args if name in told or is_ours else []
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return [node.value] if node.targets[0].id in ("rule", "why") else []
    return []


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(str(getattr(v, "value", "…")) if isinstance(v, ast.Constant) else "…"
                       for v in node.values)  # fmt: skip
    return ""


def test_every_message_of_the_code_is_explained():
    page = " ".join((ROOT / "docs/errors.md").read_text(encoding="utf-8").split())
    lacking = []
    for text, where in said_in_code().items():
        longest = max(re.split(r"…|\{\w+\}|%[.\w]*g|%s|\n| \(", text), key=len)
        words = " ".join(longest.split()).strip(" (;:,")
        if len(words) >= 14 and " " in words and words not in page:
            lacking.append(f"{where}: {text}")
    assert not lacking, "docs/errors.md does not explain\n" + "\n".join(lacking)


def site(folder: Path, pictures: str) -> Path:
    """Build the site, with or without its pictures."""
    pytest.importorskip("mkdocs", reason="the group 'docs' is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "STPSPEC_DOCS_PICTURES": pictures},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_the_text_of_the_site_builds_without_a_warning(tmp_path):
    api = (site(tmp_path, "no") / "api.html").read_text(encoding="utf-8")
    import stpspec as package

    for name in package.__all__:
        assert re.search(rf'id="stpspec\.(errors\.)?{name}"', api), name


@pytest.mark.long
def test_the_site_shows_every_picture_that_a_page_asks_for(tmp_path):
    """The pages, the experiments and the notebook are run for it."""
    built = site(tmp_path, "yes")
    for page in MANUAL:
        asked = set(re.findall(r"<!-- picture: ([^|>]+?) \|", (ROOT / "docs" / page).read_text()))
        shown = (built / page).with_suffix(".html").read_text(encoding="utf-8")
        numbers = {int(n) for n in re.findall(r'src="pictures/[\w-]+-(\d+)\.png"', shown)}
        assert numbers == set(range(len(asked))), page
    gallery = (built / "gallery.html").read_text(encoding="utf-8")
    for experiment in (p.parent.name for p in ROOT.glob("experiments/*/README.md")):
        assert f'src="pictures/{experiment}.png"' in gallery
        assert (built / f"pictures/{experiment}.png").read_bytes().startswith(b"\x89PNG")
    assert 'src="pictures/t' in (built / "tutorial.html").read_text(encoding="utf-8")


def test_every_page_is_in_the_navigation_and_exists():
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("tag:", lambda *_: None)
    nav = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Loader)["nav"]
    named = [p for entry in nav for p in entry.values()]
    made = {f"experiments/{p.parent.name}.md" for p in ROOT.glob("experiments/*/README.md")}
    assert set(named.pop()) == made
    assert set(named) == {*MANUAL, "tutorial.md"}
    assert (ROOT / "docs/tutorial.ipynb").is_file()


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


def test_every_picture_that_a_page_asks_for_is_of_a_file_that_its_code_may_make():
    asked = {
        page: re.findall(r"<!-- picture: ([^|>]+?) \| [^>]+? -->", text)
        for page in MANUAL
        for text in [(ROOT / "docs" / page).read_text(encoding="utf-8")]
    }
    assert sum(map(len, asked.values())) >= 12
    for page, files in asked.items():
        text = (ROOT / "docs" / page).read_text(encoding="utf-8")
        assert text.count("<!-- picture:") == len(files), page
        for file in files:
            assert file.partition("/")[0] in text.replace("<!-- picture: " + file, ""), file

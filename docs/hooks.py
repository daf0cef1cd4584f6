"""Pages of the site that are written elsewhere: the tutorial notebook, the experiments' READMEs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not Markdown files in docs/."""
    cells = json.loads((ROOT / "docs/tutorial.ipynb").read_text(encoding="utf-8"))["cells"]
    files.append(File.generated(config, "tutorial.md", content="\n\n".join(map(_cell, cells))))
    for page in sorted(ROOT.glob("experiments/*/README.md")):
        text = re.sub(r"\]\(\.\./(\w+)/README\.md\)", r"](\1.md)", page.read_text(encoding="utf-8"))
        name = f"experiments/{page.parent.name}.md"
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Let links into the repository lead to the pages made of those files."""
    markdown = markdown.replace("(tutorial.ipynb)", "(tutorial.md)")
    return re.sub(r"\]\(\.\./experiments/(\w+)/README\.md\)", r"](experiments/\1.md)", markdown)


def _cell(cell: dict[str, Any]) -> str:
    text = "".join(cell["source"])
    return text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```"

"""Pages of the site that are written elsewhere, with pictures: tutorial, experiments, gallery."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pictures

ROOT = Path(__file__).resolve().parent.parent
DRAWN = os.environ.get("STPSPEC_DOCS_PICTURES") != "no"  # "no": a quick look at the text


def on_files(files: Files, config: Any) -> Files:
    """Add the pages that are not Markdown files in docs/, and the pictures of all."""
    notebook = ROOT / "docs/tutorial.ipynb"
    book = pictures.executed(notebook) if DRAWN else json.loads(notebook.read_text("utf-8"))
    cells = book["cells"]
    text = "\n\n".join(_cell(cell, f"t{k}", files, config) for k, cell in enumerate(cells))
    files.append(File.generated(config, "tutorial.md", content=text))
    gallery = [(ROOT / "docs/gallery.md").read_text(encoding="utf-8")]
    for page in sorted(ROOT.glob("experiments/*/README.md")):
        name = page.parent.name
        text = re.sub(r"\]\(\.\./(\w+)/README\.md\)", r"](\1.md)", page.read_text(encoding="utf-8"))
        title, _, rest = text.partition("\n")
        heading = f"## [{title.lstrip('# ')}](experiments/{name}.md)"
        if DRAWN:
            _add(files, config, f"pictures/{name}.png", pictures.of_experiment(name))
            text = f"{title}\n\n![{name}: traces and targets](../pictures/{name}.png)\n{rest}"
            heading += f"\n\n![{name}](pictures/{name}.png)"
        files.append(File.generated(config, f"experiments/{name}.md", content=text))
        gallery.append(f"{heading}\n")
    files.remove(files.src_uris["gallery.md"])
    files.append(File.generated(config, "gallery.md", content="\n".join(gallery)))
    for page in sorted(ROOT.glob("docs/*.md")) if DRAWN else ():
        for number, picture in enumerate(pictures.of_page(page).values()):
            _add(files, config, f"pictures/{page.stem}-{number}.png", picture)
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Show the pictures, and let links into the repository lead to the pages made of its files."""
    markdown = markdown.replace("(tutorial.ipynb)", "(tutorial.md)")
    asked = list(dict.fromkeys(m["file"] for m in pictures.ASKED.finditer(markdown)))
    stem = Path(page.file.src_uri).stem
    if DRAWN:
        markdown = pictures.ASKED.sub(
            lambda m: f"![{m['says']}](pictures/{stem}-{asked.index(m['file'])}.png)", markdown
        )
    return re.sub(r"\]\(\.\./experiments/(\w+)/README\.md\)", r"](experiments/\1.md)", markdown)


def _add(files: Files, config: Any, name: str, content: bytes) -> None:
    files.append(File.generated(config, name, content=content))


def _cell(cell: dict[str, Any], name: str, files: Files, config: Any) -> str:
    text = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return text
    parts = [f"```python\n{text}\n```"]
    for k, output in enumerate(cell["outputs"]):
        data = output.get("data", {})
        if "image/png" in data:
            picture = f"pictures/{name}-{k}.png"
            _add(files, config, picture, base64.b64decode(data["image/png"]))
            parts.append(f"![What the cell above shows]({picture})")
        elif "text/html" in data:
            html = "".join(data["text/html"])
            html = re.sub(r"<style.*?</style>|\n\s*", "", html, flags=re.DOTALL)
            parts.append(f"<div>{html}</div>")
        else:
            said = "".join(data.get("text/plain", output.get("text", "")))
            parts.append(f"```text\n{said.rstrip()}\n```")
    return "\n\n".join(parts)

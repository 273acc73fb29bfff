"""The notebooks of the repository as pages, with the outputs that are committed: nothing is executed.

They become Markdown before mkdocs reads them, so that their mathematics, links, code and search are those of every other page.
"""

import base64
import html
import json
import re
from pathlib import Path
from typing import Any

from included import with_links_of_the_site
from mkdocs.structure.files import File

__all__ = ["on_files", "page"]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def page(path: Path) -> tuple[str, dict[str, bytes]]:
    """The Markdown of a notebook, and its figures by file name."""
    figures: dict[str, bytes] = {}
    parts = []
    cells = json.loads(path.read_text())["cells"]
    for number, cell in enumerate(cells):
        source = _joined(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(source)
        elif cell["cell_type"] == "code" and source:
            parts.append(_fenced(source, "python"))
            parts += [_output(output, f"{path.stem}_{number}", figures) for output in cell["outputs"]]
    # After the conversion of links, which would lead to this page.
    parts = [with_links_of_the_site(part, "notebooks", f"notebooks/{path.stem}.md") for part in parts if part]
    parts.insert(1, f"*The notebook [`{path.name}`]({path.name}) with its stored outputs; Jupyter or Colab runs it.*")
    return "\n\n".join(parts) + "\n", figures


def _output(output: dict[str, Any], stem: str, figures: dict[str, bytes]) -> str:
    if output["output_type"] == "stream":
        text = _ESCAPES.sub("", _joined(output["text"]))
        return "" if output["name"] == "stderr" else _fenced(text.rstrip(), "text")
    data = output.get("data", {})
    if "image/png" in data:
        name = f"{stem}_{len(figures)}.png"
        figures[name] = base64.b64decode(_joined(data["image/png"]))
        return f"![Figure of the cell above]({name})"
    if "text/html" in data:
        return f'<div class="cell-output">\n{_joined(data["text/html"])}\n</div>'
    if "text/plain" in data:
        return _fenced(_ESCAPES.sub("", _joined(data["text/plain"])).rstrip(), "text")
    if output["output_type"] == "error":
        raise ValueError(f"A committed output is an error: {html.escape(output['evalue'])}")
    return ""


def _fenced(text: str, language: str) -> str:
    if not text.strip():
        return ""
    fence = "`" * max(3, 1 + max((len(ticks) for ticks in re.findall(r"`{3,}", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _joined(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def on_files(files, config):
    for path in sorted((Path(config.docs_dir).parent / "notebooks").glob("*.ipynb")):
        text, figures = page(path)
        files.append(File.generated(config, f"notebooks/{path.stem}.md", content=text))
        files.append(File.generated(config, f"notebooks/{path.name}", content=path.read_bytes()))
        for name, content in figures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    return files

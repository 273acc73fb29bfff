"""The notebooks as they are committed. (CI executes them, small.)"""

import json
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))


def test_numbers():
    """01 to 08, without a gap."""
    assert [int(path.name[:2]) for path in NOTEBOOKS] == list(range(1, 9))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_committed_form(path):
    """A file below 300 kB with outputs of one run from top to bottom, no warning and no error in them; the first code cell
    installs in Colab only; one constant scales; the end says where to continue. Catches a notebook that was edited after it
    was run, was run in pieces, or shows a warning."""
    assert path.stat().st_size < 300_000
    notebook = json.loads(path.read_text(encoding="utf-8"))
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell["outputs"]]
    assert {output["output_type"] for output in outputs} <= {"stream", "display_data", "execute_result"}
    assert {output["name"] for output in outputs if output["output_type"] == "stream"} == {"stdout"}
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 1
    assert cells[0][1].startswith("# ")
    assert "**What is exact.**" in cells[0][1]
    assert "arXiv:" in cells[0][1]
    assert "google.colab" in "".join(code[0]["source"])
    text = "\n".join(source for kind, source in cells if kind == "code")
    assert text.count('SCALE = float(os.environ.get("JAXKINETIC_NOTEBOOK_SCALE", 1))') == 1
    assert cells[-1][1].startswith("## Where to continue")

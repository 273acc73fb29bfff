"""benchmarks/gradient_table.py, gradient_growth.py: pages of the documentation are made from their results."""

import json
import re

import gradient_growth as growth
import gradient_table as table
from gradient_rows import rows


def test_page_is_made_from_the_results():
    """docs/gradients.md is what the script writes from benchmarks/results/gradient_table.json, which holds every row of the
    contract (test_gradient_table.py finds each again). Catches a page that was edited, and a system without a row."""
    content = table.read()
    assert table.PAGE.read_text() == table.page(content)
    assert list(content) == [row.name for row in rows()]


def test_page_has_every_leaf_once():
    """Catches an entry that is lost where rows with the same kinds are joined."""
    lines = [line.split(" | ") for line in table.page(table.read()).splitlines() if re.match(r"\| \w+\(", line)]
    for entry in table.read().values():
        own = [line for line in lines if line[0] == f"| {entry['system']}" and entry["scheme"] in line[1].split(", ")]
        found = [(leaf.strip("`"), line[3]) for line in own for leaf in line[2].split(", ")]
        assert sorted(found) == sorted((leaf, kind["kind"]) for leaf, kind in entry["leaves"].items())


def test_table_of_growth_is_made_from_the_results():
    """The table of docs/when_gradients_fail.md is what the script writes from its JSON. Catches a number that was edited, and
    one of another time."""
    content = json.loads(growth.RESULTS.read_text())
    page = growth.PAGE.read_text()
    assert growth.with_table(page, content) == page
    assert "| | 4 | .061 | 131 | .40 |" in page
    content["results"]["Coulomb, N = 200, gamma"]["std_derivative"][20] = 0.5
    assert "| | 4 | .061 | .50 | .40 |" in growth.table(content)

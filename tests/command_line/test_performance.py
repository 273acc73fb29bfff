"""docs/performance.md is made from benchmarks/results; its template holds no measured number."""

import _device_table as table
import performance
import pytest
from _claims_numbers import masked, numbers


def test_page_is_made_from_the_results():
    """The page is what the script writes from its template and the JSONs, the section on accelerators with it. Catches a figure
    that was written by hand, and a result that the page does not show."""
    page = performance.page(performance.TEMPLATE.read_text())
    assert performance.PAGE.read_text() == page
    assert table.section(table.kept()) in page
    assert "{{" not in page


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [(0.38884, 2, ".39"), (0.02, 2, ".020"), (2.6966, 2, "2.7"), (46.7, 2, "47"), (123.1, 2, "120"), (123.1, 3, "123"),
     (9.96, 2, "10"), (0.0996, 2, ".10"), (1.0972e-6, 2, "1.1e-6"), (-0.4989, 3, "-.499"), (0.995, 1, "1")],
)  # fmt: skip
def test_digits(value, digits, text):
    """Catches a digit too few or too many, and a rounding that crosses a power of ten."""
    assert performance.two(value, digits) == text


def test_template_holds_no_figures():
    """What stands in double braces is filled in, and is not prose. Catches a figure that is typed into the template: the ledger
    would list it, as `tests/command_line/test_claims.py` checks."""
    template = performance.TEMPLATE.read_text()
    assert template.count("{{ ") > 80
    assert "{{" not in masked(template)
    assert len(numbers(masked(template))) < 0.5 * len(numbers(masked(performance.page(template))))


def test_rows_are_found_by_name_and_size():
    """Catches a rate of another size, and a name that two rows have."""
    rows = performance.Rows("pairs_cpu_1core")
    assert rows("b + a", 2048) != rows("b + a", 16384)
    with pytest.raises(ValueError, match="values to unpack"):
        rows.row("b + a")

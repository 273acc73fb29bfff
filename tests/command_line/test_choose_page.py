"""tools/site/choose.py: the tables of "Which system, which scheme?" are what the classes declare."""

import re

import choose
from gradient_rows import concrete_classes

import jaxkinetic as jk


def test_page_is_made_from_the_classes():
    """docs/choose.md has the tables that the script makes from `conserves`, `preserves`, `weak_order`, `gradients`, `requires`.
    Catches a class that declares something else than the page says."""
    text = choose.PAGE.read_text()
    assert choose.page(text) == text


def test_tables_have_every_class():
    """Every system and every scheme of the library has a row, and the names of the table before exist. Catches a class that was
    added without one."""
    rows = re.findall(r"^\| \[`([\w.]+)`\]", choose.tables(), re.MULTILINE)
    for base in (jk.AbstractSystem, jk.AbstractScheme):
        library = {choose._public(cls) for cls in concrete_classes(base)}
        assert {name.rpartition(".")[2] for name in library} <= {name.rpartition(".")[2] for name in rows}
    for path in set(re.findall(r"\bjk((?:\.\w+)+)", choose.PAGE.read_text())):
        value = jk
        for name in path.split(".")[1:]:
            value = getattr(value, name)

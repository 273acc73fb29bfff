"""benchmarks/chaos_atlas.py: its studies, and the page of the documentation that is made from its results."""

import json

import chaos_atlas as atlas


def test_page_is_made_from_the_results():
    """docs/chaos_atlas.md is what the script writes from benchmarks/results/chaos_atlas.json. Catches a number of the page that
    was not measured, and a result without a row."""
    content = atlas.read(atlas.RESULTS)
    assert atlas.PAGE.read_text() == atlas.page(content)
    rows = [line for line in atlas.page(content).splitlines() if line.startswith("| ")]
    assert len(rows) == 1 + sum(len(entry["study"]["exponents"]) for entry in content.values())


def test_results_belong_to_the_studies():
    """Every kept result is that of a study of the script, and every distance has a finite exponent or says why not. Catches a
    study that was renamed, and NaN as a number."""
    content, known = atlas.read(atlas.RESULTS), atlas.studies()
    assert set(content) <= set(known)
    assert len(content) >= 39
    for entry in content.values():
        for exponent in entry["study"]["exponents"].values():
            assert exponent["value"] is not None or len(exponent["statement"]) > 20


def test_kept_results_are_not_measured_again(tmp_path, capsys):
    """A study in the file is skipped, and the file stays as it is. Catches a second run that replaces the first."""
    file = tmp_path / "atlas.json"
    file.write_text(json.dumps({name: {} for name in atlas.studies()}))
    before = file.read_text()
    atlas.measure(file, "", 4)
    assert file.read_text() == before
    assert capsys.readouterr().out == ""

"""The table, the figure and the JSON of a study, from series whose points are known."""

import dataclasses
import json
import types

import numpy as np
import pytest

from jaxkinetic.chaos.fit import fit_exponent
from jaxkinetic.chaos.report import from_json, plot, shown, table, to_json
from jaxkinetic.chaos.series import Series, Theory

N = np.array([16, 32, 64, 128, 256])
SPREAD = np.random.default_rng(1).standard_normal((100, 5))


def series(amount, noise, *, power=1, floor=0.0):
    value = amount if power == 1 else np.sign(amount) * np.sqrt(np.abs(amount))
    stderr = noise if power == 1 else np.minimum(noise / (2 * np.abs(value)), np.sqrt(noise))
    floor = np.broadcast_to(np.asarray(floor, float), N.shape)
    draws = amount + noise * SPREAD
    return Series(N, value, stderr, np.hypot(value, floor), floor, np.full(5, 100), amount, draws, power)


@pytest.fixture(scope="module")
def study():
    """A covariance that is negative; a squared distance below its floor from N = 64, within its noise at 128, and negative at
    256; a start that is not chaotic; and noise."""
    floor = 0.06 * np.sqrt(16 / N)
    amount = np.array([1 / 256, 1 / 1024, 1 / 4096, 4e-5, -1e-5])
    found = {
        "covariance": series(-2.0 / N, 0.02 / N),
        "W2 of |v|": series(amount, np.full(5, 3e-5), power=2, floor=floor * np.array([0.5, 0.5, 1, 1, 1])),
        "random temperature": series(np.full(5, 2.25), np.full(5, 0.02)),
        "noise": series(np.array([0.5, -1, 0.3, 1, -0.2]), np.ones(5)),
    }
    theory = {"covariance": Theory("qualitative", 1.0, "fontbona"), "W2 of |v|": Theory("bound 1/2")}
    return types.SimpleNamespace(
        Ns=tuple(N), times=(0.5, 1.0), time=1.0, series=found, theory=theory, limit="the Landau equation",
        exponents={name: fit_exponent(one) for name, one in found.items()}, system="Kac, gamma = 0",
    )  # fmt: skip


def test_table(study):
    """One row for each distance, blank where theory is silent, and no exponent where the noise has none. Catches a predicted
    exponent that is made up, a "|" that breaks the row, and noise that is reported as a law."""
    rows = [[cell.strip() for cell in line.replace("\\|", "!").split("|")[1:-1]] for line in table(study).splitlines()]
    assert [len(row) for row in rows] == [6] * 6
    by_name = {row[0]: row[1:] for row in rows[2:]}
    assert by_name["covariance"][:2] == ["qualitative [fontbona]", "1"]
    assert by_name["covariance"][2].startswith("1.00")
    assert by_name["covariance"][3] == "16 to 256 (5 N)"
    assert by_name["W2 of !v!"][:2] == ["bound 1/2", ""]
    assert by_name["W2 of !v!"][3] == "16 to 256 (5 N, 2 within the noise)"
    assert by_name["random temperature"][4].startswith("Does not decrease with N: exponent 0 within")
    assert by_name["noise"][:4] == ["", "", "none", "none"]
    assert by_name["noise"][4] == study.exponents["noise"].statement


def test_no_point_below_its_floor_is_filled(study):
    """The kinds of the points, and how the figure draws them: what is below its floor, within its noise or below 0 is hollow
    and has an entry in the legend; the fitted line goes through the points. Catches a filled point below the floor, a point
    that is lost, and a legend without the reason."""
    name = "W2 of |v|"
    one, found = study.series[name], study.exponents[name]
    kinds = {k: N[v].tolist() for k, v in shown(N, one.value, one.stderr, one.floor, found).items()}
    assert kinds == {"clear": [16, 32], "below": [64], "noisy": [128], "none": [256]}
    figure = plot(study)
    panels = {ax.get_title(loc="left"): ax for ax in figure.axes}
    assert list(panels) == list(study.series)
    drawn = {
        bars.get_label(): (bars.lines[0].get_xdata().tolist(), bars.lines[0].get_markerfacecolor())
        for bars in panels[name].containers
    }
    assert {label: x for label, (x, _) in drawn.items()} == {
        "measured": [16, 32], "below the floor, which was removed": [64], "within its noise, or left out": [128],
    }  # fmt: skip
    assert {label: face == "white" for label, (_, face) in drawn.items()} == {
        label: label != "measured" for label in drawn
    }
    lines = {line.get_label(): line for line in panels[name].lines}
    np.testing.assert_allclose(lines["below 0: two standard errors"].get_xydata(), [[256, 2 * one.stderr[4]]])
    np.testing.assert_allclose(lines["floor"].get_ydata(), one.floor)
    texts = {text.get_text() for text in panels[name].get_legend().get_texts()}
    assert {*drawn, "floor", "below 0: two standard errors"} < texts
    # The law of the covariance, which is drawn with its sign reversed.
    (law,) = [line for line in panels["covariance"].lines if line.get_label().startswith("p = ")]
    np.testing.assert_allclose(law.get_ydata(), 2 / law.get_xdata(), rtol=0.01)
    assert [bars.get_label() for bars in panels["covariance"].containers] == ["minus the value"]
    assert not any(line.get_label().startswith("p = ") for line in panels["noise"].lines)
    assert all(ax.get_xscale() == ax.get_yscale() == "log" for ax in panels.values())
    figure.draw_without_rendering()


def test_json(study, tmp_path):
    """What was written is read again: the same table, figure and JSON, in strict JSON. Catches NaN in the file, N that come
    back as strings, and a floor that was not fitted but comes back as NaN."""
    path = tmp_path / "new" / "study.json"
    text = to_json(study, path)
    assert path.read_text() == text
    assert [p.name for p in path.parent.iterdir()] == ["study.json"]
    content = json.loads(text, parse_constant=pytest.fail)
    assert content["exponents"]["noise"]["value"] is None
    assert {"jaxkinetic", "jax", "numpy", "python"} <= set(content["versions"])
    for again in (from_json(path), from_json(text)):
        assert again.table() == table(study)
        assert again.to_json() == text
        np.testing.assert_equal(
            dataclasses.asdict(again.exponents["noise"]), dataclasses.asdict(study.exponents["noise"])
        )
        assert again.exponents["covariance"] == study.exponents["covariance"]
        assert again.series["covariance"].draws.shape == (0, 5)
        np.testing.assert_array_equal(again.series["W2 of |v|"].value, study.series["W2 of |v|"].value)
    assert len(again.plot().axes) == 4
    with pytest.raises(ValueError, match="`series` must have arrays"):
        fit_exponent(again.series["covariance"])


def test_json_of_something_else(study, tmp_path):
    """Catches a traceback of the parser for files that are not of this kind, and a later format that is read as this one."""
    for text, was in (("{", "is not JSON"), ("{}", "is {}"), ('{"format": "x"}', "is {'format'")):
        with pytest.raises(ValueError, match="must be JSON that `to_json` wrote, but " + was):
            from_json(text)
    with pytest.raises(ValueError, match="must have the version 1, but has the version 2"):
        from_json(to_json(study).replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(ValueError, match="`source` must be a file"):
        from_json(tmp_path / "missing.json")

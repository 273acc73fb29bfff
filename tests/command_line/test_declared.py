"""An experiment as a user declares it: one declaration of every quantity and option gives the table, the files, the figure, the
help text and the sweep."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from jaxkinetic.experiments import Experiment, Report, cli
from jaxkinetic.experiments._harness import option as options, replicas
from jaxkinetic.experiments._harness.experiment import Headline
from jaxkinetic.experiments._harness.panels import drifts, line, measured
from jaxkinetic.experiments._harness.partial import Partial
from jaxkinetic.experiments._harness.report import Estimate, Panel, Series


class Decay(Experiment):
    name = "decay"
    summary = "an exponential with noise"
    headline = Headline("group.rate", "rate")
    rate: float = options.option(
        0.5, "rate of the decay", above=0, below=3, symbol="rate λ", reason=", to stay visible"
    )
    runs: int = options.option(4, "number of runs", minimum=2, maximum=2**31, even=True)
    law: str = options.option("plain", "law of the noise", choices=("plain", "wide"))

    def adapt(self, given):
        return (
            self if "runs" in given else type(self)(rate=self.rate, runs=6 if self.law == "wide" else 4, law=self.law)
        )

    def run(self, watch):
        times = np.linspace(0, 1, 30)
        exact = np.exp(-self.rate * times)
        runs = exact + 0.01 * np.arange(self.runs)[:, None]
        drift = Series("drift", "drift", 1e-3 * times, noise=1e-4 * np.ones(30), exact=0 * times, form=".1e")
        value = Series.of_runs("value", "x", runs, exact=exact, form=".3f")
        panels = (measured(times, value, line(times, exact, "exact"), y="x", log="y"), lambda ax: ax.plot(times, times))
        numbers = {"group": {"rate": Estimate(self.rate + 0.01, 0.1, self.runs - 1, self.rate)}, "count": np.int64(3)}
        return Report(
            numbers,
            (Series("times", "t", times, form=".2f"), value, drift),
            ("A note.",),
            panels,
            "title",
            {"z": times},
        )


@pytest.fixture(autouse=True)
def known(monkeypatch):
    monkeypatch.setitem(cli.CATALOGUE, "decay", Decay)


def test_outputs_of_a_declaration(tmp_path, capsys):
    """The mean of the runs, its error and the exact values are columns of a table of at most 21 rows; all rows, and every run,
    are in result.npz; result.json has the estimate with its error, interval and degrees of freedom. Catches a quantity that
    one of the outputs lacks, and an error that is not that of the mean."""
    assert cli.main(["run", "decay", "--runs", "8", "--out", str(tmp_path)]) == 0
    rows = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert rows[0].split() == ["t", "x", "+-", "exact", "drift", "+-", "exact"]
    assert len(rows) == 2 + 15
    # Eight runs at 0, .01, ..., .07 above the exact values: mean .035, scatter .0245.
    assert rows[2].split() == ["0.00", "1.035", "0.009", "1.000", "0.0e+00", "1.0e-04", "0.0e+00"]
    assert rows[-1].split()[0] == "1.00"
    with np.load(tmp_path / "result.npz") as arrays:
        shapes = {name: arrays[name].shape for name in arrays}
    long = (30,)
    assert shapes == {
        "times": long, "value": (8, 30), "value_exact": long, "drift_value": long, "drift_noise": long, "drift_exact": long,
        "z": long,
    }  # fmt: skip
    manifest = json.loads((tmp_path / "result.json").read_text())
    assert manifest["parameters"] == {"rate": 0.5, "runs": 8, "law": "plain", "precision": 32}
    rate = manifest["results"]["group"]
    assert manifest["results"]["count"] == 3
    assert (rate["rate"], rate["rate_stderr"], rate["rate_exact"], rate["degrees_of_freedom"]) == (0.51, 0.1, 0.5, 7)
    np.testing.assert_allclose(rate["rate_interval"], [0.51 - 2.3646 * 0.1, 0.51 + 2.3646 * 0.1], atol=1e-4)
    assert manifest["findings"] == ["A note."]


def test_reports_that_do_not_fit():
    """One sentence each, before the run is over or with the names. Catches columns of other lengths, a name that hides another
    one's arrays, letters instead of notes, a curve that is left out."""
    two = Series("a", "x", np.arange(2.0))

    def report(*series, **fields):
        return Report(**{"numbers": {}, "notes": "one", "panels": (lambda ax: None,), "series": series, **fields})

    assert report(two).notes == ("one",)
    with pytest.raises(ValueError, match="must have different names, but are a, a"):
        report(two, two)
    with pytest.raises(ValueError, match="the same number of rows, but have x: 2, y: 3"):
        report(two, Series("b", "y", np.arange(3.0))).table()
    with pytest.raises(ValueError, match="as many errors and exact values as values"):
        Series("c", "z", np.arange(3.0), noise=np.arange(2.0))
    with pytest.raises(ValueError, match="at least one panel"):
        report(two, panels=())
    numbers = {"a": Estimate(1.0, 0.1, 3), "b": Estimate(2.0, 0.1, 7)}
    found = report(two, numbers=numbers).results()
    assert (found["degrees_of_freedom"], found["b_degrees_of_freedom"]) == (3, 7)
    figure = Report({}, (two,), (), (drifts(np.arange(3.0), {str(i): np.ones(3) for i in range(7)}),)).figure()
    assert len(figure.axes[0].lines) == 7


def test_declarations_that_do_not_fit():
    """Catches a default that the command line does not know, a type that it cannot read, options that a base class needs, an
    integer as the default of a real number, and a folder of parts for two labels."""
    with pytest.raises(TypeError, match="Field `rate` of Plain must be declared by `option"):
        type("Plain", (Decay,), {"__annotations__": {"rate": float}, "rate": 1.0})
    with pytest.raises(TypeError, match="must be an int, a float or a str"):
        type("Flag", (Decay,), {"__annotations__": {"flag": bool}, "flag": options.option(False, "a flag")})
    with pytest.raises(TypeError, match="must have `choices`"):
        type("Word", (Decay,), {"__annotations__": {"word": str}, "word": options.option("a", "a word")})
    whole = type(
        "Whole", (Decay,), {"__annotations__": {"size": float}, "size": options.option(1, "a size, 50% of it")}
    )
    assert whole.of({"size": 0.5, "runs": 2}).size == 0.5
    missing = type("Missing", (replicas.ParticleExperiment,), {"problem": None, "analyse": None})
    with pytest.raises(TypeError, match="Missing must declare the options particles, dim, dt, steps, replicas, scheme"):
        missing.of({})
    paths = {Partial(Path("x"), {}).path(label) for label in ("T = 1", "T = -1", "α", "β")}
    assert len(paths) == 4


def test_help_with_a_percent_sign(monkeypatch, capsys):
    """Catches a help text that Python takes for a format."""
    share = type(
        "Share", (Decay,), {"__annotations__": {"share": float}, "share": options.option(0.3, "share, 50% or less")}
    )
    monkeypatch.setitem(cli.CATALOGUE, "decay", share)
    for words in (["run", "decay", "--help"], ["run", "--help"]):
        with pytest.raises(SystemExit):
            cli.main(words)
        assert "share, 50% or less" in " ".join(capsys.readouterr().out.split())


def test_options_of_a_declaration(capsys):
    """Help text and errors follow from the declaration. Catches a bound that is written but not checked."""
    with pytest.raises(SystemExit):
        cli.main(["run", "decay", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "rate of the decay: above 0, below 3 (default 0.5)" in text
    assert "--particles" not in text
    for given, sentence in (
        (["--rate", "3"], "`--rate` must be below 3, to stay visible, but is 3; lower it."),
        (["--rate", "nan"], "`--rate` must be finite"),
        (["--runs", "3"], "`--runs` must be even, but is 3; add one."),
        (["--runs", "0"], "`--runs` must be at least 2, but is 0; raise it."),
        (["--law", "wid"], "`--law` must be one of plain, wide, but is 'wid'; choose one. Did you mean `wide`?"),
        (["--dim", "3"], "`--dim` must be left out for decay, but is 3; remove it."),
    ):
        assert cli.main(["run", "decay", *given]) == 2
        error = capsys.readouterr().err
        assert sentence in error, error
    assert (Decay.of({"law": "wide"}).runs, Decay.of({"law": "wide", "runs": 2}).runs, Decay.of({}).runs) == (6, 2, 4)


def test_sweep_of_a_declaration(tmp_path, monkeypatch, capsys):
    """A sweep finds the headline inside of a group, with its error and its exact value, and labels the axis with the symbol of
    the option. Catches a sweep that reads another number."""
    seen = []
    call = Panel.__call__
    monkeypatch.setattr(Panel, "__call__", lambda panel, ax: (call(panel, ax), seen.append(ax.get_xlabel())))
    assert cli.main(["sweep", "decay", "--over", "rate=.5,1", "--out", str(tmp_path)]) == 0
    results = json.loads((tmp_path / "result.json").read_text())["results"]
    assert results == {"headline": "group.rate", "found": [0.51, 1.01], "stderr": [0.1, 0.1], "exact": [0.5, 1.0]}
    assert seen[-1] == "rate λ"
    assert "Rate of decay; +- is one standard error." in capsys.readouterr().out


def test_the_example_of_contributing():
    """The experiment in CONTRIBUTING.md runs, and heats by the exact law within 4 standard errors. Catches an example that an
    author copies and that does not run."""
    text = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    (code,) = re.findall(r"```python\n(import equinox.*?class Heating.*?)```", text, re.DOTALL)
    given = {"__name__": "example"}
    exec(code, given)
    report = given["Heating"](replicas=16, steps=10).run()
    gain = report.numbers["energy_gain"]
    print((gain.value - gain.exact) / gain.stderr)
    assert abs(gain.value - gain.exact) < 4 * gain.stderr
    assert gain.exact > 1e-4
    assert list(report.all_arrays()) == ["times", "gain", "gain_exact"]
    report.figure()

"""`jaxkinetic run NAME --help`: that experiment's options, with their allowed values."""

import re

import pytest

from jaxkinetic.experiments import CATALOGUE
from jaxkinetic.experiments._harness.option import options_of
from jaxkinetic.experiments.cli import main


def explained(capsys, *words):
    """The help text as one line."""
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("name", CATALOGUE)
def test_help_of_one_experiment(name, capsys, monkeypatch):
    """The text shows the summary, every option that the experiment has with its default, and no other one; asked for in either
    order, and of `sweep` too. Catches a list of all options, where half of them raise."""
    monkeypatch.setenv("COLUMNS", "100")
    experiment = CATALOGUE[name]
    text = explained(capsys, "run", name, "--help")
    assert explained(capsys, "run", "-h", name) == text
    assert " ".join(experiment.summary.split()) in text
    listed = set(re.findall(r" --([a-z]+) [A-Z]", text.partition("options:")[2])) - {"out"}
    options = options_of(experiment)
    assert listed == set(options)
    for option in options.values():
        assert f"(default {option.default})" in text
    assert f"bits of a float (default {experiment.precision})" in text
    assert f"results/{name}" in text
    assert "--over" in explained(capsys, "sweep", name, "--help")


# What the words promise: values that are accepted, and values that are not.
MEANING = {
    "1 to 2^31 - 1": ([1, 2**31 - 1], [0, -1, 10**20]),
    "2 to 2^31 - 1": ([2, 2**31 - 1], [1, 0]),
    "4 to 2^31 - 1": ([4], [3]),
    "10 to 2^31 - 1": ([10], [9, 0]),
    "16 to 2^31 - 1": ([16], [15]),
    "20 to 2^31 - 1": ([20], [19]),
    "2 to 4": ([2, 3, 4], [1, 5]),
    "2 to 2^31": ([2, 2**31], [1, 0, -3, 10**20]),
    "at least 2": ([2], [1, 0, -3]),
    "4 to 2^31": ([4, 2**31], [3, 10**20]),
    "1": ([1], [0, 2]),
    "3": ([3], [2, 4]),
    "2 to 3": ([2, 3], [1, 4]),
    "8 to 2^31": ([8, 2**31], [7]),
    "at least 40": ([40], [39]),
    "at least -dim, at most 1": ([0.0, 1.0], [-3.5, 1.5, float("nan")]),
    "even, at least 30": ([30], [28, 31]),
    "1 to 3": ([1, 2, 3], [0, 4]),
    "above 0": ([1e-3, 5.0], [0.0, -1.0, float("nan"), float("inf")]),
    "0 to 2^32 - 1": ([0, 2**32 - 1], [-1, 2**32]),
    "at least -dim": ([0.0, 1.0], [-3.5, float("nan")]),
    "at least 0 with --law fixed_angle, else at least -dim": ([-3.0, 1.0], [-3.5]),
    "above 0, at most 1": ([1e-3, 1.0], [0.0, 1.5]),
    "above 0; at most pi with --law fixed_angle": ([0.1, 4.0], [0.0, -1.0]),
    "above 0, below 1": ([1e-3, 0.9], [0.0, 1.0]),
    "even, at least 8": ([8, 10], [6, 9]),
    "even, at least 32": ([32], [30, 33]),
}


@pytest.mark.parametrize("name", CATALOGUE)
def test_allowed_values_are_those_that_run(name):
    """Of every option the values at the borders of what the help text allows are accepted, and those beyond it raise. Catches a
    help text that promises other values than the checks accept."""
    experiment = CATALOGUE[name]
    options = options_of(experiment)
    for option, text in ((name, one.allowed()) for name, one in options.items()):
        if (re.search("[a-z], [a-z]", text) and text not in MEANING) or option in ("scheme", "law", "system"):
            good, bad = text.split(", "), ["euler", ""]
        else:
            good, bad = MEANING[text]
        for value in good:
            given = {option: value}
            if value == "fixed_angle":
                given["gamma"] = 1.0
            if name == "chaos" and option in ("gamma", "epsilon", "limit"):
                given["system"] = "microcanonical"
            if name == "infer" and option in ("nx", "nv"):
                given["system"] = "vlasov"
            if option == "dim" and "gamma" in options and name != "chaos":
                given["gamma"] = 0.0
            if name == "landau-damping" and option in ("dt", "steps", "wavenumber"):
                given = {"dt": 100.0, "steps": 10**6, **given}  # long enough for the fit
            assert getattr(experiment.of(given), option) == value, (option, value)
        for value in bad:
            with pytest.raises(ValueError, match=f"^Argument `--{option}`"):
                experiment.of({option: value})
    if name == "chaos":
        with pytest.raises(ValueError, match="`--gamma` must be left out for matrix-sqrt-torus"):
            experiment.of({"system": "matrix-sqrt-torus", "gamma": 0.0})
    if name == "infer":
        with pytest.raises(ValueError, match="`--particles` must be left out for vlasov"):
            experiment.of({"system": "vlasov", "particles": 40})
        with pytest.raises(ValueError, match="`--nx` must be left out for annihilation"):
            experiment.of({"nx": 8})
    if name == "microcanonical":
        with pytest.raises(ValueError, match="`--epsilon` must be an angle"):
            experiment.of({"law": "fixed_angle", "gamma": 1.0, "epsilon": 4.0})
        with pytest.raises(ValueError, match="`--gamma` must be at least 0"):
            experiment.of({"law": "fixed_angle", "gamma": -1.0})

"""Runs and sweeps that are killed continue, and their results are bitwise those of a run in one piece."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from jaxkinetic.experiments import CATALOGUE, Report, cli
from jaxkinetic.experiments._harness.report import Estimate, Series

pytestmark = pytest.mark.newest

MANY = ["maxwell-bkw", "--particles", "300", "--replicas", "24", "--steps", "20"]  # a part is a batch of two replicas
LONG = ["coulomb-relaxation", "--particles", "1500", "--steps", "30", "--dt", "0.02"]  # a part is a tenth of a replica
SWEEP = ["conservation", "--over", "particles=300,310,320", "--replicas", "12", "--steps", "20"]


def killed(arguments: list[str], ready) -> None:
    """The command, killed without notice as soon as `ready()`."""
    process = subprocess.Popen(
        [sys.executable, "-m", "jaxkinetic", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None and not ready():
        time.sleep(0.005)
    assert process.poll() is None, "it was over before it was killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def in_a_process(*arguments: str) -> str:
    """As a user would: in the tests' own process x64 is on."""
    done = subprocess.run([sys.executable, "-m", "jaxkinetic", *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def same_arrays(a: Path, b: Path) -> None:
    with np.load(a / "result.npz") as x, np.load(b / "result.npz") as y:
        assert x.files == y.files
        for name in x.files:
            np.testing.assert_array_equal(x[name], y[name], err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "pattern", "parts"), [(MANY, "*/part-*.npz", 4), (LONG, "*/replica-*.npz", 1)])
def test_killed_run_is_resumed(arguments, pattern, parts, tmp_path):
    """kill -9 after some parts: the rest is computed, the finished parts are not, and the result is bitwise that of a
    run in one piece. Catches a part that is written in place, and noise that depends on where the run began."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    in_a_process("run", *arguments, "--out", str(whole))
    killed(
        ["run", *arguments, "--out", str(cut)],
        lambda: len(list((cut / "partial").glob(pattern))) > parts - (parts == 1),
    )
    assert not (cut / "result.json").exists()
    out = in_a_process("run", *arguments, "--out", str(cut), "--resume")
    assert "resumed" in out
    same_arrays(whole, cut)
    assert not (cut / "partial").exists()
    assert json.loads((cut / "result.json").read_text())["resumed"] is True


@pytest.mark.slow
def test_killed_sweep_continues(tmp_path):
    """kill -9 in the second value: the first is not computed again, the second continues from its parts, the end is
    bitwise that of a sweep in one piece. Catches finished values that are lost, and parts of one value used for another."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    in_a_process("sweep", *SWEEP, "--out", str(whole))
    second = cut / "particles=310"
    killed(["sweep", *SWEEP, "--out", str(cut)], lambda: len(list((second / "partial").glob("kac*/part-*.npz"))) > 2)
    first = (cut / "particles=300" / "result.json").stat().st_mtime_ns
    out = in_a_process("sweep", *SWEEP, "--out", str(cut))
    assert "particles = 300: already there" in out
    assert (cut / "particles=300" / "result.json").stat().st_mtime_ns == first
    assert json.loads((second / "result.json").read_text())["resumed"] is True
    for folder in (".", "particles=300", "particles=310", "particles=320"):
        same_arrays(whole / folder, cut / folder)
        assert sorted(p.name for p in (cut / folder).glob("result*")) == ["result.json", "result.npz"]
    assert (cut / "figure.png").stat().st_size > 20_000
    summary = json.loads((cut / "result.json").read_text())
    assert (summary["over"], summary["values"]) == ("particles", [300, 310, 320])
    assert "mean energy drift" in out


def test_resume_checks_the_options(tmp_path, capsys, monkeypatch):
    """`--resume` without an unfinished run, or with another seed, raises; otherwise finished parts are read. Catches
    parts of two different runs in one result. An unfinished run is made by an interrupt at its third part."""
    from jaxkinetic._io.part_files import PartFiles

    out, save, count = str(tmp_path / "x"), PartFiles.save, []

    def interrupted(self, name, arrays):
        count.append(name)
        if len(count) == 3:
            raise KeyboardInterrupt
        save(self, name, arrays)

    # One replica is a batch.
    arguments = ["run", "conservation", "--particles", "400", "--replicas", "6", "--steps", "3"]
    assert cli.main([*arguments, "--out", out, "--resume"]) == 2
    assert "Argument `--resume` must find an unfinished run, but" in capsys.readouterr().err
    monkeypatch.setattr(PartFiles, "save", interrupted)
    monkeypatch.setattr("jaxkinetic._core.ensemble_in_parts._FEW", 1)
    assert cli.main([*arguments, "--out", out]) == 130
    assert "stopped; earlier results are unchanged. 2 finished parts are in" in capsys.readouterr().err
    monkeypatch.setattr(PartFiles, "save", save)
    assert cli.main([*arguments, "--seed", "4", "--out", out, "--resume"]) == 2
    assert "must find the same run, but its `seed` is 0, not 4; repeat its options" in capsys.readouterr().err
    # What is finished is read, not computed.
    made = []
    monkeypatch.setattr(PartFiles, "save", lambda self, name, arrays: made.append((self.folder.name, name)))
    assert cli.main([*arguments, "--out", out, "--resume"]) == 0
    assert [name for label, name in made if label.startswith("kac")] == [f"part-{i:05d}" for i in (2, 3, 4, 5)]
    assert not (tmp_path / "x" / "partial").exists()


def test_sweep_over_the_exponent(tmp_path, capsys):
    """One table and one figure over gamma, the time step fitted to each; a folder of other options raises. Catches one
    dt for all values, and values of an older sweep in the table."""
    out = str(tmp_path / "s")
    arguments = ["sweep", "coulomb-relaxation", "--particles", "400", "--steps", "20", "--replicas", "2", "--out", out]
    assert cli.main([*arguments, "--over", "gamma=-3,0"]) == 0
    text = capsys.readouterr().out
    assert "entropy-decay rate" in text
    manifests = [json.loads((tmp_path / "s" / f"gamma={g}" / "result.json").read_text()) for g in ("-3.0", "0.0")]
    assert [m["parameters"]["gamma"] for m in manifests] == [-3, 0]
    assert manifests[0]["parameters"]["dt"] / manifests[1]["parameters"]["dt"] > 10
    assert manifests[1]["results"]["entropy_slope_first_exact"] is None
    whole = json.loads((tmp_path / "s" / "result.json").read_text())
    summary = whole["results"]
    assert {"gamma", "dt"}.isdisjoint(whole["parameters"])
    assert whole["parameters"]["particles"] == 400
    assert whole["parameters_of_values"]["dt"] == [m["parameters"]["dt"] for m in manifests]
    assert summary["found"] == [m["results"]["entropy_decay_rate"] for m in manifests]
    assert cli.main([*arguments, "--over", "gamma=-3,0", "--seed", "1"]) == 2
    assert "must be a new folder, or one of the same sweep, but" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["maxwell-bkw", "--over", "gamma=-3,-2"], "Argument `--gamma` must be left out for maxwell-bkw, but is -3.0"),
        (
            ["maxwell-bkw", "--over", "beta=1,2"],
            "Argument `--over` must be OPTION=V1,V2,... with OPTION one of particles,",
        ),
        (["maxwell-bkw", "--over", "dt"], "Argument `--over` must be OPTION=V1,V2,... with OPTION one of particles,"),
        (["maxwell-bkw", "--over", "dt=0.1,x"], "Argument `--over` must list values that are float, but is 'dt=0.1,x'"),
        (["maxwell-bkw", "--over", "dt=0.1,0.1"], "Argument `--over` must list at least two different values"),
        (
            ["maxwell-bkw", "--over", "dt=0.1,0.2", "--dt", "1"],
            "Argument `--dt` must be left out when the sweep is over it",
        ),
        (["maxwell-bkw", "--over", "dt=0.1,-0.2"], "Argument `--dt` must be positive, but is -0.2"),
        (["maxwell-bkw"], "The following arguments are required: --over"),
        # Of a later value too, before the first is computed.
        (["coulomb-relaxation", "--over", "steps=20,5"], "Argument `--steps` must be at least 10, but is 5"),
        (["coulomb-relaxation", "--over", "gamma=-3,-4"], "Argument `--gamma` must be at least -d = -3, but is -4"),
    ],
)
def test_sweep_argument_errors(arguments, sentence, capsys, tmp_path, monkeypatch):
    """Bad sweeps give one line, the exit code 2 and no file. Catches a later value that is checked only after the first
    was computed."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["sweep", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxkinetic: " + sentence), error
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "a refused sweep leaves nothing behind"


def test_samples_are_resumed(tmp_path, monkeypatch, capsys):
    """An experiment that samples without replicas keeps what is finished: an interrupt at its third part, then `--resume`,
    which computes the others alone and gives the same numbers. Catches parts that are stored under the place of another one."""
    from jaxkinetic._io.part_files import PartFiles

    sizes, sampled = [], CATALOGUE["counting"].sampled

    def sample(self, num_particles, mean, *, swaps=1):
        if len(sizes) == stop_at:
            raise KeyboardInterrupt
        sizes.append(num_particles)
        return sampled(self, num_particles, mean, swaps=swaps)

    monkeypatch.setattr(CATALOGUE["counting"], "sampled", sample)
    arguments = ["run", "counting", "--particles", "8", "--replicas", "64", "--steps", "4", "--nv", "32"]
    stop_at = 2
    assert cli.main([*arguments, "--out", str(tmp_path / "cut")]) == 130
    assert "2 finished parts are in" in capsys.readouterr().err
    saved, save = [], PartFiles.save
    monkeypatch.setattr(PartFiles, "save", lambda self, name, arrays: (saved.append(name), save(self, name, arrays)))
    stop_at = -1
    assert cli.main([*arguments, "--out", str(tmp_path / "cut"), "--resume"]) == 0
    assert saved == [f"part-{i:05d}" for i in range(2, 7)]
    assert sizes == [2, 4, 8, 8, 8, 8, 8]
    assert cli.main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    same_arrays(tmp_path / "whole", tmp_path / "cut")


def test_damaged_part_is_recomputed(tmp_path, monkeypatch):
    """A damaged chunk of a long run is computed again, and the result is bitwise the same. Catches an error about a file that
    the user never named."""
    import jaxkinetic as jk
    from jaxkinetic.experiments._harness.experiment import Watch
    from jaxkinetic.experiments._harness.partial import Partial
    from jaxkinetic.experiments._harness.replicas import Problem, run_replicas

    options = CATALOGUE["coulomb-relaxation"](dt=0.01, steps=10)
    partial = Partial(tmp_path, {})
    partial.begin()

    def run():
        problem = Problem(jk.landau.Kac(jk.landau.Maxwell()), partial_init, {"M4": jk.diagnostics.moment})
        return run_replicas(problem, options, "x", Watch(partial=partial)).observed["M4"]

    def partial_init(key):
        return jk.initial.bkw(key, 600, 3)

    whole = run()
    chunk = sorted(partial.path("x").glob("replica-*.npz"))[1]
    chunk.write_bytes(chunk.read_bytes()[:100])
    np.testing.assert_array_equal(run(), whole)


def test_damaged_part_and_unfinished_value(tmp_path, capsys, monkeypatch):
    """A truncated part does not cost the others; result.json is put in its place last. Catches a value of a sweep
    without a figure that counts as finished."""
    import os

    from jaxkinetic._io.fingerprint import fingerprint
    from jaxkinetic._io.part_files import open_parts

    parts = open_parts("path", tmp_path / "x", {"seed": fingerprint({"seed": 1})})
    for name in ("a", "b"):
        parts.save(name, [np.arange(5.0)])
    path = tmp_path / "x" / "b.npz"
    path.write_bytes(path.read_bytes()[:100])
    assert parts.load("b") is None
    np.testing.assert_array_equal(parts.load("a")[0], np.arange(5.0))
    replace, seen = os.replace, []

    def crash(source, target):
        if str(target).endswith(("result.npz", "figure.png", "result.json")):
            seen.append(Path(target).name)
            if len(seen) == 3:
                raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    arguments = [
        "sweep",
        "conservation",
        "--over",
        "steps=2,3",
        "--particles",
        "10",
        "--replicas",
        "2",
        "--out",
        str(tmp_path / "s"),
    ]
    assert cli.main(arguments) == 130
    assert seen == ["result.npz", "figure.png", "result.json"]
    monkeypatch.setattr(os, "replace", replace)
    assert cli.main(arguments) == 0
    assert "already there" not in capsys.readouterr().out
    for cell in ("steps=2", "steps=3"):
        names = sorted(p.name for p in (tmp_path / "s" / cell).iterdir())
        assert names == ["figure.png", "result.json", "result.npz"]


def test_sweep_over_words(tmp_path, monkeypatch, capsys):
    """A sweep over values that are words (laws of collisions), of an experiment that does nothing. Catches a summary that
    treats the values as numbers."""

    class Quick(cli.CATALOGUE["microcanonical"]):
        def run(self, watch):
            numbers = {"order": Estimate(float(len(self.law)), 0.1)}
            return Report(numbers, (Series("times", "t", np.arange(2.0)),), ("one line",), (lambda ax: None,), "x")

    monkeypatch.setitem(cli.CATALOGUE, "microcanonical", Quick)
    arguments = ["sweep", "microcanonical", "--over", "law=heat_kernel,constant_rate", "--out", str(tmp_path / "s")]
    assert cli.main(arguments) == 0
    assert "constant_rate" in capsys.readouterr().out
    summary = json.loads((tmp_path / "s" / "result.json").read_text())
    assert summary["values"] == ["heat_kernel", "constant_rate"]
    assert summary["results"]["found"] == [11.0, 13.0]


def test_no_recompilation_for_other_parameters(capfd):
    """Catches a program for every epsilon or gamma of an experiment, and a bar that belongs to the run before."""
    import jaxkinetic as jk
    from jaxkinetic.experiments._harness.experiment import Watch
    from jaxkinetic.experiments._harness.replicas import Problem, run_replicas

    traces, ends = [], []

    def start(key):
        traces.append(1)
        return jk.initial.maxwellian(key, 20, 3)

    options = CATALOGUE["coulomb-relaxation"](dt=0.01, steps=4, replicas=3)
    for strength in (1.0, 2.0):
        problem = Problem(jk.landau.Kac(jk.landau.Maxwell(strength)), start, {"M4": jk.diagnostics.moment})
        runs = run_replicas(problem, options, f"strength {strength}", Watch(progress=True))
        ends.append((len(traces), runs.observed["M4"][:, -1]))
        shown = capfd.readouterr().err
        assert shown.startswith(f"strength {strength}\n")
        assert "100%" in shown
    # The second run is looked at, for its shapes and its numbers, and not compiled.
    assert ends[0][0] == 2
    assert ends[1][0] == 3
    assert not np.allclose(ends[0][1], ends[1][1], rtol=1e-3)

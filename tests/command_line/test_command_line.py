"""`jaxkinetic` as a user types it, at tiny size."""

import dataclasses
import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray
from helpers import count_programs

from jaxkinetic.experiments import CATALOGUE, cli
from jaxkinetic.experiments._harness.replicas import save_steps
from jaxkinetic.experiments.catalogue._chaos_systems import PLANS

TINY = ["--particles", "40", "--steps", "20", "--replicas", "10"]
GRID = {
    "landau-damping": ["--nx", "16", "--nv", "64", "--steps", "100", "--dt", "0.25"],
    "two-stream": ["--nx", "16", "--nv", "96", "--steps", "200", "--dt", "0.2"],
    "hmf": ["--nx", "16", "--nv", "96", "--steps", "120", "--dt", "0.1"],
}
AMPLITUDES = {
    "mean-field-diagram": ["--nx", "12", "--nv", "32", "--steps", "8", "--particles", "16", "--replicas", "400"],
    "counting": ["--particles", "8", "--replicas", "400", "--steps", "8"],
}


# Of laws and limit equations, in double precision.
LAWS = {
    "landau-pde": ["--particles", "400", "--steps", "5", "--replicas", "4", "--nv", "30", "--speeds", "120"],
    "liouville": ["--particles", "2", "--nv", "16", "--steps", "40", "--dt", "0.05"],
    "annihilation-profile": ["--particles", "400", "--steps", "20", "--replicas", "8"],
    "chaos": ["--system", "matrix-sqrt-torus", "--particles", "16", "--replicas", "200", "--steps", "10"],
    "infer": ["--system", "landau", "--quick", "--steps", "5", "--dt", "0.3"],
}


def call(*arguments, **options):
    # Quickly compiled, as in conftest.py.
    environment = {**os.environ, "COLUMNS": "200", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    return subprocess.run(
        [sys.executable, "-m", "jaxkinetic", *arguments],
        capture_output=True,
        text=True,
        env=environment,
        **options,
    )


# One process for many commands: starting Python and JAX takes as long as a tiny run.
SEVERAL = """
import contextlib, json, sys, traceback
from jaxkinetic.experiments import cli
for arguments, log in json.loads(sys.argv[1]):
    with open(log + ".out", "w") as out, open(log + ".err", "w") as err:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.main(arguments)
            except Exception:
                code = traceback.print_exc()
    if code != 0:
        open(log + ".out", "a").write(f"failed: {code}")
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """name -> (folder of the results, standard output, standard error), every experiment run once."""
    root = tmp_path_factory.mktemp("runs")
    commands = {
        name: ["run", name, *(GRID.get(name) or [*TINY, "--seed", "3"]), "--netcdf", "--out", str(root / name)]
        for name in sorted(CATALOGUE, key=lambda name: name in GRID)  # single precision first
        if name not in AMPLITUDES | LAWS
    }
    given = [(arguments, str(root / name)) for name, arguments in commands.items()]
    environment = {**os.environ, "COLUMNS": "200", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SEVERAL, json.dumps(given)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr

    def of(name):
        out, err = ((root / f"{name}.{stream}").read_text() for stream in ("out", "err"))
        assert "failed: " not in out, err
        return root / name, out, err

    return of


def check_netcdf(folder):
    """result.nc has the arrays of result.npz and the entries of result.json, and every dimension has a name of its own."""
    arrays, manifest = np.load(folder / "result.npz"), json.loads((folder / "result.json").read_text())
    with xarray.open_dataset(folder / "result.nc") as found:
        for name in arrays:
            place = {"times": "time", "sizes": "N", "speeds": "speed", "edges": "edge", "picture_times": "picture"}.get(
                name, name
            )
            np.testing.assert_array_equal(found[place], arrays[name])
            assert found[place].attrs["units"] == "nondimensional"
            if name == "times":
                assert found.time.dims == ("time",)
        assert not [dim for dim in found.dims if re.search(r"_\d+$", str(dim)) and not str(dim).startswith("k_")]
        assert found.attrs["experiment"] == manifest["experiment"]
        assert found.attrs["jaxkinetic_version"] == manifest["version"]
        for name, value in manifest["parameters"].items():
            assert found.attrs[f"parameter_{name}"] == value
        for name, value in manifest["results"].items():
            assert isinstance(value, dict | list | None) or found.attrs[f"result_{name}"] == value


def test_list():
    """`jaxkinetic list` names every experiment of the catalogue, in its order. Catches one that is not listed."""
    done = call("list")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == list(CATALOGUE)
    listed = json.loads(call("list", "--json").stdout)
    assert [entry["name"] for entry in listed] == list(CATALOGUE)
    for entry in listed:
        experiment = CATALOGUE[entry["name"]]
        assert {name: option["default"] for name, option in entry["options"].items()} == {
            field.name: field.default for field in dataclasses.fields(experiment)
        }


@pytest.mark.timeout(240)  # the first one waits for all runs
@pytest.mark.parametrize("name", [name for name in CATALOGUE if name not in GRID | AMPLITUDES | LAWS])
def test_run_output(name, finished):
    """A run prints its table and writes its three files and nothing else. Catches an entry of the manifest that is
    missing, an integer array, an empty figure."""
    folder, printed, progress = finished(name)
    assert "100%" in progress
    assert "exact" in printed
    manifest = json.loads((folder / "result.json").read_text())
    assert manifest["parameters"]["particles"] == 40
    assert manifest["parameters"]["precision"] == 32
    assert manifest["seed"] == 3
    for entry in ("version", "commit", "device", "jax", "results"):
        assert entry in manifest
    root = Path(__file__).parents[2]
    if (root / ".git").exists():
        head = subprocess.run(
            ["git", "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True
        ).stdout.strip()
        assert manifest["commit"].removesuffix("-dirty") == head
    arrays = np.load(folder / "result.npz")
    assert all(np.issubdtype(arrays[key].dtype, np.floating) for key in arrays)
    assert len(arrays["times"]) == 21
    picture = (folder / "figure.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(picture) > 50_000
    check_netcdf(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["figure.png", "result.json", "result.nc", "result.npz"]
    if name == "maxwell-bkw":
        assert "mean nothing. Take more particles or replicas." in printed
        assert re.search(r"Entropy-decay rate: \S+ \+- \S+ \(95 %: \S+ to \S+\) fitted, \d+\.\d+ exact", printed)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", GRID)
def test_run_on_a_grid(name, finished):
    """The default precision is double there; fitted and exact rates agree within 3 % even on a coarse grid. Catches
    single precision, and a fit to the wrong window."""
    folder, _, progress = finished(name)
    assert "100%" in progress
    manifest = json.loads((folder / "result.json").read_text())
    assert manifest["parameters"]["precision"] == 64
    assert manifest["parameters"]["nx"] == 16
    found = manifest["results"]
    rate = "damping_rate" if name == "landau-damping" else "growth_rate"
    assert abs(found[rate] / found[f"{rate}_exact"] - 1) < 0.03
    assert len(np.load(folder / "result.npz")["times"]) == manifest["parameters"]["steps"] + 1
    assert len((folder / "figure.png").read_bytes()) > 50_000
    check_netcdf(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["figure.png", "result.json", "result.nc", "result.npz"]


@pytest.mark.slow
@pytest.mark.parametrize("name", AMPLITUDES)
def test_run_with_amplitudes(name, tmp_path):
    """The share of particles outside the mean-field state falls about as 1/N, and is on the grid what Monte Carlo finds.
    Catches an arrow of the diagram between two different systems."""
    done = call("run", name, *AMPLITUDES[name], "--netcdf", "--seed", "5", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr
    found = json.loads((tmp_path / "result.json").read_text())["results"]
    arrays = np.load(tmp_path / "result.npz")
    assert found["outside"] == arrays["outside"][-1]
    if name == "counting":
        assert abs(found["exponent"] + 1) < 4 * found["exponent_stderr"] + 0.1
        assert found["exponent_theorem"] == -0.2
    else:
        assert abs(found["outside_two_sampled"] - found["outside_two_grid"]) < 4 * arrays["outside_stderr"][0]
        for arrow in ("HVl -> Vlasov", "HVl -> HHt", "HLv -> N-body", "HLv -> PsQM"):
            assert found[arrow] < 0.02
        assert found["N-body -> Vlasov"] < 2 * found["outside_two_grid"] ** 0.5
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)


def test_run_of_a_law(tmp_path):
    """N H_N of two particles at t = 2 from f_0 = (1 + .8 cos v)/2 pi is .0651 with independent noise and smaller with Kac's;
    H_1 <= H_2. Catches entropies relative to another limit."""
    done = call("run", "liouville", *LAWS["liouville"], "--netcdf", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "result.json").read_text())
    assert manifest["parameters"]["precision"] == 64
    found = manifest["results"]
    assert abs(found["largest_scaled_entropy"] - 0.0651) < 1e-4
    assert 0.03 < found["largest_kac"][0] < 0.06
    assert found["smallest_subadditivity"] > -1e-12
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)


@pytest.mark.slow
def test_run_of_the_landau_equation(tmp_path):
    """From the shell to t = .1, Coulomb: H - H_M = .047053 (known to 1e-6), M4 = .849711 of the Maxwellian's; the spectral
    solver on a coarse grid agrees, and entropy and dissipation balance. Catches another datum, and another time scale."""
    done = call("run", "landau-pde", *LAWS["landau-pde"], "--netcdf", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "result.json").read_text())["results"]
    assert abs(found["entropy_last"] - 0.047053) < 1e-4
    assert found["solvers_apart_M4"] < 1e-3
    assert found["solvers_apart_H"] < 2e-3
    assert found["balance_isotropic"] < 3e-4
    assert abs(np.load(tmp_path / "result.npz")["fourth_exact"][-1] - 0.849711) < 1e-5
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)


@pytest.mark.slow
def test_run_of_a_profile(tmp_path):
    """The exponents of the equation at alpha = .25, and of a walk of 400 particles within five errors. Catches rows of the walk
    that belong to another alpha."""
    done = call(
        "run", "annihilation-profile", *LAWS["annihilation-profile"], "--netcdf", "--seed", "3", "--out", str(tmp_path)
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "result.json").read_text())["results"]
    assert abs(found["xi_walk_0.25_exact"] - 0.92132) < 1e-5
    assert found["largest_score"] < 5
    arrays = np.load(tmp_path / "result.npz")
    assert len(arrays["alpha"]) == len(arrays["xi"]) == len(arrays["kurtosis"]) == len(arrays["profiles"])
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)


def test_run_of_a_study_of_chaos(tmp_path):
    """The table has a row for each distance; the files hold its values, floors and exponents; the manifest says what the limit
    is. Catches a study at another time, and NaN in result.json."""
    done = call("run", "chaos", *LAWS["chaos"], "--netcdf", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "100%" in done.stderr
    manifest = json.loads((tmp_path / "result.json").read_text())
    found, arrays = manifest["results"], np.load(tmp_path / "result.npz")
    assert manifest["parameters"]["dim"] == 1
    assert found["time"] == 0.2
    assert found["limit"].startswith("TorusPDE")
    assert [found[f"quantity_{i}"] for i in range(3)] == ["L1 of f_2 - f x f", "H_2", "pair part of |rho_1|^2"]
    assert list(arrays["N"]) == [4, 8, 16]
    # Of 200 runs, |rho_1|^2 of independent particles would have a pair part of 0 +- .02.
    assert arrays["value_2"].shape == arrays["stderr_2"].shape == (3,)
    assert np.all(arrays["stderr_2"] > 0)
    assert "bound 1/2" in done.stdout
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize("system", ["annihilation", "landau"])
def test_run_of_an_inference(system, tmp_path):
    """The table has truth, estimate, error and z of both parameters; the files have data, fit and band, and nothing of the
    search is left behind. (With so few runs the simulator's noise exceeds that of the data, and it is correlated in time, so
    chi^2 scatters widely.) Catches a fit that stops before it has converged, and a band that is NaN."""
    given = LAWS["infer"] if system == "landau" else ["--system", system, "--quick"]
    done = call("run", "infer", *given, "--seed", "3", "--netcdf", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert "truth" in done.stdout
    found = json.loads((tmp_path / "result.json").read_text())["results"]
    assert found["converged"], found["message"]
    assert np.abs(found["z"]).max() < 4
    assert found["reduced_chi2"] > 0
    names = ["alpha" if system == "annihilation" else "gamma", "strength"]
    for name, z in zip(names, found["z"], strict=True):
        assert abs(found[name] - found[f"{name}_exact"] - z * found[f"{name}_stderr"]) < 1e-6
    arrays = np.load(tmp_path / "result.npz")
    assert arrays["data"].shape == arrays["fit"].shape == (*arrays["times"].shape, 2)
    assert np.all(arrays["band"] > 0)
    assert len((tmp_path / "figure.png").read_bytes()) > 50_000
    check_netcdf(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "result.json", "result.nc", "result.npz"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_study_of_chaos_quickly(tmp_path):
    """`--quick` of every system finishes and writes its files. Catches a plan whose limit, start or distance does not fit."""
    for system in PLANS:
        fewer = [] if system == "liouville-torus" else ["--particles", "16"]
        given = ["--system", system, "--quick", *fewer, "--out", str(tmp_path / system)]
        assert cli.main(["run", "chaos", *given]) == 0
        found = json.loads((tmp_path / system / "result.json").read_text())["results"]
        assert found["quantity_0"]
        assert len((tmp_path / system / "figure.png").read_bytes()) > 50_000


@pytest.mark.slow
def test_one_replica_in_two_dimensions(tmp_path):
    """Double precision, d = 2. One run has no scatter of its own; the fit then takes its correlated residuals. Catches
    an error bar of 0 or NaN."""
    arguments = ["run", "maxwell-bkw", "--particles", "200", "--steps", "10", "--replicas", "1", "--dim", "2"]
    done = call(*arguments, "--precision", "64", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    arrays = np.load(tmp_path / "result.npz")
    assert arrays["entropy_groups"].shape == (1, 11)
    assert arrays["momentum_value"].max() < 1e-14
    assert json.loads((tmp_path / "result.json").read_text())["results"]["entropy_decay_rate_stderr"] > 0


def test_seed_determines_the_table(capsys, tmp_path):
    """The same seed gives the same table, another one another. Catches a key that ignores the seed."""
    tables = []
    for seed in ("3", "3", "4"):
        assert cli.main(["run", "conservation", *TINY, "--seed", seed, "--out", str(tmp_path / seed)]) == 0
        tables.append(capsys.readouterr().out.split("\n\n")[1])
    assert "exact" in tables[0]
    assert tables[0] == tables[1] != tables[2]


def test_second_start_compiles_nothing(tmp_path):
    """With the caches in memory emptied, the same command reads every program from disk. Catches a program that cannot be
    kept there, because it calls back to the host or holds something new at every start."""
    hits = []

    def listen(name, **_):
        if name == "/jax/compilation_cache/cache_hits":
            hits.append(name)

    def run():
        jax.clear_caches()
        assert cli.main(["run", "conservation", *TINY, "--out", str(tmp_path)]) == 0

    run()
    jax.monitoring.register_event_listener(listen)
    try:
        with count_programs() as programs:
            run()
    finally:
        jax.monitoring.unregister_event_listener(listen)
    assert len(hits) == len(programs) > 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "maxwell"],
            "Argument `NAME` must be one of maxwell-bkw, coulomb-relaxation, coulomb-isotropization, torus-mode, "
            "microcanonical, annihilation, annihilation-profile, landau-damping, two-stream, hmf, mean-field-diagram, "
            "counting, liouville, landau-pde, chaos, conservation, infer, but is 'maxwell'; see `jaxkinetic list`.",
        ),
        (
            ["run", "maxwell-bkw", "--partikles", "3"],
            "Argument `--partikles` must be an option of this command, but is not one",
        ),
        (["run", "hmf", "--nx", "15"], "Argument `--nx` must be even, but is 15; add one."),
        (["run", "counting", "--particles", "3"], "Argument `--particles` must be at least 4, but is 3"),
        (["run", "counting", "--scheme", "sweep"], "Argument `--scheme` must be one of leapfrog, but is 'sweep'"),
        (["run", "hmf", "--nv", "16"], "Argument `--nv` must be at least 32, but is 16"),
        (["run", "hmf", "--particles", "9"], "Argument `--particles` must be left out for hmf, but is 9; remove it."),
        (
            ["run", "hmf", "--amplitude", "2"],
            "Argument `--amplitude` must be below 1, so that f > 0, but is 2; lower it.",
        ),
        (
            ["run", "hmf", "--system", "hartree"],
            "Argument `--system` must be one of vlasov, hamilton-vlasov, hamilton-h",
        ),
        (
            ["run", "landau-damping", "--steps", "30"],
            "Argument `--steps` must reach t = 21.4, 4.5 periods of the wave, but ends at 3; raise it, or --dt.",
        ),
        (["run", "maxwell-bkw", "--particles", "1"], "Argument `--particles` must be at least 2, but is 1"),
        (["run", "maxwell-bkw", "--particles", "2.5"], "Argument --particles: invalid int value: '2.5'"),
        (["run", "maxwell-bkw", "--dim", "1"], "Argument `--dim` must be at least 2, but is 1"),
        (["run", "torus-mode", "--dim", "0"], "Argument `--dim` must be at least 1, but is 0"),
        (["run", "maxwell-bkw", "--dt", "-0.1"], "Argument `--dt` must be positive, but is -0.1"),
        (
            ["run", "maxwell-bkw", "--seed", "4294967296"],
            "Argument `--seed` must be at most 2^32 - 1, but is 4294967296",
        ),
        (
            ["list", "--fast"],
            "Argument `--fast` must be an option of this command, but is not one; see `jaxkinetic list --help`",
        ),
        (["run", "maxwell-bkw", "--steps", "0"], "Argument `--steps` must be at least 10, but is 0"),
        (["run", "maxwell-bkw", "--replicas", "0"], "Argument `--replicas` must be at least 1, but is 0"),
        (
            ["run", "maxwell-bkw", "--scheme", "heun"],
            "Argument `--scheme` must be one of euler-maruyama, sweep, but is 'heun'",
        ),
        (["run", "coulomb-relaxation", "--dim", "4"], "Argument `--dim` must be at most 3, but is 4"),
        (["run", "coulomb-relaxation", "--dim", "2"], "Argument `--dim` must be at least 3, but is 2"),
        (
            ["run", "conservation", "--scheme", "sweep"],
            "Argument `--scheme` must be one of euler-maruyama, but is 'sweep'",
        ),
        (
            ["run", "microcanonical", "--law", "rutherford"],
            "Argument `--law` must be one of fixed_angle, constant_rate, heat_kernel, but is 'rutherford'",
        ),
        (
            ["run", "microcanonical", "--law", "fixed_angle"],
            "Argument `--gamma` must be at least 0 with --law fixed_angle, but is not given, and -3 is the default",
        ),
        (
            ["run", "microcanonical", "--law", "fixed_angle", "--gamma", "1", "--epsilon", "4"],
            "Argument `--epsilon` must be an angle in (0, pi] with --law fixed_angle, but is 4",
        ),
        (["run", "microcanonical", "--epsilon", "0"], "Argument `--epsilon` must be positive, but is 0"),
        (["run", "conservation", "--law", "heat_kernel"], "Argument `--law` must be left out for conservation"),
        (["run", "maxwell-bkw", "--precision", "16"], "Argument --precision: invalid choice: 16"),
        (["fly"], "Argument COMMAND: invalid choice: 'fly'"),
        ([], "The following arguments are required: COMMAND"),
    ],
)
def test_argument_errors(arguments, sentence, capsys, tmp_path, monkeypatch):
    """Bad options give one line, the exit code 2 and no file. Catches a traceback, and an option that is checked after
    the run has begun."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxkinetic: " + sentence)
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir()), "a refused run leaves nothing behind"


def test_unwritable_folder_is_reported_first(capsys, tmp_path):
    """The folder is checked before the run. Catches results that are computed and cannot be written."""
    blocked = tmp_path / "file"
    blocked.write_text("mine")
    assert cli.main(["run", "maxwell-bkw", "--out", str(blocked / "below")]) == 2
    assert f"Argument `--out` must be a folder that can be written, but is '{blocked / 'below'}' (Not a directory)" in (
        capsys.readouterr().err
    )
    assert blocked.read_text() == "mine"
    (tmp_path / "half" / "figure.png").mkdir(parents=True)
    assert cli.main(["run", "maxwell-bkw", "--out", str(tmp_path / "half")]) == 2
    assert "(its figure.png is a folder)" in capsys.readouterr().err
    if os.getuid() != 0:
        locked = tmp_path / "locked"
        locked.mkdir(mode=stat.S_IRUSR | stat.S_IXUSR)
        assert cli.main(["run", "maxwell-bkw", "--out", str(locked)]) == 2
        assert "(Permission denied)" in capsys.readouterr().err


def test_too_few_steps_are_reported_first(capsys, tmp_path):
    """The number of steps is checked before the run. Catches a fit of a rate that fails at the end."""
    assert cli.main(["run", "maxwell-bkw", "--steps", "3", "--out", str(tmp_path)]) == 2
    assert "Argument `--steps` must be at least 10, but is 3" in capsys.readouterr().err


def test_saves_are_few_and_even():
    """At most 21 saves at even distances, for every number of steps. Catches a rule that needs a divisor: a prime number
    of steps would save them all."""
    for steps in (1, 3, 19, 20, 21, 100, 101, 997, 1009):
        saved = np.array(save_steps(steps))
        assert (saved[0], saved[-1]) == (0, steps)
        assert len(saved) == min(steps, 20) + 1
        assert np.ptp(np.diff(saved)) <= 1


def test_failed_run_keeps_earlier_results(capsys, tmp_path):
    """dt so large that Euler-Maruyama explodes. Catches old files that are removed or overwritten before the new ones
    are complete."""
    old = {name: (tmp_path / name) for name in ("result.npz", "result.json", "figure.png")}
    for path in old.values():
        path.write_text("old")
    status = cli.main(
        ["run", "conservation", *TINY, "--steps", "400", "--dt", "1e9", "--force", "--out", str(tmp_path)]
    )
    assert status == 2
    assert "The state became NaN or infinite in step" in capsys.readouterr().err
    assert all(path.read_text() == "old" for path in old.values())
    assert len(list(tmp_path.iterdir())) == 3


def test_netcdf_is_an_option_of_the_output(tmp_path, capsys, monkeypatch):
    """A run without `--netcdf` writes no result.nc and removes that of the result which it replaces; without xarray the command
    ends in one sentence before the run. Catches a result.nc that belongs to another result, and a run that is lost because the
    package is missing."""
    run = ["run", "conservation", *TINY, "--out", str(tmp_path)]
    assert cli.main([*run, "--netcdf"]) == 0
    assert "result.nc" in capsys.readouterr().out
    assert (tmp_path / "result.nc").is_file()
    assert cli.main(run) == 0
    assert not (tmp_path / "result.nc").exists()
    capsys.readouterr()
    monkeypatch.setitem(sys.modules, "xarray", None)
    assert cli.main([*run, "--netcdf"]) == 2
    said = capsys.readouterr().err
    assert said == "jaxkinetic: `--netcdf` needs xarray; run `pip install 'jaxkinetic[data]'`.\n"


def test_sweep_with_netcdf(tmp_path):
    """Every value and the summary have a result.nc. Catches a summary without its values."""
    words = ["sweep", "conservation", *TINY, "--over", "dt=0.01,0.02", "--netcdf", "--out", str(tmp_path)]
    assert cli.main(words) == 0
    check_netcdf(tmp_path / "dt=0.01")
    with xarray.open_dataset(tmp_path / "result.nc") as found:
        np.testing.assert_array_equal(found.value, [0.01, 0.02])
        assert found.headline.dims == ("value",)

"""Solutions and chunks as xarray datasets, and as netCDF files that are read back."""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray
from helpers import assert_argument_error, particles

import jaxkinetic as jk
from jaxkinetic._io import netcdf as netcdf_module

KEY = jax.random.key(0)
L, V = jk.landau, jk.vlasov
KAC = L.Kac(L.PowerLaw(-2.0, strength=0.5))


def waves(state):
    """(2, 3), complex."""
    return jax.lax.complex(jnp.cos(state.velocity[:2]), jnp.sin(state.velocity[:2]))


def nested(state):
    return {"sum": jnp.sum(state.velocity, axis=0), "largest": jnp.max(state.velocity)}


def mean(state):
    return state.mean(state.velocity)


def first(state):
    return state.velocity[0, 0]


OBSERVE = {"energy": jk.diagnostics.energy, "u": mean, "u_0": first, "c/N": waves, "two": nested, "time": first}
RUN = {"key": KEY, "dt": 0.01, "num_steps": 6}


def start(num=6):
    return particles(jax.random.key(1), num, 3)


@pytest.fixture(scope="module")
def solution():
    return jk.simulate(KAC, start(), save=jk.Save(every=2, state=True, observe=OBSERVE), **RUN)


def test_names_dimensions_and_units(solution):
    """Every saved array is there under its name, with named dimensions; every variable and coordinate is nondimensional.
    Catches a dimension that two arrays of different length share, an observable that replaces the coordinate of its name, and
    one that is lost because a dimension has its name."""
    found = solution.to_xarray()
    dims = {name: found[name].dims for name in found.data_vars}
    assert dims == {
        "velocity": ("time", "particle", "component"),
        "alive": ("time", "particle"),
        "ident": ("time", "particle"),
        "final_velocity": ("particle", "component"),
        "final_alive": ("particle",),
        "final_ident": ("particle",),
        "energy": ("time",),
        "u": ("time", "u_0_"),
        "u_0": ("time",),
        "c/N": ("time", "c/N_0", "c/N_1"),
        "two_sum": ("time", "two_sum_0"),
        "two_largest": ("time",),
        "observed_time": ("time",),
    }
    np.testing.assert_array_equal(found.time, 0.01 * np.array([0, 2, 4, 6]))
    np.testing.assert_array_equal(found["c/N"], solution.observed["c/N"])
    np.testing.assert_array_equal(found.two_sum, solution.observed["two"]["sum"])
    np.testing.assert_array_equal(found.velocity, solution.states.velocity)
    np.testing.assert_array_equal(found.final_velocity, solution.final.velocity)
    np.testing.assert_array_equal(found.observed_time, solution.observed["u_0"])
    assert {variable.attrs["units"] for variable in found.variables.values()} == {"nondimensional"}


def test_attributes_are_the_manifest(solution):
    """The attributes say what ran, so that the run can be repeated. Catches a parameter that is not there because it has its
    default, dt in float32, and the key of something else."""
    attrs = solution.to_xarray().attrs
    assert attrs["system"] == "Kac(interaction=PowerLaw(gamma=-2.0, strength=0.5, softening=0.0))"
    assert json.loads(attrs["system_parameters"]) == {
        "interaction.gamma": -2.0, "interaction.strength": 0.5, "interaction.softening": 0.0,
    }  # fmt: skip
    assert attrs["scheme"] == "EulerMaruyama()"
    assert attrs["jaxkinetic_version"] == jk.__version__
    assert attrs["jax_version"] == jax.__version__
    assert attrs["device"].startswith("cpu")
    assert (attrs["t0"], attrs["dt"], attrs["last_step"], attrs["result"]) == (0.0, 0.01, 6, "finished")
    assert attrs["key"] == np.asarray(solution.checkpoint.key).tolist()
    assert attrs["stats_steps"] == 6
    assert all(isinstance(x, (str, int, float, list)) and not isinstance(x, bool) for x in attrs.values())
    other = jk.simulate(L.Kac(L.PowerLaw(-2.0, strength=0.25)), start(), **RUN).to_xarray().attrs
    assert other["system_fingerprint"] != attrs["system_fingerprint"]
    assert other["scheme_fingerprint"] == attrs["scheme_fingerprint"]


def test_netcdf_round_trip(solution, tmp_path):
    """What xarray reads is what was written, bit for bit; complex numbers as two variables. Catches a file that xarray cannot
    write (complex numbers, "/" in a name), attributes that change, and a temporary file that is left behind."""
    path = solution.to_netcdf(tmp_path / "run.nc")
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]
    with xarray.open_dataset(path) as read:
        found = read.load()
    wanted = solution.to_xarray()
    np.testing.assert_array_equal(found["c_N_real"] + 1j * found["c_N_imag"], wanted["c/N"])
    assert found["c_N_imag"].attrs["long_name"] == "imaginary part of c/N"
    for name in set(wanted.variables) - {"c/N"}:
        assert found[name].dims == wanted[name].dims
        assert found[name].dtype == wanted[name].dtype, name
        np.testing.assert_array_equal(found[name], wanted[name])
        assert found[name].attrs == wanted[name].attrs
    for name, value in wanted.attrs.items():
        np.testing.assert_array_equal(found.attrs[name], value)


def test_a_failed_write_leaves_the_old_file(solution, tmp_path, monkeypatch):
    """Catches a file that is half written when the disk fails, and sentences of the operating system."""
    path = solution.to_netcdf(tmp_path / "run.nc")
    before = path.read_bytes()

    def fails(self, path, **options):
        path.write_bytes(b"half")
        raise RuntimeError("the disk")

    monkeypatch.setattr(xarray.Dataset, "to_netcdf", fails)
    with pytest.raises(RuntimeError, match="the disk"):
        solution.to_netcdf(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["run.nc"]
    assert_argument_error(lambda: solution.to_netcdf(tmp_path), "`path` must name a file that can be written")
    assert_argument_error(lambda: solution.to_netcdf(tmp_path / "no" / "run.nc"), "`path` must name a file that can be")
    assert_argument_error(lambda: solution.to_netcdf(3), "`path` must be a path")


def test_half_precision_and_names(tmp_path):
    """Floats of less than 32 bits are stored as float32, and names that netCDF forbids are changed, each to a name of its own.
    Catches bytes without a meaning, and two variables that become one."""
    values = {"a/b": np.float16([1.5]), "a_b": np.asarray(jnp.asarray([2.5], jnp.bfloat16)), " ": np.ones(1)}
    found = netcdf_module.portable(xarray.Dataset({name: (("x/y",), x) for name, x in values.items()}))
    assert list(found.data_vars) == ["a_b", "a_b_", "unnamed"]
    assert found.a_b.dims == ("x_y",)
    assert found.a_b.dtype == found.a_b_.dtype == np.float32
    assert float(found.a_b_[0]) == 2.5
    netcdf_module.write_netcdf(tmp_path / "a.nc", found)


def test_ensembles():
    """Replicas are a dimension; a reduced ensemble has mean, variance, error and count, and still says what ran. Catches a
    replica axis that is taken for time, and statistics that are missing because there are several."""
    save = jk.Save(every=3, state=True, observe={"energy": jk.diagnostics.energy, "u": mean})
    many = jk.ensemble(KAC, start(), replicas=4, save=save, **RUN)
    found = many.to_xarray()
    assert found.velocity.dims == ("replica", "time", "particle", "component")
    assert found.energy.dims == ("replica", "time")
    assert found.final_velocity.dims == ("replica", "particle", "component")
    assert found.time.dims == ("time",)
    assert found.key.dims == ("replica", "word")
    np.testing.assert_array_equal(found.key, many.checkpoint.key)
    np.testing.assert_array_equal(found.stats_steps, [6] * 4)
    np.testing.assert_array_equal(found.result_code, [0] * 4)
    reduced = jk.ensemble(KAC, start(), replicas=4, save=save, reduce=jk.MeanVar(), **RUN)
    assert reduced.checkpoint is None
    short = reduced.to_xarray()
    np.testing.assert_allclose(short.u_mean, found.u.mean("replica"), atol=1e-14)
    np.testing.assert_allclose(short.velocity_var, found.velocity.var("replica", ddof=1), atol=1e-14)
    assert short.u_stderr.dims == ("time", "u_0")
    assert int(short.energy_count) == 4
    assert short.result_code.dims == ("replica",)
    for name in ("system", "system_parameters", "scheme", "dt", "t0", "last_step"):
        assert short.attrs[name] == found.attrs[name]
    assert short.attrs["key"] == jax.random.key_data(KEY).tolist()


def test_what_a_reduced_ensemble_keeps_passes_through_jit_and_vmap():
    """`Solution.run` is a pytree as the rest of a solution is. Catches a static field that holds an array, and a leaf that
    `vmap` cannot return."""

    @jax.jit
    @jax.vmap
    def of(strength):
        run = jk.ensemble(
            L.Kac(L.Maxwell(strength)), start(), replicas=2, reduce=jk.MeanVar(), throw=False,
            save=jk.Save(observe={"energy": jk.diagnostics.energy}), **RUN,
        )  # fmt: skip
        return run.observed["energy"].mean, run.run.dt, jax.tree.leaves(run.run.origin)

    energy, dt, _ = of(jnp.array([0.5, 1.0]))
    assert energy.shape == (2, 7)
    np.testing.assert_allclose(dt, 0.01)


def test_runs_that_differ_in_dt():
    """Under `vmap` over dt the times differ between the runs, and so they are no dimension. Catches the times of the first
    run for all of them."""
    run = jax.vmap(lambda dt: jk.simulate(KAC, start(), key=KEY, dt=dt, num_steps=2, save=jk.Save(every=1), throw=False))
    found = run(jnp.array([0.01, 0.02])).to_xarray()
    assert found.time.dims == ("replica", "save")
    np.testing.assert_allclose(found.time, [[0, 0.01, 0.02], [0, 0.02, 0.04]])
    np.testing.assert_allclose(found.dt, [0.01, 0.02])


X, AXIS = jk.Axis(0.0, 2 * np.pi, 8), jk.Axis(-6.0, 12.0, 16, periodic=False)


def vlasov():
    return V.perturbed(V.Maxwellian(length=2 * np.pi), jk.Grid(X, AXIS), 0.1)


def grid_run(system, state, **options):
    save = jk.Save(every=1, state=True, observe={"x": jk.diagnostics.momentum} if isinstance(state, jk.Particles) else {})
    return jk.simulate(system, state, dt=0.01, num_steps=1, save=save, throw=False, **options)


def test_states_on_grids():
    """A grid's axes are coordinates, named by what the system says they are. Catches a velocity that is called a position,
    wavenumbers without their order, and a speed that is off by half a cell."""
    found = grid_run(V.Vlasov(V.Cosine()), vlasov()).to_xarray()
    assert found.f.dims == ("time", "x", "v")
    assert found.final_f.dims == ("x", "v")
    np.testing.assert_allclose(found.x, X.points)
    np.testing.assert_allclose(found.v, AXIS.points)
    assert found.x.attrs["long_name"] == "position"
    assert (found.x.attrs["periodic"], found.v.attrs["periodic"]) == (1, 0)
    wave = jk.Wave(jnp.sqrt(vlasov().f), jk.Grid(X, AXIS)).fourier_picture()
    found = grid_run(V.HamiltonHartree(V.Cosine()), wave).to_xarray()
    assert found.alpha.dims == ("time", "x", "xi")
    np.testing.assert_allclose(found.xi, 2 * np.pi * np.fft.fftfreq(16, 12 / 16))
    assert found.alpha.attrs["picture"] == "fourier"
    angle = jk.Axis(0.0, 2 * np.pi, 8)
    law = jk.Density(1 + 0.5 * jnp.cos(angle.points), jk.Grid(angle))
    found = grid_run(L.TorusPDE(L.Trigonometric([[0], [1]], [1.0, 0.5])), law).to_xarray()
    assert found.f.dims == ("time", "v")
    radial = jk.RadialDensity(jnp.exp(-0.5 * jk.RadialGrid(9.0, 60).speeds ** 2), jk.RadialGrid(9.0, 60))
    found = grid_run(jk.boltzmann.IsotropicPDE(jk.boltzmann.Maxwell()), radial).to_xarray()
    assert found.f.dims == ("time", "speed")
    np.testing.assert_allclose(found.speed, radial.grid.speeds)
    assert found.f.attrs["velocity_dimension"] == 3


@pytest.mark.parametrize("case", ["particles", "grid"])
def test_chunks_are_the_run(case, tmp_path):
    """The dataset of chunks has the variables and coordinates of that of one run, bit for bit, and its attributes; also after
    a continuation. Catches names of axes that a file does not keep, and the attributes of the first chunk."""
    if case == "grid":
        system, state, options = V.Vlasov(V.Cosine()), vlasov(), {"dt": 0.01}
        save = jk.Save(every=2, state=True, observe={"x": V.magnetisation})
    else:
        system, state, options = KAC, start(), {"dt": 0.01, "key": KEY}
        # Names in files are joined by "/".
        save = jk.Save(every=2, state=True, observe={n.replace("/", "_"): f for n, f in OBSERVE.items()})
    one = jk.simulate(system, state, num_steps=6, save=save, **options).to_xarray()
    for _ in jk.iterate(system, state, num_steps=4, chunk=4, save=save, path=tmp_path / "run", **options):
        pass
    end = jk.load_checkpoint(tmp_path / "run" / "checkpoint.npz")
    for _ in jk.iterate(system, end, num_steps=2, chunk=2, save=save, path=tmp_path / "run"):
        pass
    chunks = jk.read_chunks(tmp_path / "run")
    assert isinstance(chunks, dict)
    two = chunks.to_xarray()
    assert set(one.variables) - set(two.variables) == {name for name in one.variables if name.startswith("final_")}
    for name in set(one.variables) & set(two.variables):
        assert one[name].identical(two[name]), name
    np.testing.assert_array_equal(two["chunk"], [4, 6])
    np.testing.assert_array_equal(two.stats_steps, [4, 2])
    same = {name: x for name, x in one.attrs.items() if not name.startswith("stats_")}
    assert {name: two.attrs.get(name) for name in same} == same
    with xarray.open_dataset(chunks.to_netcdf(tmp_path / "run.nc")) as read:
        np.testing.assert_array_equal(read.time, one.time)


def test_chunks_of_an_earlier_version(tmp_path):
    """Files without a manifest still have names and dimensions. Catches an error about an entry that they lack."""
    for _ in jk.iterate(V.Vlasov(V.Cosine()), vlasov(), dt=0.01, num_steps=2, chunk=2, path=tmp_path,
                        save=jk.Save(every=1, state=True)):  # fmt: skip
        pass
    chunks = jk.read_chunks(tmp_path)
    chunks.headers = tuple({k: x for k, x in h.items() if k not in ("manifest", "states")} for h in chunks.headers)
    found = chunks.to_xarray()
    assert found.f.dims == ("time", "axis_0", "axis_1")
    np.testing.assert_allclose(found.axis_1, AXIS.points)
    assert "system" not in found.attrs


def test_sentences(solution, monkeypatch):
    """Catches an empty dataset in a traced function, and a raw `ModuleNotFoundError`."""
    traced = jax.jit(lambda dt: jk.simulate(KAC, start(), key=KEY, dt=dt, num_steps=1, throw=False).to_xarray().dt)
    assert_argument_error(lambda: traced(0.1), "`solution` must be concrete, but is traced")
    monkeypatch.setitem(sys.modules, "h5netcdf", None)
    with pytest.raises(ImportError, match=r"^A netCDF file needs h5netcdf; run `pip install 'jaxkinetic\[data\]'`\.$"):
        solution.to_netcdf("run.nc")
    monkeypatch.setitem(sys.modules, "xarray", None)
    with pytest.raises(ImportError, match=r"^`to_xarray` needs xarray; run `pip install 'jaxkinetic\[data\]'`\.$"):
        solution.to_xarray()

"""What every system that `Strang` drives must do, whatever its potential: the contract of test_contract.py, on a grid.

Cases of one program share a worker (`xdist_group`): a test that runs what another one ran compiles nothing.
"""

import math
import operator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

V = jk.vlasov
SYSTEMS = {"vlasov": V.Vlasov, "velocity": V.HamiltonVlasov, "fourier": V.HamiltonHartree}
STEPS, DT, CIRCLE = 8, 0.1, 2 * math.pi


class Screened(V.AbstractPotential):
    """A user's own potential, which the library has never seen: hat Gamma = strength/(k^2 + screening^2)."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)
    screening: jax.Array = eqx.field(converter=jnp.asarray)
    regular = False

    def gamma(self, x):
        """In d = 1."""
        m = self.screening.astype(x.dtype)
        turn = jnp.abs(x[..., 0]) % CIRCLE
        return self.strength.astype(x.dtype) * jnp.cosh(m * (math.pi - turn)) / (2 * m * jnp.sinh(m * math.pi))

    def coefficients(self, axes):
        square = jnp.zeros((), axes[0].length.dtype)
        for i, axis in enumerate(axes):
            count = jnp.asarray([min(j, axis.num - j) for j in range(axis.num)], axis.length.dtype)
            square = square + jk.spectral.along((CIRCLE / axis.length * count) ** 2, i, len(axes))
        return self.strength / (square + self.screening**2)

    def bound(self, dim):
        return jnp.full((), jnp.inf, self.strength.dtype)


class Bell(eqx.Module):
    """A function with parameters, for `Custom`: every harmonic of a torus, smooth."""

    strength: jax.Array = eqx.field(converter=jnp.asarray)
    sharpness: jax.Array = eqx.field(converter=jnp.asarray)

    def __call__(self, x):
        return self.strength * jnp.exp(self.sharpness * jnp.sum(jnp.cos(x) - 1, -1))


def bare(x):
    """A plain function, for `Custom`."""
    return -0.7 * jnp.sum(jnp.cos(x), -1)


class Fragile(V.Cosine):
    """Attracts, and breaks at the one place where the density is largest, if it is above a threshold."""

    threshold: jax.Array

    def __init__(self, strength, threshold):
        super().__init__(strength)
        self.threshold = jnp.asarray(threshold)

    def field(self, rho, axes):
        top = jnp.max(rho)
        # 1: a point mass, which may be tried before a run.
        broken = (rho == top) & (top > self.threshold) & (top < 1)
        return tuple(jnp.where(broken, jnp.nan, e) for e in super().field(rho, axes))


class Sum(V.AbstractPotential):
    """All potentials on a torus at once: one program has the derivatives in all of their parameters."""

    cosine: V.Cosine
    gaussian: V.Gaussian
    poisson: V.Poisson
    custom: V.Custom
    screened: Screened
    regular = False

    @property
    def parts(self):
        return self.cosine, self.gaussian, self.poisson, self.custom, self.screened

    def gamma(self, x):
        return sum(part.gamma(x) for part in self.parts)

    def coefficients(self, axes):
        return sum(part.coefficients(axes) for part in self.parts)

    def bound(self, dim):
        return sum(part.bound(dim) for part in self.parts)


POTENTIALS = {
    "cosine": lambda: V.Cosine(0.8),
    "gaussian": lambda: V.Gaussian(-0.6, 0.9),
    "poisson": lambda: V.Poisson(CIRCLE, 5.0),
    "harmonic": lambda: V.Harmonic(0.7),
    "custom": lambda: V.Custom(Bell(-0.6, 0.7)),
    "bare": lambda: V.Custom(bare),
    "screened": lambda: Screened(4.0, 0.8),
    "sum": lambda: Sum(*(POTENTIALS[name]() for name in ("cosine", "gaussian", "poisson", "custom", "screened"))),
}
# Poisson's length is there for `check` and for particles: on a grid the wavenumbers are those of the grid.
PARAMETERS = {
    "harmonic": ("stiffness",),
    "sum": ("cosine.strength", "gaussian.strength", "gaussian.width", "poisson.strength", "custom.fn.strength",
            "custom.fn.sharpness", "screened.strength", "screened.screening"),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    kind: str
    interaction: str
    dim: int = 1
    order: int = 2
    dtype: str = "float64"

    def __str__(self) -> str:
        return f"{self.kind}-{self.interaction}-d{self.dim}-order{self.order}-{self.dtype}"

    @property
    def complex(self) -> str:
        return {"float32": "complex64", "float64": "complex128"}[self.dtype]

    def grid(self) -> jk.Grid:
        return grid(self.dim, trapped=self.interaction == "harmonic")

    def system(self) -> jk.AbstractSystem:
        return SYSTEMS[self.kind](POTENTIALS[self.interaction]())


def grouped(*cases: Case) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "case", [pytest.param(c, marks=pytest.mark.xdist_group(f"split-{c}"), id=str(c)) for c in cases]
    )


def grid(dim: int, *, trapped: bool = False) -> jk.Grid:
    """`trapped`: positions on the whole space, and data that decay there."""
    num_x, num_v = ((16,), (24,)) if dim == 1 else ((6, 4), (8, 6))
    circles = [jk.Axis(start, CIRCLE, num) for start, num in zip((0.3, -1.0), num_x, strict=False)]
    lines = [line(num, 0.1) for num in num_x]
    return jk.Grid(*(lines if trapped else circles), *[line(num, 0.3 * (i + 1)) for i, num in enumerate(num_v)])


def line(num: int, centre: float) -> jk.Axis:
    """From -4.6 to 4.6 about the centre, ends included: wide enough for a Gaussian, few points or many."""
    return jk.Axis(centre - 4.6, 9.2 * num / (num - 1), num, periodic=False)


def mesh(g: jk.Grid) -> list[np.ndarray]:
    return np.meshgrid(*(np.asarray(axis.points) for axis in g.axes), indexing="ij")


def amplitude(g: jk.Grid, width: float = 1.0, shift: float = 0.2) -> np.ndarray:
    """Complex, of norm 1, with a mean velocity, without a symmetry; it decays where an axis is not periodic."""
    d, points = g.half, mesh(g)
    x, across, v = points[0], points[d - 1], [c - shift * (1 + i) for i, c in enumerate(points[d:])]
    square = sum(c * c for c in v)
    weight = np.exp(
        -sum(c * c for c, axis in zip([*points[:d], *v], g.axes, strict=True) if not axis.periodic) / (2 * width)
    )
    f = (1 + 0.3 * np.cos(x) + 0.2 * np.sin(across + 0.4)) * weight
    angle = (0.5 * np.sin(x) + 0.3 * np.cos(across + 1)) * np.exp(-square / (6 * width)) * (1 + 0.3 * v[0])
    return normalised(np.sqrt(f) * np.exp(1j * angle), g)


def normalised(alpha: np.ndarray, g: jk.Grid) -> np.ndarray:
    return alpha / np.sqrt(np.sum(np.abs(alpha) ** 2) * float(g.cell))


def as_state(kind: str, alpha: np.ndarray, g: jk.Grid):
    if kind == "vlasov":
        return jk.Density(np.abs(alpha) ** 2, g)
    wave = jk.Wave(alpha, g)
    return wave if kind == "velocity" else wave.fourier_picture()


@cache
def start(case: Case):
    g = case.grid()
    return as_state(case.kind, amplitude(g).astype(case.complex), g)


def values(state) -> jax.Array:
    return state.f if isinstance(state, jk.Density) else state.alpha


def square(state) -> jax.Array:
    if isinstance(state, jk.Density):
        return state.f
    alpha = state.velocity_picture().alpha
    return alpha.real**2 + alpha.imag**2


TRACES = []


def observed(state) -> jax.Array:
    TRACES.append(1)
    f = square(state)
    return jnp.stack([jnp.sum(f), jnp.max(f)])


SPARSE = jk.Save(steps=(0, 3, 5), state=True, observe={"o": observed})


def run(case: Case, state=None, num_steps=STEPS, system=None, **options):
    system = case.system() if system is None else system
    state = start(case) if state is None else state
    own = {"dt": DT, "scheme": jk.Strang(case.order), "num_steps": num_steps, "save": SPARSE}
    return jk.simulate(system, state, **(own | options))


def identical(x, y) -> bool:
    same = (
        np.array_equal(a, b) and a.dtype == b.dtype for a, b in zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
    )
    return jax.tree.structure(x) == jax.tree.structure(y) and all(same)


EVERY = [Case("velocity", name, dtype="float32") for name in POTENTIALS]
EVERY += [Case(kind, name, dtype="float32") for kind in ("vlasov", "fourier") for name in ("gaussian", "harmonic")]
EVERY += [Case(kind, "gaussian", 2, 2, "float32") for kind in SYSTEMS] + [Case(kind, "gaussian") for kind in SYSTEMS]


@pytest.mark.parametrize("case", EVERY, ids=str)
def test_dtype_is_kept(case):
    """Catches an array made without dtype: float64 in the program of a float32 run (x64 is on here), or the other way.
    Also a final state in another picture or on another grid than came in."""
    real, complex_ = jnp.dtype(case.dtype), jnp.dtype(case.complex)

    def traced(system, state):
        out = run(case, state, 5, system, adjoint=jk.Direct(), throw=False)
        return out.final, out.states, out.observed, out.times, out.stats, out.checkpoint.carry

    system = jax.tree.map(lambda x: jnp.asarray(np.asarray(x), real) if eqx.is_array(x) else x, case.system())
    arrays, rest = eqx.partition((system, start(case)), eqx.is_array)
    program, shapes = jax.make_jaxpr(lambda a: traced(*eqx.combine(a, rest)), return_shape=True)(arrays)
    floats = [leaf for leaf in jax.tree.leaves(shapes) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    assert {leaf.dtype for leaf in floats} == {real} | ({complex_} if case.kind != "vlasov" else set())
    alien = {"float32": ("f64[", "c128["), "float64": ("f32[", "c64[")}[case.dtype]
    assert not [line for line in str(program).splitlines() if any(word in line for word in alien)]
    assert jax.tree.structure(shapes[0]) == jax.tree.structure(start(case))


BITWISE = [
    Case("vlasov", "gaussian"),
    Case("velocity", "screened", order=4, dtype="float32"),
    Case("fourier", "custom"),
    Case("velocity", "harmonic", dim=2, dtype="float32"),
]


@grouped(*BITWISE)
def test_saves_chunks_restarts_and_files_do_not_change_the_path(case, tmp_path):
    """Bitwise. Catches a step number that restarts at 0, a half step too many where a run is cut, a leaf or an option that a
    file loses, and programs whose steps are compiled differently (chunks of one step among them)."""
    whole = run(case)
    assert not np.allclose(values(whole.final), values(start(case)), rtol=1e-2)
    chunks = list(jk.iterate(case.system(), start(case), chunk=1, num_steps=STEPS, dt=DT, scheme=jk.Strang(case.order)))
    states = [start(case), *(c.final for c in chunks)]
    assert identical(states[-1], whole.final)
    for place, step in enumerate((0, 3, 5)):
        # To an ulp or so: a state that is saved has gone through another program than one at an end.
        saved, top = np.asarray(values(whole.states))[place], np.abs(values(states[step])).max()
        np.testing.assert_allclose(saved, values(states[step]), atol=20 * jnp.finfo(case.dtype).eps * top)
    loaded = jk.load_checkpoint(jk.save_checkpoint(tmp_path / "run.npz", chunks[4].checkpoint))
    assert loaded.scheme == jk.Strang(case.order)
    rest = jk.simulate(case.system(), loaded, num_steps=1)
    assert rest.checkpoint.step == 6
    assert identical(rest.final, chunks[5].final)
    assert identical(rest.times, chunks[5].times)
    np.testing.assert_allclose(rest.times, [6 * DT], rtol=1e-6)


@grouped(*BITWISE)
def test_one_trace_serves_new_parameters_states_and_steps(case):
    """Catches a recompilation at every call, which no result shows; and a potential or a grid frozen into the program."""
    first = run(case)
    traces = len(TRACES)
    assert traces > 0
    system = jax.tree.map(lambda x: x * 0.9 if eqx.is_array(x) else x, case.system())
    results = [run(case, system=system)]
    state = start(case)
    other = eqx.tree_at(values, state, values(state)[::-1])
    results += [run(case, other), run(case, dt=0.05, t0=1.0)]
    results += [run(case, eqx.tree_at(lambda s: s.grid.axes[-1].start, state, state.grid.axes[-1].start - 0.3))]
    assert len(TRACES) == traces
    for result in results:
        assert not np.allclose(values(result.final), values(first.final), rtol=1e-3)


def test_a_plain_function_is_a_potential(tmp_path):
    """It runs and goes on from a checkpoint in memory; a file cannot hold it, and says what can. Catches a function as a
    leaf of what the loop carries."""
    case, save = Case("velocity", "bare"), jk.Save()
    first = run(case, num_steps=1, save=save)
    rest = jk.simulate(case.system(), first.checkpoint, num_steps=1)
    assert identical(rest.final, run(case, num_steps=2, save=save).final)
    with pytest.raises(ValueError, match=r"no function, which no file can hold.*`__call__` of an eqx.Module"):
        jk.save_checkpoint(tmp_path / "run.npz", first.checkpoint)


# d/d of: the potential's parameters, dt, the grid, and the initial values, along one direction.
GRADIENTS = [
    (Case("vlasov", "sum"), jk.Checkpointed()),
    (Case("vlasov", "sum"), jk.Reversible()),
    (Case("velocity", "sum", dim=2), jk.Direct()),
    (Case("fourier", "harmonic"), jk.Checkpointed()),
    (Case("fourier", "sum"), jk.Reversible()),
]


@dataclass(frozen=True)
class Knobs:
    """A run as a function of numbers, named."""

    case: Case
    adjoint: eqx.Module

    @property
    def at(self) -> dict[str, np.ndarray]:
        system, axes = self.case.system(), start(self.case).grid.axes
        paths = {path: operator.attrgetter(path)(system.potential) for path in PARAMETERS[self.case.interaction]}
        places = {f"{part} {i}": getattr(axis, part) for i, axis in enumerate(axes) for part in ("start", "length")}
        return {name: np.asarray(x, np.float64) for name, x in (paths | places | {"dt": DT, "data": 0.0}).items()}

    def __call__(self, knobs: dict[str, Any]) -> jax.Array:
        """A number without symmetry, of the values alone: a grid that counts must have counted on the way."""
        case, state, system = self.case, start(self.case), self.case.system()
        for path in PARAMETERS[case.interaction]:
            system = eqx.tree_at(lambda s, p=path: operator.attrgetter(p)(s.potential), system, knobs[path])
        for i in range(2 * case.dim):
            for part in ("start", "length"):
                leaf = partial(lambda s, i, part: getattr(s.grid.axes[i], part), i=i, part=part)
                state = eqx.tree_at(leaf, state, knobs[f"{part} {i}"])
        first = values(state)
        ramp = np.linspace(0.5, 1.5, first.size).reshape(first.shape)
        state = eqx.tree_at(values, state, first * (1 + knobs["data"] * ramp).astype(first.dtype))
        final = run(case, state, 5, system, dt=knobs["dt"], adjoint=self.adjoint, throw=False, save=jk.Save()).final
        y = values(final)
        z = (y * y * y).real if jnp.iscomplexobj(y) else y * y
        return jnp.sum(np.sin(7 * ramp) * (1 + ramp) * z) / np.max(np.abs(first)) ** 2

    def ends(self, step: float) -> dict[str, np.ndarray]:
        """(2,) of central differences' two values for every knob: all in one program, a `vmap` over the parameters."""
        at, names = self.at, list(self.at)
        moved = [{**at, name: at[name] + sign * step} for name in names for sign in (1, -1)]
        out = jax.jit(jax.vmap(self))({name: np.stack([m[name] for m in moved]) for name in names})
        return dict(zip(names, np.asarray(out).reshape(-1, 2), strict=True))


@pytest.mark.parametrize(("case", "adjoint"), GRADIENTS, ids=str)
def test_gradient_is_the_finite_difference_and_not_zero(case, adjoint):
    """In every parameter, dt, the grid and the data, through `vmap`. Catches a table made from a parameter at another value
    (derivative 0), a wrong transpose, and an adjoint that loses what comes through the loop or through the tables.

    The start of an axis of position alone does not count: the equation is invariant under translations."""
    knobs = Knobs(case, adjoint)
    derivative = jax.jit(jax.grad(knobs))(knobs.at)
    derivative, ends = jax.tree.map(np.asarray, derivative), knobs.ends(1e-5)
    scale = max(abs(float(d)) for d in derivative.values())
    for name, pair in ends.items():
        difference = (pair[0] - pair[1]) / 2e-5
        np.testing.assert_allclose(derivative[name], difference, rtol=1e-6, atol=1e-9 * scale, err_msg=name)
        still = name in [f"start {i}" for i in range(case.dim)]
        assert (abs(derivative[name]) < 1e-9 * scale) if still else (abs(derivative[name]) > 1e-6 * scale), name


def rolled(case: Case, key: jax.Array):
    return eqx.tree_at(values, start(case), jnp.roll(values(start(case)), jax.random.randint(key, (), 0, 16), 0))


@grouped(BITWISE[2])
def test_replicas_are_the_runs_alone(case):
    """To a few ulp. Catches a system that cannot be batched, and replicas that share their data."""
    init, key = jax.tree_util.Partial(rolled, case), jax.random.key(3)
    together = jk.ensemble(case.system(), init, key=key, replicas=3, num_steps=STEPS, dt=DT, batch=2)
    finals = np.asarray(values(together.final))
    for r in range(3):
        alone = run(case, init(jax.random.split(jax.random.fold_in(key, r))[0]))
        np.testing.assert_allclose(finals[r], values(alone.final), rtol=1e-9, atol=1e-13)
        for name in ("boundary_mass", "spectral_tail_x", "spectral_tail_v"):
            np.testing.assert_allclose(together.stats[name][r], alone.stats[name], rtol=1e-6, atol=1e-15)
    assert not np.allclose(finals[0], finals[1], rtol=1e-3)


@pytest.mark.parametrize(
    "case",
    [
        Case(*words, dtype="float32")
        for words in (("vlasov", "gaussian"), ("velocity", "poisson", 2), ("fourier", "screened"))
    ],
    ids=str,
)
def test_exports_to_every_platform_without_host_callbacks(case):
    """Catches code that only a CPU can run, and a callback left in a program asked not to raise; gradients included."""
    state = start(case)

    def value(strength, *parts):
        data = parts[0] if case.kind == "vlasov" else jax.lax.complex(*parts)
        system = jax.tree.map(lambda x: x.astype(jnp.float32) * strength, case.system())
        state = eqx.tree_at(values, start(case), data)
        out = run(case, state, 3, system, adjoint=jk.Reversible(), throw=False, save=jk.Save())
        return jnp.sum(square(out.final) ** 2)

    data = values(state)
    example = (jnp.ones((), jnp.float32), *((data.real, data.imag) if jnp.iscomplexobj(data) else (data,)))
    function = jax.jit(jax.value_and_grad(value, argnums=(0, 1)))
    exported = jax.export.export(function, platforms=("cpu", "cuda", "tpu"))(*example)
    assert exported.platforms == ("cpu", "cuda", "tpu")
    assert "callback" not in str(function.trace(*example).jaxpr)
    throws = jax.jit(lambda data: run(case, eqx.tree_at(values, state, data), 3, save=jk.Save()).final)
    assert "callback" in str(throws.trace(data).jaxpr)


G1 = grid(1)


def attempt(state=None, potential=None, kind="vlasov", **options):
    state = start(Case(kind, "cosine")) if state is None else state
    system = SYSTEMS[kind](V.Cosine() if potential is None else potential)
    return jk.simulate(system, state, dt=DT, num_steps=1, **options)


def density(values) -> jk.Density:
    return jk.Density(values, jk.Grid(*(jk.Axis(0.0, CIRCLE, num) for num in np.shape(values))))


def wave(values) -> jk.Wave:
    return jk.Wave(values, density(np.ones(np.shape(values))).grid)


def spoiled(value: float) -> np.ndarray:
    out = np.ones((4, 6))
    out[3, 4] = value
    return out


def stack(tree):
    return jax.tree.map(lambda x: jnp.stack([x, x]), tree)


def strang_for_kac():
    kac, state = jk.landau.Kac(jk.landau.Maxwell()), jk.Particles(np.ones((3, 3)))
    return jk.simulate(kac, state, scheme=jk.Strang(), dt=DT, num_steps=1)


AXES = "`grid` must have as many axes of velocity as of position, but has 3"
PLACE = r" must hold finite numbers, but has a NaN or infinity at \(3, 4\)"
ONLY = "supports, but is {}; use one of: Leapfrog, Strang, Yoshida"
BAD = {
    "a Wave for Vlasov": (lambda: attempt(wave(np.ones((4, 4)))), "`state` must be a Density, but is a Wave; pass"),
    "a Density for HVl": (
        lambda: attempt(density(np.ones((4, 4))), kind="velocity"),
        "`state` must be a Wave, but is a Density",
    ),
    "a Density for HHt": (
        lambda: attempt(density(np.ones((4, 4))), kind="fourier"),
        "`state` must be a Wave, but is a Density",
    ),
    "Particles": (lambda: attempt(jk.Particles(np.ones((3, 2)))), "`state` must be a Density, but is a Particles"),
    "an array": (lambda: attempt(jnp.ones((4, 4))), "`state` must be a Density, but is a "),
    "three axes": (lambda: attempt(density(np.ones((4, 4, 4)))), AXES),
    "a wave of three axes": (lambda: wave(np.ones((4, 4, 4))), AXES),
    "states": (lambda: attempt(stack(density(np.ones((4, 4))))), r"`state\.f` must have .*\(2, 4, 4\).*vmap"),
    "waves": (
        lambda: attempt(stack(wave(np.ones((4, 4)))), kind="velocity"),
        r"`state\.alpha` must have .*\(2, 4, 4\).*vmap",
    ),
    "Euler": (
        lambda: attempt(scheme=jk.EulerMaruyama()),
        "`scheme` must be one that Vlasov " + ONLY.format("EulerMaruyama"),
    ),
    "Sweep": (
        lambda: attempt(kind="fourier", scheme=jk.pairs.Sweep()),
        "`scheme` must be one that HamiltonHartree " + ONLY.format("Sweep"),
    ),
    "Strang for Kac": (
        strang_for_kac,
        "`scheme` must be one that Kac supports, but is Strang; use one of: .*EulerMaruyama",
    ),
    "order 3": (lambda: jk.Strang(3), "`order` must be 2 or 4, but is 3"),
    "NaN": (lambda: attempt(density(spoiled(np.nan))), r"`state\.f`" + PLACE),
    "infinite": (lambda: attempt(wave(spoiled(np.inf)), kind="velocity"), r"`state\.alpha`" + PLACE),
    "potential": (lambda: attempt(potential=1.0), r"`potential` must be a potential, but is 1\.0"),
    "a class": (lambda: attempt(potential=V.Cosine), "`potential` must be a potential, but is <class"),
    "circle": (
        lambda: attempt(jk.Density(np.ones((4, 4)), jk.Grid(*[jk.Axis(0, 3, 4)] * 2))),
        "`grid` must have positions on a circle of length 2 pi for Cosine, but has length 3",
    ),
    "torus": (
        lambda: attempt(potential=V.Poisson(3.1)),
        r"`grid` must have positions on a torus of length 3\.1, that of Poisson, but has length 6\.28",
    ),
    "odd": (
        lambda: attempt(potential=V.Custom(lambda x: jnp.sin(x[..., 0]))),
        "`fn` must be even, but differs .* by 2",
    ),
    "not finite": (lambda: attempt(potential=V.Custom(lambda x: 1 / jnp.abs(x[..., 0]))), "`fn` must be finite"),
    "not scalar": (lambda: attempt(potential=V.Custom(jnp.cos)), r"`fn` must map \(.*but gives shape \(16, 1\)"),
    "no function": (lambda: attempt(potential=V.Custom(3)), "`fn` must be a function.*but is 3"),
    "integers": (lambda: wave(np.ones((4, 4), int)), "`alpha` must be .*int"),
    "half precision": (lambda: attempt(density(np.ones((4, 4), np.float16))), "`f` must be .*float16"),
    "shape": (lambda: jk.Density(np.ones((24, 16)), G1), r"`f` must have the shape of the grid, \(16, 24\), but has"),
    "picture": (lambda: jk.Wave(np.ones(G1.shape), G1, "k"), '`picture` must be "velocity" or "fourier", but is \'k\''),
    "width": (lambda: V.Gaussian(1.0, 0.0), "`width` must be positive, but is 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_clear_sentence(name):
    """Names the argument, what it must be, what it was, and what to do."""
    call, sentence = BAD[name]
    with pytest.raises(ValueError, match="^Argument " + sentence) as error:
        call()
    text = str(error.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert "; " in text


@pytest.mark.parametrize("kind", SYSTEMS)
def test_what_breaks_in_a_run_is_reported_at_its_step(kind):
    """A field that overflows, and one that is NaN from the step on at which the density passes a threshold: which step that
    is, is found from the states by the flows themselves. Catches a result a step off, one that later steps overwrite, and a
    NaN that the part of the carry that is looked at does not see."""
    case = Case(kind, "cosine")
    every = jk.Save(every=1, state=True)

    def solution(strength, threshold, throw=False):
        return run(case, system=SYSTEMS[kind](Fragile(strength, threshold)), dt=0.2, save=every, throw=throw)

    calm = solution(9.0, jnp.inf)
    assert bool(calm.result.ok)
    assert int(calm.result.step) == -1
    assert str(calm.result) == "finished"

    @jax.jit
    @jax.vmap
    def top(state):
        midway = case.system().flows[0](jnp.asarray(0.1), jnp.asarray(0.0), state)
        return jnp.max(jnp.sum(square(midway), 1)) * state.grid.axes[1].spacing

    tops = np.asarray(top(calm.states))
    expected = 5
    assert max(tops[: expected - 1]) < tops[expected - 1] * (1 - 1e-3)
    threshold = (max(tops[: expected - 1]) + tops[expected - 1]) / 2
    broken = solution(9.0, threshold)
    assert (int(broken.result.code), int(broken.result.step)) == (jk.Result.NOT_FINITE, expected)
    assert np.array_equal(np.asarray(values(broken.states))[:expected], np.asarray(values(calm.states))[:expected])
    assert not np.isfinite(values(broken.final)).all()
    with pytest.raises(jk.SimulationError, match=f"NaN or infinite in step {expected}; lower `dt`"):
        solution(9.0, threshold, throw=True)
    assert int(solution(1e300, jnp.inf).result.step) == 1


def share(x, where) -> float:
    return float(np.sum(np.abs(x[where]) ** 2) / np.sum(np.abs(x) ** 2))


def high(x, axis) -> float:
    """Of the square norm: what lies in the upper third of the wavenumbers."""
    num = x.shape[axis]
    up = [j for j in range(num) if 3 * min(j, num - j) > num]
    return share(np.moveaxis(np.fft.fft(x, axis=axis), axis, 0), up)


@grouped(BITWISE[0], BITWISE[2], BITWISE[3])
def test_stats_are_what_their_names_say(case):
    """Against numpy, on data whose ends of the velocities differ, in steps too short to move: what is under-resolved or leaves
    the box is seen. Catches a share of another norm, a wrong third, an end of an axis that is not looked at."""
    g, d = case.grid(), case.dim
    alpha = amplitude(g) * (1 + 0.2 * np.random.default_rng(d).random(g.shape))
    for i, num in enumerate(g.shape[d:]):
        end = np.linspace(0, 1, num).reshape([-1 if j == d + i else 1 for j in range(2 * d)]) ** 8
        alpha = alpha + 0.01 * end * np.abs(alpha).max(d + i, keepdims=True)
    alpha = normalised(alpha, g)
    state = as_state(case.kind, alpha.astype(case.complex), g)
    solution = run(case, state, dt=1e-9)
    assert bool(solution.result.ok)
    assert int(solution.stats["steps"]) == STEPS
    mass = np.abs(alpha) ** 2
    own = mass if case.kind == "vlasov" else alpha
    expected = {
        "spectral_tail_x": max(high(own, i) for i in range(d)),
        "spectral_tail_v": max(high(own, d + i) for i in range(d)),
        # One line at either end of an axis is at least a sixteenth of it, as wide as can be.
        "boundary_mass": sum(np.moveaxis(mass, d + i, 0)[[0, -1]].sum() for i in range(d)) / mass.sum(),
    }
    for name, share in expected.items():
        np.testing.assert_allclose(
            solution.stats[name], share, rtol=1e-5 if case.dtype == "float64" else 1e-3, err_msg=name
        )
        assert share > 1e-6


# The equations themselves, by numpy: every derivative is spectral, every convolution a double sum.
FINE = jk.Grid(jk.Axis(0.3, CIRCLE, 24), jk.Axis(-6.0, 12.0, 48, periodic=False))
BELL = (-0.6, 0.7)


def derivative(y: np.ndarray, axis: int, length: float) -> np.ndarray:
    num = y.shape[axis]
    k = 2 * math.pi / length * np.fft.fftfreq(num, 1 / num)
    k[num // 2] = 0
    k = k.reshape([-1 if i == axis else 1 for i in range(y.ndim)])
    return np.fft.ifft(1j * k * np.fft.fft(y, axis=axis), axis=axis)


def bracket(a, b, lengths=(CIRCLE, 12.0)) -> np.ndarray:
    """[a, b] = a_x b_v - a_v b_x."""
    (ax, av), (bx, bv) = ([derivative(y, i, lengths[i]) for i in (0, 1)] for y in (a, b))
    return ax * bv - av * bx


def gamma(order: int) -> np.ndarray:
    """Gamma (x_i - x_j), or its derivative, times dx."""
    x = np.asarray(FINE.axes[0].points)
    z = x[:, None] - x[None, :]
    value = BELL[0] * np.exp(BELL[1] * (np.cos(z) - 1))
    return (value if order == 0 else -BELL[1] * np.sin(z) * value) * CIRCLE / len(x)


def right_hand_side(kind: str, y: np.ndarray, sign: float = 1.0) -> np.ndarray:
    """d_t f, d_t alpha, d_t hat alpha, as MATH section 4 has them; `sign`: of K, or of its counterpart in (HHt)."""
    v, dv = np.asarray(FINE.axes[1].points), 12.0 / 48
    if kind == "vlasov":
        field = gamma(1) @ y.sum(1) * dv
        return (-v * derivative(y, 0, CIRCLE) + field[:, None] * derivative(y, 1, 12.0)).real
    if kind == "velocity":
        potential = gamma(0) @ (np.abs(y) ** 2).sum(1) * dv
        k = gamma(0) @ bracket(np.conj(y), y).sum(1) * dv
        # v^2/2 is no periodic function: its bracket by hand.
        moving = -v * derivative(y, 0, CIRCLE) + bracket(np.broadcast_to(potential[:, None], y.shape), y)
        return moving - sign * k[:, None] * y
    # hat alpha on increasing xi, where it decays at both ends like alpha in v.
    y = np.fft.fftshift(y, axes=1)
    num, dxi = y.shape[1], 2 * math.pi / 12.0
    xi = dxi * (np.arange(num) - num // 2)
    mixed = derivative(derivative(y, 0, CIRCLE), 1, num * dxi)
    weight = np.abs(y) ** 2 * dxi
    # hat V * |hat alpha|^2 = int int -Gamma'(x - y) (xi - eta) |hat alpha(y, eta)|^2
    convolved = -np.einsum("ij,jl,kl->ik", gamma(1), weight, xi[:, None] - sign * xi[None, :])
    return np.fft.ifftshift(-1j * (mixed + convolved * y), axes=1)


@pytest.mark.parametrize("kind", SYSTEMS)
def test_the_generator_and_a_tiny_step_are_the_equation(kind):
    """`generator` of two functions, and (state after dt of `Strang(4)` - state)/dt, extrapolated to dt = 0, against the
    equation as it is written down, with a complex alpha. Catches a sign of kappa or of the force, a factor 2, a missing part,
    a step that is not dt. A wrong sign of K is 5000 times further away than what passes."""
    state = as_state(kind, amplitude(FINE, 0.3, 0.0), FINE)
    system = SYSTEMS[kind](V.Custom(Bell(*BELL)))
    known = right_hand_side(kind, np.asarray(values(state)))
    size = np.abs(known).max()

    def stepped(dt):
        return jk.simulate(system, state, scheme=jk.Strang(4), dt=dt, num_steps=1).final

    def rate(dt):
        return (np.asarray(values(stepped(dt))) - np.asarray(values(state))) / dt

    tiny = 2 * rate(5e-5) - rate(1e-4)
    assert np.abs(tiny - known).max() < 2e-6 * size
    if kind != "vlasov":
        assert np.abs(right_hand_side(kind, np.asarray(values(state)), -1.0) - known).max() > 1e-2 * size
    rng, y = np.random.default_rng(0), np.asarray(values(state))
    weights, ramp = rng.normal(size=(2, *y.shape)), rng.normal(size=y.shape)
    weights = weights[0] + 1j * weights[1]

    def phi(state):
        """Two of them at once: linear, and of degree 4."""
        z = values(state).astype(weights.dtype)
        return jnp.stack([jnp.sum(weights * z).real, jnp.sum(ramp * (z.real**2 + z.imag**2) ** 2)])

    expected = np.array([np.sum(weights * known).real, np.sum(ramp * 4 * np.abs(y) ** 2 * (np.conj(y) * known).real)])
    scale = np.array([np.sum(np.abs(weights * known)), np.sum(4 * np.abs(ramp) * np.abs(y) ** 3 * np.abs(known))])
    found = np.asarray(jax.jit(system.generator(phi))(state))
    print(kind, np.abs(tiny - known).max() / size, (found - expected) / scale, expected / scale)
    assert (np.abs(found - expected) < 1e-8 * scale).all()
    assert (np.abs(expected) > 1e-3 * scale).all()
    slope = 2 * (phi(stepped(5e-5)) - phi(state)) / 5e-5 - (phi(stepped(1e-4)) - phi(state)) / 1e-4
    assert (np.abs(slope - found) < 2e-6 * scale).all()

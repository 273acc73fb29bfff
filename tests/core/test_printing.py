"""How systems, states and solutions print, and how a failure inside `jit` reads."""

import inspect
import logging

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxkinetic as jk

L, B, V, P = jk.landau, jk.boltzmann, jk.vlasov, jk.pairs
GRID = jk.Grid(jk.Axis(0.0, 2.0, 4), jk.Axis(-6.0, 12.0, 8, periodic=False))
AXES = "Grid(Axis(start=0.0, length=2.0, num=4), Axis(start=-6.0, length=12.0, num=8, periodic=False))"


def scaled(x, k):
    return -jnp.sum(jnp.cos(k * x), -1)


def double(x):
    return scaled(x, 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (L.PowerLaw(-3.0), "PowerLaw(gamma=-3.0, strength=1.0, softening=0.0)"),
        (L.PowerLaw(np.float32(-2.7), softening=0.1), "PowerLaw(gamma=-2.7, strength=1.0, softening=0.1)"),
        (L.Maxwell(), "Maxwell(strength=1.0)"),
        (L.Kac(L.PowerLaw(0, 2.0), sums="product"),
         "Kac(interaction=PowerLaw(gamma=0.0, strength=2.0, softening=0.0), sums='product')"),
        (L.MatrixSqrt(L.Trigonometric([[0], [1]], [1.0, 0.5])),
         "MatrixSqrt(interaction=Trigonometric(modes=((0,), (1,)), coefficients=[1.0, 0.5]))"),
        (L.Microcanonical(L.Maxwell(2.0), "heat_kernel", 0.1),
         "Microcanonical(interaction=Maxwell(strength=2.0), law='heat_kernel', epsilon=0.1)"),
        (B.KacWalk(B.HardSphere(), 8, 0.5), "KacWalk(cross_section=HardSphere(strength=1.0), volume=8.0, annihilation=0.5)"),
        (V.Vlasov(V.Poisson(2.0)), "Vlasov(potential=Poisson(length=2.0, strength=2.0))"),
        (V.NBody(V.Custom(double)), "NBody(potential=Custom(fn=double))"),
        (V.NBody(V.Custom(jax.tree_util.Partial(scaled, k=2.0))), "NBody(potential=Custom(fn=partial(scaled, k=2.0)))"),
        (V.GaussianAmplitude(np.eye(2)),
         "GaussianAmplitude(covariance=[[1.0, 0.0], [0.0, 1.0]], chirp=[[0.0, 0.0], [0.0, 0.0]])"),
        (GRID, AXES),
        (jk.Density(np.ones((4, 8)), GRID), f"Density(f=float64[4,8], grid={AXES})"),
        (jk.Wave(np.ones((4, 8)), GRID), f"Wave(alpha=complex128[4,8], grid={AXES}, num_particles=1)"),
        (jk.Particles(np.ones((2, 3)), alive=np.asarray([True, False])), "Particles(velocity=float64[2,3], alive=1 of 2)"),
        (jk.Strang(), "Strang(order=2)"),
        (L.Kac(L.PowerLaw(-3.0)), "Kac(interaction=PowerLaw(gamma=-3.0, strength=1.0, softening=0.0))"),
        (V.PseudoSchrodinger(V.Gaussian(), 2),
         "PseudoSchrodinger(potential=Gaussian(strength=1.0, width=1.0), num_particles=2)"),
        (P.ExactClock(capacity=8), "ExactClock(capacity=8)"),
        (jk.Checkpointed(), "Checkpointed()"),
        (jk.Save(every=3, observe={"E": jk.diagnostics.energy}), "Save(every=3, observe={'E': energy})"),
        (jk.Contextual(double), "Contextual(fn=double)"),
        (jk.Sum(jnp.asarray(1.5)), "Sum(value=1.5)"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_parameters_print_by_value(value, text):
    """The call that makes the object, with every number, on one line. Catches `weak_f32[]` for a number, digits that float32
    does not have, arrays of a state written out, and a parameter or an order that does not show because it has its default."""
    assert repr(value) == text
    assert str(value) == text


def test_every_public_module_prints_on_one_line():
    """Every public class that is an `eqx.Module` prints by our rule. Catches a class that is added with Equinox's own."""
    ours = jk.AbstractSystem.__repr__.__qualname__
    rooms = [jk, L, B, V, P, jk.diagnostics, jk.initial]
    classes = {c for room in rooms for n in room.__all__ if inspect.isclass(c := getattr(room, n))}
    found = {c for c in classes if issubclass(c, eqx.Module)}
    assert len(found) > 50
    others = {c.__name__ for c in found if c.__repr__.__qualname__ != ours}
    fits = {"DecayFit", "OscillationFit", "ParameterFit"}
    assert others <= {"Particles", "Solution", "Checkpoint", "Result", "Expectation", *fits}, others


class Falls(jk.AbstractDiffusion):
    """dx = -x^3/eps dt, which an Euler step of 1 sends to infinity."""

    conserves = {}  # noqa: RUF012

    def check(self, state): ...

    def default_scheme(self):
        return jk.EulerMaruyama()

    def generator(self, phi):
        raise AssertionError

    def drift(self, t, state):
        return -(state**3)

    def noise(self, key, t, dt, state):
        return jnp.zeros_like(state)


def first(state):
    return state[0]


def run(x, **options):
    save = jk.Save(every=2, state=True, observe={"first": first})
    return jk.simulate(Falls(), x, key=jax.random.key(0), dt=1.0, num_steps=12, save=save, **options)


def test_a_solution_prints_in_three_lines():
    """How it ended and when it saved, what was observed, the final state; traced and failed ones too. Catches a page of
    shapes."""
    text = repr(run(jnp.zeros(2)))
    assert text.splitlines() == [
        "Solution: finished; 7 saves, t = 0 to 12",
        "  observed: first float64[7]; states float64[7,2]",
        "  final: [0.0, 0.0]",
    ]
    failed = repr(run(jnp.full(2, 9.0), throw=False)).splitlines()
    assert len(failed) == 3
    assert failed[0].startswith("Solution: The state became NaN or infinite in step ")
    texts = []
    jax.make_jaxpr(lambda x: texts.append(repr(run(x))) or x)(jnp.zeros(2))
    assert texts[0].splitlines()[0] == "Solution: traced; 7 saves, t = 0 to 12"
    assert repr(run(jnp.zeros(2)).result) == "Result(finished)"
    assert repr(run(jnp.zeros(2)).checkpoint).startswith("Checkpoint(step=12, t0=0.0, dt=1.0, scheme=EulerMaruyama(), ")


def bad_step():
    x, step = np.float64(9.0), 0
    while np.isfinite(x):
        with np.errstate(all="ignore"):
            x, step = x - x**3, step + 1
    return step


def final(x):
    return run(x).final


def many(x):
    return jk.ensemble(Falls(), x, key=jax.random.key(0), replicas=3, dt=1.0, num_steps=12).final


@pytest.mark.parametrize(
    ("call", "runs"),
    [
        (jax.jit(final), ""),
        (eqx.filter_jit(final), ""),
        (jax.jit(jax.grad(lambda x: jnp.sum(final(x)))), ""),
        (lambda x: jax.vmap(final)(jnp.stack([0 * x, x])), " (1 of 2 runs)"),
        (lambda x: jax.jit(jax.vmap(final))(jnp.stack([0 * x, x, x])), " (2 of 3 runs)"),
        (jax.jit(many), " (3 of 3 runs)"),
    ],
    ids=["jit", "filter_jit", "grad", "vmap", "jit of vmap", "ensemble"],
)  # fmt: skip
def test_failures_in_traced_functions_end_in_our_sentence(call, runs, monkeypatch):
    """The last of at most three lines is the sentence with the first bad step, and nothing is logged. Catches the traceback of
    a callback behind it, and a sentence that does not say which step."""
    logged = []
    handler = logging.Handler()
    handler.emit = logged.append
    logger = logging.getLogger(jax.pure_callback.__module__)
    monkeypatch.setattr(logger, "handlers", [handler])
    monkeypatch.setattr(logger, "propagate", False)
    with pytest.raises(Exception, match="became NaN or infinite") as error:
        jax.block_until_ready(call(jnp.full(2, 9.0)))
    lines = str(error.value).strip().splitlines()
    assert len(lines) <= 3
    name = "ensemble" if "3 of 3" in runs else "simulate"
    assert lines[-1].startswith(
        f"SimulationError: The state became NaN or infinite during `{name}`, in step {bad_step()}{runs}; lower `dt`"
    )
    assert not logged
    np.testing.assert_array_equal(jax.jit(final)(jnp.zeros(2)), 0)

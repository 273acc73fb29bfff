"""Inputs that a user reaches by a slip end in one sentence: which argument, what it must be, what it is, what to do.

One row an input in the `.tsv` files beside this one: an expression, a tab, and what the error says after "Argument ". The
names in the expressions are those of `NAMES`. No run is compiled: errors come before.
"""

import contextlib
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import count_programs

import jaxkinetic as jk

HERE = Path(__file__).parent
KEY = jax.random.wrap_key_data(np.zeros(2, np.uint32))


def key(seed=0):
    """Made without compiling anything."""
    return KEY


def S(num=8, dim=3):
    """Particles with velocities."""
    return jk.Particles(np.arange(num * dim, dtype=float).reshape(num, dim) % 7 - 3)


def bodies(num=8):
    """Particles with positions, d = 1."""
    return jk.Particles(np.arange(float(num))[:, None] % 3 - 1, np.arange(float(num))[:, None] / num)


G = jk.Grid(jk.Axis(0.0, 4 * math.pi, 8), jk.Axis(-6.0, 12.0, 32, periodic=False))
V2 = np.exp(-(np.linspace(-6, 6, 32, endpoint=False) ** 2) / 2) / math.sqrt(2 * math.pi) / (4 * math.pi)
F = jk.Density(np.ones((8, 1)) * V2, G)
W = jk.Wave(np.sqrt(np.ones((8, 1)) * V2), G)
C = jk.Density(np.full(8, 1 / (2 * math.pi)), jk.Grid(jk.Axis(0.0, 2 * math.pi, 8)))
T1 = jk.landau.Trigonometric([[0], [1]], [1.0, 0.5])


def kac():
    return jk.landau.Kac(jk.landau.Maxwell())


def walk():
    return jk.boltzmann.KacWalk(jk.boltzmann.Maxwell(), 8.0)


def sim(system=None, state=None, **options):
    """A run of Kac's system with some arguments changed."""
    given = {"key": key(), "dt": 0.1, "num_steps": 2} | options
    return jk.simulate(kac() if system is None else system, S() if state is None else state, **given)


def vsim(system=None, state=None, **options):
    """A run of Vlasov's equation."""
    system = jk.vlasov.Vlasov(jk.vlasov.Poisson(4 * math.pi)) if system is None else system
    return jk.simulate(system, F if state is None else state, **({"dt": 0.1, "num_steps": 2} | options))


def pde(system=None, state=None, **options):
    """A run of the equation on the torus."""
    given = {"dt": 0.1, "num_steps": 2} | options
    return jk.simulate(jk.landau.TorusPDE(T1) if system is None else system, C if state is None else state, **given)


def ens(system=None, init=None, **options):
    """An ensemble of Kac's system."""
    given = {"key": key(), "dt": 0.1, "num_steps": 2, "replicas": 3} | options
    return jk.ensemble(kac() if system is None else system, S() if init is None else init, **given)


def it(**options):
    """The first chunk of a run in chunks."""
    given = {"key": key(), "dt": 0.1, "num_steps": 2, "chunk": 1} | options
    return next(jk.iterate(kac(), S(), **given))


def see(function):
    """Two steps that observe a function."""
    return sim(save=jk.Save(observe={"a": function}))


class Radial(jk.landau.AbstractRadial):
    """A user's law, with a given function as psi."""

    fn: object = eqx.field(static=True)

    def psi(self, r2):
        return self.fn(r2)


class CrossSection(jk.boltzmann.AbstractCrossSection):
    """A user's cross section, with given functions."""

    fn: object = eqx.field(static=True)
    top: object = eqx.field(static=True, default=lambda r: r)

    def sigma(self, r2):
        return self.fn(r2)

    def bound(self, r_max):
        return self.top(r_max)


def fitp(model=None, data=None, start=None, **options):
    """A fit of an exponential, with some arguments changed."""
    model = (lambda p: p["a"] * jnp.exp(-p["k"] * T)) if model is None else model
    start = {"a": 1.0, "k": 0.5} if start is None else start
    return jk.fit_parameters(model, Y if data is None else data, start, **options)


class Weird:
    """Nothing that JAX knows."""


T = np.linspace(0, 5, 50)
Y, O = np.exp(-T) + 0.01 * np.cos(77 * T), np.cos(9 * T)
MOMENTS, ONE_RUN = (
    jk.Moments(*map(jnp.asarray, (Y, 0.01 * Y, 0.05 * Y)), jnp.asarray(np.int32(count))) for count in (4, 1)
)
FIT = jk.DecayFit(*[jnp.asarray(np.ones(()))] * 12, "exponential")

NAMES = {
    "T": T, "Y": Y, "O": O, "fitp": fitp, "MOMENTS": MOMENTS, "ONE_RUN": ONE_RUN, "FIT": FIT,
    "jk": jk, "L": jk.landau, "B": jk.boltzmann, "V": jk.vlasov, "P": jk.pairs, "D": jk.diagnostics, "np": np, "jnp": jnp,
    "jax": jax, "math": math, "nan": math.nan, "inf": math.inf, "key": key, "S": S, "bodies": bodies, "G": G, "F": F,
    "W": W, "C": C, "T1": T1, "pde": pde,
    "kac": kac, "walk": walk, "sim": sim, "vsim": vsim, "ens": ens, "it": it, "see": see, "Radial": Radial,
    "CrossSection": CrossSection, "Weird": Weird,
}  # fmt: skip
ROWS = [
    pytest.param(*line.split("\t"), id=f"{path.stem}: {line.split(chr(9))[0]}")
    for path in sorted(HERE.glob("*.tsv"))
    for line in path.read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.fixture(scope="module", autouse=True)
def _usual_promotion():
    """As a user runs it: 32 bits, and the usual promotion of dtypes and ranks."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        yield


@pytest.mark.parametrize(("expression", "sentence"), ROWS)
def test_slips_end_in_a_sentence(expression, sentence):
    """The error is a `ValueError` of one sentence in our form, and no run is compiled before it. Catches an error of Python,
    NumPy or JAX from the depth of the library, a number that is computed from nonsense, and a check that comes after a
    run."""
    with count_programs() as programs, pytest.raises(ValueError, match=r"^Argument `") as error:
        eval(expression, dict(NAMES))
    text = str(error.value)
    assert text.removeprefix("Argument ").startswith(sentence), text
    assert "\n" not in text
    assert ", but " in text
    assert "; " in text.partition(", but ")[2]
    assert text.endswith(".")
    # Single operations of JAX, such as a conversion, are programs too.
    assert not any("_run" in name for name in programs), programs


def test_there_are_enough_rows():
    """Every row once; at least 400. Catches a file of rows that is not read."""
    assert len(ROWS) >= 400
    assert len({row.id for row in ROWS}) == len(ROWS)

"""Laws that come as objects, and neighbours that are found whatever the scale of the velocities."""

import dataclasses
import functools
import math
import statistics

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import slow_but
from scipy.special import digamma
from scipy.stats import multivariate_normal, norm

import jaxkinetic as jk
from jaxkinetic_kernels import kth_nearest

D = jk.diagnostics
NDTRI = jax.scipy.special.ndtri


class Module(eqx.Module):
    mean: jax.Array

    def __call__(self, u):
        return self.mean + NDTRI(u)


@dataclasses.dataclass
class Unhashable:
    mean: float

    def __call__(self, u):
        return self.mean + NDTRI(u)


class OfNumPy:
    def __call__(self, u):
        return norm.ppf(u)


def of_one_number(u):
    return statistics.NormalDist().inv_cdf(u)


QUANTILES = {
    "function": NDTRI, "lambda": lambda u: NDTRI(u), "jitted": jax.jit(NDTRI), "module": Module(jnp.zeros(())),
    "partial": jax.tree_util.Partial(NDTRI), "dataclass": Unhashable(0.0), "object of NumPy": OfNumPy(),
    "frozen": norm(0, 1), "not frozen": norm, "method": norm(0, 1).ppf, "functools": functools.partial(norm.ppf, loc=0.0),
    "standard library": statistics.NormalDist(), "of one number": of_one_number,
}  # fmt: skip


def sample(num=101):
    return jk.Particles(np.random.default_rng(1).standard_normal((num, 1)))


def by_quadrature(v) -> float:
    """W_2 to N(0, 1) by 2000 midpoints in every 1/N, and exactly in the two outer ones: E over a slice of (v - x)^2."""
    v, num = np.sort(np.asarray(v)[:, 0]), len(v)
    ends = norm.ppf(np.arange(num + 1) / num)
    density = np.where(np.isfinite(ends), norm.pdf(ends), 0)
    moved = np.where(np.isfinite(ends), ends, 0) * density
    first, second = -np.diff(density), 1 / num - np.diff(moved)
    return math.sqrt(np.sum(v**2 / num - 2 * v * first + second))


@pytest.mark.parametrize("name", QUANTILES)
def test_wasserstein_to_a_law_of_every_kind(name):
    """W_2 to N(0, 1) against the integral in closed form. Catches a law that must be hashable, or that JAX must trace."""
    np.testing.assert_allclose(D.wasserstein(sample(), QUANTILES[name]), by_quadrature(sample().velocity), rtol=1e-3)


def test_laws_inside_jit_and_gradients():
    """On the host and in the program: the same value and gradient, also under `vmap`; the gradient in a module's parameter is
    that of the law, W dW/dm = m - mean(v). Catches a callback without a gradient, and parameters taken as constants."""
    v = sample().velocity
    both = [
        jax.jit(jax.value_and_grad(lambda v, law=law: D.wasserstein(jk.Particles(v), law)))(v)
        for law in (NDTRI, norm(0, 1))
    ]
    np.testing.assert_allclose(both[0][0], both[1][0], rtol=1e-12)
    np.testing.assert_allclose(both[0][1], both[1][1], rtol=1e-9)
    stacked = jax.vmap(lambda v: D.wasserstein(jk.Particles(v), norm(0, 1)))(jnp.stack([v, 2 * v]))
    np.testing.assert_allclose(stacked[0], both[0][0], rtol=1e-12)
    w, slope = jax.value_and_grad(lambda m: D.wasserstein(sample(), Module(m)))(jnp.asarray(0.7))
    np.testing.assert_allclose(w * slope, 0.7 - v.mean(), rtol=1e-4)


def test_numpy_densities_inside_jit():
    """log g by scipy inside `jit`, `vmap` and a run is that outside; its gradient raises; a law of velocities given by scipy is
    divided by the length of the torus. Catches a refusal of what every other diagnostic takes, and a mass of 12.6."""
    v = jnp.asarray(np.random.default_rng(5).standard_normal((6, 3)))
    law = multivariate_normal(np.zeros(3), np.diag([1.0, 2, 3]))

    def of(v):
        return jk.diagnostics.relative_entropy(jk.Particles(v), law)

    np.testing.assert_allclose(jax.jit(jax.vmap(of))(jnp.stack([v, 2 * v])), [of(v), of(2 * v)], rtol=1e-12)
    for gradient in (jax.grad(of), jax.jit(jax.grad(of))):
        with pytest.raises(ValueError, match="`log_density` must be a function that JAX can trace, for gradients"):
            gradient(v)
    with pytest.raises(ValueError, match=r"`log_density` must return shape \(N,\), but returns \(6, 3\)"):
        jax.jit(lambda v: jk.diagnostics.relative_entropy(jk.Particles(v), norm(0, 1)))(v)
    grid = jk.Grid(jk.Axis(0.0, 4 * math.pi, 8), jk.Axis(-8.0, 16.0, 32, periodic=False))
    known = jk.vlasov.perturbed(jk.vlasov.Maxwellian(1.44), grid, 0.1).f
    np.testing.assert_allclose(jk.vlasov.perturbed(norm(0, 1.2), grid, 0.1).f, known, atol=1e-15)
    np.testing.assert_allclose(jax.jit(lambda a: jk.vlasov.perturbed(norm(0, 1.2), grid, a).f)(0.1), known, atol=1e-15)


def test_a_law_that_changes():
    """An object whose content changes is another law. Catches a program that is kept for the object."""
    law = Unhashable(0.0)
    first = D.wasserstein(sample(), law)
    law.mean = 3.0
    assert D.wasserstein(sample(), law) > 2 * first


def test_distribution_functions_and_densities_of_every_kind():
    """The L^1 distance and the relative entropy to a law given as a function, a module, by scipy, or of one number: the same
    to round-off. Catches a law that must be hashable, or that JAX must trace."""
    edges, state = np.linspace(-3, 3, 13), sample()
    counts = np.histogram(np.asarray(state.velocity), edges)[0] / state.num_slots
    below, above = (np.mean(np.asarray(state.velocity) * s > 3) for s in (-1, 1))
    exact = np.abs(counts - np.diff(norm.cdf(edges))).sum() + abs(below - norm.cdf(-3)) + abs(above - norm.cdf(-3))
    p = np.diff([0, *norm.cdf(edges), 1])
    floor = np.sum(np.sqrt(2 * p * (1 - p) / (math.pi * 101)))
    laws = (
        jax.scipy.stats.norm.cdf,
        norm(0, 1),
        norm(0, 1).cdf,
        statistics.NormalDist(),
        lambda x: 0.5 + math.erf(x / 2**0.5) / 2,
    )
    for law in laws:
        distance = functools.partial(D.marginal_l1, cdf=law, edges=edges, of=lambda s: s.velocity[:, 0])
        np.testing.assert_allclose([distance(state), jax.jit(distance)(state)], exact, rtol=1e-12)
        np.testing.assert_allclose(D.marginal_l1_floor(law, 101, edges=edges), floor, rtol=1e-12)
    for dim, law in ((1, norm(0, 1)), (3, multivariate_normal(np.zeros(3), np.eye(3)))):
        state = jk.Particles(np.random.default_rng(2).standard_normal((50, dim)))
        log_density = -np.sum(np.asarray(state.velocity) ** 2, 1) / 2 - dim / 2 * math.log(2 * math.pi)
        np.testing.assert_allclose(
            D.relative_entropy(state, law), D.knn_entropy(state) - log_density.mean(), rtol=1e-12
        )


def test_observables_and_starts_given_as_objects():
    """A dataclass with `__call__`, which has no hash, as an observable, inside `Contextual`, and as the start of an ensemble.
    Catches an error of JAX about arguments that are not hashable."""

    @dataclasses.dataclass
    class Start:
        temperature: float

        def __call__(self, key):
            return jk.initial.maxwellian(key, 4, 2, temperature=self.temperature)

    @dataclasses.dataclass
    class Scaled:
        factor: float

        def __call__(self, given):
            return self.factor * D.energy(getattr(given, "state", given))

    observe = {"plain": Scaled(2.0), "contextual": jk.Contextual(Scaled(2.0)), "energy": D.energy}
    run = jk.ensemble(
        jk.landau.Kac(jk.landau.Maxwell()), Start(2.0), key=jax.random.key(0), replicas=2, dt=0.01, num_steps=1,
        save=jk.Save(observe=observe),
    )  # fmt: skip
    for name in ("plain", "contextual"):
        np.testing.assert_allclose(run.observed[name], 2 * run.observed["energy"])


def neighbours_by_hand(v, k):
    """H by all distances, in long double: differences of velocities of every size keep their digits."""
    v = np.asarray(v, np.longdouble)
    num, dim = v.shape
    distance = np.sort(np.sqrt(np.sum((v[:, None] - v[None, :]) ** 2, -1)), axis=1)[:, k]
    log_ball = dim / 2 * math.log(math.pi) - math.lgamma(dim / 2 + 1)
    return float(-(digamma(num) - digamma(k) + log_ball + dim * np.mean(np.log(distance))))


CLOUD = np.random.default_rng(3).standard_normal((300, 3))


def with_far(distance):
    return np.concatenate([CLOUD, [[distance, 0, 0]]])


SCALES = {
    "far-64": (with_far(1e15), np.float64), "very far-64": (with_far(1e200), np.float64),
    "far-32": (with_far(1e15), np.float32), "two clouds-64": (np.concatenate([CLOUD, 1e9 + 1e-3 * CLOUD]), np.float64),
    "tiny and large-64": (np.concatenate([1e-150 * CLOUD, 1e100 * CLOUD]), np.float64),
    "tiny-32": (1e-25 * CLOUD, np.float32), "tiny-64": (1e-200 * CLOUD, np.float64),
    "large-32": (1e30 * CLOUD, np.float32), "large-64": (1e250 * CLOUD, np.float64),
    "a plane-64": (CLOUD * [1, 0, 1], np.float64),
}  # fmt: skip


@pytest.mark.parametrize("name", slow_but(["far-64", "tiny-32"], SCALES))
def test_neighbours_at_every_scale(name):
    """One particle at 1e15, clouds of two sizes, velocities whose squares overflow or vanish, many that are 0: against all
    distances in long double, by the tree, inside `jit` and by tiles. Catches coordinates that are mapped to one box, where what
    is near coincides (-1.73 for -4.25 beside 1e15), and distances whose squares are not numbers."""
    v, dtype = SCALES[name]
    v = np.asarray(v, dtype)
    exact, state = neighbours_by_hand(v, 4), jk.Particles(v)
    found = [D.knn_entropy(state, k=4), jax.jit(functools.partial(D.knn_entropy, k=4))(state)]
    np.testing.assert_allclose(found, exact, rtol=1e-6 if dtype == np.float32 else 1e-12)
    index = jax.jit(kth_nearest, static_argnums=2)(state.velocity, state.alive, 4)
    log_distance = np.log(np.sqrt(np.sum((np.asarray(v, np.longdouble) - v[np.asarray(index)]) ** 2, 1)))
    log_ball = math.log(4 * math.pi / 3)
    tiled = -(digamma(len(v)) - digamma(4) + log_ball + 3 * float(np.mean(log_distance)))
    np.testing.assert_allclose(tiled, exact, rtol=1e-6)
    gradient = jax.grad(lambda v: D.knn_entropy(jk.Particles(v), k=4))(state.velocity)
    assert np.isfinite(gradient).all()

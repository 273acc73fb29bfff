"""Sliced distances by NumPy's sort: values, gradients, batches, and programs that call the host while they run."""

import functools
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import wasserstein_distance

import jaxkinetic as jk
from jaxkinetic.diagnostics import _sorting, distances
from jaxkinetic_kernels import Area

D = jk.diagnostics


def directions(num, dtype):
    v = np.asarray(jax.random.normal(jax.random.key(0, impl="threefry2x32"), (num, 3), dtype), float)
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def pair(dtype, num, other, dead=0):
    """Two clouds, the first with a few dead slots that hold NaN."""
    rng = np.random.default_rng(num)
    v, w = rng.standard_normal((num, 3)), 1 + 2 * rng.standard_normal((other, 3))
    alive = np.ones(num, bool)
    alive[rng.choice(num, dead, replace=False)] = False
    return jk.Particles(
        jnp.asarray(np.where(alive[:, None], v, np.nan), dtype), alive=jnp.asarray(alive)
    ), jk.Particles(jnp.asarray(w, dtype))


@pytest.mark.parametrize(("dtype", "area", "num"), [(jnp.float32, 200, 13), (jnp.float64, 1 << 20, 12)])
def test_values_and_gradients(monkeypatch, dtype, area, num):
    """W_2 of equal numbers by ranks, with the exact gradient 2 (x - y) theta / N, and W_1 of unequal numbers by scipy, dead
    slots not counted; in one batch, and in five of which the last repeats directions. Catches a wrong order of the
    integers that stand for negative numbers, results of repeated directions in the mean, and dead slots that count."""
    monkeypatch.setattr(distances, "PROJECTIONS", Area(area))
    tolerance = 2e-5 if dtype == jnp.float32 else 1e-12
    sliced = functools.partial(D.sliced_wasserstein, num_directions=num)
    theta = directions(num, dtype)
    state, other = pair(dtype, 61, 57, dead=4)
    v, w = (np.asarray(s.velocity, float)[np.asarray(s.alive)] for s in (state, other))
    exact, slope = 0.0, np.zeros_like(v)
    for t in theta:
        x, y = np.argsort(v @ t), np.argsort(w @ t)
        apart = (v @ t)[x] - (w @ t)[y]
        exact += np.mean(apart**2) / num
        slope[x] += 2 * apart[:, None] * t / 57 / num
    value, gradient = jax.value_and_grad(lambda u: sliced(jk.Particles(u, alive=state.alive), other) ** 2)(
        state.velocity
    )
    np.testing.assert_allclose(value, exact, rtol=tolerance)
    np.testing.assert_allclose(np.asarray(gradient)[np.asarray(state.alive)], slope, atol=tolerance)
    assert not np.asarray(gradient)[~np.asarray(state.alive)].any()
    state, other = pair(dtype, 61, 40, dead=4)
    v, w = (np.asarray(s.velocity, float)[np.asarray(s.alive)] for s in (state, other))
    exact = np.mean([wasserstein_distance(v @ t, w @ t) for t in theta])
    np.testing.assert_allclose(sliced(state, other, order=1), exact, rtol=tolerance)
    assert value.dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sorted_rows(dtype):
    """Rows with signs, infinities and zeros: NumPy's order, that of `vmap`, the order used in derivatives on the CPU and
    elsewhere, and second derivatives by finite differences of the first. Catches an axis that `vmap` moves, and an order that
    only positive numbers follow."""
    x = np.random.default_rng(1).standard_normal((2, 3, 50)).astype(dtype)
    x[0, 1, :3] = np.inf, -np.inf, 0
    sort = jax.jit(_sorting.sorted_rows)
    np.testing.assert_array_equal(sort(x), np.sort(x))
    np.testing.assert_array_equal(jax.jit(jax.vmap(_sorting.sorted_rows, 1, 1))(x), np.sort(x))
    order = _sorting._argsort(x)
    np.testing.assert_array_equal(order, np.argsort(x))
    np.testing.assert_array_equal(order, _sorting._order(jnp.asarray(x)))
    weight = jnp.arange(50, dtype=dtype)
    cubes = jax.grad(lambda x: jnp.sum(weight * _sorting.sorted_rows(x) ** 3))
    x = jnp.asarray(x[1, 0])
    rank = np.argsort(np.argsort(x))
    np.testing.assert_allclose(cubes(x), 3 * rank * np.asarray(x) ** 2, rtol=1e-5)
    _, bent = jax.jvp(cubes, (x,), (jnp.ones_like(x),))
    np.testing.assert_allclose(bent, 6 * rank * np.asarray(x), rtol=1e-5)


HOST = """
import os
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
import jax, jax.numpy as jnp, numpy as np
import jaxkinetic as jk

def initial(key):
    return jk.initial.maxwellian(key, 30_000, 3)

other = initial(jax.random.key(7))
sliced = lambda s: jk.diagnostics.sliced_wasserstein(s, other, num_directions=40)
first = lambda s: jk.Particles(s.velocity[:, :1])
line = lambda s: jk.diagnostics.wasserstein(first(s), first(other))
save = jk.Save(observe={"S": sliced, "W": line}, steps=(0, 1))
options = dict(scheme=jk.pairs.RandomMatching(), dt=0.01, num_steps=1, save=save)
kac, key = jk.landau.Kac(jk.landau.Maxwell()), jax.random.key(0)
state = initial(jax.random.split(jax.random.fold_in(key, 1))[0])
one = jk.simulate(kac, state, key=key, **options)
np.testing.assert_allclose(one.observed["S"][0], sliced(state), rtol=1e-5)
mesh = jax.make_mesh((2,), ("replica",))
runs = jk.ensemble(kac, initial, key=key, replicas=4, batch=2, mesh=mesh, **options)
np.testing.assert_allclose(runs.observed["S"][1, 0], sliced(state), rtol=1e-5)
np.testing.assert_allclose(runs.observed["W"][1, 0], line(state), rtol=1e-5)
both = jax.jit(jax.vmap(jax.value_and_grad(lambda v: sliced(jk.Particles(v)))))
value, slope = both(jnp.stack([other.velocity, state.velocity]))
np.testing.assert_allclose(value, [0, sliced(state)], rtol=1e-5)
assert np.linalg.norm(slope[1]) > 0 and not np.asarray(slope[0]).any()
print("fine")
"""


@pytest.mark.slow
def test_sorts_on_the_host_inside_programs():
    """Runs, ensembles on two devices, `vmap` and gradients on one core with one thread. Catches a callback that waits for the
    thread that waits for it: such a process never ends."""
    flags = "--xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false"
    given = {**os.environ, "XLA_FLAGS": flags, "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    done = subprocess.run([sys.executable, "-c", HOST], capture_output=True, text=True, env=given, timeout=100)
    assert done.stdout.split() == ["fine"], done.stderr[-3000:]

"""Bits, noise and row blocks."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxkinetic_kernels import fold_in, map_rows, normals, pair_normals, particle_normals, philox_4x32, uniform
from jaxkinetic_kernels.philox import philox_once

pytestmark = pytest.mark.newest

KNOWN = [  # Random123, kat_vectors, philox4x32 10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344), (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_philox_known_answers(counter, key, words):
    """Random123's own vectors. Catches a wrong constant, a round too few, and words in another order."""
    out = philox_4x32([jnp.uint32(c) for c in counter], jnp.asarray(key, jnp.uint32))
    assert tuple(int(w) for w in out) == words


def test_philox_once_equals_philox():
    """`philox_once`, a loop over the rounds on the CPU, gives the words of `philox_4x32`, whose rounds are unrolled, on 100
    random counters and keys. Catches a round too few, a key that is not advanced, and words in another order: keys would
    differ between the CPU and an accelerator."""
    counters = jax.random.bits(jax.random.key(0), (100, 4), jnp.uint32)
    keys = jax.random.bits(jax.random.key(1), (100, 2), jnp.uint32)
    once = jax.jit(lambda counters, keys: jax.lax.map(lambda pair: philox_once(*pair), (counters, keys)))(
        counters, keys
    )
    np.testing.assert_array_equal(once, np.stack(philox_4x32(counters.T, keys.T), axis=1))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_normals_have_the_normal_law(dtype):
    """Kolmogorov-Smirnov and moments up to 4 on 4e5 draws; catches a wrong quadrant, radius or angle."""
    count = 100_000
    words = philox_4x32(
        [jnp.arange(count, dtype=jnp.uint32), *[jnp.zeros((), jnp.uint32)] * 3],
        jnp.asarray([1, 2], jnp.uint32),
    )
    x = np.stack(normals(words, dtype)).astype(float)
    assert x.shape == (4, count)
    assert np.isfinite(x).all()
    for row in x:
        assert stats.kstest(row, "norm").pvalue > 1e-4
    flat = x.ravel()
    for power, exact, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(np.mean(flat**power) - exact) < 4 * math.sqrt(variance / flat.size)
    correlation = np.corrcoef(np.concatenate([x, x**2]))
    assert np.abs(correlation - np.eye(8)).max() < 4.5 / math.sqrt(count)


def test_normals_in_both_precisions():
    """The same words give the same path in float32 and float64. Catches the extreme words, for which log 0 is not
    finite."""
    word = jnp.asarray([0, 1, 2**29 - 1, 2**29, 2**31, 3 * 2**30, 2**32 - 1, 123456789], jnp.uint32)
    first, second = jnp.meshgrid(word, word)
    single, double = (np.stack(normals((first, second), t)) for t in (jnp.float32, jnp.float64))
    assert np.isfinite(single).all()
    # Where u rounds to 1 in float32 the radius, at most 2e-4, is lost; elsewhere they agree to round-off.
    np.testing.assert_allclose(single, double, rtol=2e-5, atol=3e-4)
    angle = 2 * np.pi * np.asarray(second, float) * 2.0**-32
    radius = np.sqrt(-2 * np.log((np.asarray(first, float) + 0.5) * 2.0**-32))
    np.testing.assert_allclose(double, [radius * np.cos(angle), radius * np.sin(angle)], rtol=1e-13, atol=1e-14)


def test_uniform_is_inside_the_unit_interval():
    """Catches 0 from the smallest word, whose logarithm is infinite, and 1 from the largest."""
    word = jnp.asarray([0, 2**31, 2**32 - 1], jnp.uint32)
    np.testing.assert_array_equal(uniform(word, jnp.float64), (np.array([0, 2**31, 2**32 - 1]) + 0.5) / 2**32)
    assert float(uniform(word, jnp.float32)[0]) > 0


def test_pair_noise():
    """The noise of a pair is symmetric, and differs for every pair, stream and key. Catches noise that two pairs, or
    pairs and particles, share."""
    key, ident = jnp.asarray([3, 4], jnp.uint32), jnp.asarray([5, 9, 2, 77], jnp.uint32)
    grid = np.stack(pair_normals(key, ident[:, None], ident[None, :], 5, jnp.float64))
    assert grid.shape == (5, 4, 4)
    np.testing.assert_array_equal(grid, np.swapaxes(grid, 1, 2))
    upper = grid[:, *np.triu_indices(4, 1)].ravel()
    others = [
        np.stack(pair_normals(key, ident[:, None], ident[None, :], 5, jnp.float64, stream=1))[
            :, *np.triu_indices(4, 1)
        ],
        np.stack(pair_normals(key[::-1], ident[:, None], ident[None, :], 5, jnp.float64))[:, *np.triu_indices(4, 1)],
        np.stack(particle_normals(key, ident, 5, jnp.float64)),
    ]
    everything = np.concatenate([upper, *(o.ravel() for o in others)])
    assert np.unique(everything).size == everything.size


def test_folded_keys_differ():
    """Catches a fold that ignores its number, its second number, or its tag."""
    key = jnp.asarray([3, 4], jnp.uint32)
    keys = [fold_in(key, i, tag=tag) for i in range(50) for tag in (1, 2)] + [fold_in(key, 1, j) for j in range(1, 50)]
    assert len({tuple(np.asarray(k)) for k in keys}) == len(keys)


@pytest.mark.parametrize("num", [1, 7, 64, 129])
@pytest.mark.parametrize("area", [1, 20, 300, 1 << 17])
def test_row_blocks(num, area):
    """Row blocks change neither value nor gradient, at odd sizes too. Catches padding that leaks into either: 7 rows by area 20
    and 129 rows by area 300 are blocks of 2, the last one padded."""
    x = jax.random.normal(jax.random.key(0), (num, 2))

    def total(x, area):
        def block(rows):
            return jnp.sum(jnp.sin(rows[:, None, 0] * x[None, :, 1]), axis=1)

        return map_rows(block, x, num, area=area)

    def dense(x):
        return jnp.sum(jnp.sin(x[:, None, 0] * x[None, :, 1]), axis=1)

    np.testing.assert_allclose(total(x, area), dense(x), rtol=1e-13, atol=1e-13)
    weight = jnp.arange(1.0, num + 1)
    got = jax.grad(lambda x: jnp.vdot(weight, total(x, area)))(x)
    np.testing.assert_allclose(got, jax.grad(lambda x: jnp.vdot(weight, dense(x)))(x), rtol=1e-11, atol=1e-11)

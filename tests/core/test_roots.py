"""The symmetric root in d = 2 and 3 against NumPy's eigensolver in float64, at every rank and condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxkinetic.landau import symmetric_root
from jaxkinetic.landau.roots import _looped, _unrolled

SPECTRA = {
    "any": lambda rng, d: np.exp(rng.normal(size=(500, d))),
    "condition 1e14": lambda rng, d: 10 ** rng.uniform(-14, 0, (500, d)),
    "rank 1": lambda rng, d: np.eye(d)[0] * 10 ** rng.uniform(-15, 15, (500, 1)),
    "rank d - 1": lambda rng, d: np.append(rng.uniform(0.1, 1, (500, d - 1)), np.zeros((500, 1)), 1),
    "nearly rank 1": lambda rng, d: np.append(np.ones((500, 1)), 1e-7 * rng.uniform(size=(500, d - 1)), 1),
    "equal": lambda rng, d: np.ones((500, d)),
    "nearly equal": lambda rng, d: 1 + 1e-6 * rng.normal(size=(500, d)),
    "two equal": lambda rng, d: np.append(np.ones((500, 1)), np.full((500, d - 1), 0.3), 1),
    "large": lambda rng, d: 1e30 * np.exp(rng.normal(size=(500, d))),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [2, 3])
def test_root_at_every_spectrum(dim, dtype):
    """S S = A to 30 eps of the largest eigenvalue, S symmetric and not negative, in one program for all spectra. Catches a
    closed form that cancels at rank 1, a square that overflows at 1e30, and too few rotations."""
    rng = np.random.default_rng(dim)
    values = np.concatenate([spectrum(rng, dim) for spectrum in SPECTRA.values()])
    turn = np.linalg.qr(rng.normal(size=(len(values), dim, dim)))[0]
    matrix = ((turn * values[:, None]) @ turn.swapaxes(1, 2)).astype(dtype)
    matrix = (matrix + matrix.swapaxes(1, 2)) / 2
    root = np.asarray(jax.jit(symmetric_root)(matrix), np.float64)
    size = np.abs(values).max(1)
    error = np.abs(root @ root - matrix).max((1, 2)) / size / np.finfo(dtype).eps
    for name, part in zip(SPECTRA, np.split(error, len(SPECTRA)), strict=True):
        print(dim, dtype.__name__, name, part.max())
    assert error.max() < 30
    assert np.array_equal(root, root.swapaxes(1, 2))
    assert (np.linalg.eigvalsh(root).min(1) >= -30 * np.finfo(dtype).eps * np.sqrt(size)).all()


def test_root_keeps_nan():
    """One NaN makes the root of its matrix NaN, and of no other; the root of 0 is 0. Catches rotations that skip
    NaN."""
    matrix = jnp.stack([jnp.eye(3), jnp.zeros((3, 3)), jnp.eye(3).at[0, 1].set(jnp.nan)])
    root = np.asarray(symmetric_root(matrix))
    assert np.array_equal(root[:2], matrix[:2])
    assert np.isnan(root[2]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dim", [2, 3])
def test_root_of_the_largest_numbers(dim, dtype):
    """Entries whose sum, and an eigenvalue, overflow; the root does not. Catches a sum before the scaling, which gives NaN,
    and an eigenvalue in the units of the matrix, which gives 0."""
    largest = 0.9 * float(np.finfo(dtype).max)
    root = symmetric_root(jnp.full((dim, dim), largest, dtype))
    np.testing.assert_allclose(root, np.sqrt(largest / dim), rtol=10 * np.finfo(dtype).eps)


def test_rotations_on_accelerators():
    """The rotations that accelerators unroll are those of the loop on the CPU. Catches columns that change places."""
    rng = np.random.default_rng(0)
    diagonal, off = tuple(rng.normal(size=(3, 50))), tuple(rng.normal(size=(3, 50)))
    columns = tuple(tuple(np.full(50, float(i == k)) for i in range(3)) for k in range(3))
    state = jax.tree.map(jnp.asarray, (diagonal, off, columns))
    for ours, theirs in zip(*(jax.tree.leaves(turned(state, 4)) for turned in (_looped, _unrolled)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)

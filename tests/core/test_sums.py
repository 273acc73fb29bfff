"""Sums over pairs: every form against the dense one, in value and gradient, at odd sizes, whatever the blocks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import particles
from registry import Anisotropic, Yukawa

import jaxkinetic as jk
from jaxkinetic.landau import Kac, MatrixSqrt, Maxwell, PowerLaw
from jaxkinetic.landau.interactions import AbstractRadial
from jaxkinetic.landau.products import product_moments
from jaxkinetic.pairs.sums import direct_sum, weighted_sum

KEY = jnp.asarray([3, 4], jnp.uint32)
INTERACTIONS = {
    "coulomb": PowerLaw(-3.0, 0.7, 0.1),
    "maxwell": Maxwell(1.3),
    "yukawa": Yukawa(0.9, 1.3),
    "anisotropic": Anisotropic(0.4),
}


def dense(f, state):
    """sum_{j != i} f(v_i - v_j) over the alive by N^2 numbers."""
    v = state.velocity
    z = v[:, None, :] - v[None, :, :]
    both = state.alive[:, None] & state.alive[None, :] & ~jnp.eye(v.shape[0], dtype=bool)
    values = f(jnp.where(both[..., None], z, 1))
    return jnp.sum(jnp.where(both.reshape(both.shape + (1,) * (values.ndim - 2)), values, 0), axis=1)


def with_dead(num, dim, dtype=jnp.float64):
    """Two dead slots, of which one holds a number whose square overflows."""
    velocity = particles(jax.random.key(dim), num, dim, dtype).velocity
    velocity = velocity.at[1].set(1e200 if dtype == jnp.float64 else 1e30)
    return jk.Particles(velocity, alive=jnp.ones(num, bool).at[jnp.asarray([1, num - 1])].set(False))


@pytest.mark.parametrize(
    ("name", "form", "dim"),
    [
        *[(name, "direct", 3) for name in INTERACTIONS],
        ("coulomb", "direct", 2),
        ("coulomb", "product", 3),
        *[
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (("coulomb", "product", 2), ("coulomb", "product", 5), ("yukawa", "product", 3))
        ],
        ("maxwell", "product", 4),
    ],
)
def test_sums_equal_dense_sums(name, form, dim):
    """In value and gradient, N = 37. Catches a wrong entry, a transposed feature, a missing mask, N for N - 1; moments
    against pairs; a dead slot's 1e200 that reaches a value or a gradient; and one pass over the pairs that gives another b or
    a than two passes."""
    interaction, state = INTERACTIONS[name], with_dead(37, dim)
    weight = jax.random.normal(jax.random.key(9), (37, 2 * dim * (dim + 1)))

    def both(interaction, velocity, sum_a, sum_b, sums):
        s = jk.Particles(velocity, alive=state.alive)
        b, a = sums(interaction, s)
        parts = [sum_a(interaction, s).reshape(37, -1), sum_b(interaction, s), a.reshape(37, -1), b]
        return jnp.concatenate(parts, 1)

    @functools.partial(jax.jit, static_argnums=2)
    def value_and_gradient(interaction, velocity, library):
        def total(interaction, velocity):
            if library:
                fast = [lambda x, s, name=name: getattr(x, name)(s, form) for name in ("sum_a", "sum_b", "sums")]
                sums = both(interaction, velocity, *fast)
            else:
                a, b = (lambda x, s: dense(x.a, s)), (lambda x, s: dense(x.b, s))
                sums = both(interaction, velocity, a, b, lambda x, s: (b(x, s), a(x, s)))
            return jnp.vdot(weight, sums), sums

        return jax.value_and_grad(total, argnums=(0, 1), has_aux=True)(interaction, velocity)

    got = value_and_gradient(interaction, state.velocity, True)
    safe = jnp.where(state.alive[:, None], state.velocity, 0)
    expected = value_and_gradient(interaction, safe, False)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * np.abs(y).max())


@pytest.mark.parametrize(("num", "dtype"), [(37, jnp.float64), (101, jnp.float32)])
def test_sums_are_independent_of_blocks(num, dtype):
    """Several blocks with padding, one block, and tiles large enough to be computed once: catches padding that leaks, a
    tile that is not what it stands for, and a dtype that changes."""
    interaction, state = INTERACTIONS["coulomb"], with_dead(num, 3, dtype)
    interaction = jax.tree.map(lambda x: x.astype(dtype), interaction)

    def weights(z):
        return (interaction.weight(z),)

    def terms(z, w, _):
        return tuple(-2 * w[0] * c for c in z)

    expected = dense(interaction.b, jk.Particles(jnp.where(state.alive[:, None], state.velocity, 0), alive=state.alive))
    rtol = 2e-5 if dtype == jnp.float32 else 1e-12

    @functools.partial(jax.jit, static_argnums=1)
    def sums(state, area):
        return (
            weighted_sum(terms, state, weights=weights, area=area),
            direct_sum(lambda z, i, j: interaction.b_components(z), state, area=area),
            -2 * product_moments(interaction.weight, state, 1, area=area).vector(),
        )

    for area in (13 * num, 50 * num, 1 << 17):
        for got in sums(state, area):
            assert got.dtype == dtype
            np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * np.abs(expected).max())


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("ordered", [False, True])
def test_tile_normals_equal_pair_normals(dtype, ordered):
    """In a tile large enough to be packed: catches a word that changes on its way through a complex number (8 eps)."""
    from jaxkinetic_kernels import pair_normals, tile_normals

    i, j = (jax.random.bits(jax.random.key(n), (size,), jnp.uint32) for n, size in ((1, 11), (2, 2001)))
    tile = jax.jit(lambda: tile_normals(KEY, i, j, 7, dtype, ordered=ordered))()
    stream = (i[:, None] > j[None, :]).astype(jnp.uint32) if ordered else 0
    pairs = jax.jit(lambda: pair_normals(KEY, i[:, None], j[None, :], 7, dtype, stream=stream))()
    assert len(tile) == 7
    # The hash is the same integer; the compiler may order the arithmetic on it differently.
    np.testing.assert_allclose(tile, pairs, rtol=8 * jnp.finfo(dtype).eps, atol=8 * jnp.finfo(dtype).eps)


def test_noise_equals_dense_noise():
    """Kac's sum and its gradient with N = 101, large enough to be packed, against sigma(z_ij) Z_ij by dense matrices.
    Catches a sign of Z_ij = -Z_ji, a dead partner, and a gradient that misses sigma."""
    from jaxkinetic_kernels import pair_normals

    interaction, state = INTERACTIONS["coulomb"], with_dead(101, 3)
    ident = state.ident

    def reference(velocity):
        z = velocity[:, None, :] - velocity[None, :, :]
        x = jnp.stack(pair_normals(KEY, ident[:, None], ident[None, :], 3, jnp.float64), -1)
        x = jnp.where((ident[:, None] < ident[None, :])[..., None], x, -x)
        both = state.alive[:, None] & state.alive[None, :] & (ident[:, None] != ident[None, :])
        kicks = jnp.einsum("ijkl,ijl->ijk", interaction.sigma(jnp.where(both[..., None], z, 1)), x)
        return jnp.sqrt(2 * 0.01 / state.num_alive) * jnp.sum(jnp.where(both[..., None], kicks, 0), axis=1)

    def library(velocity):
        return Kac(interaction).noise(KEY, 0.0, jnp.asarray(0.01), jk.Particles(velocity, alive=state.alive)).velocity

    weight = jax.random.normal(jax.random.key(9), (101, 3))
    safe = jnp.where(state.alive[:, None], state.velocity, 0)

    def value_and_gradient(f, velocity):
        return jax.jit(jax.value_and_grad(lambda v: (jnp.vdot(weight, f(v)), f(v)), has_aux=True))(velocity)

    got, expected = value_and_gradient(library, state.velocity), value_and_gradient(reference, safe)
    for x, y in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9 * np.abs(y).max())


@pytest.mark.parametrize(("gamma", "worst", "median"), [(-3.0, 3e-3, 2e-6), (-2.0, 3e-5, 1e-6), (1.0, 3e-6, 1e-6)])
def test_accuracy_of_the_product_form(gamma, worst, median):
    """The error of a row, relative to the row, in float32 at N = 1001. The worst one measured at N = 4096: 7e-4, 7e-6 and 8e-7.
    Catches velocities that are not centred: a mean of 20 would make the error of a 20^2 times as large."""
    velocity = jax.random.normal(jax.random.key(5), (1001, 3), jnp.float32) + 20
    single, double = jk.Particles(velocity), jk.Particles(velocity.astype(jnp.float64))
    for sum_of in (PowerLaw.sum_a, PowerLaw.sum_b):
        exact = np.asarray(sum_of(PowerLaw(gamma), double)).reshape(1001, -1)
        got = np.asarray(sum_of(PowerLaw(jnp.float32(gamma)), single, "product")).reshape(1001, -1)
        error = np.linalg.norm(got - exact, axis=1) / np.linalg.norm(exact, axis=1)
        assert error.max() < worst
        assert np.median(error) < median


def test_accuracy_of_maxwell_moments():
    """Right to round-off in float32 with a mean velocity of 20. Catches moments about 0 instead of the mean, which would make
    the error 20^2 times as large."""
    velocity = jax.random.normal(jax.random.key(5), (501, 3), jnp.float32) + 20
    single, double = jk.Particles(velocity), jk.Particles(velocity.astype(jnp.float64))
    for name in ("sum_a", "sum_b"):
        exact = np.asarray(getattr(AbstractRadial, name)(Maxwell(), double)).reshape(501, -1)
        got = np.asarray(getattr(Maxwell(jnp.float32(1)), name)(single)).reshape(501, -1)
        assert (np.linalg.norm(got - exact, axis=1) / np.linalg.norm(exact, axis=1)).max() < 2e-6


@pytest.mark.parametrize("system", [Kac, MatrixSqrt])
def test_product_form_gives_the_same_run(system):
    """A run with `sums="product"` follows the path of the run by pairs. Catches a form that the system does not pass on, or
    uses for only one of its two sums."""
    state = particles(jax.random.key(0), 9, 3)
    runs = [
        jk.simulate(system(PowerLaw(-2.0, softening=0.3), form), state, key=jax.random.key(1), dt=0.01, num_steps=3)
        for form in ("direct", "product")
    ]
    np.testing.assert_allclose(runs[0].final.velocity, runs[1].final.velocity, rtol=1e-9, atol=1e-11)
    # The rounding differs: the two forms are two programs.
    assert (runs[0].final.velocity != runs[1].final.velocity).any()


@pytest.mark.parametrize(
    ("interaction", "form", "offers"),
    [(Anisotropic(0.2), "product", "'direct' for"), (Maxwell(), "dense", "'direct' or 'product' for")],
)
def test_unavailable_form_raises(interaction, form, offers):
    """The error names the forms that the interaction offers. Catches a silent fallback to another one."""
    state = particles(jax.random.key(0), 4, 3)
    with pytest.raises(ValueError, match=f"^Argument `sums` must be {offers} .*, but is '{form}'"):
        jk.simulate(Kac(interaction, sums=form), state, key=jax.random.key(1), dt=0.01, num_steps=1)


def test_positive_power():
    """float32 to 4e-7 over 30 decades, its ends, and its derivatives, in both code paths (few numbers, many numbers):
    catches a wrong octave at sqrt(2) and at 1/sqrt(2), and the derivative of a square root taken for that of the power."""
    from jaxkinetic_kernels import positive_power

    x = np.float32(2.0) ** np.linspace(-50, 50, 20_011, dtype=np.float32)
    x = np.concatenate([x, np.float32([np.sqrt(0.5), 1, np.sqrt(2), 1.2e-38, 3e38])])
    for exponent in (-1.5, -1.25, -1.0, -0.5, 0.0, 0.5, 1.0):
        exact = x.astype(float) ** exponent
        inside = (exact > 1.2e-38) & (exact < 3e38)
        got = np.asarray(positive_power(jnp.asarray(x), jnp.float32(exponent)))
        np.testing.assert_allclose(got[inside], exact[inside], rtol=4e-7)
    got = positive_power(jnp.asarray([1e-38, 1e38, np.nan], jnp.float32), jnp.float32(-2.0))
    np.testing.assert_array_equal(got, np.float32([np.inf, 0, np.nan]))
    for dtype in (jnp.float32, jnp.float64):
        for num in (1, 5000):
            mean = lambda t, e: jnp.mean(positive_power(jnp.full(num, t), e))  # noqa: B023, E731
            at = (jnp.asarray(2.0, dtype), jnp.asarray(-1.5, dtype))
            exact = (-1.5 * 2**-2.5, 2**-1.5 * np.log(2))
            eps = jnp.finfo(dtype).eps
            np.testing.assert_allclose(jax.jit(jax.grad(mean, (0, 1)))(*at), exact, rtol=8 * eps)
            np.testing.assert_allclose(jax.jit(jax.grad(jax.grad(mean)))(*at), 3.75 * 2**-3.5, rtol=16 * eps)


def test_export_of_tiled_programs():
    """N large enough for what only the CPU does, exported to every platform: catches an operation that another backend
    lacks."""
    system, state = Kac(PowerLaw(-3.0)), particles(jax.random.key(0), 129, 3, jnp.float32)
    step = jax.jit(lambda v: system.noise(KEY, 0.0, jnp.float32(0.1), jk.Particles(v)).velocity)
    exported = jax.export.export(step, platforms=("cpu", "cuda", "tpu"))(state.velocity)
    assert exported.platforms == ("cpu", "cuda", "tpu")

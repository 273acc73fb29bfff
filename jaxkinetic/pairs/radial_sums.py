r"""Sums over pairs for radial interactions. Their derivatives are sums over pairs, too, in one pass with one evaluation of the
noise.

For $S_i = \sum_j T(z_{ij}, w(r_{ij}), x_{ij})$ with T(-z, w, x_ji) = +-T(z, w, x_ij), the cotangent of v_k is
$\sum_j J(z_{kj})^T (g_k \pm g_j)$, J the total derivative dT/dz. This is a row sum: it needs no sum over columns and no
scatter, and gives the same bits in every run on an accelerator.
"""

import functools
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxkinetic_kernels import PAIRS, Area, map_rows, once_on_cpu

from .._util.checks import is_traced
from .._util.types import Components
from ..states import Particles
from .components import minus, square
from .sums import Rows, Slots, differences, mask_pairs, partners, rows_of, slots, weighted_rows

__all__ = ["closes_over_tracers", "radial_sum"]

_by_platform = jax.lax.platform_dependent

Terms = Callable[[Components, Components, Components], Components]


def radial_sum(
    terms: Terms,
    weight: Callable[[Any, Array], Array],
    law: eqx.Module,
    state: Particles,
    *,
    parity: tuple[int, ...] | None,
    noise: Any = None,
    area: Area | int = PAIRS,
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(z_ij, (weight(law, |z_ij|^2),), noise(ident_i, ident_j)) over the alive j; 0 for dead i.

    The value is that of `weighted_sum`. Gradients with respect to the velocities and to scalar leaves of `law` use a custom
    rule; those with respect to other leaves use JAX's. Forward and reverse mode, to every order.

    **Arguments:** `terms` and `weight`: functions that use no traced value but their arguments; `terms` as in `weighted_sum`,
    and 0 where the weight is 0. The same functions with the same law are compiled once, so they must be pure, as for `jax.jit`.
    `parity`: the factor +1 or -1 of each output when i and j are exchanged; None if there is none, as for independent noise.
    `noise`: a pytree that is called with (B,) and (N,) idents and is not differentiated; without a parity also with
    `exchanged=True`, for x_ji. Cost of a gradient besides the value: noise and weights of every pair once more, on a CPU of
    every unordered pair; memory O(N).
    """
    moving, still = eqx.partition(law, eqx.is_inexact_array)
    arrays, static = eqx.partition(still, eqx.is_array)
    keys, noise_static = eqx.partition(noise, eqx.is_array)
    leaves, tree = jax.tree.flatten((static, noise_static))
    given = terms, weight, parity, area, _by_platform, tree, *leaves
    try:
        total = _remembered_rule(*given)
    except TypeError:  # What the law holds besides arrays has no hash.
        total = _rule(*given)
    columns = slots(state)
    return total(rows_of(state).velocity, moving, (arrays, keys, columns.ident, columns.alive))


def _rule(
    terms: Terms,
    weight: Callable[[Any, Array], Array],
    parity: tuple[int, ...] | None,
    area: Area | int,
    by_platform: Callable[..., Any],
    tree: Any,
    *leaves: Any,
) -> Callable[[Array, Any, Any], Array]:
    """`radial_sum` as a function of arrays alone: the velocities, the law's leaves that may vary, and all others.

    `tree`, `leaves`: of what the law and the noise hold besides arrays."""
    static, noise_static = jax.tree.unflatten(tree, leaves)

    def plain(velocity: Array, moving: Any, fixed: Any) -> Array:
        columns, law, noise = unpacked(velocity, moving, fixed)

        def weights(z: Components) -> Components:
            return (weight(law, square(z)),)

        rows = Rows(velocity, columns.ident)
        return mask_pairs(columns.alive[:, None], weighted_rows(terms, rows, columns, weights, noise, area))

    def unpacked(velocity: Array, moving: Any, fixed: Any) -> tuple[Slots, Any, Any]:
        arrays, keys, ident, alive = fixed
        columns = Slots(tuple(velocity.T), ident, alive)
        return columns, eqx.combine(moving, arrays, static), eqx.combine(keys, noise_static)

    # Programs of their own, each traced once: a derivative of a loop asks for them several times.
    plain = jax.jit(plain)
    total = jax.custom_jvp(plain)

    @functools.cache
    def pulled(places: tuple[int, ...]) -> Callable[[Array, Array, Any, Any], tuple[Array, Array]]:
        @jax.jit
        def of_places(g: Array, velocity: Array, moving: Any, fixed: Any) -> tuple[Array, Array]:
            return cotangents(places, g, velocity, moving, fixed)

        return of_places

    def cotangents(places: tuple[int, ...], g: Array, velocity: Array, moving: Any, fixed: Any) -> tuple[Array, Array]:
        """The cotangents of velocities and of the leaves at `places`: linear in g."""
        leaves, tree = jax.tree.flatten(moving)
        varied = [leaves[n] for n in places]

        def weight_of(r2: Array, *varied: Array) -> Array:
            now = list(leaves)
            for place, leaf in zip(places, varied, strict=True):
                now[place] = leaf
            return weight(eqx.combine(jax.tree.unflatten(tree, now), fixed[0], static), r2)

        def slopes(both: Array, z: Components) -> Components:
            """w, dw/d(r^2) and dw/d(leaf) for every leaf that varies, 0 where there is no pair."""
            r2 = square(z)
            w, slope = jax.jvp(lambda r2: weight_of(r2, *varied), (r2,), (jnp.ones_like(r2),))
            out = [w, slope]
            for n, leaf in enumerate(varied):
                of_leaf = lambda x, n=n: weight_of(r2, *varied[:n], x, *varied[n + 1 :])  # noqa: E731
                out.append(jax.jvp(of_leaf, (leaf,), (jnp.ones_like(leaf),))[1])
            return tuple(mask_pairs(both, value) for value in out)

        def pull(z: Components, tiles: Components, x: Components, g: Components) -> tuple[Components, Components]:
            """Of sum g terms: the derivatives in z, and in each leaf."""
            w, slope, *by_leaf = tiles
            by_z, by_w = jax.vjp(lambda z, w: terms(z, (w,), x), z, w)[1](g)
            total = tuple(p + 2 * (by_w * slope) * c for p, c in zip(by_z, z, strict=True))
            return total, tuple(by_w * value for value in by_leaf)

        def pull_both(
            z: Components, tiles: Components, x: tuple[Components, ...], g_i: Components, g_j: Components
        ) -> tuple[Components, Components]:
            """The same of what i and j receive from each other. x: x_ij, and x_ji without parity; g_i (B, 1), g_j (1, N)."""
            if parity is not None:
                return pull(z, tiles, x[0], tuple(p + s * q for s, p, q in zip(parity, g_i, g_j, strict=True)))
            g_i, g_j = (tuple(jnp.broadcast_to(c, z[0].shape) for c in g) for g in (g_i, g_j))
            (moved, by_leaf), (back, more) = (
                pull(z, tiles, x[0], g_i),
                pull(tuple(-c for c in z), tiles, x[1], g_j),
            )
            moved = minus(moved, back)
            return moved, tuple(p + q for p, q in zip(by_leaf, more, strict=True))

        def evaluated(z: Components, both: Array, ident_i: Array, ident_j: Array, keep: Callable[..., Any]) -> Any:
            """All that does not depend on g: the slopes of the weight and the normals."""
            tiles = keep(slopes, both, z)
            if noise is None:
                return tiles, ((),)
            orders = ({},) if parity is not None else ({}, {"exchanged": True})
            return tiles, tuple(noise(ident_i, ident_j, keep=keep, **order) for order in orders)

        columns, _, noise = unpacked(velocity, moving, fixed)
        num, dim = velocity.shape
        alive = columns.alive[:, None]

        def by_rows(g: Array) -> Array:
            """Row sums alone. Every pair is seen from both sides."""

            # A program of its own: the linear part alone is transposed.
            @jax.jit
            def known(rows: Rows, columns: Slots) -> Any:
                z, both = differences(rows, columns), partners(rows, columns)
                return evaluated(z, both, rows.ident, columns.ident, lambda fn, *args: fn(*args))

            def block(both: tuple[Rows, Array]) -> Array:
                rows, g_i = both
                g_i, g_j = tuple(c[:, None] for c in g_i.T), tuple(c[None, :] for c in g.T)
                tiles, x = known(rows, columns)
                moved, by_leaf = pull_both(differences(rows, columns), tiles, x, g_i, g_j)
                return jnp.stack([jnp.sum(p, axis=1) for p in moved + tuple(0.5 * p for p in by_leaf)], axis=1)

            pairs = area if isinstance(area, int) else area.on_accelerator(num)
            return map_rows(block, (Rows(velocity, columns.ident), g), num, area=pairs)

        def by_both(g: Array) -> Array:
            """Row i meets only the next N/2 slots (cyclically), and column sums give the rest: half of the work if blocks are
            in memory anyway, as on a CPU."""
            half = num // 2
            # Up to `size` columns too many are computed.
            pairs = area if isinstance(area, int) else area.cpu
            size = max(1, min(pairs // (half + 1), half // 8))
            count = -(-num // size)
            width, length = size + half, count * size + half

            def circle(x: Array) -> Array:
                return jnp.concatenate([x] * -(-length // num), axis=1)[:, :length]

            def part(x: Array, start: Array) -> Array:
                # In memory: loops that slice what they read are not vectorised, three times as slow.
                return _held(lambda x: x, jax.lax.dynamic_slice_in_dim(x, start, width, axis=1))

            @jax.jit
            def known(start: Array, rows: Rows, columns: Slots) -> Any:
                i = jnp.arange(size, dtype=jnp.int32)
                steps = jnp.arange(width, dtype=jnp.int32)[None, :] - i[:, None]
                i = start + i[:, None]
                both = (steps > 0) & (steps <= half) & (i < num)
                if num % 2 == 0:
                    both = both & ((steps < half) | (i < half))
                both = both & columns.alive[:size, None] & partners(rows, columns)
                return evaluated(differences(rows, columns), both, rows.ident, columns.ident, _held)

            def block(start: Array, moving: Array, fixed: Array, g: Array) -> tuple[Array, Array]:
                moving, fixed, g = part(moving, start), part(fixed, start), part(g, start)
                # As products, whose transposes are products: forward mode would add up in library calls (see `row_sums`).
                g_i = tuple(_product(c[:size, None], jnp.ones((1, width), c.dtype)) for c in g)
                g_j = tuple(_product(jnp.ones((size, 1), c.dtype), c[None, :]) for c in g)
                columns = Slots(tuple(moving), fixed[0], fixed[1] != 0)
                rows = Rows(moving[:, :size].T, fixed[0, :size])
                tiles, x = known(start, rows, columns)
                moved, by_leaf = pull_both(differences(rows, columns), tiles, x, g_i, g_j)
                ones = jnp.ones(width, velocity.dtype)
                sums = [_product(p, ones) for p in moved + by_leaf]
                return jnp.stack(sums, axis=1), jnp.stack([jnp.sum(p, axis=0) for p in moved])

            idents = jnp.stack([columns.ident, columns.alive.astype(jnp.uint32)])
            wound = [circle(x) for x in (velocity.T, idents, g.T)]
            block = jax.checkpoint(block, prevent_cse=False)

            def one_block(back: Array, start: Array) -> tuple[Array, Array]:
                rows, more = block(start, *wound)
                more = _held(lambda x: x, more)  # What forward mode slices is in memory too.
                now = jax.lax.dynamic_slice_in_dim(back, start, width, axis=1)
                return jax.lax.dynamic_update_slice_in_dim(back, now + more, start, axis=1), rows

            starts = size * jnp.arange(count, dtype=jnp.int32)
            back, rows = jax.lax.scan(one_block, jnp.zeros((dim, length), velocity.dtype), starts)
            back = jnp.pad(back, ((0, 0), (0, -length % num))).reshape(dim, -1, num).sum(1)
            rows = rows.reshape(count * size, -1)[:num]
            return rows - jnp.pad(back.T, ((0, 0), (0, rows.shape[1] - dim)))

        out = by_platform(mask_pairs(alive, g), cpu=by_both, default=by_rows)
        out = mask_pairs(alive, out)
        return out[:, :dim], jnp.sum(out[:, dim:], axis=0)

    def rule(primals: Any, tangents: Any) -> tuple[Array, Array]:
        moved, changes = tangents[0], jax.tree.leaves(tangents[1], is_leaf=_is_zero)
        places = tuple(n for n, change in enumerate(changes) if not _is_zero(change))
        if any(changes[n].ndim for n in places):
            full = jax.tree.map(_instantiated, tangents[:2], is_leaf=_is_zero)
            return jax.jvp(lambda velocity, moving: plain(velocity, moving, primals[2]), primals[:2], full)
        change = [changes[n].astype(primals[0].dtype) for n in places]
        change = jnp.stack(change) if places else jnp.zeros(0, primals[0].dtype)
        value = total(*primals)
        # The transpose of `pulled`; reverse mode transposes it again, and so runs `pulled`.
        pushed = jax.linear_transpose(lambda g: pulled(places)(g, *primals), value)
        return value, pushed((_instantiated(moved), change))[0]

    total.defjvp(rule, symbolic_zeros=True)
    return total


# Outside of `jit` a new rule would be compiled at every call. It holds none of the arrays of a call, so no tracer either.
_remembered_rule = functools.lru_cache(maxsize=64, typed=True)(_rule)


def closes_over_tracers(weight: Callable[[Any, Array], Array], law: eqx.Module, dtype: jnp.dtype) -> bool:
    """Whether `weight(law, r2)` uses traced values besides its arguments: a rule would lose their derivative."""
    arrays, static = eqx.partition(law, eqx.is_array)

    def of(arrays: Any, r2: Array) -> Array:
        return weight(eqx.combine(arrays, static), r2)

    return is_traced(jax.make_jaxpr(of)(arrays, jax.ShapeDtypeStruct((1,), dtype)).consts)


def _held(fn: Callable[..., Any], *args: Any) -> Any:
    """`fn(*args)` in memory."""
    return once_on_cpu(jax.jit(fn), *args)  # Traced once.


def _product(x: Array, y: Array) -> Array:
    return jnp.matmul(x, y, precision=jax.lax.Precision.HIGHEST)


def _is_zero(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.SymbolicZero)


def _instantiated(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype) if _is_zero(x) else x

r"""Sums over pairs of a radial law, with derivatives that are sums over pairs again: one pass, one evaluation of the noise.

For $S_i = \sum_j T(z_{ij}, w(r_{ij}), x_{ij})$ with T(-z, w, x_ji) = +-T(z, w, x_ij), the cotangent of v_k is
$\sum_j J(z_{kj})^T (g_k \pm g_j)$, J = dT/dz in total: a row sum. No sum over columns, no scatter, the same bits in every
run on an accelerator.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxkinetic_kernels import BLOCK_AREA, map_rows, once, row_sums

from .._types import Components
from ..states import Particles
from .sums import Rows, Slots, differences, mask_pairs, partners, rows_of, slots, weighted_rows

__all__ = ["closes_over_tracers", "radial_sum"]

Terms = Callable[[Components, Components, Components], Components]


def radial_sum(
    terms: Terms,
    weight: Callable[[Any, Array], Array],
    law: eqx.Module,
    state: Particles,
    *,
    parity: tuple[int, ...] | None,
    noise: eqx.Module | None = None,
    area: int = BLOCK_AREA,
) -> Float[Array, "N outputs"]:
    """sum_{j != i} terms(z_ij, (weight(law, |z_ij|^2),), noise(ident_i, ident_j)) over the alive j; 0 for dead i.

    The value is that of `weighted_sum`, bitwise. Derivatives in the velocities and in scalar leaves of `law` have a rule of
    their own; derivatives in other leaves take the general path. Forward and reverse mode, to every order.

    **Arguments:** `terms` and `weight`: functions that close over no traced value; `terms` as in `weighted_sum`. `parity`: for
    each output +1 or -1, its factor if i and j are exchanged, or None if there is no such factor (independent noise); then the
    reverse mode also adds up columns. `noise`: a pytree, called with (B,) and (N,) idents; it has no derivative.
    Cost of a gradient: one more evaluation of noise and weights for each pair; memory O(block).
    """
    moving, still = eqx.partition(law, eqx.is_inexact_array)
    arrays, static = eqx.partition(still, eqx.is_array)
    keys, noise_static = eqx.partition(noise, eqx.is_array)

    def plain(velocity: Array, moving: Any, fixed: Any) -> Array:
        columns, law, noise = unpacked(velocity, moving, fixed)

        def weights(z: Components) -> Components:
            return (weight(law, _square(z)),)

        rows = Rows(velocity, columns.ident)
        return mask_pairs(columns.alive[:, None], weighted_rows(terms, rows, columns, weights, noise, area))

    def unpacked(velocity: Array, moving: Any, fixed: Any) -> tuple[Slots, Any, Any]:
        arrays, keys, ident, alive = fixed
        columns = Slots(tuple(velocity.T), ident, alive)
        return columns, eqx.combine(moving, arrays, static), eqx.combine(keys, noise_static)

    total = jax.custom_jvp(plain)

    def rule(primals: Any, tangents: Any) -> tuple[Array, Array]:
        velocity, moving, fixed = primals
        leaves, tree = jax.tree.flatten(moving)
        moved, changes = tangents[0], jax.tree.leaves(tangents[1], is_leaf=_is_zero)
        places = [n for n, change in enumerate(changes) if not _is_zero(change)]
        if any(leaves[n].ndim for n in places):
            full = jax.tree.map(_instantiated, tangents[:2], is_leaf=_is_zero)
            return jax.jvp(lambda velocity, moving: plain(velocity, moving, fixed), primals[:2], full)
        columns, law, noise = unpacked(*primals)

        def tiles(rows: Rows, columns: Slots, leaves: list[Array]) -> Components:
            """w, dw/d(r^2) and dw/d(leaf) for every leaf that varies."""
            both = partners(rows, columns)
            r2 = _square(differences(rows, columns))

            def of(r2: Array, *changed: Array) -> Array:
                now = list(leaves)
                for place, leaf in zip(places, changed, strict=True):
                    now[place] = leaf
                return weight(eqx.combine(jax.tree.unflatten(tree, now), fixed[0], static), r2)

            varied = [leaves[n] for n in places]
            w, slope = jax.jvp(lambda r2: of(r2, *varied), (r2,), (jnp.ones_like(r2),))
            out = [w, slope]
            for n, leaf in enumerate(varied):
                one = jnp.ones_like(leaf)
                out.append(jax.jvp(lambda x, n=n: of(r2, *varied[:n], x, *varied[n + 1 :]), (leaf,), (one,))[1])
            return tuple(mask_pairs(both, value) for value in out)

        def known(rows: Rows) -> tuple[Components, Components, Components]:
            def masked(ident_i: Array, ident_j: Array, alive: Array) -> Components:
                both = alive[None, :] & (ident_i[:, None] != ident_j[None, :])
                return tuple(mask_pairs(both, value) for value in noise(ident_i, ident_j)) if noise is not None else ()

            x = once(masked, rows.ident, columns.ident, columns.alive)
            return differences(rows, columns), once(tiles, rows, columns, leaves), x

        num = velocity.shape[0]
        rows = Rows(velocity, columns.ident)
        alive = columns.alive[:, None]

        def pulled(g: Array) -> tuple[Array, Array]:
            """The cotangents of velocities and leaves: linear in g."""
            g = mask_pairs(alive, g)
            g_columns = tuple(g.T)

            def block(rows: tuple[Rows, Array]) -> Array:
                z, (w, slope, *by_leaf), x = known(rows[0])
                assert parity is not None
                h = tuple(rows[1][:, k, None] + s * g_columns[k][None, :] for k, s in enumerate(parity))
                by_z, by_w = jax.vjp(lambda z, w: terms(z, (w,), x), z, w)[1](h)
                out = [row_sums(q + 2 * (by_w * slope) * c) for q, c in zip(by_z, z, strict=True)]
                # Every pair is seen twice.
                out += [row_sums(0.5 * by_w * value) for value in by_leaf]
                return jnp.stack(out, axis=1)

            out = mask_pairs(alive, map_rows(block, (rows, g), num, area=area))
            return out[:, : velocity.shape[1]], jnp.sum(out[:, velocity.shape[1] :], axis=0)

        def pushed(moved: Array, change: Array) -> Array:
            moved_columns = tuple(moved.T)

            def block(rows: tuple[Rows, Array]) -> Array:
                z, (w, slope, *by_leaf), x = known(rows[0])
                dz = tuple(rows[1][:, k, None] - column[None, :] for k, column in enumerate(moved_columns))
                dw = 2 * slope * sum((p * q for p, q in zip(z[1:], dz[1:], strict=True)), z[0] * dz[0])
                for value, by in zip(change, by_leaf, strict=True):
                    dw = dw + value * by
                out = jax.jvp(lambda z, w: terms(z, (w,), x), (z, w), (dz, dw))[1]
                return jnp.stack([row_sums(value) for value in out], axis=1)

            return mask_pairs(alive, map_rows(block, (rows, moved), num, area=area))

        moved = _instantiated(moved)
        change = jnp.stack([changes[n] for n in places]) if places else jnp.zeros(0, velocity.dtype)
        value = total(*primals)
        if parity is None:
            return value, pushed(moved, change.astype(velocity.dtype))
        # The transpose of the transpose: reverse mode runs `pulled` itself.
        return value, jax.linear_transpose(pulled, value)((moved, change.astype(velocity.dtype)))[0]

    total.defjvp(rule, symbolic_zeros=True)
    columns = slots(state)
    return total(rows_of(state).velocity, moving, (arrays, keys, columns.ident, columns.alive))


def closes_over_tracers(fn: Callable[[Array], Array], dtype: jnp.dtype) -> bool:
    """Whether `fn`, elementwise, uses traced values that are not its arguments: a rule would lose their derivative."""
    consts = jax.make_jaxpr(fn)(jax.ShapeDtypeStruct((1,), dtype)).consts
    return any(isinstance(const, jax.core.Tracer) for const in consts)


def _square(z: Components) -> Array:
    return sum((c * c for c in z[1:]), z[0] * z[0])


def _is_zero(x: Any) -> bool:
    return isinstance(x, jax.custom_derivatives.SymbolicZero)


def _instantiated(x: Any) -> Any:
    return jnp.zeros(x.shape, x.dtype) if _is_zero(x) else x

"""The kinetic phase of one direction, made once for a run."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Complex

from .._util.types import RealScalar
from ..spectral import power_tables, powers_of, unit_wavenumber
from ..states import Axis

__all__ = ["KineticPhase"]


class KineticPhase(eqx.Module):
    """e^{-i tau k v} at (v, k), k of a real transform or of a complex one: `values`, and the short tables that they are
    products of.

    A run multiplies by the values; its derivative keeps the tables alone, from which it makes them again."""

    values: Complex[Array, "num_v num_k"]
    low: Complex[Array, "num_v low"]
    up: Complex[Array, "num_v up"]
    num: int = eqx.field(static=True)
    real: bool = eqx.field(static=True)

    @staticmethod
    def over(tau: RealScalar, x: Axis, v: Axis, *, real: bool) -> "KineticPhase":
        low, up = power_tables(-tau * unit_wavenumber(x) * v.points, num=x.num, real=real)
        return KineticPhase(powers_of(low, up, num=x.num, real=real), low, up, x.num, real)

    def backwards(self) -> "KineticPhase":
        """Over -tau."""
        return jax.tree.map(jnp.conj, self)

    def turned_over(self) -> "KineticPhase":
        """At (k, v), v in the order in which a plain transform of a plain transform has it: 0, num - 1, ..., 1."""
        turned = jax.tree.map(lambda table: jnp.roll(jnp.flip(table, 0), 1, 0), self)
        return eqx.tree_at(lambda phase: phase.values, turned, turned.values.T)

    def times(self, hat: Complex[Array, "*grid"], shape: tuple[int, ...] | None) -> Complex[Array, "*grid"]:
        """`hat` times this as an array of `shape`; None: one that was turned over."""
        return _times(self.num, self.real, shape, hat, self.values, self.low, self.up)


def _placed(made: Array, shape: tuple[int, ...] | None) -> Array:
    return made.T if shape is None else made.reshape(shape)


def _stored(values: Array, shape: tuple[int, ...] | None) -> Array:
    return values if shape is None else values.reshape(shape)


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def _times(
    num: int, real: bool, shape: tuple[int, ...] | None, hat: Array, values: Array, low: Array, up: Array
) -> Array:
    return hat * _stored(values, shape)


@_times.defjvp
def _times_jvp(num, real, shape, primals, tangents):
    hat, values, low, up = primals
    moved, _, moved_low, moved_up = tangents

    # Recomputed where it is used: what is known would be stored at every step.
    @partial(jax.checkpoint, prevent_cse=False)
    def along(moved: Array, hat: Array, low: Array, up: Array, moved_low: Array, moved_up: Array) -> Array:
        made = partial(powers_of, num=num, real=real)
        phases, change = jax.jvp(made, (low, up), (moved_low, moved_up))
        return moved * _placed(phases, shape) + hat * _placed(change, shape)

    return hat * _stored(values, shape), along(moved, hat, low, up, moved_low, moved_up)

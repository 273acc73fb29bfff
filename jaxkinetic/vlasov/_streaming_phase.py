"""The phase by which free streaming multiplies one direction, computed once for a run."""

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
    """e^{-i tau k v} at (v, k), with k of a real or of a complex transform: `values`, and two short tables whose products they
    are.

    A run multiplies by the values. Its backward pass stores only the tables and recomputes the values from them."""

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
        """The phase for -tau."""
        return jax.tree.map(jnp.conj, self)

    def turned_over(self) -> "KineticPhase":
        """At (k, v), with v in the order 0, num - 1, ..., 1, which results from two forward transforms."""
        turned = jax.tree.map(lambda table: jnp.roll(jnp.flip(table, 0), 1, 0), self)
        return eqx.tree_at(lambda phase: phase.values, turned, turned.values.T)

    def times(self, hat: Complex[Array, "*grid"], shape: tuple[int, ...] | None) -> Complex[Array, "*grid"]:
        """`hat` times the phase, reshaped to `shape`; `shape` None for a phase from `turned_over`."""
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

    # Recomputed where it is used; otherwise the values would be stored at every step.
    @partial(jax.checkpoint, prevent_cse=False)
    def along(moved: Array, hat: Array, low: Array, up: Array, moved_low: Array, moved_up: Array) -> Array:
        made = partial(powers_of, num=num, real=real)
        phases, change = jax.jvp(made, (low, up), (moved_low, moved_up))
        return moved * _placed(phases, shape) + hat * _placed(change, shape)

    return hat * _stored(values, shape), along(moved, hat, low, up, moved_low, moved_up)

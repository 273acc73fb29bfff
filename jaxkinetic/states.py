"""The pytrees that flow."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, UInt32

from ._checks import is_traced, real_array, refuse


class Particles(eqx.Module):
    """N particles in d dimensions, nondimensional, unit mass each.

    **Arguments:**

    - `velocity`: (N, d), real floating.
    - `position`: (N, d), or None for a spatially homogeneous system.
    - `alive`: (N,) bool, default all. A dead slot neither moves nor acts, and is left out of every average.
    - `ident`: (N,) uint32, default 0..N-1. All noise is keyed by `ident`, not by the place in the array, so a
      permuted state follows the same path.

    `jax.grad` with respect to a whole `Particles` fails on its bool and uint32 leaves: use `eqx.filter_grad`, or
    differentiate in `velocity`.

    **Raises:** `ValueError` for integer or complex velocities and for shapes that do not fit together.
    """

    velocity: Float[Array, "N d"]
    position: Float[Array, "N d"] | None
    alive: Bool[Array, " N"]
    ident: UInt32[Array, " N"]

    def __init__(
        self,
        velocity: ArrayLike,
        position: ArrayLike | None = None,
        alive: ArrayLike | None = None,
        ident: ArrayLike | None = None,
    ):
        self.velocity = real_array("velocity", velocity, "N d")
        num = self.velocity.shape[0]
        if num > 2**31:
            raise refuse(
                "velocity", "hold at most 2^31 particles: identities are uint32, places int32", f"holds {num}",
                "split the system",
            )  # fmt: skip
        self.position = None if position is None else real_array("position", position, "N d")
        if self.position is not None and self.position.shape != self.velocity.shape:
            raise refuse(
                "position", f"have the shape of `velocity`, {self.velocity.shape}", f"has shape {self.position.shape}",
                "pass one position a particle",
            )  # fmt: skip
        self.alive = jnp.ones(num, bool) if alive is None else jnp.asarray(alive)
        self.ident = jnp.arange(num, dtype=jnp.uint32) if ident is None else jnp.asarray(ident)
        for name, array, dtype in (("alive", self.alive, jnp.bool_), ("ident", self.ident, jnp.uint32)):
            if array.shape != (num,) or array.dtype != dtype:
                raise refuse(
                    name, f"be an array of shape ({num},) and dtype {jnp.dtype(dtype)}",
                    f"has shape {array.shape} and dtype {array.dtype}", "convert it",
                )  # fmt: skip

        if ident is not None and not is_traced(ident) and np.unique(np.asarray(ident)).size < num:
            raise refuse("ident", "name every particle once", "holds duplicates", "pass distinct numbers")

    @property
    def num_slots(self) -> int:
        """N, dead slots included."""
        return self.velocity.shape[0]

    @property
    def dim(self) -> int:
        return self.velocity.shape[1]

    @property
    def num_alive(self) -> Array:
        """How many particles are alive, in the dtype of the velocities."""
        return jnp.sum(self.alive, dtype=self.velocity.dtype)

    @property
    def live_velocity(self) -> Array:
        """(N, d): the velocities, 0 in dead slots: whatever those hold stays out of values and of derivatives."""
        return jnp.where(self.alive[:, None], self.velocity, jnp.zeros((), self.velocity.dtype))

    def mean(self, values: Array) -> Array:
        """The average of `values` (N, ...) over the particles that are alive."""
        alive = self.alive.reshape(-1, *[1] * (values.ndim - 1))
        return jnp.sum(jnp.where(alive, values, jnp.zeros((), values.dtype)), axis=0) / self.num_alive

    def increment(self, *, velocity: Array | None = None, position: Array | None = None) -> "Particles":
        """A `Particles`-shaped pytree with None where nothing moves, for `eqx.apply_updates`."""
        nothing: Any = jax.tree.map(lambda _: None, self)
        return eqx.tree_at(
            lambda p: (p.velocity, p.position), nothing, (velocity, position), is_leaf=lambda x: x is None
        )


def check_particles(state: Any, least: int) -> None:
    """**Raises:** `ValueError` unless `state` is `Particles` of one run, with room for `least` of them."""
    if not isinstance(state, Particles):
        raise refuse("state", "be Particles", f"is a {type(state).__name__}", "pass jk.Particles(velocity)")
    if state.velocity.ndim != 2:
        raise refuse(
            "state.velocity", "have shape (N, d)", f"has shape {state.velocity.shape}", "use `jax.vmap` over replicas"
        )
    if state.num_slots < least:
        plural = "" if least == 1 else "s"
        raise refuse("state", f"hold at least {least} particle{plural}", f"holds {state.num_slots}", "add particles")


def check_alive(state: Particles, least: int) -> None:
    """**Raises:** `ValueError` if fewer than `least` are alive; a traced mask passes."""
    if is_traced(state.alive):
        return
    alive = int(np.sum(np.asarray(state.alive)))
    if alive < least:
        what = "a particle that is" if least == 1 else f"at least {least} particles that are"
        raise refuse("state", f"hold {what} alive", f"holds {alive or 'none'}", "revive some")

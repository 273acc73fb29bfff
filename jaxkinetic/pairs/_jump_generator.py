"""The generator of systems whose pairs jump."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from .._core.system import AbstractPairJump, check_test_function
from .._util.checks import nan_out_of_range
from .._util.types import RealScalar
from ..states import Particles, check_particles

Function = Callable[[Particles], RealScalar]


class Outcomes(NamedTuple):
    """A jump of one pair at fixed mean velocity. `relative` (Q, d): the relative velocities after it, with `weights` (Q,).
    `jumps`: whether it jumps at all. `vanish`: the probability that both vanish instead, or None."""

    relative: Array
    weights: Array
    jumps: Array | bool = True
    vanish: Array | None = None


def jump_generator(system: AbstractPairJump, outcomes: Callable[[Array], Outcomes], phi: Any) -> Function:
    r"""phi to $L\varphi = \sum_{i<j} \lambda_{ij} (E\varphi' - \varphi)$, lambda_ij = `clock` times the rate of the pair, phi'
    the value after its jump. `outcomes`: a function of the relative velocity (d,)."""
    check_test_function(phi)

    def generated(state: Particles) -> RealScalar:
        check_particles(state, 1)
        v, alive, here = state.velocity, state.alive, phi(state)
        first, second = (jnp.asarray(x) for x in np.triu_indices(state.num_slots, 1))

        def pair(i: Array, j: Array) -> RealScalar:
            z, mean = v[i] - v[j], (v[i] + v[j]) / 2
            relative, weights, jumps, vanish = outcomes(z)

            def after(relative: Array) -> RealScalar:
                moved = v.at[i].set(mean + relative / 2).at[j].set(mean - relative / 2)
                return phi(Particles(moved, state.position, alive, state.ident))

            change = jnp.sum(weights * jax.vmap(after)(relative)) - here
            if vanish is not None:
                gone = phi(Particles(v, state.position, alive.at[i].set(False).at[j].set(False), state.ident))
                change = (1 - vanish) * change + vanish * (gone - here)
            rate = system.rate(tuple(v[i]), tuple(v[j])) * system.clock(state.num_alive)
            return jnp.where(alive[i] & alive[j] & jumps, rate * change, 0)

        return nan_out_of_range(system, jnp.sum(jax.lax.map(lambda ij: pair(*ij), (first, second))))

    return generated

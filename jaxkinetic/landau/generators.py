"""Generators of the Landau particle systems as dense sums over pairs: the reference against which tests check the schemes."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from .._core.system import check_test_function
from .._util.types import RealScalar
from ..states import Particles, check_particles
from .interactions import AbstractInteraction

__all__ = ["particle_generator"]


def particle_generator(
    interaction: AbstractInteraction, phi: Callable[[Particles], RealScalar], *, shared_noise: bool
) -> Callable[[Particles], RealScalar]:
    r"""L phi for phi: state -> scalar. Uses a only: div a is computed by differentiation, which reveals an error in `b`.

    - independent noise, [FengWang2025, (1.7) and (1.8)]: $L\phi = \frac1N \sum_{i \ne j} [2\,\mathrm{div}\,a(z_{ij}) \cdot
      D_i\phi + a(z_{ij}) : D_i D_i \phi]$;
    - shared, anti-symmetric noise, [FengWang2025, (1.6)]: in addition $-\frac1N \sum_{i \ne j} a(z_{ij}) : D_i D_j \phi$, so
      that each pair acts through D_i - D_j.

    N counts the particles that are alive. Cost N^2 d^2, plus the Hessian of phi, (N d)^2.
    """

    check_test_function(phi)

    @jax.default_matmul_precision("highest")
    def value(state: Particles) -> RealScalar:
        check_particles(state, 1)
        dtype, num = state.velocity.dtype, state.num_alive
        alive = state.alive
        pairs = alive[:, None] & alive[None, :] & ~jnp.eye(state.num_slots, dtype=bool)
        z = state.velocity[:, None, :] - state.velocity[None, :, :]
        # Any z != 0 for the pairs left out: a singular a has the derivative NaN at 0, which the weight 0 does not remove.
        z = jnp.where(pairs[..., None], z, jnp.ones((), dtype))

        def divergence(w: Array) -> Array:
            return jnp.trace(jax.jacfwd(interaction.a)(w), axis1=1, axis2=2)

        weight = pairs.astype(dtype) / num
        a = weight[..., None, None] * interaction.a(z)
        div_a = weight[..., None] * jax.vmap(jax.vmap(divergence))(z)

        def of_velocity(velocity: Float[Array, "N d"]) -> RealScalar:
            return phi(Particles(velocity, state.position, state.alive, state.ident))

        gradient = jax.grad(of_velocity)(state.velocity)
        hessian = jax.hessian(of_velocity)(state.velocity)
        total = 2 * jnp.einsum("ijc,ic->", div_a, gradient) + jnp.einsum("ijcd,icid->", a, hessian)
        if shared_noise:
            total = total - jnp.einsum("ijcd,icjd->", a, hessian)
        return total

    return value

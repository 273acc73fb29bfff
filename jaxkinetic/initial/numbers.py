"""A random number of particles at the start: which slots are alive, decided slot by slot."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from .. import random
from .._util.checks import PROBABILITY, argument_error, check_scalar, is_traced, known_as
from .._util.numpy_checks import check_key
from .._util.types import Key, RealScalarLike
from ..states import Particles, check_particles

__all__ = ["binomial_number", "poisson_number"]


def binomial_number(key: Key, particles: Particles, probability: RealScalarLike) -> Particles:
    """`particles`, of which each that is alive stays so with `probability`, independently of the others.

    Inside a start of `jk.expectation` of a jump process the gradient with respect to `probability` is that of the law, without
    bias; elsewhere it raises.

    **Arguments:** `key`: another one than that of the velocities. **Raises:** `ValueError` for a probability outside [0, 1]; a
    traced one above 1 counts as 1, below 0 as 0.
    """
    check_key("key", key)
    check_particles(particles, 1)
    check_scalar("probability", probability, within=PROBABILITY)
    (chance,) = known_as(particles.velocity.dtype, probability)
    return _kept(key, particles, chance)


def poisson_number(key: Key, particles: Particles, mean: RealScalarLike) -> Particles:
    """`particles`, of which a Poisson number stay alive: the first slots, thinned. With i.i.d. velocities the correlation
    functions of the start are exactly f_l = f_0^l [LodsNotaPezzotti2020].

    A number of Poisson law with mean up to twice `mean`, as many as the slots allow, chooses the first slots; each of them is
    kept with the probability that makes the mean right. So the gradient with respect to `mean` is one of decisions for each
    slot: inside a start of `jk.expectation` of a jump process it is that of the law, without bias; elsewhere it raises.

    **Arguments:** `key`: another one than that of the velocities. All slots of `particles` must be alive. **Raises:**
    `ValueError` unless there are at least mean + 8 sqrt(mean) + 16 slots; traced, the velocities are NaN then.
    """
    check_key("key", key)
    check_particles(particles, 1)
    check_scalar("mean", mean, positive=True)
    dtype, num = particles.velocity.dtype, particles.num_slots
    # The largest mean for which the slots suffice, but with a probability below 1e-12.
    most = max((np.sqrt(num) - 4) ** 2 - 16, 0.0) if num > 32 else 0.0
    if not is_traced(mean) and float(np.asarray(mean)) > most:
        need = int(np.ceil((np.sqrt(float(np.asarray(mean)) + 16) + 4) ** 2)) + 1
        raise argument_error("particles", f"have at least {need} slots", f"have {num}", "draw more velocities")
    (mean,) = known_as(dtype, mean)
    bound = jax.lax.stop_gradient(jnp.minimum(2 * jnp.asarray(mean), jnp.asarray(most, dtype)))
    first, second = jax.random.split(key)
    arrivals = jnp.cumsum(jax.random.exponential(first, (num,), dtype))
    fits = jnp.where(bound >= jax.lax.stop_gradient(mean), jnp.ones((), dtype), np.asarray(np.nan, dtype))
    chosen = eqx.tree_at(
        lambda p: (p.alive, p.velocity), particles, (particles.alive & (arrivals < bound), particles.velocity * fits)
    )
    return _kept(second, chosen, mean / bound)


def _kept(key: Key, particles: Particles, chance: Any) -> Particles:
    words = jax.random.bits(key, (particles.num_slots,), jnp.uint32)
    stays = random.bernoulli(words, jnp.broadcast_to(chance, words.shape))
    return eqx.tree_at(lambda p: p.alive, particles, particles.alive & stays)

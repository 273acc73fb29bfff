"""d = 2: the wrapped normal law on the circle, in closed form."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array

__all__ = ["cumulative", "density"]

# The tau from which on harmonics are summed: before, the images that are left out are below e^{-39}.
_EDGE = 0.25
# The next one is e^{-169/4} = 5e-19.
_HARMONICS = 12


def cumulative(theta: Array, tau: Array) -> Array:
    r"""F(theta) = P(|angle| <= theta) for the angle N(0, 2 tau) on the circle; relative precision at small theta.

    $\theta/\pi + (2/\pi)\sum_l e^{-l^2\tau}\sin(l\theta)/l$; for tau < 1/4 error functions of the angle and its images.
    """
    edge = jnp.asarray(_EDGE, theta.dtype)
    late, early = jnp.maximum(tau, edge), jnp.minimum(tau, edge)
    by_series = theta / math.pi
    for degree in range(1, _HARMONICS + 1):
        by_series = by_series + 2 / (math.pi * degree) * jnp.exp(-degree * degree * late) * jnp.sin(degree * theta)
    width = jnp.sqrt(4 * early)
    images = jax.lax.erfc((2 * math.pi - theta) / width) - jax.lax.erfc((2 * math.pi + theta) / width)
    return jnp.where(tau < edge, jax.lax.erf(theta / width) + images, by_series)


def density(theta: Array, tau: Array) -> Array:
    """dF/dtheta, not negative."""
    edge = jnp.asarray(_EDGE, theta.dtype)
    late, early = jnp.maximum(tau, edge), jnp.minimum(tau, edge)
    by_series = jnp.full_like(theta, 1 / math.pi)
    for degree in range(1, _HARMONICS + 1):
        by_series = by_series + 2 / math.pi * jnp.exp(-degree * degree * late) * jnp.cos(degree * theta)
    image = 2 * math.pi - theta
    by_images = jnp.exp(-theta * theta / (4 * early)) + jnp.exp(-image * image / (4 * early))
    by_images = by_images / jnp.sqrt(math.pi * early)
    return jnp.maximum(jnp.where(tau < edge, by_images, by_series), 0)

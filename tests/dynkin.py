"""Dynkin's formula as a test: E[phi(X_T) - phi(X_0) - int_0^T L phi dt] = 0 for every phi, with L = system.generator.

The scheme's error and that of the left sum for the integral (the trapezoidal one, at order 2) have an expansion in dt, so the
first term is removed by Richardson's extrapolation of two runs with dt and dt/2: no tolerance enters but the standard error.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxkinetic as jk

DEGREES = (2, 3, 4, 6)
HORIZON, COARSE_STEPS = 0.08, 4


def datum(num, dim):
    """A fixed state far from equilibrium, and a direction c with a part along it, so that L phi is far from 0."""
    key = jax.random.key(100 * num + dim)
    spread = jnp.linspace(0.6, 1.4, dim)[None, :]
    v = spread * jax.random.normal(key, (num, dim)) + 0.2
    c = v / jnp.linalg.norm(v) + 0.6 * jax.random.normal(jax.random.key(1), v.shape) / jnp.sqrt(v.size)
    return jk.Particles(v), c / jnp.linalg.norm(c)


def phi(degree, c, state):
    """(c.x)^degree: no symmetry under exchange or rotation that could hide a mistake."""
    return jnp.vdot(c, state.live_velocity) ** degree


@eqx.filter_jit
def _martingales(system, scheme, state, c, keys, dt, num_steps):
    functions = [partial(phi, degree, c) for degree in DEGREES]
    generators = [system.generator(f) for f in functions]

    def values(state):
        return jnp.stack([f(state) for f in functions])

    def rates(state):
        return jnp.stack([g(state) for g in generators])

    def one(key):
        save = jk.Save(every=1, observe={"phi": values, "rate": rates})
        observed = jk.simulate(
            system,
            state,
            scheme=scheme,
            key=key,
            dt=dt,
            num_steps=num_steps,
            save=save,
            adjoint=jk.Direct(),
            throw=False,
        ).observed
        rate = observed["rate"]
        integral = dt * rate[:-1].sum(axis=0)
        if _order(scheme) == 2:
            integral = integral + dt / 2 * (rate[-1] - rate[0])
        return observed["phi"][-1] - observed["phi"][0] - integral

    return jax.lax.map(one, keys, batch_size=1000)


def _order(scheme):
    """Without a time-step error only the trapezoidal rule is left."""
    return 2 if scheme.weak_order is None else scheme.weak_order


def z_scores(system, scheme, num, dim, replicas, seed=0, steps=COARSE_STEPS):
    """(mean of the extrapolated martingale at T) / (its standard error), for each degree."""
    state, c = datum(num, dim)
    coarse_keys, fine_keys = jax.random.split(jax.random.key(seed))
    dt = HORIZON / steps
    coarse = np.asarray(_martingales(system, scheme, state, c, jax.random.split(coarse_keys, replicas // 4), dt, steps))
    fine = np.asarray(_martingales(system, scheme, state, c, jax.random.split(fine_keys, replicas), dt / 2, 2 * steps))
    gain = 2.0 ** _order(scheme)
    mean = (gain * fine.mean(0) - coarse.mean(0)) / (gain - 1)
    variance = (gain**2 * fine.var(0) / len(fine) + coarse.var(0) / len(coarse)) / (gain - 1) ** 2
    return mean / np.sqrt(variance)

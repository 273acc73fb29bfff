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


# Row k: the coefficients of s^(degree k). A power as data: its generator is one program for all degrees.
POWERS = np.eye(1 + max(DEGREES))[list(DEGREES)]


def phi(powers, c, state):
    """sum_k powers_k (c.x)^k: no symmetry under exchange or rotation that could hide a mistake."""
    s, total = jnp.vdot(c, state.live_velocity), jnp.zeros(())
    for k in range(max(DEGREES), -1, -1):
        total = total * s + powers[k]
    return total


@eqx.filter_jit
def _martingales(system, scheme, state, c, keys, turns, dt, last, num_steps, whole):
    """phi(X_T) - phi(X_0) - int L phi dt of every replica, from step 0 to `last`. Replicas take turns: each evaluates one
    term of the sum for the integral, so that the mean is that of the complete sum, at a fraction of the cost. `whole`: every
    replica evaluates all terms; needed if a single term scatters more than phi(X_T)."""

    def values(state):
        return jax.vmap(lambda powers: phi(powers, c, state))(POWERS)

    def rates(state):
        return jax.vmap(lambda powers: system.generator(partial(phi, powers, c))(state))(POWERS)

    def one(key_and_turn):
        key, turn = key_and_turn
        states = jk.simulate(
            system, state, scheme=scheme, key=key, dt=dt, num_steps=num_steps, save=jk.Save(every=1, state=True),
            adjoint=jk.Direct(), throw=False,
        ).states  # fmt: skip
        if whole:
            steps = jnp.arange(num_steps + 1)
            weights = jnp.where(steps < last, 1.0, 0.0)
            if _order(scheme) == 2:
                weights = weights + jnp.where(steps == last, 0.5, 0.0) - jnp.where(steps == 0, 0.5, 0.0)
            end = jax.tree.map(lambda x: x[last], states)
            return values(end) - values(state) - dt * weights @ jax.vmap(rates)(states)
        place = turn % last
        if _order(scheme) == 2:
            # The trapezoidal rule: the two ends share a turn.
            place = jnp.where((place == 0) & (turn // last % 2 == 1), last, place)
        end, within = (jax.tree.map(lambda x, k=k: x[k], states) for k in (last, place))
        return values(end) - values(state) - dt * last * rates(within)

    return jax.vmap(one)((keys, turns))


def _order(scheme):
    """Without a time-step error only the trapezoidal rule is left."""
    return 2 if scheme.weak_order is None else scheme.weak_order


def z_scores(system, scheme, num, dim, replicas, seed=0, steps=COARSE_STEPS, *, whole=False):
    """(mean of the extrapolated martingale at T) / (its standard error), for each degree. `whole`: see `_martingales`; for
    rates that are unbounded, like Coulomb's without softening."""
    state, c = datum(num, dim)
    # Every term of both sums equally often: a number of replicas that four times the steps divide.
    together = min(1024, replicas // 4) // (4 * steps) * (4 * steps)
    dt = HORIZON / steps

    def martingales(key, number, dt, last):
        """One program for both: of twice the steps, of which the coarse runs look at half."""
        parts = -(-number // together)
        keys, turns = jax.random.split(key, (parts, together)), jnp.arange(together)
        run = partial(
            _martingales, system, scheme, state, c, dt=jnp.asarray(dt), last=jnp.asarray(last), num_steps=2 * steps, whole=whole
        )  # fmt: skip
        return np.concatenate([run(keys[i], turns) for i in range(parts)])

    coarse_key, fine_key = jax.random.split(jax.random.key(seed))
    coarse = martingales(coarse_key, replicas // 4, dt, steps)
    fine = martingales(fine_key, replicas, dt / 2, 2 * steps)
    gain = 2.0 ** _order(scheme)
    mean = (gain * fine.mean(0) - coarse.mean(0)) / (gain - 1)
    variance = (gain**2 * fine.var(0) / len(fine) + coarse.var(0) / len(coarse)) / (gain - 1) ** 2
    return mean / np.sqrt(variance)

"""Independent replicas of a run, and how far their mean is from an exact value."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import jaxkinetic as jk


def replicate(system, init, observe, *, key, replicas, dt, num_steps, batch=512):
    """observe(initial state, final state) of every replica; `init` maps a key to a state."""

    @eqx.filter_jit
    def all_runs(system, keys):
        def one(key):
            start_key, run_key = jax.random.split(key)
            start = init(start_key)
            final = jk.simulate(
                system, start, scheme=jk.EulerMaruyama(), key=run_key, dt=dt, num_steps=num_steps,
                adjoint=jk.Direct(), throw=False,
            ).final  # fmt: skip
            return observe(start, final)

        return jax.lax.map(one, keys, batch_size=batch)

    return jax.tree.map(np.asarray, all_runs(system, jax.random.split(key, replicas)))


def z_scores(samples, exact) -> np.ndarray:
    """(mean - exact)/standard error, elementwise over what follows the replica axis."""
    samples = np.asarray(samples, float)
    stderr = samples.std(axis=0, ddof=1) / np.sqrt(len(samples))
    return (samples.mean(axis=0) - np.asarray(exact)) / stderr


def difference_z_scores(a, b) -> np.ndarray:
    """Of two independent samples of what should be the same law."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return (a.mean(0) - b.mean(0)) / np.sqrt(a.var(0, ddof=1) / len(a) + b.var(0, ddof=1) / len(b))


def upper(matrix) -> jax.Array:
    rows, columns = np.triu_indices(matrix.shape[-1])
    return jnp.asarray(matrix)[..., rows, columns]

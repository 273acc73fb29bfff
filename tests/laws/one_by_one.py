"""Kac's walk with annihilation by a sequential event loop, float64 numpy, vectorised over independent runs: the reference."""

import numpy as np


def walk(rng, velocity, alive, sigma, volume, alpha, times):
    """(velocity, alive) of every run at `times`. `velocity`: (R, N, 3), `alive`: (R, N), changed. `sigma`: r -> rate.

    A candidate pair comes at the rate of all pairs of slots times sigma(r_max), r_max = sqrt(2 sum |v|^2) of the run at its
    start, which no pair's relative speed can ever exceed."""
    runs, num = alive.shape
    every = np.arange(runs)
    bound = sigma(np.sqrt(2 * np.sum(velocity**2 * alive[..., None], axis=(1, 2))))
    rate = num * (num - 1) / 2 * bound / volume
    clock, out, seen = np.zeros(runs), [], 0
    waiting = clock + rng.exponential(size=runs) / rate
    for end in times:
        while True:
            due = np.flatnonzero(waiting < end)
            if not due.size:
                break
            seen += due.size
            i = rng.integers(0, num, due.size)
            j = rng.integers(0, num - 1, due.size)
            j += j >= i
            v, w = velocity[due, i], velocity[due, j]
            r = np.linalg.norm(v - w, axis=1)
            accepted = alive[due, i] & alive[due, j] & (rng.random(due.size) * bound[due] < sigma(r))
            dies = rng.random(due.size) < alpha
            gone, meets = accepted & dies, accepted & ~dies
            for k in (i, j):
                alive[due[gone], k[gone]] = False
            e = rng.normal(size=(due.size, 3))
            e *= r[:, None] / np.linalg.norm(e, axis=1, keepdims=True) / 2
            mean = (v + w) / 2
            velocity[due[meets], i[meets]] = (mean + e)[meets]
            velocity[due[meets], j[meets]] = (mean - e)[meets]
            waiting[due] += rng.exponential(size=due.size) / rate[due]
        out.append((velocity[every].copy(), alive[every].copy()))
    return out

"""Exact means of jump processes at finite N by numpy and scipy, as functions of the parameters, and their derivatives."""

import numpy as np
from scipy.linalg import expm


def slopes(mean, at):
    """Central differences of `mean(*at)` in every argument, float64: relative error about 1e-9."""
    out = []
    for i, x in enumerate(at):
        h = 1e-5 * max(1.0, abs(x))
        high, low = ([*at[:i], x + s * h, *at[i + 1 :]] for s in (1, -1))
        out.append((np.asarray(mean(*high)) - np.asarray(mean(*low))) / (2 * h))
    return out


def deviator(v, w=None):
    """(v_x w_x - v_y w_y), an entry of a deviator."""
    w = v if w is None else w
    return v[..., 0] * w[..., 0] - v[..., 1] * w[..., 1]


def maxwell_walk(v, t, alive=None):
    """(alpha, strength, volume) -> (E N, E energy, E sum_i deviator(v_i), E N^2 - (E N)^2) of the annihilating Maxwell walk
    from the velocities v: the moments on {N = n} of 1, of s = sum_i dev(v_i v_i) and c = sum_{i != j} dev(v_i v_j). A collision
    moves (s, c) by -+ dev(z z)/2, and sum_{i<j} dev(z z) = (n-1) s - c. A vanishing pair takes the share 2/n of s."""
    num = len(v)
    total = v.sum(0)
    s = deviator(v).sum()
    c = deviator(total) - s
    energy = (v**2).sum()

    def mean(alpha, strength, volume):
        size = num + 1
        a = np.zeros((3 * size, 3 * size))
        for n in range(2, num + 1):
            rate = strength / volume * n * (n - 1) / 2
            shares = 1, (n - 2) / n, (n - 2) * (n - 3) / (n * (n - 1))
            for k in range(3):
                a[k * size + n, k * size + n] -= alpha * rate
                a[k * size + n - 2, k * size + n] += alpha * rate * shares[k]
            relax = (1 - alpha) * strength / (2 * volume)
            for row, sign in ((1, -1), (2, 1)):
                a[row * size + n, size + n] += sign * relax * (n - 1)
                a[row * size + n, 2 * size + n] -= sign * relax
        x = np.zeros(3 * size)
        x[[num, size + num, 2 * size + num]] = 1, s, c
        x = expm(t * a) @ x
        law, count = x[:size], np.arange(size)
        first = law @ count
        return np.array([first, energy * first / num, x[size : 2 * size].sum(), law @ count**2 - first**2])

    return mean

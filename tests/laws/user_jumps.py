"""Jump processes of a user, with exact means: opinions of pairs (two states), and dimerisation."""

import jax.numpy as jnp
import numpy as np
from scipy.linalg import expm

import jaxkinetic as jk
from jaxkinetic.pairs.envelopes import everywhere


class Pairs(jk.AbstractPairJump):
    """Rates strength/volume for pairs that satisfy `meet`; no bound on velocities."""

    strength: jnp.ndarray
    chance: jnp.ndarray
    volume: float

    def check(self, state):
        pass

    def default_scheme(self):
        return jk.pairs.ExactClock()

    def generator(self, phi):
        raise NotImplementedError

    def num_words(self, dim):
        return 1

    def clock(self, num_alive):
        return jnp.asarray(1 / self.volume, num_alive.dtype)

    def rate(self, vi, vj):
        return self.strength.astype(vi[0].dtype) * jnp.ones_like(vi[0])

    def envelope(self, state):
        return everywhere(state)

    def rate_bound(self, env):
        return self.strength

    def inside(self, env, v):
        return jnp.ones(v[0].shape, bool)


class Opinions(Pairs):
    """Two particles of different states 0 and 1 agree: both take 1 with probability `chance`, else 0."""

    def rate(self, vi, vj):
        return jnp.where(vi[0] != vj[0], self.strength.astype(vi[0].dtype), 0)

    def jump(self, words, vi, vj):
        one = jk.random.bernoulli(words[0], self.chance.astype(vi[0].dtype))
        new = (jnp.where(one, jnp.ones_like(vi[0]), 0), *vi[1:])
        alive = jnp.ones(vi[0].shape, bool)
        return new, new, alive, alive


class Dimerisation(Pairs):
    """With probability `chance` two particles of masses m, m' become one of mass m + m' (constant kernel)."""

    @property
    def constant_rate(self):
        return True

    def jump(self, words, vi, vj):
        joins = jk.random.bernoulli(words[0], self.chance.astype(vi[0].dtype))
        return (vi[0] + jnp.where(joins, vj[0], 0),), vj, jnp.ones(vi[0].shape, bool), ~joins


def opinions(num, ones, t):
    """(strength, chance) -> (E K,), K the number of particles in state 1; volume = num."""

    def mean(strength, chance):
        k = np.arange(num + 1.0)
        rate = strength / num * k * (num - k)
        a = np.diag(-rate) + np.diag(rate[:-1] * chance, -1) + np.diag(rate[1:] * (1 - chance), 1)
        return np.array([(expm(t * a)[:, ones] * k).sum()])

    return mean


def dimers(num, t):
    """(strength, chance) -> (E N, E sum m, E sum m^2) from N = num = volume particles of mass 1."""

    def mean(strength, chance):
        n = np.arange(num + 1.0)
        rate = strength * chance / num * n * (n - 1) / 2
        a = np.diag(-rate) + np.diag(rate[1:], 1)
        growth = np.exp(-strength * chance * t / num)
        return np.array([(expm(t * a)[:, num] * n).sum(), num, num**2 + (num - num**2) * growth])

    return mean

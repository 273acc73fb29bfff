"""What the contract tests need to know of a system, its scheme and its state: particles (registry.py) and grids
(split_cases.py) say it each in their way."""

import abc
from collections.abc import Callable

import jax
import jax.numpy as jnp

import jaxkinetic as jk

KEY = jax.random.key(7)


class Case(abc.ABC):
    """One (system, scheme, initial state)."""

    name: str
    dt: float
    precisions: tuple[str, ...]  # of the tests that run it; others trace both
    thorough: bool  # False: left out of the most expensive tests; another case runs the same code
    differentiable: bool  # False where a gradient would be biased and raises
    system: Callable[[], jk.AbstractSystem]
    scheme: Callable[[], jk.AbstractScheme]

    @abc.abstractmethod
    def start(self, dtype=jnp.float64, seed: int = 1):
        """The initial state, another one for every seed."""

    @staticmethod
    @abc.abstractmethod
    def values(state) -> jax.Array:
        """What moves: velocities, a density, an amplitude."""

    @abc.abstractmethod
    def variations(self) -> list[dict]:
        """Options of `run` that change numbers, and so the result, but no program."""

    def options(self) -> dict:
        """Of every run: the scheme, dt and, where there is noise, a key."""
        return {"scheme": self.scheme(), "dt": self.dt, "key": KEY}

    def run(self, state=None, num_steps: int = 12, system=None, **options):
        system = self.system() if system is None else system
        state = self.start() if state is None else state
        return jk.simulate(system, state, **({"num_steps": num_steps} | self.options() | options))

    def __str__(self) -> str:
        return self.name


def real_parts(x) -> tuple[jax.Array, ...]:
    return (x.real, x.imag) if jnp.iscomplexobj(x) else (x,)


def of_real_parts(parts) -> jax.Array:
    return jax.lax.complex(*parts) if len(parts) == 2 else parts[0]

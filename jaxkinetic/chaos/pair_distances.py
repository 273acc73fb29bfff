"""Covariances of pairs of particles and biases of moments: distances from chaos that are exact in mean at every N."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.checks import argument_error, check_bool, check_integer, describe, takes_one
from .._util.types import PyTree, State
from ..diagnostics import mode as empirical_mode
from ..states import Particles
from .distance import AbstractDistance
from .limits import nodes

__all__ = ["ModeVariance", "Moment", "MomentBias", "PairCovariance", "StructureFactor"]

Phi = Callable[[Particles], Float[Array, " N"]]


class PairCovariance(AbstractDistance):
    r"""$\mathbb E[\varphi(v_1)\psi(v_2)] - \mathbb E\varphi\,\mathbb E\psi$ for exchangeable particles: the second cumulant of
    the law of two particles, 0 if they are independent. Predicted exponent 1. Nondimensional, in units of phi psi.

    `estimate` is unbiased at every N and for any number R >= 2 of runs. With the mean over the particles of a run,
    $\bar\varphi_r$, and the covariance within it, $w_r = \frac1n \sum_i (\varphi_i - \bar\varphi_r)(\psi_i - \bar\psi_r)$,

    $$\frac1R \sum_r \frac{\sum_{i \ne j} \varphi_i \psi_j}{n(n-1)} - \frac{1}{R(R-1)} \sum_{r \ne s} \bar\varphi_r\bar\psi_s
    = \mathrm{Cov}_{R-1}(\bar\varphi, \bar\psi) - \frac1R \sum_r \frac{w_r}{n-1},$$

    where Cov has the divisor R - 1. The right-hand side is computed: it contains differences from means only, so a large mean
    of phi costs few digits in float32. A constant added to phi changes nothing. Standard error: about sqrt(2/R)/N, as
    small relative to 1/N at large N as at small N.

    **Arguments:** `phi`, `psi`: state -> (N,), the value at every particle; psi is phi by default. Dead slots are left out; n
    is the number alive. `normalised`: divide by the standard deviations of phi and psi for one particle (the correlation
    coefficient of a pair; bias O(1/R)). Cost of the statistics: O(N).

    **Raises:** `ValueError` for functions that do not return (N,) real numbers, for states that are no `Particles`, and for
    R = 1. NaN for fewer than two particles alive.
    """

    vanishes_initially: ClassVar[bool] = True
    phi: Phi
    psi: Phi | None
    normalised: bool = eqx.field(static=True)

    def __init__(self, phi: Phi, psi: Phi | None = None, normalised: bool = False):
        self.phi = checked_function("phi", phi)
        self.psi = None if psi is None else checked_function("psi", psi)
        self.normalised = check_bool("normalised", normalised)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_particles_state(state)
        eqx.filter_eval_shape(self.statistics, state, ())

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        """(mean of phi, mean of psi, their covariance and variances within the run, number alive)."""
        x = particle_values("phi", self.phi, state)
        y = x if self.psi is None else particle_values("psi", self.psi, state)
        mean_x, mean_y = state.mean(x), state.mean(y)
        x, y = x - mean_x, y - mean_y
        return jnp.stack(
            [mean_x, mean_y, state.mean(x * y), state.mean(x * x), state.mean(y * y), state.num_alive.astype(x.dtype)]
        )

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        x, y, within, within_x, within_y, alive = several_runs(statistics).T
        between = np.cov(x, y)
        covariance = between[0, 1] - np.mean(within / (alive - 1))
        if not self.normalised:
            return float(covariance)
        # E (phi - E phi)^2 of one particle: within a run, and between runs.
        variance_x, variance_y = np.mean(within_x) + between[0, 0], np.mean(within_y) + between[1, 1]
        return float(covariance / np.sqrt(variance_x * variance_y))


class Moment(AbstractDistance):
    r"""$\mathbb E \varphi(v_1)$ at finite N, without a limit to compare with: it does not tend to 0. For Richardson
    extrapolation in 1/N, or where the limit is not known. `phi`: state -> (N,), the value at every particle; the mean over
    those alive. Unbiased.

    **Raises:** `ValueError` as `PairCovariance`."""

    phi: Phi

    def __init__(self, phi: Phi):
        self.phi = checked_function("phi", phi)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_particles_state(state)
        eqx.filter_eval_shape(self.statistics, state, ())

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        return state.mean(particle_values("phi", self.phi, state)).reshape(1)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics))


class MomentBias(Moment):
    r"""$\mathbb E \varphi(v_1)$ of N particles minus its value in the limit. Predicted exponent 1; unbiased at every N.

    `phi`: state -> (N,), the value at every particle. It is also evaluated at the quadrature nodes of the limit's law, as
    particles, so it may depend on each particle's own coordinates only. The mean in the limit is taken in float64. Of a limit
    that is a sampler it is the mean of 2^18 draws, with the standard error of phi over 512.

    **Raises:** `ValueError` as `PairCovariance`."""

    needs_limit: ClassVar[bool] = True
    vanishes_initially: ClassVar[bool] = True

    def tables(self, laws: Sequence[Any], num: int) -> np.ndarray:
        """(T,): the mean of phi in the limit at each time."""
        return np.array([self._limit(law) for law in laws])

    def _limit(self, law: Any) -> float:
        with jax.enable_x64(True):
            particles, weights = nodes(law)
            values = np.asarray(particle_values("phi", self.phi, particles), float)
        return float(np.average(values, weights=np.asarray(weights, float)))

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        return float(np.mean(statistics)) - float(table)


class StructureFactor(AbstractDistance):
    r"""$N\,\mathbb E|\rho_k|^2$ on the torus $[0, 2\pi)^d$, $\rho_k = \frac1N \sum_j e^{-i k \cdot v_j}$: the static structure
    factor. It is 1 + (N - 1) E cos k.(v_1 - v_2), so 1 for independent uniform particles, and tends to a number, not to 0.
    Unbiased.

    `mode`: k, d integers, not all 0. For a = 1 + c cos z (d = 1) with independent noise it tends to 1/(1 - c/2) as t and then N
    grow; at c = .5 the equilibrium is 1.25, 1.28061, 1.29489 for N = 2, 3, 4, and 4/3 in the limit. Kac's noise: 1.
    `EulerMaruyama` makes an error of order dt, which to leading order does not depend on N: the factor becomes
    (1 - e^{-2dt})/(1 - e^{-2dt}(1 + c dt/2)^2).

    **Raises:** `ValueError` for another mode, and for states that are no `Particles` in d dimensions."""

    mode: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, mode: int | Sequence[int]):
        self.mode = checked_mode(mode)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_particles_state(state)
        if state.dim != len(self.mode):
            was = f"is {self.mode}, and the velocities have {state.dim} components"
            raise argument_error("mode", f"have {state.dim} integers", was, "pass one for each component")

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        """(real part of rho_k, its imaginary part, number alive)."""
        rho = empirical_mode(state, wavevector=self.mode)
        return jnp.stack([rho.real, rho.imag, state.num_alive])

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        real, imag, alive = statistics.T
        return float(np.mean(alive * (real**2 + imag**2)))


class ModeVariance(StructureFactor):
    r"""The pair part of the variance of $\rho_k = \frac1N \sum_j e^{-i k \cdot v_j}$ on the torus $[0, 2\pi)^d$:

    $$\mathbb E|\rho_k|^2 - |\mathbb E\rho_k|^2 - \tfrac1N (1 - |\mathbb E\rho_k|^2) = \tfrac{N-1}{N}\,C,$$

    C the covariance of $e^{-i k \cdot v_1}$ and $e^{i k \cdot v_2}$: 0 for independent particles. Predicted exponent 1.
    Unbiased at every N and R >= 2. It equals (structure factor - 1)/N if E rho_k = 0, as for the uniform law.

    **Raises:** `ValueError` as `StructureFactor`, and for R = 1."""

    vanishes_initially: ClassVar[bool] = True

    # Written out for type checkers, which see the field's type otherwise.
    def __init__(self, mode: int | Sequence[int]):
        super().__init__(mode)

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        real, imag, alive = several_runs(statistics).T
        between = np.var(real, ddof=1) + np.var(imag, ddof=1)
        within = (1 - real**2 - imag**2) / (alive - 1)
        return float(np.mean((alive - 1) / alive) * (between - np.mean(within)))


# ---- checks that the distances between pairs share -----------------------------------------------------------------------


def several_runs(statistics: np.ndarray) -> np.ndarray:
    """The statistics in float64. **Raises:** `ValueError` for fewer than two runs."""
    if len(statistics) < 2:
        raise argument_error(
            "replicas", "be at least 2 for a variance between runs", f"is {len(statistics)}", "run more of them"
        )
    return np.asarray(statistics, float)


def check_particles_state(state: Any) -> None:
    if not isinstance(state, Particles):
        raise argument_error("start", "return Particles", f"returns {describe(state)}", "pass jk.Particles(velocity)")


def checked_function(argument: str, function: Any) -> Any:
    """A function of the state as a pytree, so that a distance can be passed to compiled functions."""
    if not callable(function) or not takes_one(function):
        was = f"is {describe(function)}"
        raise argument_error(argument, "be a function of the state", was, "pass one that returns (N,)")
    known = isinstance(function, (eqx.Module, jax.tree_util.Partial))
    return function if known else jax.tree_util.Partial(function)


def particle_values(argument: str, function: Phi, state: Particles) -> Float[Array, " N"]:
    """function(state), (N,), as real numbers in the dtype of the state."""
    values, do = function(state), "return one real number per particle"
    shape = getattr(values, "shape", None)
    if shape != (state.num_slots,):
        was = f"returns {describe(values)}"
        raise argument_error(argument, f"return an array of shape ({state.num_slots},)", was, do)
    values = cast(Array, values)
    if jnp.issubdtype(values.dtype, jnp.complexfloating):
        raise argument_error(argument, "return real numbers", f"returns {values.dtype}", do)
    return jnp.asarray(values).astype(state.velocity.dtype)


def checked_mode(mode: Any) -> tuple[int, ...]:
    components = np.atleast_1d(np.asarray(mode))
    if components.ndim != 1 or not np.issubdtype(components.dtype, np.integer) or not components.any():
        must = "be integers, not all 0"
        raise argument_error("mode", must, f"is {describe(mode)}", "pass (1,), for example: the period is 2 pi")
    return tuple(check_integer("mode", component, minimum=-(2**31)) for component in components.tolist())

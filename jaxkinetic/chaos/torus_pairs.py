"""Entropy and L1 distance of the law of two particles on the torus, from Fourier modes instead of a histogram."""

from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._core.system import AbstractSystem
from .._util.checks import argument_error, check_integer
from .._util.types import PyTree, State
from ..states import Particles
from .distance import AbstractDistance
from .pair_distances import check_particles_state, several_runs

__all__ = ["PairEntropy", "PairL1"]

# g log g is continued by its Taylor polynomial of second order below this value, where only noise can bring g.
_LEAST = 0.05
# Parts of the runs: the sign of g - 1 comes from nine tenths of them, its values from the other tenth.
_PARTS = 10


class _TorusPair(AbstractDistance):
    r"""Distances of the law of two particles from uniform independence, d = 1, if the law is invariant under translations:
    $f_2/f^2 = g(v_1 - v_2)$, $g(z) = 1 + 2 \sum_{m=1}^M c_m \cos m z$, $c_m = \mathbb E \cos m(v_1 - v_2)$."""

    # Not a control variate: estimates from half of the runs would double the noise of the squares.
    vanishes_initially: ClassVar[bool] = False
    modes: int = eqx.field(static=True, default=4)

    def __check_init__(self) -> None:
        check_integer("modes", self.modes, minimum=1)

    def check(self, system: AbstractSystem, state: State) -> None:
        check_particles_state(state)
        if state.dim != 1:
            name = type(self).__name__
            raise argument_error(
                "start", f"return particles on the torus in d = 1 for {name}", f"returns d = {state.dim}",
                "use ModeVariance in d = 2 and 3",
            )  # fmt: skip

    def statistics(self, state: Particles, table: PyTree) -> Float[Array, " S"]:
        """(M,): (n |rho_m|^2 - 1)/(n - 1) for m = 1, ..., M, whose mean is c_m."""
        v, n = state.live_velocity[:, 0], state.num_alive
        out = []
        for m in range(1, self.modes + 1):
            phase = m * v
            out.append(state.mean(jnp.cos(phase)) ** 2 + state.mean(jnp.sin(phase)) ** 2)
        return (n * jnp.stack(out) - 1) / (n - 1)

    def cosines(self) -> np.ndarray:
        """(M, points): 2 cos(m z) on equal points of [0, 2 pi)."""
        points = 64 * max(self.modes, 4)
        return 2 * np.cos(np.outer(np.arange(1, self.modes + 1), 2 * np.pi * np.arange(points) / points))


class PairEntropy(_TorusPair):
    r"""The relative entropy per particle of the law of two particles on the torus, d = 1,

    $$H_2 = \frac12 \iint f_2 \log\frac{f_2}{f \otimes f} = \frac12 \int_0^{2\pi} g \log g\,\frac{dz}{2\pi}
    \approx \frac12 \sum_m c_m^2,$$

    f uniform. **The law of the particles must be invariant under translations of all of them**: start from uniform data. Then
    $f_2/f^2 = g(v_1 - v_2)$, $g = 1 + 2 \sum_{m \le M} c_m \cos m z$, and $c_m = \mathbb E \cos m(v_1 - v_2)$ is measured
    without bias in O(N M) operations. Predicted exponent 2, by fluctuation theory.

    The noise of c_m adds its variance to the square. It is subtracted, to second order: half the trace of the Hessian of H_2 in
    c times the sample covariance of the mean of c. For small c the estimate is the U-statistic of c_m^2; it can be negative.
    The remaining bias is O(R^{-2}). The standard error is about sqrt(M/2)/(N^2 R), or c_1/(N sqrt R) if larger.
    Modes above M are left out, which costs H_2 their c_m^2 / 2.

    **Arguments:** `modes`: M. **Raises:** `ValueError` for M < 1, other states than particles in d = 1, and R = 1."""

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        c = several_runs(statistics)
        cosines = self.cosines()
        g = 1 + c.mean(0) @ cosines
        least = np.maximum(g, _LEAST)
        below = g - least
        plug_in = np.mean(least * np.log(least) + below * (1 + np.log(least)) + below**2 / (2 * least))
        hessian = (cosines / least) @ cosines.T / cosines.shape[1]
        noise = np.cov(c, rowvar=False).reshape(hessian.shape) / len(c)
        return float(plug_in - np.sum(hessian * noise) / 2) / 2


class PairL1(_TorusPair):
    r"""The L1 distance of the law of two particles from uniform independence on the torus, d = 1,

    $$\iint |f_2 - f \otimes f| = \int_0^{2\pi} |g - 1|\,\frac{dz}{2\pi},$$

    f uniform; g and c_m as in `PairEntropy`. **The law of the particles must be invariant under translations of all of them.**
    Predicted exponent 1, by fluctuation theory; [CarrilloGuoJabin2024] prove 1/2.

    The absolute value of a noisy g - 1 would have a positive mean also for independent particles. Therefore its sign is taken
    from nine tenths of the runs and its value from the other tenth, averaged over the ten choices (R parts if R < 10). The mean
    is then 0 for independent particles and never exceeds the true distance; where g - 1 has simple zeros it is less by O(1/R).
    The standard error is about 1.3/(N sqrt R). Modes above M are left out.

    **Arguments:** `modes`: M. **Raises:** `ValueError` for M < 1, other states than particles in d = 1, and R = 1."""

    def estimate(self, statistics: np.ndarray, num: int, table: PyTree) -> float:
        c = several_runs(statistics)
        cosines, total, parts = self.cosines(), c.sum(0), min(_PARTS, len(c))
        value = 0.0
        for part in np.array_split(c, parts):
            others = total - part.sum(0)
            value += np.mean(np.sign(others @ cosines) * (part.sum(0) @ cosines))
        return float(value / len(c))

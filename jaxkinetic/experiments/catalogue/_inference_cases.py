"""What `infer` fits: for each system the curves that are measured, the model that predicts them, and the ranges of its
parameters. Data and model are one simulator with the same numbers of particles and steps, so that they have the same law."""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ... import initial
from ..._core.save import Save
from ..._core.simulate import simulate
from ..._core.system import AbstractScheme, AbstractSystem
from ..._util.types import Key
from ...boltzmann import KacWalk, Maxwell
from ...expectations.expectation import expectation
from ...expectations.result import Expectation
from ...landau import Kac, PowerLaw
from ...pairs import ExactClock, RandomMatching
from ...schemes import Strang
from ...states import Axis, Density, Grid, Particles
from ...vlasov import Maxwellian, Poisson, Vlasov, density_mode, perturbed

__all__ = ["Annihilating", "Case", "Damped", "Diffusing"]

# Runs of a particle system whose mean is measured: their scatter is small beside the noise that is added.
_RUNS = 1024
# The ratio of the temperatures along the last axis and across it at the start. Across, there are two components: their mean
# square scatters less, relative to its mean, than that of one, and so does the anisotropy of a cold axis.
_RATIO = 0.1
# Amplitude of the wave: linear, and far above round-off.
_AMPLITUDE = 1e-3
# The largest velocity on the grid, above which exp(-v^2/2T) is below 1e-10 at the largest temperature.
_REACH = 10.0


class Symbol(NamedTuple):
    """A parameter: the range from which the truth is drawn, where the fit begins, and its bounds."""

    drawn: tuple[float, float]
    begin: float
    bounds: tuple[float, float]


class Case(eqx.Module):
    """A model of a fit, `model(parameters, key)` or, without noise, `model(parameters)`: curves (T, C) at the `times`. Its
    numbers are static, so that all seeds share one compiled program."""

    parameters: ClassVar[dict[str, Symbol]]
    curves: ClassVar[tuple[str, ...]]
    # Standard deviation of the noise of every curve, as a fraction of its value at the start.
    noise: ClassVar[float]
    why: ClassVar[str]
    random: ClassVar[bool] = True
    steps: int = eqx.field(static=True)
    dt: float = eqx.field(static=True)

    @property
    @abc.abstractmethod
    def every(self) -> int:
        """Steps between two measurements."""

    @property
    def times(self) -> np.ndarray:
        """Of the measurements, without t = 0."""
        return np.arange(1, self.steps // self.every + 1) * self.every * self.dt

    @property
    @abc.abstractmethod
    def measured(self) -> str:
        """In words."""

    @abc.abstractmethod
    def exact(self, truth: dict[str, float], key: Key) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The curves (T, C) at the hidden parameters, the covariance of all their numbers, and their values at t = 0 (C,)."""


class ParticleCase(Case):
    # At the start.
    temperature: ClassVar[float] = 1.0
    num: int = eqx.field(static=True)
    replicas: int = eqx.field(static=True)

    @property
    def every(self) -> int:
        return max(1, self.steps // 8)

    @property
    def measured(self) -> str:
        return f"The mean of {_RUNS} runs of {self.num} particles is measured"

    def exact(self, truth: dict[str, float], key: Key) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        runs = np.asarray(_runs(self, {name: jnp.asarray(x, float) for name, x in truth.items()}, key), float)
        mean, rows = runs.mean(0), runs[:, 1:].reshape(len(runs), -1)
        return mean[1:], np.cov(rows.T) / len(runs), mean[0]

    def __call__(self, parameters: dict[str, Array], key: Key) -> Float[Array, "T C"]:
        return self.mean(parameters, key, self.replicas).value[1:] / self.num

    @abc.abstractmethod
    def mean(self, parameters: dict[str, Array], key: Key, replicas: int) -> Expectation: ...

    def _mean(
        self, system: AbstractSystem, observe: Any, key: Key, replicas: int, scheme: AbstractScheme, **more: Any
    ) -> Expectation:
        across = 3 * self.temperature / (2 + _RATIO)
        start = eqx.Partial(
            initial.bimaxwellian, num_particles=self.num, dim=3, parallel=_RATIO * across, perpendicular=across
        )
        return expectation(
            system, start, observe, key=key, replicas=replicas, dt=self.dt, num_steps=self.steps, every=self.every,
            scheme=scheme, **more,
        )  # fmt: skip


@eqx.filter_jit
def _runs(case: ParticleCase, truth: dict[str, Array], key: Key) -> Array:
    return case.mean(truth, key, _RUNS).samples / case.num


class Annihilating(ParticleCase):
    """alpha and the strength S of Sigma in Kac's walk with Maxwell molecules, from density and temperatures.

    As N -> infinity the density solves n' = -alpha S n^2, and the difference P of the pressures across and along the axis P' =
    -(1 + alpha)/2 S n P: of a pair that collides, the centre of mass keeps half of the difference in mean. The density alone
    determines alpha S; the mean temperature of Maxwell molecules does not change at all; so the second curve is that
    difference."""

    parameters: ClassVar[dict[str, Symbol]] = {
        "alpha": Symbol((0.2, 0.8), 0.5, (0.0, 1.0)),
        "strength": Symbol((0.7, 1.5), 1.0, (0.0, 3.0)),
    }
    curves: ClassVar[tuple[str, ...]] = ("density $n$", r"pressures $p_\perp - p_\parallel$")
    noise: ClassVar[float] = 0.02
    why: ClassVar[str] = (
        "The density determines only the product of alpha and the strength, and the mean temperature of Maxwell molecules is "
        "constant. The anisotropy decays by collisions too, at the rate (1 + alpha)/2 times the strength and the density."
    )

    @property
    def most(self) -> int:
        """Candidates of a step at the largest strength, with eight standard deviations."""
        mean = self.num / 2 * self.parameters["strength"].bounds[1] * self.dt
        return int(mean + 8 * mean**0.5 + 8)

    def mean(self, parameters: dict[str, Array], key: Key, replicas: int) -> Expectation:
        walk = KacWalk(Maxwell(parameters["strength"]), float(self.num), parameters["alpha"])
        return self._mean(walk, _number_and_anisotropy, key, replicas, ExactClock(), max_candidates=self.most)


class Diffusing(ParticleCase):
    """gamma and the strength C of Landau's power law in Kac's system, from the decay of the pressure tensor.

    The rate at which the anisotropy decays is that of pairs of typical speed, C r^gamma; one curve hardly tells C from gamma.
    Weighted with |v|^2, the anisotropy is that of faster particles, which decays relatively faster for a larger gamma. The
    temperature is such that pairs of relative speed 1 contribute most; then the errors of gamma and C are nearly independent.
    (C r^gamma is what the data determine best, at the typical r; far from 1 the error of C would be that of r^gamma.)"""

    temperature: ClassVar[float] = 0.1
    parameters: ClassVar[dict[str, Symbol]] = {
        "gamma": Symbol((-2.0, 0.5), -0.5, (-3.0, 1.5)),
        "strength": Symbol((0.04, 0.1), 0.06, (0.0, 0.4)),
    }
    curves: ClassVar[tuple[str, ...]] = (
        r"$p_\perp - p_\parallel$", r"$p_\perp - p_\parallel$, weighted with $|v|^2$",
    )  # fmt: skip
    noise: ClassVar[float] = 0.01
    why: ClassVar[str] = (
        "The decay of the pressure's anisotropy determines one combination of gamma and the strength. Weighted with |v|^2, it "
        "shows faster particles, whose collisions are the more frequent the larger gamma is."
    )

    def mean(self, parameters: dict[str, Array], key: Key, replicas: int) -> Expectation:
        system = Kac(PowerLaw(parameters["gamma"], parameters["strength"]))
        return self._mean(system, _anisotropies, key, replicas, RandomMatching())


class Damped(Case):
    """Temperature T and wavenumber k of a plasma wave, from its electric field.

    With lengths in units of the charge's (omega_p = 1), frequency and damping rate are functions of k sqrt(T) only; the field
    at the start is A/k for a density perturbation of known amplitude A. Together they determine both."""

    parameters: ClassVar[dict[str, Symbol]] = {
        "temperature": Symbol((0.6, 1.6), 1.0, (0.3, 3.0)),
        "wavenumber": Symbol((0.35, 0.5), 0.42, (0.1, 1.0)),
    }
    curves: ClassVar[tuple[str, ...]] = ("electric field / amplitude of the density",)
    noise: ClassVar[float] = 0.02
    why: ClassVar[str] = (
        "Frequency and damping depend on k sqrt(T) only; the field at the start, 1/k times the amplitude of the density, "
        "determines k."
    )
    random: ClassVar[bool] = False
    nx: int = eqx.field(static=True)
    nv: int = eqx.field(static=True)

    @property
    def every(self) -> int:
        return max(1, self.steps // 40)

    @property
    def measured(self) -> str:
        return "The first Fourier mode of the field is measured"

    def exact(self, truth: dict[str, float], key: Key) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        field = np.asarray(_field(self, {name: jnp.asarray(x, float) for name, x in truth.items()}), float)
        return field, np.zeros((len(field), len(field))), np.array([1 / truth["wavenumber"]])

    def __call__(self, parameters: dict[str, Array]) -> Float[Array, "T 1"]:
        k = parameters["wavenumber"]
        length = 2 * jnp.pi / k
        grid = Grid(Axis(0.0, length, self.nx), Axis(-_REACH, 2 * _REACH, self.nv, periodic=False))
        start = perturbed(Maxwellian(parameters["temperature"]), grid, jnp.asarray(_AMPLITUDE, k.dtype))
        save = Save(self.every, observe={"mode": _mode})
        solution = simulate(
            Vlasov(Poisson(length)), start, dt=self.dt, num_steps=self.steps, scheme=Strang(), save=save
        )
        return (solution.observed["mode"][1:] * 2 / (_AMPLITUDE * k))[:, None]


@eqx.filter_jit
def _field(case: Damped, truth: dict[str, Array]) -> Array:
    return case(truth)


def _mode(state: Density) -> Array:
    return density_mode(state).real


def _anisotropy(state: Particles) -> Array:
    square = state.velocity**2
    return (square[:, 0] + square[:, 1]) / 2 - square[:, 2]


def _number_and_anisotropy(state: Particles) -> Array:
    one = _anisotropy(state)
    return jnp.stack([jnp.ones_like(one), one], axis=1)


def _anisotropies(state: Particles) -> Array:
    one = _anisotropy(state)
    return jnp.stack([one, one * jnp.sum(state.velocity**2, axis=1)], axis=1)

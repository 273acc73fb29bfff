"""Every kind of system whose runs are pathwise differentiable, as functions of its parameters: the cases of
test_fit_gradients.py and test_second_derivatives.py."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from case import KEY
from field_cases import FIELDS
from registry import CASES
from split_cases import GridCase, Screened

import jaxkinetic as jk

L, V = jk.landau, jk.vlasov
NAMED: dict[str, Any] = {case.name: case for case in [*CASES, *FIELDS]}
WEIGHTS = np.random.default_rng(5).normal(size=4000)


@dataclass(frozen=True)
class Derivative:
    """`values`: the array of a state that moves. `fixed`: leaves without a gradient, by parts of their names. `signal`: a
    number of the state whose curve is fitted."""

    name: str
    system: Callable[[], jk.AbstractSystem]
    start: Any
    values: Callable[[Any], jax.Array]
    signal: Callable[[Any], jax.Array]
    options: dict = field(default_factory=dict)
    fixed: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    def split(self) -> tuple[dict[str, jax.Array], Callable[[dict[str, jax.Array]], jk.AbstractSystem]]:
        """The parameters by name, and the system as a function of them."""
        leaves, rest = eqx.partition(self.system(), eqx.is_inexact_array)
        pairs, tree = jax.tree_util.tree_flatten_with_path(leaves)
        names = [jax.tree_util.keystr(path) for path, _ in pairs]
        all_of_them = dict(zip(names, (leaf for _, leaf in pairs), strict=True))
        free = {n: x for n, x in all_of_them.items() if not any(word in n for word in self.fixed) and np.any(x)}

        def system(given: dict[str, jax.Array]) -> jk.AbstractSystem:
            return eqx.combine(jax.tree.unflatten(tree, [(all_of_them | given)[n] for n in names]), rest)

        return free, system

    def run(self, system: jk.AbstractSystem, num_steps: int, **options: Any) -> jk.Solution:
        return jk.simulate(system, self.start, num_steps=num_steps, throw=False, **(self.options | options))

    def number(self, final: Any) -> jax.Array:
        """A number of the final state with a second derivative that is not small."""
        x = self.values(final)
        x = jnp.concatenate([x.real.reshape(-1), x.imag.reshape(-1)]) if jnp.iscomplexobj(x) else x.reshape(-1)
        w = jnp.asarray(WEIGHTS[: x.size])
        return jnp.sum(w * jnp.sin(3 * x)) + jnp.sum(w * x**2)


def _velocity(state):
    return state.velocity


def _anisotropy(state):
    p = jk.diagnostics.stress(state)
    return p[-1, -1] - p[0, 0]


def _mode(state):
    return jnp.abs(jk.diagnostics.mode(state, wavevector=[1] + [0] * (state.velocity.shape[1] - 1))) ** 2


def _square(state):
    return jnp.sum(jnp.abs(state.f) ** 2)


def _density_mode(state):
    return jnp.abs(V.density_mode(state)) ** 2


def _magnetisation(state):
    return jnp.abs(V.magnetisation(state)) ** 2


def _places(state):
    return jnp.concatenate([state.position, state.velocity])


def _of(name: str, signal: Callable[[Any], jax.Array], *fixed: str, **more: Any) -> Derivative:
    case = NAMED[name]
    return Derivative(name, case.system, case.start(), case.values, signal, case.options() | more, fixed)


def _pairs(scheme: jk.AbstractScheme, dim: int, name: str) -> Derivative:
    start = NAMED["matching-user" if dim == 2 else "kac-power"].start()
    options = {"scheme": scheme, "dt": 0.01, "key": KEY}
    return Derivative(name, lambda: L.Kac(L.PowerLaw(-1.0, 0.7, 0.3)), start, _velocity, _anisotropy, options)


def _grid(kind: str, order: int) -> Derivative:
    case = GridCase(kind, "screened", order=order)
    return Derivative(
        str(case),
        lambda: case.system().__class__(Screened(4.0, 0.8)),
        case.start(),
        case.values,
        _density_mode,
        case.options(),
    )


def _bodies(potential: V.AbstractPotential, scheme: jk.AbstractScheme, name: str) -> Derivative:
    rng = np.random.default_rng(0)
    start = jk.Particles(rng.normal(size=(7, 1)) + 0.2, rng.normal(size=(7, 1)))
    return Derivative(name, lambda: V.NBody(potential), start, _places, _magnetisation, {"scheme": scheme, "dt": 0.1})


DIFFUSIONS = [
    _of("kac-power", _anisotropy),
    _of("kac-user", _anisotropy),
    _of("independent-power", _anisotropy),
    _of("independent-user", _anisotropy),
    _of("root-power", _anisotropy),
    _of("root-torus", _mode),
]
PAIRS = [
    _pairs(jk.pairs.Sweep(), 2, "sweep"),
    _pairs(jk.pairs.RandomMatching(), 3, "matching"),
    _of("matching-user", _anisotropy),
]
# "epsilon" is in the rate of the collisions: a gradient in it raises.
JUMPS = [
    replace(
        _of("clock-heat-kernel", _anisotropy, "epsilon", dt=0.05),
        system=lambda: L.Microcanonical(L.PowerLaw(-2.0, 0.7), "heat_kernel", 0.02),
    ),
    replace(
        _of("leap-constant-rate", _anisotropy, "epsilon"),
        system=lambda: L.Microcanonical(L.PowerLaw(-1.5, 0.7), "constant_rate", 0.02),
    ),
]
EQUATIONS = [
    _of("torus-pde", _square),
    replace(_of("torus-pde", _square, scheme=jk.RungeKutta()), name="torus-pde-runge-kutta"),
    _of("liouville", _square),
    _of("backward", _square),
    _of("boltzmann", _square),
    _of("isotropic-pde", _square),
    _of("landau-pde", _square),
]
WAVES = [_grid("vlasov", 2), _grid("velocity", 4), _grid("fourier", 2)]
BODIES = [
    _bodies(V.Cosine(0.8), jk.Leapfrog(), "bodies-leapfrog"),
    _bodies(V.Gaussian(2.0, 0.7), jk.Yoshida(4), "bodies-yoshida"),
]

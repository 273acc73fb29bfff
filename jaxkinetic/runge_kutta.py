"""Explicit Runge-Kutta schemes for equations dX/dt = vector_field: the classical ones, and the stabilised one for diffusion."""

import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._core.loops import prefix_loop
from ._core.system import AbstractField, AbstractScheme
from ._core.totals import Max
from ._util.checks import argument_error, check_integer, describe
from ._util.types import Array, PyTree, RealScalar, State, Words

__all__ = ["RKC", "RungeKutta"]


def __dir__() -> list[str]:
    return __all__


# order -> the rows of the Runge-Kutta matrix below its diagonal, and the weights.
_TABLEAUX: dict[int, tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]] = {
    1: ((), (1.0,)),
    2: (((0.5,),), (0.0, 1.0)),
    3: (((0.5,), (-1.0, 2.0)), (1 / 6, 2 / 3, 1 / 6)),
    4: (((0.5,), (0.0, 0.5), (0.0, 0.0, 1.0)), (1 / 6, 1 / 3, 1 / 3, 1 / 6)),
}
# Damping of RKC: the stability polynomial is at most 1 - _DAMPING/3 in modulus within the interval of stability.
_DAMPING = 2 / 13
_MOST_STAGES = 1000
# The numbers of stages from which RKC chooses.
_LADDER = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)


class _FieldScheme(AbstractScheme):
    """Explicit one-step schemes: the carry is the state. Linear invariants of the vector field (mass) are preserved to
    round-off. Need no key. Gradients: forward and reverse mode."""

    requires: ClassVar[type] = AbstractField
    needs_key: ClassVar[bool] = False
    preserves: ClassVar[Mapping[str, str]] = {"mass": "exact", "momentum": "exact"}
    gradients: ClassVar[frozenset[str]] = frozenset({"pathwise", "forward"})

    def init(self, key: Words, system: Any, state: State, dt: RealScalar) -> tuple[PyTree, PyTree]:
        return state, None

    def make_plan(self, system: AbstractField, carry: PyTree, dt: RealScalar) -> Any:
        return system.make_plan(carry)


class RungeKutta(_FieldScheme):
    r"""The explicit Runge-Kutta schemes of Euler, of the midpoint (order 2), of Kutta (order 3), and the classical one of order
    4 [Kutta1901], with as many evaluations of the vector field as the order.

    For equations without stiffness: a step must satisfy about dt |lambda| < 2, 2, 2.5, 2.8 for every decay rate lambda; a
    diffusion on a grid of spacing h has rates of order h^-2, for which `RKC` takes far longer steps.

    **Raises:** `ValueError` for another order."""

    order: int = eqx.field(static=True, default=4)

    def __check_init__(self) -> None:
        if isinstance(self.order, bool) or not isinstance(self.order, int) or self.order not in _TABLEAUX:
            raise argument_error("order", "be 1, 2, 3 or 4", f"is {describe(self.order)}", "choose one")

    @property
    def weak_order(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.order

    def step(
        self,
        key: Words,
        system: AbstractField,
        t: RealScalar,
        dt: RealScalar,
        carry: PyTree,
        aux: PyTree,
        plan: Any = None,
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        system = system if plan is None else plan
        rows, weights = _TABLEAUX[self.order]
        slopes: list[PyTree] = []
        for row in ((), *rows):
            at = carry if not row else _moved(carry, dt, row, slopes)
            slopes.append(system.vector_field(t + sum(row) * dt, at))
        return _moved(carry, dt, weights, slopes), aux, {}


class RKC(_FieldScheme):
    r"""The Runge-Kutta-Chebyshev scheme of order 2 [SommeijerShampineVerwer1998]: explicit and stable for decay rates up to
    $\beta_s/\Delta t$, $\beta_s \approx \frac23(s^2 - 1)$ with s stages. So the cost of a diffusion grows as the square root of
    its stiffness; of `RungeKutta` it grows as the stiffness.

    Each step evaluates the vector field s times. `stages`: s, at least 2. None: chosen anew for each step, stable for
    `system.stiffness(t, state)`, one of 20 numbers from 2 to 200. The stability polynomial is damped: the amplitude of a
    stiff mode falls in each step.

    The eigenvalues of the vector field's derivative must be close to the negative real axis, as those of a diffusion are.

    `stats`: `stages`, the most stages of a step; the run warns if a step needed more than it had.

    **Raises:** `ValueError` for fewer than 2 or more than 1000 stages, and, with `stages=None`, for a system without
    `stiffness`."""

    requires: ClassVar[type] = AbstractField
    weak_order: ClassVar[int | None] = 2
    limits: ClassVar[Mapping[str, tuple[float, str]]] = {
        "stages_missing": (
            0.0,
            "To be stable, a step of RKC needs {0:.0f} more stages than it has (`stats['stages_missing']`); lower `dt`, or "
            "raise `stages`.",
        )
    }
    stages: int | None = eqx.field(static=True, default=None)

    def __check_init__(self) -> None:
        if self.stages is not None and check_integer("stages", self.stages, minimum=2) > _MOST_STAGES:
            raise argument_error("stages", f"be at most {_MOST_STAGES}", f"is {self.stages}", "lower `dt` instead")

    def step(
        self,
        key: Words,
        system: AbstractField,
        t: RealScalar,
        dt: RealScalar,
        carry: PyTree,
        aux: PyTree,
        plan: Any = None,
    ) -> tuple[PyTree, PyTree, dict[str, Any]]:
        system = system if plan is None else plan
        stiffness, info = system.stiffness(t, carry), {}
        choices = _LADDER if self.stages is None else (self.stages,)
        which = jnp.zeros((), jnp.int32)
        if stiffness is not None:
            # beta_s = 2/3 (s^2 - 1)(1 - 2/15 damping).
            # Of a stiffness that is not known (NaN), the most stages and a warning.
            scaled = jnp.abs(dt) * jnp.nan_to_num(jax.lax.stop_gradient(stiffness), nan=np.inf, posinf=np.inf)
            needed = jnp.sqrt(1 + 1.5 * scaled / (1 - 2 / 15 * _DAMPING))
            which = jnp.minimum(jnp.sum(jnp.asarray(choices, needed.dtype) < needed), len(choices) - 1).astype(
                jnp.int32
            )
            info["stages_missing"] = Max(jnp.maximum(jnp.ceil(needed) - choices[-1], jnp.zeros_like(needed)))
        elif self.stages is None:
            raise argument_error(
                "stages",
                f"be given for {type(system).__name__}, which has no `stiffness`",
                "is None",
                "pass stages=10, say",
            )
        info["stages"] = Max(jnp.asarray(choices, jnp.int32)[which])
        tables = np.stack([np.pad(_coefficients(s), ((0, choices[-1] - s), (0, 0))) for s in choices])
        table = jnp.asarray(tables, dt.dtype)[which]
        return _chebyshev(system, t, dt, carry, info["stages"].value, table), aux, info


def _chebyshev(system: Any, t: RealScalar, dt: RealScalar, start: State, stages: Array, table: Array) -> State:
    """One step with a traced number of `stages`, whose coefficients are the rows of `table`. The recursion runs over increments
    of `start`: over states, whose sums cancel, it would amplify their round-off by the square of the number of stages."""
    slope = system.vector_field(t, start)
    first = jax.tree.map(lambda k: table[1, 2] * dt * k, slope)

    def stage(loop: tuple[PyTree, PyTree], index: Array) -> tuple[PyTree, PyTree]:
        before, last = loop
        mu, nu, mu_slope, gamma, _ = table[index + 2]
        here = system.vector_field(t + table[index + 1, 4] * dt, eqx.apply_updates(start, last))

        def mixed(y: Array, z: Array, k0: Array, k: Array) -> Array:
            return mu * y + nu * z + dt * (mu_slope * k + gamma * k0)

        return last, jax.tree.map(mixed, last, before, slope, here)

    zero = jax.tree.map(jnp.zeros_like, first)
    last = prefix_loop(stages - 1, stage, (zero, first), len(table) - 2)[1]
    return eqx.apply_updates(start, last)


@functools.cache
def _coefficients(stages: int) -> np.ndarray:
    """(mu, nu, mu_slope, gamma, time) of the stages 0 to `stages`, (stages + 1, 5), in the notation of the source with
    mu_slope = mu tilde, gamma = gamma tilde, time = c."""
    w0 = 1 + _DAMPING / stages**2
    # T_n, T_n' and T_n'' at w0.
    chebyshev = [np.polynomial.Chebyshev.basis(n) for n in range(stages + 1)]
    value, slope, curvature = (np.array([(c.deriv(k) if k else c)(w0) for c in chebyshev]) for k in range(3))
    w1 = slope[-1] / curvature[-1]
    b, time = np.zeros(stages + 1), np.zeros(stages + 1)
    b[2:], time[2:] = curvature[2:] / slope[2:] ** 2, w1 * curvature[2:] / slope[2:]
    b[:2], time[1] = (b[2], 1 / w0), time[2] / slope[2]
    a = 1 - b * value
    out = np.zeros((stages + 1, 5))
    out[1, 2], out[:, 4] = b[1] * w1, time
    for j in range(2, stages + 1):
        mu_slope = 2 * b[j] * w1 / b[j - 1]
        out[j, :4] = 2 * b[j] * w0 / b[j - 1], -b[j] / b[j - 2], mu_slope, -a[j - 1] * mu_slope
    return out


def _moved(state: State, dt: RealScalar, weights: tuple[float, ...], slopes: list[PyTree]) -> State:
    """state + dt sum_i weights_i slopes_i."""
    used = [(w, k) for w, k in zip(weights, slopes, strict=False) if w != 0]
    total = jax.tree.map(lambda *ks: dt * sum(w * k for (w, _), k in zip(used, ks, strict=True)), *[k for _, k in used])
    return eqx.apply_updates(state, total)

"""Frequency and growth rate of one oscillating mode, with error bars."""

import math
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Real

from .._util.checks import (
    argument_error,
    check_finite,
    check_scalar,
    describe,
    is_traced,
    known_as,
    numbers,
    real_array,
)
from .._util.double_precision import in_double_precision
from .._util.gradients import implicit_root
from .._util.printing import Printed
from .._util.student import student_interval
from .._util.sums import time_since
from .._util.types import RealScalarLike
from ._decay_fit import padded
from ._residuals import total

__all__ = ["OscillationFit", "fit_oscillation"]


def __dir__() -> list[str]:
    return __all__


# Points of a series: four parameters are fitted.
_LEAST = 12
# Of Levenberg's and Marquardt's method.
_ITERATIONS = 40
# The lags 1, 2, 4, ... from which a start is made: so many at most.
_LAGS = 12
# The most that a start grows or falls over the series, in powers of e.
_STEEPEST = 40.0


class OscillationFit(Printed):
    r"""The fit $y(t) = e^{\gamma t}\,(a\cos wt + b\sin wt)$ with standard errors: w = `frequency` > 0, gamma = `growth`
    (negative for damping), and `omega` = w + i gamma, the frequency in $e^{-i\omega t}$. `amplitude` is $\sqrt{a^2 + b^2}$ and
    `phase` the phase at `first_time`, the start of the series, where y = amplitude cos(phase). `r2`: 1 - (residual sum of
    squares)/(sum of squares). `degrees_of_freedom` of the standard errors: R - 1 for R runs, T - 4 for one run of T points;
    `interval` uses them."""

    frequency: Float[Array, ""]
    frequency_stderr: Float[Array, ""]
    growth: Float[Array, ""]
    growth_stderr: Float[Array, ""]
    amplitude: Float[Array, ""]
    phase: Float[Array, ""]
    r2: Float[Array, ""]
    first_time: Float[Array, ""] | np.float64
    degrees_of_freedom: Any = math.inf

    def interval(
        self, level: float = 0.95, of: Literal["frequency", "growth"] = "frequency"
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(low, high): the confidence interval by Student's law. **Raises:** `ValueError` for a level outside (0, 1)."""
        if of not in ("frequency", "growth"):
            raise argument_error("of", "be frequency or growth", f"is {describe(of)}", "choose one")
        return student_interval(getattr(self, of), getattr(self, f"{of}_stderr"), self.degrees_of_freedom, level)

    @property
    def omega(self) -> Complex[Array, ""]:
        return jax.lax.complex(self.frequency, self.growth)

    def __call__(self, times: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        elapsed = time_since(times, self.first_time, self.amplitude.dtype)
        return self.amplitude * jnp.exp(self.growth * elapsed) * jnp.cos(self.frequency * elapsed + self.phase)

    def __str__(self) -> str:
        low, high, least, most = map(float, (*self.interval(0.95), *self.interval(0.95, "growth")))
        return (
            f"frequency {float(self.frequency):.6g} +- {float(self.frequency_stderr):.2g} (95 %: {low:.6g} to {high:.6g}), "
            f"growth {float(self.growth):.6g} +- {float(self.growth_stderr):.2g} (95 %: {least:.6g} to {most:.6g}), "
            f"r2 {float(self.r2):.6f}"
        )

    def __repr__(self) -> str:
        several = f"{np.shape(self.growth)} fits"
        told = "traced" if is_traced(self) else str(self) if np.ndim(self.growth) == 0 else several
        return f"OscillationFit({told})"


def fit_oscillation(
    times: Real[ArrayLike, " T"],
    values: Real[ArrayLike, " T"] | Real[ArrayLike, "R T"],
    *,
    window: tuple[RealScalarLike, RealScalarLike] | None = None,
) -> OscillationFit:
    r"""Fit one damped or growing oscillation to a real series, by unweighted least squares (so large values dominate).

    **Arguments:** `times`: (T,), equidistant. `values`: (T,) of one run, or (R, T) of R >= 2 independent runs, whose mean is
    fitted. They must be real, such as a mode of the density, and not its modulus. (The energy of the field oscillates about a
    mean at 2w and decays at 2 gamma, which does not fit this model.) `window` = (first, last): only times within it count;
    exclude the transient and the values below the noise; `times` must then be concrete. For growth without oscillation use
    `fit_decay`.

    The initial guess comes from linear prediction at the lags 1, 2, 4, ..., of which the one with the least sum of squares is
    taken; Levenberg-Marquardt iterations follow. The result is differentiable in times and values, in every mode and order, by
    the implicit function theorem. NaN for a series that does not oscillate.

    Standard errors: for one run those of independent noise, with T - 4 degrees of freedom; for R runs from the scatter of the
    runs, whatever their correlation in time, with R - 1. Use `fit.interval(.95)`. Data without noise (a grid, one
    deterministic run) have no statistical error: compare two windows and two dt instead. Concrete data are fitted in float64 on
    the host's CPU, traced data in their own dtype. Lengths are padded, so that similar lengths share a program.

    **Raises:** `ValueError` for other shapes, times that are not equidistant, fewer than 12 points, or numbers that are not
    finite.
    """
    known = None if is_traced(times) else numbers("times", times)
    t = real_array("times", times if known is None else known, "T")
    y = real_array("values", values, "R T" if np.ndim(values) == 2 else "T")
    replicated, runs = y.ndim == 2, y.reshape(-1, y.shape[-1])
    if t.shape[0] != runs.shape[1]:
        raise argument_error(
            "values", f"have {t.shape[0]} entries, one per time", f"has shape {y.shape}", "pass one series"
        )
    if replicated and runs.shape[0] < 2:
        raise argument_error("values", "hold at least 2 runs if it has two axes", "holds 1", "pass `values[0]`")
    check_finite("times", t)
    check_finite("values", y)
    if window is not None:
        if known is None or is_traced(window):
            raise argument_error(
                "window", "be None when `times` is traced", f"is {window}", "cut the series beforehand"
            )
        if not (isinstance(window, (tuple, list)) and len(window) == 2):
            raise argument_error("window", "be (first, last)", f"is {describe(window)}", "pass two times")
        for bound in window:
            check_scalar("window", bound)
        first, last = (np.asarray(bound).item() for bound in window)
        keep = np.flatnonzero((known >= first) & (known <= last))
        known, t = known[keep], t[keep]
        runs = runs[:, keep] if is_traced(runs) else np.asarray(runs)[:, keep]
    if t.shape[0] < _LEAST:
        raise argument_error(
            "values", f"hold at least {_LEAST} points", f"holds {t.shape[0]}", "save more, or widen `window`"
        )
    if known is not None:
        steps = np.diff(known)
        if np.any(steps <= 0) or np.ptp(steps) > 1e-3 * steps.mean():
            raise argument_error("times", "be equidistant and increase", "does not", "save at equal intervals")
    elapsed, first = (t - t[0], t[0]) if known is None else (known - known[0], known[0])
    (elapsed,) = known_as(runs.dtype, elapsed)
    series = padded(elapsed, runs)
    fit = _fitted if is_traced(series) else in_double_precision(_fitted)
    degrees_of_freedom = runs.shape[0] - 1.0 if replicated else t.shape[0] - 4.0
    return OscillationFit(**fit(series, replicated), first_time=first, degrees_of_freedom=degrees_of_freedom)


@partial(jax.jit, static_argnames="replicated")
@jax.default_matmul_precision("highest")
def _fitted(series: Any, replicated: bool) -> dict[str, Array]:
    """The fields of an `OscillationFit` except `first_time` and `degrees_of_freedom`."""
    t, runs, counts, num_runs, _ = series
    mean, span = jnp.sum(runs, axis=0) / num_runs, t[-1]
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(mean)))
    size = jnp.where(size > 0, size, jnp.ones_like(size))
    # Unit time and unit values, so that float32 is as accurate in any units.
    data = _Data(t / span, mean / size, counts)
    still = jax.lax.stop_gradient(data)
    start, oscillates = _predicted(still)
    p = implicit_root(lambda p: jax.grad(_loss)(p, data), _refined(start, still))
    rest, jacobian = _model(p, data) - data.y, jax.jacfwd(_model)(p, data)
    normal = jacobian.T @ jacobian
    # Scale the columns to unit length, so that the condition number does not depend on the units.
    scale = jnp.sqrt(jnp.diag(normal))
    scale = jnp.where(scale > 0, scale, 1)
    outer = jnp.outer(scale, scale)
    if replicated:
        real = (jnp.arange(runs.shape[0], dtype=t.dtype) < num_runs).astype(t.dtype)
        deviations = jacobian.T @ (real[:, None] * (runs - mean[None]) / size).T
        influence = jnp.linalg.solve(normal / outer, deviations / scale[:, None])
        covariance = influence @ influence.T / (num_runs * (num_runs - 1)) / outer
    else:
        covariance = total(rest**2) / (jnp.sum(counts) - 4) * jnp.linalg.inv(normal / outer) / outer
    errors = jnp.sqrt(jnp.maximum(jnp.diag(covariance), jnp.finfo(t.dtype).tiny))
    # (w, b) and (-w, -b) are the same oscillation: report the positive frequency.
    growth, frequency, a, b = p
    sign = jnp.where(frequency < 0, -1, 1).astype(t.dtype)
    squares = total(data.y**2)
    entries = {
        "frequency": sign * frequency / span,
        "frequency_stderr": errors[1] / span,
        "growth": growth / span,
        "growth_stderr": errors[0] / span,
        "amplitude": size * jnp.sqrt(a * a + b * b),
        "phase": -jnp.arctan2(sign * b, a),
        "r2": 1 - total(rest**2) / jnp.where(squares > 0, squares, 1),
    }
    return {name: jnp.where(oscillates, entry, jnp.nan) for name, entry in entries.items()}


class _Data(NamedTuple):
    """Times in [0, 1], values scaled to at most 1 in modulus, and 1 for data and 0 for padding; all padded."""

    s: Array
    y: Array
    counts: Array


def _model(p: Array, data: _Data) -> Array:
    growth, frequency, a, b = p
    s = data.s
    return data.counts * jnp.exp(growth * s) * (a * jnp.cos(frequency * s) + b * jnp.sin(frequency * s))


def _loss(p: Array, data: _Data) -> Array:
    return total((_model(p, data) - data.y) ** 2) / 2


def _predicted(data: _Data) -> tuple[Array, Array]:
    """The initial guess (growth, frequency, a, b) by linear prediction, y_{n+2L} = c_1 y_{n+L} + c_0 y_n, at the lag L with the
    least sum of squares; and whether the prediction oscillates at any lag."""
    num = jnp.sum(data.counts)
    lags = 2 ** jnp.arange(min(_LAGS, (data.s.shape[0] // 4).bit_length()))
    # `map` instead of a Python loop, so that all lags share one copy of the program.
    found, oscillates = jax.lax.map(partial(_at_lag, data), lags)
    losses = jax.vmap(_loss, (0, None))(found, data)
    usable = oscillates & (4 * lags.astype(num.dtype) <= num) & jnp.isfinite(losses)
    best = jnp.argmin(jnp.where(usable, losses, jnp.finfo(losses.dtype).max))
    return found[best], usable.any()


def _at_lag(data: _Data, lag: Array) -> tuple[Array, Array]:
    s, y, counts = data
    # `inside` excludes padding and the values that `roll` wraps around the end.
    inside = counts * (jnp.arange(s.shape[0]) + 2 * lag < jnp.sum(counts).astype(lag.dtype)).astype(counts.dtype)
    middle, new = (inside * jnp.roll(y, -shift) for shift in (lag, 2 * lag))
    old = inside * y
    (c0, c1), predicted = _solved(jnp.stack([old, middle], 1), new)
    # The roots of r^2 = c_1 r + c_0 are e^{(growth +- i frequency) lag}; two real roots do not oscillate.
    oscillates = predicted & (4 * c0 + c1 * c1 < 0)
    modulus = jnp.sqrt(jnp.where(oscillates, -c0, 1))
    step = lag.astype(s.dtype) * (s[1] - s[0])
    cosine = jnp.where(oscillates, c1 / (2 * modulus), 0)
    growth, frequency = jnp.log(modulus) / step, jnp.arccos(cosine) / step
    growth = jnp.clip(growth, -_STEEPEST, _STEEPEST)
    basis = (counts * jnp.exp(growth * s))[:, None] * jnp.stack([jnp.cos(frequency * s), jnp.sin(frequency * s)], 1)
    (a, b), independent = _solved(basis, y)
    return jnp.stack([growth, frequency, a, b]), oscillates & independent


def _solved(columns: Array, y: Array) -> tuple[Array, Array]:
    """(least-squares coefficients of y in two columns, whether the columns are linearly independent)."""
    normal = columns.T @ columns
    scale = jnp.sqrt(jnp.diag(normal))
    scale = jnp.where(scale > 0, scale, 1)
    unit = normal / jnp.outer(scale, scale)
    independent = jnp.linalg.det(unit) > jnp.finfo(y.dtype).eps
    safe = jnp.where(independent, unit, jnp.eye(2, dtype=y.dtype))
    return jnp.linalg.solve(safe, columns.T @ y / scale) / scale, independent


def _refined(p: Array, data: _Data) -> Array:
    """Levenberg-Marquardt iterations, then three Newton steps."""

    def step(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        p, loss, damping = carry
        jacobian, rest = jax.jacfwd(_model)(p, data), _model(p, data) - data.y
        normal = jacobian.T @ jacobian
        diagonal = jnp.diag(normal)
        # Avoid a singular matrix for a column of zeros, from a series of zeros.
        diagonal = jnp.where(diagonal > 0, diagonal, 1)
        move = jnp.linalg.solve(normal + damping * jnp.diag(diagonal), jacobian.T @ rest)
        new = _loss(p - move, data)
        better = new < loss
        return (
            jnp.where(better, p - move, p),
            jnp.where(better, new, loss),
            jnp.clip(jnp.where(better, damping / 5, damping * 5), 1e-9, 1e6),
        )

    def newton(_: Any, p: Array) -> Array:
        hessian = jax.hessian(_loss)(p, data)
        scale = jnp.sqrt(jnp.maximum(jnp.abs(jnp.diag(hessian)), jnp.finfo(p.dtype).tiny))
        scaled = hessian / jnp.outer(scale, scale)
        # Newton steps are taken only where the Hessian is positive: elsewhere they may have any size.
        convex = jnp.linalg.eigvalsh(scaled)[0] > jnp.finfo(p.dtype).eps
        safe = jnp.where(convex, scaled, jnp.eye(4, dtype=p.dtype))
        new = p - jnp.linalg.solve(safe, jax.grad(_loss)(p, data) / scale) / scale
        # A tolerance, because at the minimum the sum of squares changes by rounding only.
        return jnp.where(convex & (_loss(new, data) <= _loss(p, data) * (1 + 1e-4)), new, p)

    first = p, _loss(p, data), jnp.asarray(1e-3, p.dtype)
    p = jax.lax.fori_loop(0, _ITERATIONS, step, first)[0]
    return jax.lax.fori_loop(0, 3, newton, p)

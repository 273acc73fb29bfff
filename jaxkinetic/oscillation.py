"""The frequency and the growth of one oscillating mode, with error bars."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Complex, Float, Real

from ._checks import check_finite, check_scalar, is_traced, real_array, refuse
from ._implicit import implicit
from ._sums import time_since
from ._types import RealScalarLike

_LEAST, _ITERATIONS = 12, 40


class OscillationFit(eqx.Module):
    r"""$y(t) = e^{\gamma t}\,(a\cos wt + b\sin wt)$: w = `frequency` > 0, gamma = `growth` (negative: damping), with
    standard errors; `omega` = w + i gamma, that of $e^{-i\omega t}$. `amplitude`: $\sqrt{a^2 + b^2}$ at `first_time`, where
    the series begins, and the `phase` there, y = amplitude cos(phase). `r2`: 1 - (residual sum of squares)/(sum of squares)."""

    frequency: Float[Array, ""]
    frequency_stderr: Float[Array, ""]
    growth: Float[Array, ""]
    growth_stderr: Float[Array, ""]
    amplitude: Float[Array, ""]
    phase: Float[Array, ""]
    r2: Float[Array, ""]
    first_time: Float[Array, ""] | np.float64

    @property
    def omega(self) -> Complex[Array, ""]:
        return jax.lax.complex(self.frequency, self.growth)

    def __call__(self, times: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        elapsed = time_since(times, self.first_time, self.amplitude.dtype)
        return self.amplitude * jnp.exp(self.growth * elapsed) * jnp.cos(self.frequency * elapsed + self.phase)

    def __str__(self) -> str:
        return (
            f"frequency {float(self.frequency):.6g} +- {float(self.frequency_stderr):.2g}, growth {float(self.growth):.6g} +- "
            f"{float(self.growth_stderr):.2g}, r2 {float(self.r2):.6f}"
        )


def fit_oscillation(
    times: Real[ArrayLike, " T"],
    values: Real[ArrayLike, " T"],
    *,
    window: tuple[RealScalarLike, RealScalarLike] | None = None,
) -> OscillationFit:
    r"""One damped or growing oscillation through a real series, by least squares of equal weight (so the large values count).

    **Arguments:** `times` (T,), equidistant; `values` (T,), real: a mode of the density, say (not its absolute value; the
    energy of the field oscillates at 2w and decays at 2 gamma, about a mean, and does not fit this). `window` = (first,
    last): what is fitted; leave out the transient, and what is below the noise. For growth without an oscillation use
    `fit_decay`.

    The start comes from linear prediction at every lag 1, 2, 4, ..., the best of them by its sum of squares; then Levenberg
    and Marquardt's iteration. The result is differentiable in times and values, in every mode and order, by the stationarity of
    the sum of squares. Standard errors are of independent noise. NaN for a series that does not oscillate.

    **Raises:** `ValueError` for other shapes, times that are not equidistant, fewer than 12 points, or numbers that are not
    finite.
    """
    t, y = real_array("times", times, "T"), real_array("values", values, "T")
    if t.shape != y.shape:
        raise refuse("values", f"have {t.shape[0]} entries, one a time", f"has shape {y.shape}", "pass one series")
    check_finite("times", t)
    check_finite("values", y)
    known_times = None if is_traced(t) else np.asarray(times, float)
    if window is not None:
        if known_times is None or is_traced(window):
            raise refuse("window", "be None when `times` is traced", f"is {window}", "cut the series before")
        for bound in window:
            check_scalar("window", bound)
        keep = np.flatnonzero((known_times >= window[0]) & (known_times <= window[1]))
        known_times, t, y = known_times[keep], t[keep], y[keep]
    if t.shape[0] < _LEAST:
        raise refuse("values", f"hold at least {_LEAST} points", f"holds {t.shape[0]}", "save more, or widen `window`")
    if known_times is None:
        return _fitted(t - t[0], y, t[0])
    steps = np.diff(known_times)
    if np.any(steps <= 0) or np.ptp(steps) > 1e-3 * steps.mean():
        raise refuse("times", "be equidistant and increase", "does not", "save every so many steps")
    fit = _fitted(time_since(known_times, known_times[0], t.dtype), y, t[0])
    return eqx.tree_at(lambda fit: fit.first_time, fit, known_times[0])


@jax.jit
@jax.default_matmul_precision("highest")
def _fitted(elapsed: Array, values: Array, first_time: Array) -> OscillationFit:
    span = elapsed[-1]
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(values)))
    size = jnp.where(size > 0, size, jnp.ones_like(size))
    s, y = (elapsed / span).astype(values.dtype), values / size
    still = jax.lax.stop_gradient
    start = _refined(_predicted(still(s), still(y)), still(s), still(y))
    p = implicit(lambda p: jax.grad(_loss)(p, s, y), start)
    rest, jacobian = _model(p, s) - y, jax.jacfwd(_model)(p, s)
    variance = jnp.sum(rest**2) / (s.shape[0] - 4)
    errors = jnp.sqrt(jnp.diag(variance * jnp.linalg.inv(jacobian.T @ jacobian)))
    growth, frequency, a, b = p
    sign = jnp.where(frequency < 0, -1, 1).astype(y.dtype)
    return OscillationFit(
        frequency=sign * frequency / span,
        frequency_stderr=errors[1] / span,
        growth=growth / span,
        growth_stderr=errors[0] / span,
        amplitude=size * jnp.sqrt(a * a + b * b),
        phase=-jnp.arctan2(sign * b, a),
        r2=1 - jnp.sum(rest**2) / jnp.sum(y**2),
        first_time=first_time,
    )


def _model(p: Array, s: Array) -> Array:
    growth, frequency, a, b = p
    return jnp.exp(growth * s) * (a * jnp.cos(frequency * s) + b * jnp.sin(frequency * s))


def _loss(p: Array, s: Array, y: Array) -> Array:
    return jnp.sum((_model(p, s) - y) ** 2) / 2


def _predicted(s: Array, y: Array) -> Array:
    """(growth, frequency, a, b) from y_{n+2L} = c_1 y_{n+L} + c_0 y_n, at the lag L that fits best."""
    lags = [2**k for k in range(12) if 2**k * 4 <= s.shape[0]]
    found = [_at_lag(s, y, lag) for lag in lags]
    losses = jnp.stack([_loss(p, s, y) for p in found])
    best = jnp.argmin(jnp.where(jnp.isfinite(losses), losses, jnp.inf))
    return jnp.stack(found)[best]


def _at_lag(s: Array, y: Array, lag: int) -> Array:
    old, middle, new = y[: -2 * lag], y[lag:-lag], y[2 * lag :]
    normal = jnp.stack([jnp.stack([old @ old, old @ middle]), jnp.stack([old @ middle, middle @ middle])])
    c0, c1 = jnp.linalg.solve(normal, jnp.stack([old @ new, middle @ new]))
    # Roots r = e^{(growth +- i frequency) lag}; two real ones do not oscillate.
    modulus = jnp.sqrt(jnp.where(4 * c0 + c1 * c1 < 0, -c0, jnp.nan))
    step = lag * (s[1] - s[0])
    growth, frequency = jnp.log(modulus) / step, jnp.arccos(c1 / (2 * modulus)) / step
    basis = jnp.exp(growth * s)[:, None] * jnp.stack([jnp.cos(frequency * s), jnp.sin(frequency * s)], 1)
    a, b = jnp.linalg.solve(basis.T @ basis, basis.T @ y)
    return jnp.stack([growth, frequency, a, b])


def _refined(p: Array, s: Array, y: Array) -> Array:
    """Levenberg and Marquardt, then Newton."""

    def step(_: Any, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        p, loss, damping = carry
        jacobian, rest = jax.jacfwd(_model)(p, s), _model(p, s) - y
        normal = jacobian.T @ jacobian
        move = jnp.linalg.solve(normal + damping * jnp.diag(jnp.diag(normal)), jacobian.T @ rest)
        new = _loss(p - move, s, y)
        better = new < loss
        return (
            jnp.where(better, p - move, p),
            jnp.where(better, new, loss),
            jnp.clip(jnp.where(better, damping / 5, damping * 5), 1e-9, 1e6),
        )

    def newton(_: Any, p: Array) -> Array:
        new = p - jnp.linalg.solve(jax.hessian(_loss)(p, s, y), jax.grad(_loss)(p, s, y))
        # At the minimum the sum of squares changes by its rounding alone.
        return jnp.where(_loss(new, s, y) <= _loss(p, s, y) * (1 + 1e-4), new, p)

    first = p, _loss(p, s, y), jnp.asarray(1e-3, y.dtype)
    p = jax.lax.fori_loop(0, _ITERATIONS, step, first)[0]
    return jax.lax.fori_loop(0, 3, newton, p)

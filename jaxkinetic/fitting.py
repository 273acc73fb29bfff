"""Decay rates with error bars."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from ._checks import check_finite, check_scalar, describe, is_traced, real_array, refuse

_MODELS = ("exponential", "algebraic", "stretched")
_RATES, _GOLDEN_STEPS, _CORRELATIONS = 256, 60, 50
_STRETCHES, _LEAST_STRETCH, _MOST_STRETCH = 33, 0.05, 4.0
_SIGNAL = 3.0  # standard errors


class DecayFit(eqx.Module):
    r"""$A\,e^{-\lambda u(t)} + c$ with standard errors; A = `amplitude`, lambda = `rate`, c = `floor`, and the clock u by
    `model`:

    - "exponential": u = t. - "algebraic": u = log(s + t), so that $A (s + t)^{-\lambda}$; s = `shape`.
    - "stretched": u = t^beta, so that $A e^{-\lambda t^\beta}$; beta = `shape`.

    `amplitude` overflows if the series begins very late; `first_value` is A e^{-lambda u} at `first_time`, where the series
    begins, and calling the fit evaluates it from there. `correlation_time`: of the residuals (one run only, else NaN). `r2`:
    1 - (residual sum of squares)/(sum of squares about the mean).
    """

    rate: Float[Array, ""]
    rate_stderr: Float[Array, ""]
    amplitude: Float[Array, ""]
    amplitude_stderr: Float[Array, ""]
    floor: Float[Array, ""]
    floor_stderr: Float[Array, ""]
    shape: Float[Array, ""]
    shape_stderr: Float[Array, ""]
    r2: Float[Array, ""]
    correlation_time: Float[Array, ""]
    first_time: Float[Array, ""]
    first_value: Float[Array, ""]
    model: str = eqx.field(static=True)

    def __call__(self, times: ArrayLike) -> Array:
        elapsed = jnp.asarray(times) - self.first_time
        clock = _clock(self.model, elapsed, self.first_time, self.shape)
        return self.first_value * jnp.exp(-self.rate * clock) + self.floor

    def __str__(self) -> str:
        shape = {"exponential": "", "algebraic": f", offset {float(self.shape):.4g}"}.get(
            self.model, f", stretch {float(self.shape):.4g} +- {float(self.shape_stderr):.2g}"
        )
        return (
            f"rate {float(self.rate):.5g} +- {float(self.rate_stderr):.2g}, amplitude {float(self.amplitude):.4g} +- "
            f"{float(self.amplitude_stderr):.2g}{shape}, floor {float(self.floor):.4g}, r2 {float(self.r2):.5f}"
        )


def fit_decay(
    times: ArrayLike,
    values: ArrayLike,
    *,
    model: Literal["exponential", "algebraic", "stretched"] = "exponential",
    floor: ArrayLike | Literal["fit"] | None = None,
    window: tuple[float, float] | Literal["signal"] | None = None,
    offset: float = 1.0,
    stretch: float | Literal["fit"] = "fit",
) -> DecayFit:
    r"""Least squares of $A e^{-\lambda t} + c$, $A (s + t)^{-\lambda} + c$ or $A e^{-\lambda t^\beta} + c$ to `values`.

    **Arguments:**

    - `times`: (T,), increasing. `values`: (T,) of one run, or (R, T) of R >= 2 independent runs, whose mean is fitted.
    - `model`: "exponential"; "algebraic", a power law in s + t with s = `offset` (0: in t itself, then times are positive);
      "stretched", beta = `stretch` given (2/3 is the theorem's for Coulomb) or fitted; times not negative.
    - `floor`: c; None is 0, a number is kept, "fit" makes it one more parameter.
    - `window`: (first, last): only times within it count. "signal": those that `decay_window` gives, by its stated rule. Then
      `times` (and for "signal" `values`) must be concrete: under `grad` call `decay_window` before, on the values themselves.

    **Returns:** a `DecayFit`. Its entries carry their derivatives in `values` (and `floor`), of every order, by the implicit
    function theorem; `rate` may be negative (growth). The minimum is global in the range of the search: the linear
    parameters are eliminated, the rate is searched on a grid over the series (growth up to e^40, decay within a fifth of the
    smallest gap), the stretch between .05 and 4, then refined to round-off. Where no minimum lies inside, all standard
    errors are infinite.

    Standard errors. Of R runs: from the scatter of the runs themselves, whatever their correlation in time. Of one run:
    the residuals are taken as a stationary process of correlation e^{-|t-s|/tau}, tau = 0 (independent) included; the
    covariance of the least-squares estimate is averaged over tau with the weights of the restricted likelihood, and the
    residual variance is that of its posterior. Both assume errors small enough for the model to be linear across them.
    Measured on 500-1000 series of 50 points (exponential, decay rate 4 per length of the series): with a given floor the
    interval of 1.96 standard errors covers in 95-97 % for tau up to a tenth of the series, 93 % at a fifth, 90 % at two
    fifths; with a fitted floor in 94-97, 90 and 82-85 %. It is cautious in between: at tau = a twentieth it is 1.4 times the
    scatter. A run has to be longer than its memory, or be repeated. A series without signal has an infinite standard error.

    **Raises:** `ValueError` for shapes that do not fit, NaN, times that do not increase, fewer than p + 3 points for p
    parameters, a single replica, an unknown model, times outside the model's clock.
    """
    if model not in _MODELS:
        raise refuse("model", f"be one of {', '.join(_MODELS)}", f"is {model!r}", "choose one")
    known_times = None if is_traced(times) else _numbers(times)
    t = real_array("times", times if known_times is None else known_times, "T")
    values = real_array("values", values, "R T" if np.ndim(values) == 2 else "T")
    replicated, runs = values.ndim == 2, jnp.atleast_2d(values)
    if runs.shape[1] != t.shape[0]:
        raise refuse("values", f"have {t.shape[0]} columns, one a time", f"has shape {runs.shape}", "transpose it")
    if replicated and runs.shape[0] < 2:
        raise refuse("values", "hold at least 2 runs if it has two axes", "holds 1", "pass `values[0]`")
    check_finite("times", t)
    check_finite("values", runs)
    if known_times is not None and np.any(np.diff(known_times) <= 0):
        raise refuse("times", "increase", "does not", "sort the series")
    if window is not None:
        if known_times is None:
            raise refuse("window", "be None when `times` is traced", f"is {window}", "cut the series before")
        if isinstance(window, str):
            window = _window_of_signal(window, known_times, values, floor)
        if not is_traced(window):
            window = jax.tree.map(lambda w: np.asarray(w).item() if np.ndim(w) == 0 else w, window)
        numbers = (int, float, np.number)
        if not (isinstance(window, (tuple, list)) and len(window) == 2 and all(isinstance(w, numbers) for w in window)):
            raise refuse("window", 'be (first, last) or "signal"', f"is {window!r}", "pass two times")
        keep = np.flatnonzero((known_times >= window[0]) & (known_times <= window[1]))
        known_times, t, runs = known_times[keep], t[keep], runs[:, keep]
    fitted_floor = isinstance(floor, str)
    if fitted_floor and floor != "fit":
        raise refuse("floor", 'be None, a number or "fit"', f"is {floor!r}", "choose one")
    if not fitted_floor:
        check_scalar("floor", 0.0 if floor is None else floor)
    fitted_shape = model == "stretched" and isinstance(stretch, str)
    shape = _checked_shape(model, offset, stretch, known_times)
    num = 2 + fitted_floor + fitted_shape
    if t.shape[0] < num + 3:
        raise refuse("values", f"hold at least {num + 3} points", f"holds {t.shape[0]}", "widen `window` or save more")

    fixed = jnp.zeros((), runs.dtype) if fitted_floor or floor is None else jnp.asarray(floor).astype(runs.dtype)
    # Times since the first, taken before they are rounded to the precision of the values.
    elapsed = t - t[0] if known_times is None else jnp.asarray(known_times - known_times[0])
    origin, elapsed = t[0].astype(runs.dtype), elapsed.astype(runs.dtype)
    shape = jnp.asarray(shape, runs.dtype)
    return _least_squares(origin, elapsed, runs, fixed, shape, model, fitted_floor, fitted_shape, replicated)


def decay_window(times: ArrayLike, values: ArrayLike, *, floor: float = 0.0, below: float = 1.0) -> tuple[float, float]:
    """(first, last) of the times at which a decaying series is signal, by this rule:

    first: the first time at which the mean of the runs, less `floor`, is at most `below` times its first value in size (1: the
    beginning; .5 leaves out the transient before the first half-life). last: the last time before the mean, less `floor`, is
    smaller than 3 standard errors at two successive times. The standard error of a mean of R >= 2 runs (R, T) is their scatter
    over sqrt(R); of one run (T,) it is 1.48 times the median of its second differences in size over sqrt(6), which sees
    noise that is independent from save to save only, and curvature where more than half of the saves have it.

    The rule looks at the noisy data themselves, which lengthens the window where the noise is high: what a late point adds
    to the fit is small by construction. Host only.

    **Raises:** `ValueError` if nothing stands out of the noise, or for traced values.
    """
    if is_traced(times, values, floor):
        raise refuse("values", "be concrete", "is traced", "call `decay_window` outside of `grad` and `jit`")
    t, runs = _numbers(times), np.atleast_2d(np.asarray(values, float))
    if t.ndim != 1 or runs.ndim != 2 or runs.shape[1] != len(t) or len(t) < 4:
        raise refuse(
            "values", "have one column a time, at least 4", f"has shape {np.shape(values)}", "transpose or add some"
        )
    check_finite("values", jnp.asarray(runs))
    signal = np.abs(runs.mean(axis=0) - float(floor))
    if len(runs) > 1:
        noise = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    else:
        # The median: curvature of the signal itself, which is large early, does not count.
        noise = np.full(t.shape, 1.4826 * np.median(np.abs(np.diff(runs[0], n=2))) / np.sqrt(6))
    lost = signal < _SIGNAL * noise
    ends = np.flatnonzero(lost & np.append(lost[1:], True))
    last = (ends[0] if ends.size else len(t)) - 1
    reached = signal <= below * signal[0]
    if not reached.any():
        raise refuse("below", f"be reached by the series, which falls to {signal.min() / signal[0]:.3g} of its first value",
                     f"is {below:g}", "raise it")  # fmt: skip
    first = int(np.argmax(reached))
    if last <= first:
        raise refuse(
            "values", f"stand out of the noise by {_SIGNAL:g} standard errors", f"do not after t = {t[max(last, 0)]:g}",
            "average more runs",
        )  # fmt: skip
    return float(t[first]), float(t[last])


def _window_of_signal(
    window: str, times: np.ndarray, values: Array, floor: ArrayLike | str | None
) -> tuple[float, float]:
    if window != "signal":
        raise refuse("window", 'be (first, last) or "signal"', f"is {window!r}", "choose one")
    if isinstance(floor, str) or is_traced(floor):
        raise refuse(
            "window", "be given as (first, last) when the floor is fitted or traced", f"is {window!r}", "pass two times"
        )
    return decay_window(times, values, floor=0.0 if floor is None else float(jnp.asarray(floor)))


def _checked_shape(model: str, offset: float, stretch: float | str, times: np.ndarray | None) -> float:
    """The clock's parameter, or where its search begins."""
    first = None if times is None or not len(times) else times[0]
    if model == "algebraic":
        check_scalar("offset", offset, nonnegative=True)
        if is_traced(offset):
            raise refuse("offset", "be a number", f"is {describe(offset)}", "choose it outside of `jit`")
        if first is not None and offset + first <= 0:
            raise refuse("times", f"be above -offset = {-offset:g}", f"begin at {first:g}", "pass a larger `offset`")
        return offset
    if model == "stretched":
        if isinstance(stretch, str):
            if stretch != "fit":
                raise refuse("stretch", 'be a number or "fit"', f"is {stretch!r}", "choose one")
        else:
            check_scalar("stretch", stretch, positive=True)
        if first is not None and first < 0:
            raise refuse("times", "not be negative for a stretched exponential", f"begin at {first:g}", "shift them")
        return 1.0 if isinstance(stretch, str) else stretch
    return 1.0


def _numbers(times: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(times, float)
    except (TypeError, ValueError):
        raise refuse("times", "be numbers", f"is {describe(times)}", "pass an array") from None


def _clock(model: str, elapsed: Array, origin: Array, shape: Array) -> Array:
    """u(origin + elapsed) - u(origin)."""
    if model == "exponential":
        return elapsed
    if model == "algebraic":
        return jnp.log1p(elapsed / (origin + shape))
    return _power(origin + elapsed, shape) - _power(origin, shape)


def _power(x: Array, exponent: Array) -> Array:
    positive = x > 0
    safe = jnp.where(positive, x, jnp.ones_like(x))
    return jnp.where(positive, safe**exponent, jnp.zeros_like(safe))


@partial(jax.jit, static_argnames=("model", "fitted_floor", "fitted_shape", "replicated"))
@jax.default_matmul_precision("highest")
def _least_squares(
    origin: Array, t: Array, runs: Array, fixed: Array, shape: Array, model: str, fitted_floor: bool, fitted_shape: bool,
    replicated: bool,
) -> DecayFit:  # fmt: skip
    mean = runs.mean(axis=0)
    # Unit time and unit values: float32 then has the same accuracy whatever the units of the series.
    span = t[-1]
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(mean - fixed)))
    size = jnp.where(size > 0, size, jnp.ones((), t.dtype))
    s, y = t / span, (mean - fixed) / size

    def clock(shape: Array) -> Array:
        """The model's time since the first, over its whole span."""
        u = _clock(model, t, origin, shape)
        return u / u[-1]

    def split(theta: Array) -> tuple[Array, Array, Array, Array]:
        """theta = (rate over the span, amplitude at the first time[, floor][, shape])."""
        floor = theta[2] if fitted_floor else jnp.zeros((), t.dtype)
        return theta[0], theta[1], floor, (theta[-1] if fitted_shape else shape)

    def predict(theta: Array) -> Array:
        rate, amplitude, floor, own_shape = split(theta)
        return amplitude * jnp.exp(-rate * clock(own_shape)) + floor

    def parameters(theta: Array) -> Array:
        """(rate, amplitude, floor, shape) in the units of the series; an amplitude that overflows counts as the largest."""
        rate, amplitude, floor, own_shape = split(theta)
        rate = rate / _clock(model, t[-1], origin, own_shape)
        before = origin if model == "exponential" else _before(model, origin, own_shape)
        growth = jnp.exp(jnp.minimum(rate * before, _largest_exponent(t.dtype)))
        return jnp.stack([rate, size * amplitude * growth, size * floor, own_shape])

    start = _search_shape(clock, y, fitted_floor) if fitted_shape else _search(clock(shape), y, fitted_floor)
    theta, settled = _least(predict, start, y, fitted_shape)

    theta = jnp.where(jnp.isfinite(runs).all(), theta, jnp.nan)
    residual, jacobian = y - predict(theta), jax.jacfwd(predict)(theta)
    if replicated:
        influence = jnp.linalg.pinv(jacobian) @ ((runs - mean[None, :]) / size).T
        covariance = influence @ influence.T / (runs.shape[0] * (runs.shape[0] - 1))
        tau = jnp.asarray(jnp.nan, t.dtype)
    else:
        covariance, tau = _covariance_of_one_run(s, residual, jacobian)
    known = (jnp.abs(theta[1]) > 0) & jnp.isfinite(covariance).all() & settled
    slopes = jax.jacfwd(parameters)(theta)
    variances = jnp.einsum("ip,pq,iq->i", slopes, jnp.where(known, covariance, 0), slopes)
    positive = variances > 0
    errors = jnp.where(positive, jnp.sqrt(jnp.where(positive, variances, 1)), 0)
    errors = jnp.where(known, errors, jnp.inf)
    fitted = [True, True, fitted_floor, fitted_shape]
    errors = jnp.where(jnp.asarray(fitted), errors, jnp.zeros_like(errors))
    rate, amplitude, floor, own_shape = parameters(theta)
    before = origin if model == "exponential" else _before(model, origin, own_shape)
    overflows = rate * before > _largest_exponent(t.dtype)
    amplitude = jnp.where(overflows, jnp.sign(theta[1]) * jnp.inf, amplitude)
    errors = errors.at[1].set(jnp.where(overflows, jnp.inf, errors[1]))
    return DecayFit(
        rate=rate,
        rate_stderr=errors[0],
        amplitude=amplitude,
        amplitude_stderr=errors[1],
        floor=floor if fitted_floor else fixed,
        floor_stderr=errors[2],
        shape=own_shape,
        shape_stderr=errors[3],
        r2=1 - jnp.sum(residual**2) / jnp.sum((y - y.mean()) ** 2),
        correlation_time=tau * span,
        first_time=origin,
        first_value=size * theta[1],
        model=model,
    )


def _before(model: str, origin: Array, shape: Array) -> Array:
    """u at the first time."""
    return jnp.log(origin + shape) if model == "algebraic" else _power(origin, shape)


def _linear_parameters(rate: Array, s: Array, y: Array, fitted_floor: bool) -> tuple[Array, Array]:
    """The best amplitude (and floor) for a rate, and what is left of the sum of squares."""
    decay = jnp.exp(-rate * s)
    mean_decay, mean_y = (decay.mean(), y.mean()) if fitted_floor else (jnp.zeros((), s.dtype),) * 2
    regressor, target = decay - mean_decay, y - mean_y
    square = jnp.sum(regressor**2)
    # A rate too slow to tell from a constant leaves the amplitude to the floor.
    told_apart = square > jnp.finfo(s.dtype).eps * jnp.sum(decay**2)
    amplitude = jnp.where(told_apart, jnp.sum(regressor * target) / jnp.where(told_apart, square, 1), 0)
    rest = jnp.sum((target - amplitude * regressor) ** 2)
    parameters = [amplitude] + ([mean_y - amplitude * mean_decay] if fitted_floor else [])
    return jnp.stack(parameters), rest


def _search(s: Array, y: Array, fitted_floor: bool) -> Array:
    """(rate, amplitude[, floor]) of the global minimum, on a clock that ends at 1; no derivative."""
    s, y = jax.lax.stop_gradient((s, y))

    def rest(rate: Array) -> Array:
        return _linear_parameters(rate, s, y, fitted_floor)[1]

    fastest = 5 / jnp.min(jnp.diff(s))
    spread = jnp.linspace(-1, 1, _RATES, dtype=s.dtype)
    # Growth is sought up to e^40 over the series, which float32 can still square.
    grid = jnp.maximum(jnp.sinh(spread * jnp.arcsinh(20 * fastest)) / 20, -40)
    best = jnp.clip(jnp.argmin(jax.vmap(rest)(grid)), 1, _RATES - 2)
    rate = _golden(rest, grid[best - 1], grid[best + 1])
    return jnp.concatenate([rate[None], _linear_parameters(rate, s, y, fitted_floor)[0]])


def _search_shape(clock: Callable[[Array], Array], y: Array, fitted_floor: bool) -> Array:
    """(rate, amplitude[, floor], stretch) of the global minimum; no derivative."""
    y = jax.lax.stop_gradient(y)

    def rest(log_stretch: Array) -> Array:
        s = clock(jnp.exp(log_stretch))
        return _linear_parameters(_search(s, y, fitted_floor)[0], s, y, fitted_floor)[1]

    grid = jnp.linspace(math.log(_LEAST_STRETCH), math.log(_MOST_STRETCH), _STRETCHES, dtype=y.dtype)
    best = jnp.clip(jnp.argmin(jax.lax.map(rest, grid)), 1, _STRETCHES - 2)
    stretch = jnp.exp(_golden(rest, grid[best - 1], grid[best + 1]))
    return jnp.concatenate([_search(clock(stretch), y, fitted_floor), stretch[None]])


def _golden(f: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """Where f is least between two numbers, by golden sections."""
    golden = (5**0.5 - 1) / 2

    def narrow(_: int, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        left, right = high - golden * (high - low), low + golden * (high - low)
        lower = f(left) < f(right)
        return jnp.where(lower, low, left), jnp.where(lower, right, high)

    low, high = jax.lax.fori_loop(0, _GOLDEN_STEPS, narrow, (low, high))
    return (low + high) / 2


def _largest_exponent(dtype: jnp.dtype) -> float:
    return 0.8 * math.log(float(jnp.finfo(dtype).max))


def _least(predict: Callable[[Array], Array], theta: Array, y: Array, fitted_shape: bool) -> tuple[Array, Array]:
    """(theta, settled): the minimum near theta, by Newton steps that are taken only if the sum of squares falls; settled is
    False where none was found (at the end of the search, or without curvature).

    Derivatives of every order are those of the solution of "gradient = 0" (`jax.lax.custom_root`), not of the search.
    """

    eps = float(jnp.finfo(y.dtype).eps)

    def half_squares(theta: Array) -> Array:
        return jnp.sum((y - predict(theta)) ** 2) / 2

    def newton(theta: Array) -> tuple[Array, Array]:
        """(the step, whether the curvature is positive and the step hardly lowers the sum of squares)."""
        gradient, hessian = jax.grad(half_squares)(theta), jax.hessian(half_squares)(theta)
        # Unit diagonal, so that one threshold serves all parameters.
        scale = jnp.sqrt(jnp.maximum(jnp.abs(jnp.diagonal(hessian)), jnp.finfo(y.dtype).tiny))
        scaled = hessian / jnp.outer(scale, scale)
        step = jnp.linalg.pinv(scaled) @ (gradient / scale) / scale
        step = jnp.where(jnp.isfinite(step).all(), step, 0)
        small = jnp.abs(gradient @ step) <= 1e-4 * half_squares(theta) + eps * jnp.sum(y * y)
        return step, small & (jnp.linalg.eigvalsh(scaled)[0] > 10 * eps)

    def solve(_: Callable[[Array], Array], theta: Array) -> Array:
        def once(_: int, theta: Array) -> Array:
            closer = theta - newton(theta)[0]
            inside = True
            if fitted_shape:
                inside = (closer[-1] > _LEAST_STRETCH) & (closer[-1] < _MOST_STRETCH)
            # Not above it by more than round-off, which cannot tell points near the minimum apart.
            allowed = half_squares(theta) * (1 + 1e3 * eps) + 1e3 * eps**2 * jnp.sum(y * y)
            return jnp.where((half_squares(closer) <= allowed) & inside, closer, theta)

        return jax.lax.fori_loop(0, 4 if fitted_shape else 2, once, theta)

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return jnp.linalg.pinv(jax.jacfwd(linear)(jnp.zeros_like(target))) @ target

    theta = jax.lax.custom_root(jax.grad(half_squares), jax.lax.stop_gradient(theta), solve, tangent_solve)
    return theta, newton(jax.lax.stop_gradient(theta))[1]


def _covariance_of_one_run(s: Array, residual: Array, jacobian: Array) -> tuple[Array, Array]:
    """Covariance of the least-squares estimate under residuals of correlation e^{-|s-s'|/tau}, averaged over tau with
    the weights of the restricted likelihood; and the mean tau."""
    num, params = jacobian.shape
    gaps = jnp.diff(s)
    scale = jnp.linalg.norm(jacobian, axis=0)
    scale = jnp.where(scale > 0, scale, 1)
    j = jacobian / scale[None, :]
    bread = jnp.linalg.pinv(j)

    def at(correlation: Array) -> tuple[Array, Array, Array]:
        """(log restricted likelihood, covariance, tau), `correlation` being that over the mean gap."""
        tau = -jnp.mean(gaps) / jnp.log(jnp.maximum(correlation, 1e-30))
        phi = jnp.where(correlation > 0, jnp.exp(-gaps / tau), 0)
        deviation = jnp.sqrt(1 - phi**2)

        def whiten(x: Array) -> Array:
            later = (x[1:] - phi[:, None] * x[:-1]) / deviation[:, None]
            return jnp.concatenate([x[:1], later])

        white_j, white_r = whiten(j), whiten(residual[:, None])
        normal = white_j.T @ white_j
        correction = jnp.linalg.solve(normal, white_j.T @ white_r)
        rest = jnp.sum((white_r - white_j @ correction) ** 2)
        rest = jnp.maximum(rest, jnp.finfo(s.dtype).tiny)
        log_likelihood = (
            -jnp.sum(jnp.log(deviation)) - jnp.linalg.slogdet(normal)[1] / 2 - (num - params) / 2 * jnp.log(rest)
        )
        coloured = _exponential_kernel(phi, j)
        # num - params - 2: the mean of the variance's posterior, not its mode.
        covariance = bread @ coloured @ (bread @ bread.T) * rest / max(num - params - 2, 1)
        return log_likelihood, covariance, jnp.where(correlation > 0, tau, 0)

    grid = jnp.linspace(0, 0.98, _CORRELATIONS, dtype=s.dtype)
    # Independent residuals and correlated ones are given even odds beforehand.
    prior = jnp.where(grid > 0, 1 / (_CORRELATIONS - 1), 1.0)
    log_likelihood, covariance, tau = jax.vmap(at)(grid)
    weights = jax.nn.softmax(log_likelihood + jnp.log(prior))
    mean = jnp.tensordot(weights, covariance, axes=1) / jnp.outer(scale, scale)
    return mean, weights @ tau


def _exponential_kernel(phi: Array, j: Array) -> Array:
    """Sigma j with Sigma_{st} = the product of phi between s and t: two recursions, O(T)."""

    def sweep(carry: Array, x: tuple[Array, Array]) -> tuple[Array, Array]:
        total = x[0] * carry + x[1]
        return total, total

    zero = jnp.zeros_like(j[0])
    _, forward = jax.lax.scan(sweep, zero, (jnp.concatenate([phi[:1] * 0, phi]), j))
    _, backward = jax.lax.scan(sweep, zero, (jnp.concatenate([phi[::-1][:1] * 0, phi[::-1]]), j[::-1]))
    return forward + backward[::-1] - j

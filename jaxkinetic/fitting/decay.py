"""Decay rates with error bars."""

import math
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Real

from .._core.reductions import Moments
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
from .._util.types import RealScalarLike
from ._decay_fit import DecayFit as DecayFit, least_squares, padded

__all__ = ["DecayFit", "decay_window", "fit_decay"]


def __dir__() -> list[str]:
    return __all__


_MODELS = ("exponential", "algebraic", "stretched")
_SIGNAL = 3.0  # standard errors


def fit_decay(
    times: Real[ArrayLike, " T"],
    values: Real[ArrayLike, " T"] | Real[ArrayLike, "R T"] | Moments,
    *,
    stderr: Real[ArrayLike, " T"] | None = None,
    model: Literal["exponential", "algebraic", "stretched"] = "exponential",
    floor: RealScalarLike | Literal["fit"] | None = None,
    window: tuple[RealScalarLike, RealScalarLike] | Literal["signal"] | None = None,
    offset: float = 1.0,
    stretch: float | Literal["fit"] = "fit",
) -> DecayFit:
    r"""Fit $A e^{-\lambda t} + c$, $A (s + t)^{-\lambda} + c$ or $A e^{-\lambda t^\beta} + c$ to `values` by least squares.

    **Arguments:**

    - `times`: (T,), increasing. `values`: (T,) of one run; or (R, T) of R >= 2 independent runs, whose mean is fitted; or the
      `Moments` that an ensemble with `reduce=jk.MeanVar()` returns.
    - `stderr`: (T,), the known standard errors of the values, not negative; then `values` is (T,).
    - `model`: "exponential"; "algebraic", a power law in s + t with s = `offset` (if 0, times must be positive); "stretched",
      with beta = `stretch` given (for Coulomb the theorem has 2/3) or fitted; times must not be negative.
    - `floor`: c; None means 0, a number is kept fixed, "fit" makes it one more parameter.
    - `window`: (first, last): only times within it count. "signal": the window that `decay_window` returns. With a window,
      `times` (and for "signal" also `values`) must be concrete: under `grad`, call `decay_window` beforehand.

    **Returns:** a `DecayFit`, differentiable in `values` (and `floor`) to every order by the implicit function theorem. `rate`
    may be negative (growth). The minimum is global within the range of the search: the linear parameters are eliminated, the
    rate is searched on a grid (growth up to e^40 over the series, decay within a fifth of the smallest gap), the stretch
    between .05 and 4; the result is then refined to round-off. If no minimum lies inside this range, all standard errors are
    infinite.

    **Standard errors.** For R runs they come from the scatter of the runs, whatever the correlation in time, with R - 1 degrees
    of freedom: use `fit.interval(.95)`, which is 12.7 standard errors for two runs and 2.3 for nine. For one run the residuals
    are modelled as a stationary process with correlation e^{-|t-s|/tau}, including tau = 0 (independent). The covariance of the
    least-squares estimate is averaged over tau with the restricted likelihood as weight, and the residual variance over its
    posterior. With `stderr` or `Moments` the variances are given and only tau is estimated; `Moments` count R - 1 degrees of
    freedom, those of a single time, which is conservative. All this assumes errors so small that the model is linear across
    them. Measured on 500-1000 series of 50 points (exponential, decay rate 4 per length of the series), the interval of 1.96
    standard errors covers the truth, with a given floor, in 95-97 % of cases for tau up to a tenth of the series, 93 % at a
    fifth and 90 % at two fifths; with a fitted floor in 94-97, 90 and 82-85 %. In between it is conservative: for tau of a
    twentieth it is 1.4 times the scatter. So a run must be longer than its correlation time, or be repeated. A series without
    signal has an infinite standard error.
    **Data without noise** (a grid, a single deterministic run) have no statistical error. The standard error then measures the
    distance of the model from the data, not the error of the rate. Compare two windows and two dt instead.

    Concrete data are fitted in float64 on the host's CPU, and the result is cast to their dtype. Traced data are fitted in
    their own dtype. Lengths are padded, so that similar lengths and windows share a program.

    **Raises:** `ValueError` for shapes that do not match, NaN, times that do not increase, fewer than p + 3 points for p
    parameters, a single replica, an unknown model, and times outside the domain of the model.
    """
    if model not in _MODELS:
        raise argument_error("model", f"be one of {', '.join(_MODELS)}", f"is {describe(model)}", "choose one")
    known_times = None if is_traced(times) else numbers("times", times)
    t = real_array("times", times if known_times is None else known_times, "T")
    degrees_of_freedom = math.inf
    if isinstance(values, Moments):
        if stderr is not None:
            raise argument_error(
                "stderr", "be None if `values` are `Moments`, which hold it", "is given", "leave it out"
            )
        values, stderr, count = values.mean, values.stderr, values.count
        degrees_of_freedom = count - 1 if is_traced(count) else float(np.asarray(count)) - 1
        if not is_traced(count) and degrees_of_freedom < 1:
            raise argument_error("values", "be `Moments` of at least 2 runs", "is of 1", "run more replicas")
    values = real_array("values", values, "R T" if np.ndim(values) == 2 else "T")
    sigma = None if stderr is None else _checked_stderr(stderr, values)
    replicated, runs = values.ndim == 2, values.reshape(-1, values.shape[-1])
    if runs.shape[1] != t.shape[0]:
        raise argument_error(
            "values", f"have {t.shape[0]} columns, one per time", f"has shape {runs.shape}", "transpose it"
        )
    if replicated and runs.shape[0] < 2:
        raise argument_error("values", "hold at least 2 runs if it has two axes", "holds 1", "pass `values[0]`")
    check_finite("times", t)
    check_finite("values", runs)
    if known_times is not None and np.any(np.diff(known_times) <= 0):
        raise argument_error("times", "increase", "does not", "sort the series")
    if window is not None:
        if known_times is None:
            raise argument_error(
                "window", "be None when `times` is traced", f"is {window}", "cut the series beforehand"
            )
        if isinstance(window, str):
            window = _window_of_signal(window, known_times, values, floor, sigma)
        if not is_traced(window):
            window = jax.tree.map(lambda w: np.asarray(w).item() if np.ndim(w) == 0 else w, window)
        kinds = (int, float, np.number)
        if not (isinstance(window, (tuple, list)) and len(window) == 2 and all(isinstance(w, kinds) for w in window)):
            raise argument_error("window", 'be (first, last) or "signal"', f"is {describe(window)}", "pass two times")
        keep = np.flatnonzero((known_times >= window[0]) & (known_times <= window[1]))
        known_times, t, runs = (
            known_times[keep],
            t[keep],
            runs[:, keep] if is_traced(runs) else np.asarray(runs)[:, keep],
        )
        sigma = None if sigma is None else sigma[keep]
    fitted_floor = isinstance(floor, str)
    if fitted_floor and floor != "fit":
        raise argument_error("floor", 'be None, a number or "fit"', f"is {describe(floor)}", "choose one")
    if not fitted_floor:
        check_scalar("floor", 0.0 if floor is None else floor)
    fitted_shape = model == "stretched" and isinstance(stretch, str)
    shape = _checked_shape(model, offset, stretch, known_times)
    num = 2 + fitted_floor + fitted_shape
    if t.shape[0] < num + 3:
        raise argument_error(
            "values", f"hold at least {num + 3} points", f"holds {t.shape[0]}", "widen `window` or save more"
        )

    fixed = 0.0 if fitted_floor or floor is None else floor
    # Subtract the first time before rounding to the dtype of the values: float32 is coarse at late times.
    elapsed = t - t[0] if known_times is None else known_times - known_times[0]
    first = t[0] if known_times is None else known_times[0]
    origin, elapsed, fixed, shape = known_as(runs.dtype, first, elapsed, fixed, shape)
    series = padded(elapsed, runs, sigma)
    if replicated:
        degrees_of_freedom = runs.shape[0] - 1.0
    given = origin, series, fixed, shape
    fit = least_squares if is_traced(given) else in_double_precision(least_squares)
    entries = fit(*given, model, fitted_floor, fitted_shape, replicated)
    if replicated:
        entries["correlation_time"] = np.asarray(np.nan, runs.dtype)
    if known_times is not None:
        entries["first_time"] = known_times[0]
    return DecayFit(**entries, model=model, degrees_of_freedom=degrees_of_freedom)


def _checked_stderr(stderr: ArrayLike, values: Array) -> Array | np.ndarray:
    """Standard errors (T,), at least a tenth of their root mean square: otherwise a time at which all runs agree, such as the
    first, would outweigh all others."""
    sigma = real_array("stderr", stderr, "T")
    if values.ndim != 1 or sigma.shape != values.shape:
        raise argument_error(
            "stderr", "have one entry per value, for values (T,)", f"has shape {sigma.shape}", "pass one series"
        )
    check_finite("stderr", sigma)
    if is_traced(sigma):
        mean_square = jnp.mean(sigma**2)
        return jnp.maximum(sigma, 0.1 * jnp.sqrt(mean_square))
    known = np.asarray(sigma)
    if np.any(known < 0) or not np.any(known > 0):
        raise argument_error(
            "stderr", "be positive", f"holds {known.min():g}", "leave it out if the values have no noise"
        )
    return np.maximum(known, 0.1 * np.sqrt(np.mean(known**2)))


def decay_window(
    times: Real[ArrayLike, " T"],
    values: Real[ArrayLike, " T"] | Real[ArrayLike, "R T"],
    *,
    floor: float = 0.0,
    below: float = 1.0,
    stderr: Real[ArrayLike, " T"] | None = None,
) -> tuple[float, float]:
    """The time window (first, last) in which a decaying series exceeds its noise. Let m be the mean of the runs minus `floor`.

    - first: the first time at which |m| is at most `below` times its initial value (1: the start of the series; .5 leaves out
      the transient before the first half-life).
    - last: the last time before |m| is below 3 standard errors at two successive times.
    - The standard error is `stderr` if given. For R >= 2 runs (R, T) it is their scatter over sqrt(R). For one run (T,) it is
      1.48 times the median modulus of the second differences over sqrt(6): it detects only noise that is independent from save
      to save, and counts curvature as noise if more than half of the saves have it.

    The rule uses the noisy data themselves, so noise can lengthen the window; the late points that it adds have little
    influence on the fit. Works on concrete values only.

    **Raises:** `ValueError` if the series does not exceed its noise, and for traced values.
    """
    if is_traced(times, values, floor):
        raise argument_error("values", "be concrete", "is traced", "call `decay_window` outside of `grad` and `jit`")
    check_scalar("floor", floor)
    check_scalar("below", below, positive=True)
    values = real_array("values", values, "R T" if np.ndim(values) == 2 else "T")
    t, runs = numbers("times", times), np.atleast_2d(np.asarray(values, float))
    if t.ndim != 1 or runs.ndim != 2 or runs.shape[1] != len(t) or len(t) < 4:
        raise argument_error(
            "values", "have one column per time, at least 4", f"has shape {np.shape(values)}", "transpose or add some"
        )
    check_finite("values", jnp.asarray(runs))
    signal = np.abs(runs.mean(axis=0) - float(floor))
    if stderr is not None:
        noise = np.broadcast_to(np.asarray(stderr, float), t.shape)
    elif len(runs) > 1:
        noise = runs.std(axis=0, ddof=1) / np.sqrt(len(runs))
    else:
        # The median ignores the curvature of the signal itself, which is large only early in the series.
        noise = np.full(t.shape, 1.4826 * np.median(np.abs(np.diff(runs[0], n=2))) / np.sqrt(6))
    lost = signal < _SIGNAL * noise
    ends = np.flatnonzero(lost & np.append(lost[1:], True))
    last = (ends[0] if ends.size else len(t)) - 1
    reached = signal <= below * signal[0]
    if not reached.any():
        lowest = signal.min() / signal[0]
        must = f"be reached by the series, which falls to {lowest:.3g} of its first value"
        raise argument_error("below", must, f"is {below:g}", "raise it")
    first = int(np.argmax(reached))
    if last <= first or signal.max() == 0:
        raise argument_error(
            "values", f"exceed the noise by {_SIGNAL:g} standard errors", f"do not after t = {t[max(last, 0)]:g}",
            "average more runs",
        )  # fmt: skip
    return float(t[first]), float(t[last])


def _window_of_signal(
    window: str, times: np.ndarray, values: Array, floor: ArrayLike | str | None, sigma: Array | np.ndarray | None
) -> tuple[float, float]:
    if window != "signal":
        raise argument_error("window", 'be (first, last) or "signal"', f"is {describe(window)}", "choose one")
    if isinstance(floor, str) or is_traced(floor):
        raise argument_error(
            "window",
            "be given as (first, last) when the floor is fitted or traced",
            f"is {describe(window)}",
            "pass two times",
        )
    return decay_window(times, values, floor=0.0 if floor is None else float(np.asarray(floor)), stderr=sigma)


def _checked_shape(model: str, offset: float, stretch: float | str, times: np.ndarray | None) -> float:
    """The parameter of the time variable u, or the start of its search. **Raises:** `ValueError`."""
    first = None if times is None or not len(times) else times[0]
    if not is_traced(offset):
        check_scalar("offset", offset, nonnegative=True)
    if model == "algebraic":
        check_scalar("offset", offset, nonnegative=True)
        if is_traced(offset):
            raise argument_error("offset", "be a number", f"is {describe(offset)}", "choose it outside of `jit`")
        if first is not None and offset + first <= 0:
            raise argument_error(
                "times", f"be above -offset = {-offset:g}", f"begin at {first:g}", "pass a larger `offset`"
            )
        return offset
    if model == "stretched":
        if isinstance(stretch, str):
            if stretch != "fit":
                raise argument_error("stretch", 'be a number or "fit"', f"is {describe(stretch)}", "choose one")
        else:
            check_scalar("stretch", stretch, positive=True)
        if first is not None and first < 0:
            raise argument_error(
                "times", "not be negative for a stretched exponential", f"begin at {first:g}", "shift them"
            )
        return 1.0 if isinstance(stretch, str) else stretch
    return 1.0

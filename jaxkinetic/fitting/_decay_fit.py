"""The least-squares fit of a decay: the model, the search for the minimum, and the covariance. `fitting.decay` checks the
arguments."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from jaxkinetic_kernels import square_root

from .._util.checks import argument_error, describe, is_traced
from .._util.printing import Printed
from .._util.student import student_interval
from .._util.sums import time_since
from ._residuals import covariance_of_one_run, total

# Limits the memory of the search for a rate: the largest number of rates times points that are evaluated at once.
_AT_ONCE = 1 << 22
# On the grid of the search, between whose neighbours golden sections find the minimum.
_RATES = 256
# Each leaves .618 of the bracket: 3e-13 of it in the end.
_GOLDEN_STEPS = 60
# The same for exponents of stretched exponentials, and the range in which they are sought.
_STRETCHES = 33
_LEAST_STRETCH = 0.05
_MOST_STRETCH = 4.0
_PARAMETERS = ("rate", "amplitude", "floor", "shape")


class DecayFit(Printed):
    r"""The fit $A\,e^{-\lambda u(t)} + c$ with standard errors: A = `amplitude`, lambda = `rate`, c = `floor`, where the time
    variable u depends on `model`:

    - "exponential": u = t.
    - "algebraic": u = log(s + t), which gives $A (s + t)^{-\lambda}$; s = `shape`.
    - "stretched": u = t^beta, which gives $A e^{-\lambda t^\beta}$; beta = `shape`.

    `first_value` is A e^{-lambda u} at `first_time`, the start of the series. Calling the fit evaluates it from there, since
    `amplitude` overflows if the series begins very late. `correlation_time`: that of the residuals; NaN for several runs. `r2`:
    1 - (residual sum of squares)/(sum of squares about the mean); 0 for a constant series.

    `degrees_of_freedom` of the standard errors: R - 1 for R runs; infinity for one run, whose standard errors already include
    the uncertainty of the estimated variance. `interval(level)` uses them.
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
    correlation_time: Float[Array, ""] | Float[np.ndarray, ""]
    first_time: Float[Array, ""] | np.float64
    first_value: Float[Array, ""]
    model: str = eqx.field(static=True)
    degrees_of_freedom: Any = math.inf

    def interval(
        self, level: float = 0.95, of: Literal["rate", "amplitude", "floor", "shape"] = "rate"
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """(low, high): the confidence interval of the parameter `of`, by Student's law with `degrees_of_freedom`. For two runs,
        one degree of freedom, 95 % is 12.7 standard errors. **Raises:** `ValueError` for a level outside (0, 1)."""
        if of not in _PARAMETERS:
            raise argument_error("of", f"be one of {', '.join(_PARAMETERS)}", f"is {describe(of)}", "choose one")
        return student_interval(getattr(self, of), getattr(self, f"{of}_stderr"), self.degrees_of_freedom, level)

    def __call__(self, times: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
        dtype = self.first_value.dtype
        elapsed = time_since(times, self.first_time, dtype)
        clock = _clock(self.model, elapsed, jnp.asarray(self.first_time, dtype), self.shape)
        return self.first_value * jnp.exp(-self.rate * clock) + self.floor

    def __str__(self) -> str:
        shape = {"exponential": "", "algebraic": f", offset {float(self.shape):.4g}"}.get(
            self.model, f", stretch {float(self.shape):.4g} +- {float(self.shape_stderr):.2g}"
        )
        low, high = map(float, self.interval(0.95))
        return (
            f"rate {float(self.rate):.5g} +- {float(self.rate_stderr):.2g} (95 %: {low:.5g} to {high:.5g}), amplitude "
            f"{float(self.amplitude):.4g} +- "
            f"{float(self.amplitude_stderr):.2g}{shape}, floor {float(self.floor):.4g}, r2 {float(self.r2):.5f}"
        )

    def __repr__(self) -> str:
        told = "traced" if is_traced(self) else str(self) if np.ndim(self.rate) == 0 else f"{np.shape(self.rate)} fits"
        return f"DecayFit({self.model}: {told})"


def _clock(model: str, elapsed: Array, origin: Array, shape: Array) -> Array:
    """u(origin + elapsed) - u(origin), u the time variable of the model."""
    if model == "exponential":
        return elapsed
    if model == "algebraic":
        return jnp.log1p(elapsed / (origin + shape))
    return _power(origin + elapsed, shape) - _power(origin, shape)


def _power(x: Array, exponent: Array) -> Array:
    """x^exponent for x > 0, else 0 with derivative 0: x^beta has an infinite derivative at x = 0 if beta < 1."""
    positive = x > 0
    safe = jnp.where(positive, x, jnp.ones_like(x))
    return jnp.where(positive, safe**exponent, jnp.zeros_like(safe))


class _Series(NamedTuple):
    """A series, padded so that series of similar lengths share one program. `times`: (T,), padded with the last time. `runs`:
    (R, T), padded with 0. `counts`: (T,), 1 for a time of the series and 0 for padding. `num_runs`: the number of runs without
    padding. `sigma`: (T,), the given standard errors of the values, padded with 1; or None."""

    times: Any
    runs: Any
    counts: Any
    num_runs: Any
    sigma: Any


def padded(times: Any, runs: Any, sigma: Any = None) -> _Series:
    """The series, padded to the next length of `_next_size` in runs and times."""
    (num_runs, num), make = runs.shape, jnp if is_traced(times, runs) else np
    more, more_runs = (_next_size(n) - n for n in (num, num_runs))
    counts = np.pad(np.ones(num, runs.dtype), (0, more))
    times, runs = (x if is_traced(x) else np.asarray(x) for x in (times, runs))
    return _Series(
        make.pad(times, (0, more), mode="edge"), make.pad(runs, ((0, more_runs), (0, more))), counts,
        np.asarray(num_runs, runs.dtype),
        None if sigma is None else (jnp if is_traced(sigma) else np).pad(sigma, (0, more), constant_values=1),
    )  # fmt: skip


def _next_size(num: int) -> int:
    """The smallest of 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that is at least `num`."""
    power = 1 << (num - 1).bit_length()
    return 3 * power // 4 if power >= 4 and num <= 3 * power // 4 else power


@partial(jax.jit, static_argnames=("model", "fitted_floor", "fitted_shape", "replicated"))
@jax.default_matmul_precision("highest")
def least_squares(
    origin: Array, series: _Series, fixed: Array, shape: Array, model: str, fitted_floor: bool, fitted_shape: bool,
    replicated: bool,
) -> dict[str, Array]:  # fmt: skip
    """Fit the series; returns the fields of a `DecayFit`. `fixed`: the given floor, 0 if it is fitted. `shape`: the given
    shape, or the start of its search."""
    t, runs, counts, num_runs, sigma = series
    num = jnp.sum(counts)
    mean = jnp.sum(runs, axis=0) / num_runs
    # Unit time and unit values: float32 then has the same accuracy whatever the units of the series.
    span = t[-1]
    size = jax.lax.stop_gradient(jnp.max(counts * jnp.abs(mean - fixed)))
    size = jnp.where(size > 0, size, jnp.ones((), t.dtype))
    s, y = t / span, counts * (mean - fixed) / size

    def clock(shape: Array) -> Array:
        """The model's time variable since the first time, divided by its range."""
        u = _clock(model, t, origin, shape)
        return u / u[-1]

    def split(theta: Array) -> tuple[Array, Array, Array, Array]:
        """(rate, amplitude, floor, shape) from theta = (rate over the span, amplitude at the first time[, floor][, shape])."""
        floor = theta[2] if fitted_floor else jnp.zeros((), t.dtype)
        return theta[0], theta[1], floor, (theta[-1] if fitted_shape else shape)

    def predict(theta: Array) -> Array:
        rate, amplitude, floor, own_shape = split(theta)
        return counts * (amplitude * jnp.exp(-rate * clock(own_shape)) + floor)

    def parameters(theta: Array) -> Array:
        """(rate, amplitude, floor, shape) in the units of the series; an amplitude that overflows is cut off near the largest
        number."""
        rate, amplitude, floor, own_shape = split(theta)
        rate = rate / _clock(model, t[-1], origin, own_shape)
        before = origin if model == "exponential" else _before(model, origin, own_shape)
        growth = jnp.exp(jnp.minimum(rate * before, _largest_exponent(t.dtype)))
        return jnp.stack([rate, size * amplitude * growth, size * floor, own_shape])

    # A global search on a grid finds the basin; Newton steps in orthonormal coordinates then reach round-off.
    search = partial(_search_shape, clock) if fitted_shape else partial(_search, clock(shape))
    start = jax.lax.stop_gradient(search(y, counts, fitted_floor))
    back, told_apart = _orthonormal_coordinates(predict, start)

    def theta_at(z: Array) -> Array:
        return start + back @ z

    z, settled = _least(predict, theta_at, jnp.zeros_like(start), y, fitted_shape)
    # Any non-finite value in the data makes the complete fit NaN.
    z = jnp.where(jnp.isfinite(runs).all(), z, jnp.nan)
    theta = theta_at(z)
    residual, jacobian = y - predict(theta), jax.jacfwd(lambda z: predict(theta_at(z)))(z)
    if replicated:
        # The covariance of the mean over runs, from the influence of each run's deviation on the estimate.
        real = (jnp.arange(runs.shape[0], dtype=t.dtype) < num_runs).astype(t.dtype)
        normal = jnp.where(told_apart, jacobian.T @ jacobian, jnp.eye(len(start), dtype=t.dtype))
        influence = jnp.linalg.solve(normal, jacobian.T @ (real[:, None] * (runs - mean[None, :]) / size).T)
        covariance = influence @ influence.T / (num_runs * (num_runs - 1))
        tau = jnp.zeros((), t.dtype)
    else:
        # A rank-deficient Jacobian has no covariance. Another one in its place avoids NaN; the errors become infinite below.
        safe = jnp.where(told_apart, jacobian, _independent_columns(counts, len(start)))
        covariance, tau = covariance_of_one_run(s, counts, residual, safe, None if sigma is None else sigma / size)
    known = (jnp.abs(theta[1]) > 0) & jnp.isfinite(covariance).all() & settled & told_apart
    # The delta method: standard errors of the parameters in the units of the series.
    slopes = jax.jacfwd(lambda z: parameters(theta_at(z)))(z)
    variances = jnp.einsum("ip,pq,iq->i", slopes, jnp.where(known, covariance, 0), slopes)
    errors = square_root(jnp.where(variances > 0, variances, 0))
    errors = jnp.where(known, errors, jnp.inf)
    fitted = [True, True, fitted_floor, fitted_shape]
    errors = jnp.where(jnp.asarray(fitted), errors, jnp.zeros_like(errors))
    rate, amplitude, floor, own_shape = parameters(theta)
    before = origin if model == "exponential" else _before(model, origin, own_shape)
    # If the series begins late, the amplitude at u = 0 may be too large for the dtype, unlike `first_value`.
    overflows = rate * before > _largest_exponent(t.dtype)
    amplitude = jnp.where(overflows, jnp.sign(theta[1]) * jnp.inf, amplitude)
    errors = errors.at[1].set(jnp.where(overflows, jnp.inf, errors[1]))
    squares = total(counts * (y - total(y) / num) ** 2)
    varies = squares > 0
    explained = 1 - total(residual**2) / jnp.where(varies, squares, 1)
    return {
        "rate": rate,
        "rate_stderr": errors[0],
        "amplitude": amplitude,
        "amplitude_stderr": errors[1],
        "floor": floor if fitted_floor else fixed,
        "floor_stderr": errors[2],
        "shape": own_shape,
        "shape_stderr": errors[3],
        "r2": jnp.where(varies, explained, 0),
        "correlation_time": tau * span,
        "first_time": origin,
        "first_value": size * theta[1],
    }


def _orthonormal_coordinates(predict: Callable[[Array], Array], start: Array) -> tuple[Array, Array]:
    """(B, told): coordinates z with theta = start + B z, in which the Jacobian at `start` has orthonormal columns.

    On a short window the parameters of a decay are nearly collinear. In z the normal matrix is close to the identity, which
    float32 can invert. `told` is False if the columns are linearly dependent up to rounding; its tolerance does not depend on
    the length of the series."""
    jacobian = jax.lax.stop_gradient(jax.jacfwd(predict)(start))
    scale = jnp.sqrt(total(jacobian**2))
    positive = (scale > 0) & jnp.isfinite(scale)
    scale = jnp.where(positive, scale, 1)
    finite = jnp.isfinite(jacobian).all()
    r = jnp.linalg.qr(jnp.where(finite, jacobian / scale[None], 0), mode="r")
    told = jnp.all(jnp.abs(jnp.diagonal(r)) > 30 * jnp.finfo(start.dtype).eps) & positive.all() & finite
    eye = jnp.eye(start.shape[0], dtype=start.dtype)
    back = jax.scipy.linalg.solve_triangular(jnp.where(told, r, eye), eye) / scale[:, None]
    return back, told


def _independent_columns(counts: Array, num: int) -> Array:
    """(T, p): independent columns, of which column q is 1 at time q and 0 elsewhere."""
    return counts[:, None] * jnp.eye(counts.shape[0], num, dtype=counts.dtype)


def _before(model: str, origin: Array, shape: Array) -> Array:
    """The time variable u at the first time."""
    return jnp.log(origin + shape) if model == "algebraic" else _power(origin, shape)


def _linear_parameters(rate: Array, s: Array, y: Array, counts: Array, fitted_floor: bool) -> tuple[Array, Array]:
    """The least-squares amplitude (and floor) at a given rate, and the residual sum of squares. y is 0 where `counts` is 0."""
    decay = counts * jnp.exp(-rate * s)
    mean_decay = mean_y = jnp.zeros((), s.dtype)
    if fitted_floor:
        mean_decay, mean_y = (total(x) / jnp.sum(counts) for x in (decay, y))
    regressor, target = decay - counts * mean_decay, y - counts * mean_y
    square = total(regressor**2)
    # If the data cannot be told from a constant, the amplitude is 0 and the floor absorbs them.
    told_apart = square > jnp.finfo(s.dtype).eps * total(decay**2)
    amplitude = jnp.where(told_apart, total(regressor * target) / jnp.where(told_apart, square, 1), 0)
    rest = total((target - amplitude * regressor) ** 2)
    parameters = [amplitude] + ([mean_y - amplitude * mean_decay] if fitted_floor else [])
    return jnp.stack(parameters), rest


def _search(s: Array, y: Array, counts: Array, fitted_floor: bool) -> Array:
    """(rate, amplitude[, floor]) of the global minimum, for a time variable s that ends at 1; not differentiated. For a given
    rate the other parameters are linear and are eliminated, which leaves a search in one dimension."""
    s, y = jax.lax.stop_gradient((s, y))

    def rest(rate: Array) -> Array:
        return _linear_parameters(rate, s, y, counts, fitted_floor)[1]

    fastest = 5 / jnp.min(jnp.where(counts[1:] > 0, jnp.diff(s), jnp.inf))
    spread = jnp.linspace(-1, 1, _RATES, dtype=s.dtype)
    # The grid is dense near 0. Growth is limited to e^40 over the series, whose square float32 can still represent.
    grid = jnp.maximum(jnp.sinh(spread * jnp.arcsinh(20 * fastest)) / 20, -40)
    batch = min(_RATES, max(1, _AT_ONCE // s.shape[0]))
    rests = jax.vmap(rest)(grid) if batch == _RATES else jax.lax.map(rest, grid, batch_size=batch)
    # The minimum lies between the neighbours of the best node; at the ends of the grid, beside the last inner node.
    best = jnp.clip(jnp.argmin(rests), 1, _RATES - 2)
    rate = _golden(rest, grid[best - 1], grid[best + 1])
    return jnp.concatenate([rate[None], _linear_parameters(rate, s, y, counts, fitted_floor)[0]])


def _search_shape(clock: Callable[[Array], Array], y: Array, counts: Array, fitted_floor: bool) -> Array:
    """(rate, amplitude[, floor], stretch) of the global minimum; not differentiated."""
    y = jax.lax.stop_gradient(y)

    def rest(log_stretch: Array) -> Array:
        s = clock(jnp.exp(log_stretch))
        return _linear_parameters(_search(s, y, counts, fitted_floor)[0], s, y, counts, fitted_floor)[1]

    grid = jnp.linspace(math.log(_LEAST_STRETCH), math.log(_MOST_STRETCH), _STRETCHES, dtype=y.dtype)
    best = jnp.clip(jnp.argmin(jax.lax.map(rest, grid)), 1, _STRETCHES - 2)
    stretch = jnp.exp(_golden(rest, grid[best - 1], grid[best + 1]))
    return jnp.concatenate([_search(clock(stretch), y, counts, fitted_floor), stretch[None]])


def _golden(f: Callable[[Array], Array], low: Array, high: Array) -> Array:
    """The minimiser of f between two numbers, by golden-section search."""
    golden = (5**0.5 - 1) / 2

    def narrow(_: Any, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bracket
        left, right = high - golden * (high - low), low + golden * (high - low)
        lower = f(left) < f(right)
        return jnp.where(lower, low, left), jnp.where(lower, right, high)

    low, high = jax.lax.fori_loop(0, _GOLDEN_STEPS, narrow, (low, high))
    return (low + high) / 2


def _largest_exponent(dtype: jnp.dtype) -> float:
    """The largest exponent of `exp` before the amplitude is reported as infinite, with a margin below overflow."""
    return 0.8 * math.log(float(jnp.finfo(dtype).max))


def _least(
    predict: Callable[[Array], Array], theta_at: Callable[[Array], Array], start: Array, y: Array, fitted_shape: bool
) -> tuple[Array, Array]:
    """(z, settled): the minimum near z = `start`, by Newton steps that are accepted only if the sum of squares decreases.
    `settled` is False if none was found: the search ended elsewhere, or the Hessian is not positive.

    Derivatives of every order are those of the solution of "gradient = 0" (`jax.lax.custom_root`), not of the search.
    """

    eps = float(jnp.finfo(y.dtype).eps)

    def half_squares(z: Array) -> Array:
        return total((y - predict(theta_at(z))) ** 2) / 2

    def solved(matrix: Array, target: Array) -> tuple[Array, Array]:
        """(matrix^{-1} target, whether the matrix is positive definite); for a singular matrix (target, False)."""
        curvatures = jnp.linalg.eigvalsh(jax.lax.stop_gradient(jnp.where(jnp.isfinite(matrix).all(), matrix, 0)))
        # For an ill-conditioned matrix the solution would be noise: `target` stands in for it, and the fit is not `settled`.
        regular = jnp.min(jnp.abs(curvatures)) > 10 * eps * jnp.max(jnp.abs(curvatures))
        safe = jnp.where(regular, matrix, jnp.eye(target.shape[0], dtype=target.dtype))
        return jnp.linalg.solve(safe, target), regular & (curvatures[0] > 0)

    def newton(z: Array) -> tuple[Array, Array]:
        """(Newton step, whether z is a minimum: a positive Hessian, and a step that hardly lowers the sum of squares)."""
        gradient, hessian = jax.grad(half_squares)(z), jax.hessian(half_squares)(z)
        step, positive = solved(hessian, gradient)
        step = jnp.where(jnp.isfinite(step).all(), step, 0)
        small = jnp.abs(gradient @ step) <= 1e-4 * half_squares(z) + eps * total(y * y)
        return step, small & positive

    steps = 4 if fitted_shape else 2

    def solve(_: Callable[[Array], Array], z: Array) -> tuple[Array, Array]:
        def once(turn: Array, found: tuple[Array, Array]) -> tuple[Array, Array]:
            z, _ = found
            step, settled = newton(z)
            closer = z - step
            # The last iteration only evaluates `settled`, so that the program holds one copy of the second derivatives.
            wanted = turn < steps
            if fitted_shape:
                shape = theta_at(closer)[-1]
                wanted &= (shape > _LEAST_STRETCH) & (shape < _MOST_STRETCH)
            # Allow an increase by round-off, which near the minimum exceeds the true decrease.
            allowed = half_squares(z) * (1 + 1e3 * eps) + 1e3 * eps**2 * total(y * y)
            # As a float: `custom_root` can differentiate an auxiliary output only if it is a number.
            return jnp.where((half_squares(closer) <= allowed) & wanted, closer, z), settled.astype(y.dtype)

        return jax.lax.fori_loop(0, steps + 1, once, (z, jnp.zeros((), y.dtype)))

    def tangent_solve(linear: Callable[[Array], Array], target: Array) -> Array:
        return solved(jax.jacfwd(linear)(jnp.zeros_like(target)), target)[0]

    z, settled = jax.lax.custom_root(jax.grad(half_squares), start, solve, tangent_solve, has_aux=True)
    return z, settled > 0

"""Laws on a line, in float64 by NumPy: quantiles and their integrals."""

import math
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Complex, Float

from .._util.checks import argument_error, check_integer
from ..radial import RadialDensity, sphere_area, unit_weights
from ..states import Density

__all__ = ["LineLaw", "direction_of", "of_grid", "of_radial", "of_samples", "of_series", "of_values"]

# Points of a fine grid between two points of the grid of the data.
_FINER = 16


class LineLaw(NamedTuple):
    """A law on a line: points, the distribution function F and int y dF(y) up to them, and the second moment. `density` at the
    points, or None for an empirical law, of which F is taken at equal levels."""

    x: Float[np.ndarray, " n"]
    cdf: Float[np.ndarray, " n"]
    first: Float[np.ndarray, " n"]
    second: float
    density: Float[np.ndarray, " n"] | None

    def quantile(self, u: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """F^{-1}(u)."""
        cell, s, _ = self._place(u)
        return self.x[cell] + s * (self.x[cell + 1] - self.x[cell])

    def integral(self, u: Float[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
        """int_0^u F^{-1}."""
        cell, s, level = self._place(u)
        low, high = self.first[cell], self.first[cell + 1]
        if self.density is None:
            return low + s * (high - low)
        step = self.x[cell + 1] - self.x[cell]
        x = self.x[cell] + s * step
        slopes = (self.x * self.density)[cell] * step, (self.x * self.density)[cell + 1] * step
        # With x = F^{-1}(u) + error: int_0^u F^{-1} = int^x y dF + x (u - F(x)) + O(error^2).
        return _cubic(low, high, *slopes, s) + x * (u - level)

    def means(self, num: int) -> Float[np.ndarray, " num"]:
        """The means of F^{-1} over [i/num, (i + 1)/num]."""
        return num * np.diff(self.integral(np.arange(num + 1) / num))

    def _place(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(cell, fraction of the cell, F there)."""
        cell = np.clip(np.searchsorted(self.cdf, u, side="right") - 1, 0, len(self.x) - 2)
        low, high = self.cdf[cell], self.cdf[cell + 1]
        gap = high - low
        s = np.clip((u - low) / np.where(gap > 0, gap, 1), 0, 1)
        if self.density is None:
            return cell, s, low + s * gap
        step = self.x[cell + 1] - self.x[cell]
        slopes = self.density[cell] * step, self.density[cell + 1] * step
        for _ in range(3):
            slope = _cubic_slope(low, high, *slopes, s)
            usable = slope > 1e-3 * gap
            s = np.clip(s + np.where(usable, (u - _cubic(low, high, *slopes, s)) / np.where(usable, slope, 1), 0), 0, 1)
        return cell, s, _cubic(low, high, *slopes, s)


def of_values(
    p: Float[np.ndarray, " n"], first: float, spacing: float, *, keep: tuple[float, float] | None = None
) -> LineLaw:
    """The law with density p, up to its mass, at the points `first` + j `spacing`: n points of a period of p, half a spacing
    inside its ends. p is periodic, or vanishes at both ends. `keep`: only this part of the period counts."""
    num = len(p)
    start, length = first - spacing / 2, num * spacing
    y = first + spacing * np.arange(num)
    x = start + spacing / _FINER * np.arange(num * _FINER + 1)
    density = _fine(p)
    cdf, mean, square = (_antiderivative(values, length) for values in (p, y * p, y**2 * p))
    if keep is not None:
        inside = (x >= keep[0] - 1e-9 * length) & (x <= keep[1] + 1e-9 * length)
        x, density, cdf, mean, square = (values[inside] for values in (x, density, cdf, mean, square))
    cdf, mean, square = (values - values[0] for values in (cdf, mean, square))
    mass = cdf[-1]
    # Not monotone only by round-off, in the tails.
    cdf = np.minimum(np.maximum.accumulate(cdf / mass), 1.0)
    return LineLaw(x, cdf, mean / mass, float(square[-1] / mass), np.maximum(density / mass, 0))


def of_series(characteristic: Complex[np.ndarray, " m"], centre: float, radius: float) -> LineLaw:
    """The law on [centre - radius, centre + radius] whose characteristic function, times exp(-i s centre), is `characteristic`
    at s = pi k/radius, k < m."""
    count = len(characteristic)
    spacing = radius / count
    x = -radius + spacing * (np.arange(2 * count) + 0.5)
    phases = np.exp(-1j * np.pi / radius * np.multiply.outer(x, np.arange(1, count)))
    p = np.real(characteristic[0] + 2 * (phases @ characteristic[1:])) / (2 * radius)
    return of_values(p, centre + x[0], spacing)


def of_samples(x: Float[np.ndarray, " n"]) -> LineLaw:
    """The empirical law of x."""
    x = np.sort(np.asarray(x, float))
    levels = np.arange(len(x) + 1) / len(x)
    first = np.concatenate([[0.0], np.cumsum(x)]) / len(x)
    # The quantile at i/n lies between two neighbours.
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    return LineLaw(edges, levels, first, float(np.mean(x**2)), None)


def direction_of(of: Any, dim: int) -> np.ndarray:
    """The direction of a component. **Raises:** `ValueError` for one that the law does not have."""
    if isinstance(of, np.ndarray):
        return of
    index = check_integer("of", of, minimum=0)
    if index >= dim:
        raise argument_error("of", f"be at most {dim - 1}, the last component", f"is {index}", "lower it")
    return np.eye(dim)[index]


def of_radial(law: RadialDensity, of: Any) -> LineLaw:
    """The speed, or a component."""
    f, dim, num, radius = np.asarray(law.f, float), law.dim, law.grid.num, float(law.grid.radius)
    spacing = radius / num
    speeds = spacing * (np.arange(num) + 0.5)
    if isinstance(of, str):
        p = sphere_area(dim) * speeds ** (dim - 1) * f
        # v^{d-1} f is even in v for odd d, odd for even d; on [-R, R] it vanishes at the ends.
        return of_values(
            np.concatenate([p[::-1] if dim % 2 else -p[::-1], p]), -speeds[-1], spacing, keep=(0.0, radius)
        )
    direction_of(of, dim)
    from scipy.special import hyp0f1

    # A component of a uniform direction has the characteristic function 0F1(d/2, -s^2/4). For even d the weights of the
    # quadrature are corrected at v = 0, accurately for waves much longer than the spacing: therefore with 4 times the points.
    many = 4 * num
    weights = (radius / many) ** dim * unit_weights(many, dim) * _interpolated(np.concatenate([f[::-1], f]), 4)[many:]
    s, speeds = np.pi / radius * np.arange(num), radius / many * (np.arange(many) + 0.5)
    waves = hyp0f1(dim / 2, -(np.multiply.outer(s, speeds) ** 2) / 4)
    return of_series((waves @ weights).astype(complex), 0.0, radius)


def of_grid(law: Density, of: Any) -> LineLaw:
    """A component, or the component along a direction."""
    f, axes = np.asarray(law.f, float), law.grid.axes
    direction = direction_of(of, len(axes))
    places = np.flatnonzero(direction)
    if len(places) == 1:
        axis = axes[places[0]]
        p = f.sum(tuple(i for i in range(f.ndim) if i != places[0]))
        spacing, start = float(axis.length) / axis.num, float(axis.start)
        line = of_values(p, start, spacing)
        return line._replace(first=np.full_like(line.first, np.nan), second=math.nan) if axis.periodic else line
    # The characteristic function along the direction, up to the Nyquist frequency of the grid.
    lengths, starts = (np.array([float(getattr(axis, name)) for axis in axes]) for name in ("length", "start"))
    spacings = lengths / [axis.num for axis in axes]
    middle = starts + (lengths - spacings) / 2
    radius = float(np.abs(direction) @ lengths) / 2
    s = np.pi / radius * np.arange(math.floor(radius / spacings.max()))
    points = [x + h * np.arange(axis.num) - c for x, h, axis, c in zip(starts, spacings, axes, middle, strict=True)]
    waves = [np.exp(1j * np.multiply.outer(s, u * x)) for u, x in zip(direction, points, strict=True)]
    found = np.tensordot(waves[-1], f * np.prod(spacings), (1, f.ndim - 1))
    for wave in waves[-2::-1]:
        found = np.einsum("k...i,ki->k...", found, wave)
    return of_series(found, float(direction @ middle), radius)


def _interpolated(p: Float[np.ndarray, " n"], times: int) -> Float[np.ndarray, " m"]:
    """The trigonometric interpolant of p at `times` as many points, each in the middle of its cell."""
    step = _FINER // times
    return _fine(p)[step // 2 :: step]


def _frequencies(num: int) -> tuple[np.ndarray, np.ndarray]:
    """(j = 0 .. num/2, which of them are not the Nyquist frequency)."""
    j = np.arange(num // 2 + 1)
    return j, 2 * j < num


def _fine(p: np.ndarray) -> np.ndarray:
    """p on the fine grid, ends included, by its trigonometric interpolant."""
    return _series(np.fft.rfft(p), len(p))


def _antiderivative(p: np.ndarray, length: float) -> np.ndarray:
    """An antiderivative of the trigonometric interpolant of p, on the fine grid."""
    num = len(p)
    j, resolved = _frequencies(num)
    hat = np.fft.rfft(p)
    inverse = np.where(resolved & (j > 0), -1j / np.maximum(j, 1), 0) * (length / (2 * math.pi))
    return _series(inverse * hat, num) + hat[0].real / num * length * np.arange(num * _FINER + 1) / (num * _FINER)


def _series(hat: np.ndarray, num: int) -> np.ndarray:
    """The periodic function with this transform at num _FINER + 1 points, from half a spacing before the first point."""
    j, resolved = _frequencies(num)
    shifted = np.where(resolved, hat * np.exp(-1j * math.pi * j / num), 0)
    fine = np.zeros(num * _FINER // 2 + 1, complex)
    fine[: len(shifted)] = shifted
    values = np.fft.irfft(fine, num * _FINER) * _FINER
    return np.append(values, values[0])


def _cubic(
    left: np.ndarray, right: np.ndarray, slope: np.ndarray, slope_right: np.ndarray, s: np.ndarray
) -> np.ndarray:
    """Hermite's cubic on [0, 1]."""
    far = 1 - s
    return left * far**2 * (1 + 2 * s) + right * s**2 * (3 - 2 * s) + s * far * (slope * far - slope_right * s)


def _cubic_slope(
    left: np.ndarray, right: np.ndarray, slope: np.ndarray, slope_right: np.ndarray, s: np.ndarray
) -> np.ndarray:
    far = 1 - s
    return 6 * s * far * (right - left) + slope * far * (1 - 3 * s) + slope_right * s * (3 * s - 2)

"""Laws on a line, in float64 by NumPy: quantiles and their integrals."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Complex, Float

__all__ = ["LineLaw", "interpolated", "of_samples", "of_series", "of_values"]

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
    inside of its ends. p is periodic, or vanishes at both ends. `keep`: only this part of the period counts."""
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
    p = (characteristic[0].real + 2 * (phases @ characteristic[1:]).real) / (2 * radius)
    return of_values(p, centre + x[0], spacing)


def of_samples(x: Float[np.ndarray, " n"]) -> LineLaw:
    """The empirical law of x."""
    x = np.sort(np.asarray(x, float))
    levels = np.arange(len(x) + 1) / len(x)
    first = np.concatenate([[0.0], np.cumsum(x)]) / len(x)
    # The quantile at i/n lies between two neighbours.
    edges = np.concatenate([x[:1], (x[1:] + x[:-1]) / 2, x[-1:]])
    return LineLaw(edges, levels, first, float(np.mean(x**2)), None)


def interpolated(p: Float[np.ndarray, " n"], times: int) -> Float[np.ndarray, " m"]:
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

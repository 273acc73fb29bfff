r"""The two flows of the mean-field systems as a run applies them: with precomputed phases and the least number of transforms.

A step multiplies by the kinetic phase e^{-i tau k.v} in (k, v) and by the potential phase e^{i tau (xi.E - kappa)} in (x, xi):
4 d transforms along one axis. The kinetic phase is a product over the directions of tables (v_i, k_i), computed once for a run.
"""

import functools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from jaxkinetic_kernels.fusion import row_sums

from .._core.system import SplitPlan
from .._core.totals import Finite, Max
from .._util.fft_blocks import fits, in_blocks
from .._util.types import RealScalar
from ..spectral import along, powers, unit_wavenumber, wavenumbers
from ..states import Density, Grid, Wave, square_modulus, volume_element
from ._streaming_phase import KineticPhase
from .potentials import AbstractPotential

__all__ = ["Amplitude", "DensityFlows", "DensityPlan", "Info", "Phases", "WaveFlows", "WavePlan"]

Phases = tuple[KineticPhase, ...]
Info = dict[str, Any]
# In units of eps: perturbations below this size, relative to the total, count as rounding errors in the tails.
_ROUNDING = 100


class _Parts(NamedTuple):
    """Parts of a norm that the moves of a step report: (name, the norm, a vector whose sum is the part).

    A move sums over rows only. All vectors of a step are summed together at its end, which is one kernel on an accelerator."""

    entries: tuple[tuple[str, RealScalar, Array], ...]

    def merge(self, other: "_Parts") -> "_Parts":
        return _Parts(self.entries + other.entries)

    def shares(self) -> dict[str, RealScalar]:
        """The largest fraction part/norm for each name."""
        names, norms, vectors = zip(*self.entries, strict=True)
        longest = max(vector.size for vector in vectors)
        sums = jnp.sum(jnp.stack([jnp.pad(vector, (0, longest - vector.size)) for vector in vectors]), 1)
        shares = jnp.maximum(sums, 0) / jnp.stack(norms)
        return {
            name: jnp.max(jnp.stack([shares[i] for i, own in enumerate(names) if own == name]))
            for name in dict.fromkeys(names)
        }


class _GridPlan(SplitPlan):
    """`norm`: the square norm of the array that is moved, as a plain sum; every flow conserves it. `mass`: the same for f.

    Moves report parts of the norm: "waves", the perturbation (k_x != 0), and the tails, the part of the perturbation in the
    upper thirds of the wavenumbers. `finished` divides the tails by "waves" and not by the norm: otherwise a small perturbation
    could be entirely unresolved without notice."""

    norm: RealScalar
    mass: RealScalar
    phases: tuple[Phases, ...]
    shares: tuple[float, ...] = eqx.field(static=True)

    def _kinetic(self, share: float) -> Phases:
        """The kinetic phases of all directions, for tau = share dt."""
        # Tables exist for |share| only; a step backwards in time uses their conjugates.
        phases = self.phases[self.shares.index(abs(share))]
        return phases if share > 0 else tuple(phase.backwards() for phase in phases)

    def _spectral(self, name: str, high: tuple[Array, ...], transformed: float) -> list[tuple[str, RealScalar, Array]]:
        """Parts of the square norm, one for each axis. `transformed`: the number of values per transform, by which an
        unnormalised transform multiplies the square norm."""
        return [(name, self.norm * transformed, part) for part in high]

    def finished(self, info: Info) -> Info:
        shares = info.pop("parts").shares()
        waves, finite = shares.pop("waves"), Finite(shares.pop("lost") == 0)
        # If the perturbation is only rounding, report no tail.
        waves = jnp.maximum(waves, (_ROUNDING * jnp.finfo(waves.dtype).eps) ** 2)
        for name in ("spectral_tail_x", "spectral_tail_v"):
            shares[name] = shares[name] / waves
        return info | {name: Max(share) for name, share in shares.items()} | {"finite": finite}

    def _boundary(self, values: Array, grid: Grid, size: Callable[[Array], Array], whole: RealScalar) -> list[Any]:
        """The part of size(values), over x and v or xi, in the outer sixteenths of the axes of position that are not
        periodic."""
        open_axes = tuple(i for i, axis in enumerate(grid.axes[: grid.half]) if not axis.periodic)
        return [("boundary_mass_x", whole, _edge(_still(values), open_axes, size))] if open_axes else []

    @property
    def _potential(self) -> AbstractPotential:
        return self.system.potential


class DensityPlan(_GridPlan):
    """The plan of `Vlasov`, for f (x, v): real transforms, with a transposition before and after those over x."""

    def __init__(self, system: Any, like: Density, dt: RealScalar, moves: frozenset[tuple[int, float]]):
        self.system, self.dt, self.shares = system, dt, _streamings(moves)
        f, grid = _still(like.f), like.grid
        # Avoid 0/0 for a zero state.
        self.norm, self.mass = (jnp.where(total > 0, total, 1) for total in (jnp.sum(f * f), jnp.abs(jnp.sum(f))))
        self.phases = tuple(_phases(grid, share * dt, real=True) for share in self.shares)

    def move(self, part: int, share: float, t: RealScalar, carry: Density) -> tuple[Density, Info]:
        f, info = (self._stream if part == 0 else self._accelerate)(share, carry)
        return Density(f, carry.grid), info

    def _stream(self, share: float, state: Density) -> tuple[Array, Info]:
        """f(x - tau v, v)."""
        d = state.grid.half
        over_x, phases = _last(d), self._kinetic(share)

        def streamed(f: Array, first: KineticPhase) -> tuple[Array, tuple[tuple[Array, ...], Array]]:
            hat = jnp.fft.rfftn(f, axes=over_x)
            turned = _times(hat, (first, *phases[1:]))
            return jnp.fft.irfftn(turned, s=state.grid.shape[:d], axes=over_x), _high_and_waves(hat, d, real=True)

        # Transposed, so that the transforms over x run along contiguous axes.
        f, (high, waves) = in_blocks(streamed, _swapped(state.f), phases[0])
        f = _swapped(f)
        num = math.prod(state.grid.shape[:d])
        parts = self._spectral("spectral_tail_x", high, num) + self._spectral("waves", (waves,), num)
        # By now a transform has spread every value that is not finite over all x, so one x suffices.
        return f, {"parts": _Parts((*parts, _lost(f[(0,) * d])))}

    def _accelerate(self, share: float, state: Density) -> tuple[Array, Info]:
        """f(x, v + tau E), E = grad Gamma * rho."""
        f, axes, d = state.f, state.grid.axes, state.grid.half
        over_v = _last(d)
        rho = _over_velocities(f, d) * volume_element(axes[d:])
        field = self._potential.field(rho, axes[:d])
        tau = share * self.dt

        # The backward pass recomputes the phases instead of storing them.
        @partial(jax.checkpoint, prevent_cse=False)
        def accelerated(f: Array, *field: Array) -> tuple[Array, tuple[tuple[Array, ...], tuple[Array, ...]]]:
            hat = jnp.fft.rfftn(f, axes=over_v)
            turned = hat
            for i, axis in enumerate(axes[d:]):
                factor = powers(tau * unit_wavenumber(axis) * field[i], axis, real=i == d - 1)
                turned = turned * _placed(factor, d, i)
            tails = _high(hat, d, real=True), _high_means(hat, d, real=True)
            return jnp.fft.irfftn(turned, s=f.shape[d:], axes=over_v), tails

        out, (high, means) = in_blocks(accelerated, f, *field)
        high = _without_mean(high, means, f.shape, real=True)
        parts = self._spectral("spectral_tail_v", high, math.prod(f.shape[d:]))
        parts += [("boundary_mass", self.mass, _edge(_still(f), _last(d), jnp.abs))]
        return out, {"parts": _Parts((*parts, *self._boundary(f, state.grid, jnp.abs, self.mass)))}


class Amplitude(eqx.Module):
    """The carry of a run of a `Wave`: the unnormalised transform of alpha over v, at (x, xi), and the picture of the start."""

    hat: Complex[Array, "*grid"]
    grid: Grid
    picture: str = eqx.field(static=True)
    num_particles: int = eqx.field(static=True)


class WavePlan(_GridPlan):
    """The plan of (HVl) and (HHt), for the transform over v: density and mean xi are sums, the potential part is a phase. In d
    = 1 a step streams by one transform over both axes and its inverse, without a transposition. The second forward transform
    over v reverses the order of v, so the tables are reversed too."""

    at_once: bool = eqx.field(static=True)

    def __init__(self, system: Any, like: "Wave | Amplitude", dt: RealScalar, moves: frozenset[tuple[int, float]]):
        self.system, self.dt, self.shares = system, dt, _streamings(moves)
        hat, grid = like.spectrum() if isinstance(like, Wave) else like.hat, like.grid
        self.norm = self.mass = jnp.sum(square_modulus(_still(hat)))
        # Otherwise blocks of rows are transformed one after another, which needs separate transforms over x and over v.
        self.at_once = grid.half == 1 and fits(hat.size * hat.dtype.itemsize)
        phases = tuple(_phases(grid, share * dt, real=False) for share in self.shares)
        self.phases = tuple((only.turned_over(),) for (only,) in phases) if self.at_once else phases

    def enter(self, state: Wave) -> Amplitude:
        return Amplitude(state.spectrum(), state.grid, state.picture, self._particles(state))

    def leave(self, carry: Amplitude) -> Wave:
        return Wave.from_spectrum(carry.hat, carry.grid, carry.picture, carry.num_particles)

    @staticmethod
    def _particles(state: Wave) -> int:
        return state.num_particles

    def move(self, part: int, share: float, t: RealScalar, carry: Amplitude) -> tuple[Amplitude, Info]:
        stream = self._stream_at_once if self.at_once else self._stream
        hat, info = (stream if part == 0 else self._turn)(share, carry)
        return Amplitude(hat, carry.grid, carry.picture, carry.num_particles), info

    def _stream_at_once(self, share: float, state: Amplitude) -> tuple[Array, Info]:
        hat = jnp.fft.fft2(state.hat)
        (n, m), still = hat.shape, _still(hat)
        lines = _rows(square_modulus(still))
        # v is in reverse order: v_0, v_{m-1}, ..., v_1.
        width = max(m // 16, 1)
        edge = _lines(
            still, 1, ((0, width + 1), (m - width + 1, m)) if width > 1 else ((0, width + 1),), square_modulus
        )
        total = self.norm * (n * m)
        out = jnp.fft.ifft2(self._kinetic(share)[0].times(hat, None))
        high = lines[n // 3 + 1 : n - n // 3]
        parts = ("spectral_tail_x", total, high), ("waves", total, lines[1:]), ("boundary_mass", total, edge)
        return out, {"parts": _Parts((*parts, _lost(out[0])))}

    def _stream(self, share: float, state: Amplitude) -> tuple[Array, Info]:
        """alpha(x - tau v, v)."""
        d, phases = state.grid.half, self._kinetic(share)
        last = _last(d)

        def streamed(alpha: Array, first: KineticPhase) -> tuple[Array, tuple[tuple[Array, ...], Array]]:
            hat = jnp.fft.fftn(alpha, axes=last)
            turned = _times(hat, (first, *phases[1:]))
            return jnp.fft.ifftn(turned, axes=last), _high_and_waves(hat, d, real=False)

        alpha = in_blocks(lambda hat: jnp.fft.ifftn(hat, axes=last), state.hat)
        # The norm of alpha, not of its transform over v.
        edge = "boundary_mass", self.norm / math.prod(alpha.shape[d:]), _edge(_still(alpha), last, square_modulus)
        alpha, (high, waves) = in_blocks(streamed, _swapped(alpha), phases[0])
        hat = in_blocks(lambda alpha: jnp.fft.fftn(alpha, axes=last), _swapped(alpha))
        scale = 1 / math.prod(hat.shape[d:]) * math.prod(hat.shape[:d])
        parts = self._spectral("spectral_tail_x", high, scale) + self._spectral("waves", (waves,), scale)
        return hat, {"parts": _Parts((*parts, edge, _lost(hat[(0,) * d])))}

    def _turn(self, share: float, state: Amplitude) -> tuple[Array, Info]:
        """exp(i tau (xi . E - kappa)) alpha-hat."""
        axes, d = state.grid.axes, state.grid.half
        tau = share * self.dt

        # The backward pass stores only the argument and recomputes the phases.
        @partial(jax.checkpoint, prevent_cse=False)
        def turned(hat: Array) -> Array:
            field, kappa = self._forces(hat, state.grid)
            for i, axis in enumerate(axes[d:]):
                # kappa does not depend on xi: it enters once, with the first direction.
                turn = None if kappa is None or i > 0 else -tau * kappa
                hat = hat * _placed(powers(tau * unit_wavenumber(axis) * field[i], axis, turn), d, i)
            return hat

        hat = state.hat
        high = _high(hat, d, real=False)
        if d == 1:  # for d > 1 the sums over x change the fusions of the step, and its path by round-off
            high = _without_mean(high, _high_means(hat, d, real=False), hat.shape, real=False)
        parts = self._spectral("spectral_tail_v", high, 1)
        boundary = self._boundary(hat, state.grid, square_modulus, self.norm)
        return turned(hat), {"parts": _Parts((*parts, *boundary))}

    def _forces(self, hat: Array, grid: Grid) -> tuple[tuple[Array, ...], Array | None]:
        """E (d components) and kappa, as functions of x."""
        axes, d = grid.axes, grid.half
        square = square_modulus(hat)
        # The transform is not normalised: int |alpha|^2 dv = sum |hat|^2 dv/num.
        cell = volume_element(axes[d:]) / math.prod(axis.num for axis in axes[d:])
        field = self._potential.field(jnp.sum(square, _last(d)) * cell, axes[:d])
        xi = [along(wavenumbers(axis), d + i, 2 * d) for i, axis in enumerate(axes[d:])]
        kappa = self._potential.twist(tuple(jnp.sum(square * x, _last(d)) * cell for x in xi), axes[:d])
        return field, kappa


def _streamings(moves: frozenset[tuple[int, float]]) -> tuple[float, ...]:
    return tuple(sorted({abs(share) for part, share in moves if part == 0}))


def _phases(grid: Grid, tau: RealScalar, *, real: bool) -> Phases:
    """The kinetic phases of all directions; if `real`, that of the last direction is for a real transform."""
    d = grid.half
    pairs = zip(grid.axes[:d], grid.axes[d:], strict=True)
    return tuple(KineticPhase.over(tau, x, v, real=real and i == d - 1) for i, (x, v) in enumerate(pairs))


def _times(hat: Array, phases: Phases) -> Array:
    """hat (v_1 .. v_d, k_1 .. k_d) times every phase (v_i, k_i)."""
    d = len(phases)
    for i, phase in enumerate(phases):
        shape = [1] * (2 * d)
        shape[i], shape[d + i] = phase.values.shape
        hat = phase.times(hat, tuple(shape))
    return hat


def _placed(factor: Array, d: int, i: int) -> Array:
    """A function of (x_1 .. x_d, xi_i), reshaped so that it broadcasts over (x, xi)."""
    return factor.reshape(*factor.shape[:d], *[1] * i, factor.shape[-1], *[1] * (d - 1 - i))


def _last(d: int) -> tuple[int, ...]:
    return tuple(range(d, 2 * d))


def _swapped(f: Array) -> Array:
    """Transposes (x, v) to (v, x), or back."""
    d = f.ndim // 2
    return jnp.transpose(f, (*range(d, 2 * d), *range(d)))


def _row_sums_over_velocities(f: Array, d: int) -> Array:
    return row_sums(f.reshape(math.prod(f.shape[:d]), -1)).reshape(f.shape[:d])


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _over_velocities(f: Array, d: int) -> Array:
    """The sum over the last d axes.

    On an accelerator it is the zero mode of the transform that follows in the step, which XLA computes once for both. XLA takes
    a reduction from f or from its transpose, so the order of the sum depends on the loop around the step. A run that continues
    another one has another loop, and on an H200 it was not bitwise the whole run."""

    sums = partial(_row_sums_over_velocities, d=d)
    if not fits(f.size * f.dtype.itemsize):
        return sums(f)  # XLA would transform the blocks twice

    def zero_mode(f: Array) -> Array:
        return jnp.fft.rfftn(f, axes=_last(d))[(..., *[0] * d)].real

    return jax.lax.platform_dependent(f, cpu=sums, default=zero_mode)


@_over_velocities.defjvp
def _over_velocities_jvp(d: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    # The tangent is a plain sum, so that no gradient goes through another transform.
    return _over_velocities(*primals, d), _row_sums_over_velocities(*tangents, d)


def _still(x: Array) -> Array:
    return jax.lax.stop_gradient(x)


def _lost(values: Array) -> tuple[str, RealScalar, Array]:
    """The number of values that are not finite, as a part of a norm 1."""
    lost = ~jnp.isfinite(_still(values).reshape(-1))
    dtype = values.real.dtype
    return "lost", jnp.ones((), dtype), lost.astype(dtype)


def _rows(x: Array) -> Array:
    """The sums over all axes but the first."""
    return row_sums(x.reshape(x.shape[0], -1))


def _upper(num: int, *, whole: bool) -> tuple[int, int]:
    """The range of indices of the upper third of the wavenumbers, in a full spectrum (`whole`) or in half of one."""
    return (num // 3 + 1, num - num // 3) if whole else (2 * (num - 1) // 3 + 1, num)


def _counts(lines: np.ndarray, num: int, like: Array) -> Array:
    """The number of lines of the full spectrum that each line of a half spectrum of `num` lines represents, 1 or 2."""
    return along(jnp.asarray(np.where(np.isin(lines, (0, num - 1)), 1, 2), like.dtype), like.ndim - 1, like.ndim)


def _lines(
    x: Array, axis: int, ranges: tuple[tuple[int, int], ...], size: Callable[[Array], Array], *, half: bool = False
) -> Array:
    """The sums over all axes but the first of size(x), over some lines of one of these axes. `half`: x is half of a spectrum,
    in which all lines of the last axis, except those at 0 and at the Nyquist frequency, represent two.

    On a CPU only these lines are read. Accelerators read all of x, in one kernel for all its sums over rows."""
    num, last = x.shape[-1], x.ndim - 1
    every = np.arange(num)

    def weighted(square: Array, lines: np.ndarray) -> Array:
        return square * _counts(lines, num, square) if half else square

    def alone(x: Array) -> Array:
        parts = [jax.lax.slice_in_dim(x, start, stop, axis=axis) for start, stop in ranges]
        own = np.concatenate([every[start:stop] for start, stop in ranges]) if axis == last else every
        return _rows(weighted(size(parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis)), own))

    def masked(x: Array) -> Array:
        line = along(jnp.arange(x.shape[axis]), axis, x.ndim)
        inside = functools.reduce(jnp.logical_or, [(line >= start) & (line < stop) for start, stop in ranges])
        values = weighted(size(x), every)
        return _rows(jnp.where(inside, values, jnp.zeros_like(values)))

    return jax.lax.platform_dependent(x, cpu=alone, default=masked)


def _high(hat: Array, d: int, *, real: bool) -> tuple[Array, ...]:
    """For a transform over the last d axes: the square norm in the upper third of each axis, by rows."""
    hat, last, out = _still(hat), hat.ndim - 1, []
    for axis in _last(d):
        upper = _upper(hat.shape[axis], whole=not (real and axis == last))
        out.append(_lines(hat, axis, (upper,), square_modulus, half=real))
    return tuple(out)


def _high_and_waves(hat: Array, d: int, *, real: bool) -> tuple[tuple[Array, ...], Array]:
    """For a transform over x, the last d axes: `_high`, and the square norm of all modes k != 0, by rows."""
    high, hat = _high(hat, d, real=real), _still(hat)
    if d == 1:  # a CPU reads every line once
        start, stop = _upper(hat.shape[1], whole=not real)
        others = ((1, start),) if real else ((1, start), (stop, hat.shape[1]))
        return high, high[0] + _lines(hat, 1, others, square_modulus, half=real)
    waves = jnp.zeros(hat.shape[0], hat.real.dtype)
    for axis in _last(d):
        # The modes with wavenumber 0 along the previous axes and not along this one: each k != 0 counts once.
        waves = waves + _lines(hat, axis, ((1, hat.shape[axis]),), square_modulus, half=real)
        hat = jax.lax.slice_in_dim(hat, 0, 1, axis=axis)
    return high, waves


def _high_means(hat: Array, d: int, *, real: bool) -> tuple[Array, ...]:
    """For a transform over v, (x, xi): the sums over x in the upper third of every axis, (1, ...) each; these are k_x = 0."""
    hat, last, means = _still(hat), hat.ndim - 1, []
    for axis in _last(d):
        start, stop = _upper(hat.shape[axis], whole=not (real and axis == last))
        means.append(jnp.sum(jax.lax.slice_in_dim(hat, start, stop, axis=axis), tuple(range(d)))[None])
    return tuple(means)


def _without_mean(
    high: tuple[Array, ...], means: tuple[Array, ...], shape: tuple[int, ...], *, real: bool
) -> tuple[Array, ...]:
    """`_high` of a transform over v, without the part of k_x = 0."""
    d, out = len(means), []
    for part, mean in zip(high, means, strict=True):
        mean = jnp.sum(mean, 0)
        own = square_modulus(mean) / math.prod(shape[:d])
        if real:
            # The upper lines of a half spectrum end with the Nyquist frequency, unless another axis was cut.
            num = shape[-1] // 2 + 1
            own = own * _counts(np.arange(num - mean.shape[-1], num), num, own)
        out.append(jnp.concatenate([part, -own.reshape(-1)]))
    return tuple(out)


def _edge(values: Array, axes: tuple[int, ...], size: Callable[[Array], Array]) -> Array:
    """The part of size(values) in the outer sixteenths of some axes, by rows."""
    out = []
    for axis in axes:
        num = values.shape[axis]
        width = max(num // 16, 1)
        ends = tuple((start, start + width) for start in (0, num - width))
        if axis > 0:
            out.append(_lines(values, axis, ends, size))
        else:
            out += [_rows(size(values[start:stop])) for start, stop in ends]
    return jnp.concatenate(out)


# The former names.
DensityFlows = DensityPlan
WaveFlows = WavePlan

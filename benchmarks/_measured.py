"""Every diagnostic, called as a user calls it (outside of `jit`), beside a line of NumPy or scipy that computes the same or,
where no such line exists, the part that costs most."""

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.integrate
import scipy.optimize
import scipy.spatial
import scipy.special
import scipy.stats
from _harness import Entry, Skip

import jaxkinetic as jk

D, V = jk.diagnostics, jk.vlasov
EDGES = np.linspace(0, 5, 51)
# At 10^6 a tree takes 10 s a call, a fit as long.
CALLS, SMALL, TREE, ANY = "calls/s", 16384, 100_000, 1 << 20
DIRECTIONS = np.random.default_rng(0).standard_normal((128, 3)).astype(np.float32)
FIRST_CALL: dict[tuple[str, int], float] = {}


class Cloud(NamedTuple):
    """The same particles for both libraries, and others, as many and fewer."""

    state: jk.Particles
    other: jk.Particles
    line: jk.Particles
    other_line: jk.Particles
    fewer: jk.Particles
    v: np.ndarray
    w: np.ndarray


def cloud(num: int) -> Cloud:
    rng = np.random.default_rng(num)
    v, w = (rng.standard_normal((num, 3), np.float32) for _ in range(2))
    few = num * 3 // 4
    parts = [jk.Particles(jnp.asarray(x)) for x in (v, w, v[:, :1], w[:, :1], w[:few, :1])]
    return Cloud(*parts, v, w)


def speeds(v):
    return np.linalg.norm(v, axis=1)


def maxwell(x):
    return jax.scipy.special.gammainc(1.5, x * x / 2)


def velocities(state):
    return state.velocity


def neighbours(v):
    return np.mean(np.log(scipy.spatial.cKDTree(v).query(v, k=6)[0][:, 5]))


def shares(v):
    counts = np.histogram(speeds(v), EDGES)[0] / len(v)
    return np.abs(counts - np.diff(scipy.stats.maxwell.cdf(EDGES))).sum()


def deposited(v):
    """The mass at the nodes, linear in each direction, by `np.bincount`."""
    width = 5.5 * np.sqrt(np.mean((v - v.mean(0)) ** 2))
    place = np.clip((v - v.mean(0) + width) * (16 / width), 0, 32)
    cell = np.minimum(place.astype(np.int64), 31)
    part, mass = place - cell, np.zeros(33**3)
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, part, 1 - part), axis=1)
        mass += np.bincount(np.ravel_multi_index(tuple((cell + corner).T), (33, 33, 33)), weight, 33**3)
    mass = mass[mass > 0] / len(v)
    return np.sum(mass * np.log(mass)) - 3 * np.log(width / 16)


def all_pairs(v, h=0.4):
    total = 0.0
    for rows in np.array_split(v, max(1, len(v) // 64)):
        total += np.log(np.exp(scipy.spatial.distance.cdist(rows, v, "sqeuclidean") / (-2 * h * h)).sum(1) - 1).sum()
    return total / len(v)


def to_law(v):
    nodes, weights = np.polynomial.legendre.leggauss(12)
    x, total = np.sort(v[:, 0]), 0.0
    for node, weight in zip(nodes, weights, strict=True):
        u = (np.arange(len(v)) + (node + 1) / 2) / len(v)
        total += weight / 2 * np.mean((x - scipy.special.ndtri(u)) ** 2)
    return math.sqrt(total)


def sliced(v, w):
    x, y = (np.sort(DIRECTIONS @ z.T, axis=1) for z in (v, w))
    x -= y
    return np.sqrt(np.mean(x * x))


def correlated(v):
    total = v.sum(0)
    return (np.outer(total, total) - v.T @ v) / (len(v) * (len(v) - 1))


def fourth(v):
    square = np.sum(v * v, 1)
    return np.mean(square * square)


def centred(v):
    return v - v.mean(0)


K = np.asarray([1, 2, 0], np.float32)
OF_PARTICLES: dict[str, tuple[Callable[[Cloud], Any], Callable[[Cloud], Any], int]] = {
    "energy": (lambda c: D.energy(c.state), lambda c: np.mean(np.sum(c.v**2, 1)) / 2, ANY),
    "momentum": (lambda c: D.momentum(c.state), lambda c: c.v.mean(0), ANY),
    "moment, order 4": (lambda c: D.moment(c.state), lambda c: fourth(c.v), ANY),
    "mode": (lambda c: D.mode(c.state, wavevector=K), lambda c: np.mean(np.exp(-1j * (c.v @ K))), ANY),
    "stress": (lambda c: D.stress(c.state), lambda c: np.cov(c.v.T, bias=True), ANY),
    "temperature": (lambda c: D.temperature(c.state), lambda c: np.mean(centred(c.v) ** 2), ANY),
    "speed": (lambda c: D.speed(c.state), lambda c: speeds(c.v), ANY),
    "histogram": (lambda c: D.histogram(c.state, edges=EDGES), lambda c: np.histogram(speeds(c.v), EDGES), ANY),
    "marginal_l1": (lambda c: D.marginal_l1(c.state, maxwell, edges=EDGES), lambda c: shares(c.v), ANY),
    "marginal_l1_floor": (
        lambda c: D.marginal_l1_floor(maxwell, len(c.v), edges=EDGES),
        lambda c: np.sum(np.sqrt(np.diff(scipy.stats.maxwell.cdf(EDGES)) * 2 / (math.pi * len(c.v)))), ANY,
    ),
    "grid_entropy": (lambda c: D.grid_entropy(c.state), lambda c: deposited(c.v), ANY),
    "knn_entropy": (lambda c: D.knn_entropy(c.state), lambda c: neighbours(c.v), TREE),
    "relative_entropy": (lambda c: D.relative_entropy(c.state), lambda c: neighbours(c.v), TREE),
    "kde_entropy, plain": (lambda c: D.kde_entropy(c.state), lambda c: all_pairs(c.v), SMALL),
    "fisher_information, plain": (lambda c: D.fisher_information(c.state), lambda c: all_pairs(c.v), SMALL),
    "pair_correlation": (lambda c: D.pair_correlation(c.state), lambda c: correlated(c.v), ANY),
    "self_similar": (
        lambda c: D.self_similar(c.state, volume=10.0), lambda c: centred(c.v) / np.sqrt(2 * np.mean(centred(c.v) ** 2)), ANY,
    ),
    "rescaled_f1": (
        lambda c: D.rescaled_f1(c.state, volume=10.0, of=velocities), lambda c: c.v.sum(0) / 10, ANY,
    ),
    "rescaled_f2": (lambda c: D.rescaled_f2(c.state, volume=10.0, of=velocities), lambda c: correlated(c.v), ANY),
    "rescaled_density": (
        lambda c: D.rescaled_density(c.state, volume=10.0), lambda c: np.count_nonzero(c.state.alive) / 10, ANY,
    ),
    "wasserstein, d = 1": (
        lambda c: D.wasserstein(c.line, c.other_line),
        lambda c: np.sqrt(np.mean((np.sort(c.v[:, 0]) - np.sort(c.w[:, 0])) ** 2)), ANY,
    ),
    "wasserstein, d = 1, unequal numbers": (
        lambda c: D.wasserstein(c.line, c.fewer, order=1),
        lambda c: scipy.stats.wasserstein_distance(c.v[:, 0], c.w[: len(c.w) * 3 // 4, 0]), ANY,
    ),
    "wasserstein to a law": (
        lambda c: D.wasserstein(c.line, jax.scipy.special.ndtri), lambda c: to_law(c.v), ANY,
    ),
    "wasserstein, d = 3": (
        lambda c: D.wasserstein(c.state, c.other),
        lambda c: scipy.optimize.linear_sum_assignment(scipy.spatial.distance.cdist(c.v, c.w, "sqeuclidean")), 2000,
    ),
    "sliced_wasserstein": (lambda c: D.sliced_wasserstein(c.state, c.other), lambda c: sliced(c.v, c.w), ANY),
}  # fmt: skip


class Plane(NamedTuple):
    """About `size` cells of phase space, for both libraries."""

    state: jk.Density
    wave: jk.Wave
    pair: jk.Wave
    f: np.ndarray
    x: np.ndarray
    v: np.ndarray
    cell: float
    alpha: np.ndarray
    product: np.ndarray


def wave_on(num_x: int, num_v: int) -> tuple[jk.Density, jk.Wave]:
    x, v = jk.Axis(0.0, 2 * math.pi, num_x), jk.Axis(-6.0, 12.0, num_v, periodic=False)
    f = V.perturbed(V.Maxwellian(length=2 * math.pi), jk.Grid(x, v), 0.1)
    f = jk.Density(f.f / (jnp.sum(f.f) * f.grid.cell), f.grid)
    return f, jk.Wave(jnp.sqrt(f.f).astype(jnp.complex64), f.grid)


def plane(size: int) -> Plane:
    n = max(8, 1 << round(math.log2(size) / 2))
    f = wave_on(n, n)[0]
    side = max(6, 2 * round(size**0.25 / 2))
    small = wave_on(side, side)[1]
    pair = V.product_wave(small, 2)
    grid = f.grid
    x, v = (np.asarray(axis.points) for axis in grid.axes)
    return Plane(
        f, small, pair, np.asarray(f.f), x, v, float(grid.cell), np.asarray(small.alpha), np.asarray(pair.alpha)
    )


COSINE = V.Cosine()


def field_energy(p):
    rho = p.f.sum(1)
    return -(np.abs(rho @ np.exp(1j * p.x)) ** 2) / 2


def overlaps(p):
    rest, out = p.product, []
    for left in (2, 1):
        rest = np.tensordot(p.alpha.conj(), rest, ((0, 1), (0, left)))
        out.append(np.sum(np.abs(rest) ** 2))
    return out


OF_GRIDS: dict[str, tuple[Callable[[Plane], Any], Callable[[Plane], Any], int]] = {
    "vlasov.density": (lambda p: V.density(p.state), lambda p: p.f.sum(1), ANY),
    "vlasov.density_mode": (lambda p: V.density_mode(p.state), lambda p: np.fft.fft(p.f.sum(1))[1], ANY),
    "vlasov.magnetisation": (lambda p: V.magnetisation(p.state), lambda p: p.f.sum(1) @ np.exp(1j * p.x), ANY),
    "vlasov.momentum": (lambda p: V.momentum(p.state), lambda p: (p.f @ p.v).sum(), ANY),
    "vlasov.kinetic_energy": (lambda p: V.kinetic_energy(p.state), lambda p: (p.f @ p.v**2).sum(), ANY),
    "vlasov.potential_energy": (lambda p: V.potential_energy(p.state, COSINE), field_energy, ANY),
    "vlasov.energy": (lambda p: V.energy(p.state, COSINE), lambda p: (p.f @ p.v**2).sum() + field_energy(p), ANY),
    "vlasov.casimir": (lambda p: V.casimir(p.state, jnp.square), lambda p: np.sum(p.f**2), ANY),
    "vlasov.counting_functional": (lambda p: V.counting_functional(p.pair, p.wave, 1.0), overlaps, ANY),
}


class Series(NamedTuple):
    t: np.ndarray
    decay: np.ndarray
    wave: np.ndarray


def series(size: int) -> Series:
    t, noise = np.linspace(0, 5, size), 1e-3 * np.random.default_rng(0).standard_normal(size)
    return Series(t, np.exp(-t) + noise, np.exp(-0.2 * t) * np.cos(3 * t) + noise)


def curve(model, start):
    return lambda t, y: scipy.optimize.curve_fit(model, t, y, start)


FALL = curve(lambda t, a, r: a * np.exp(-r * t), (0.8, 0.8))
WAVE = curve(lambda t, a, b, g, w: np.exp(g * t) * (a * np.cos(w * t) + b * np.sin(w * t)), (0.8, 0.1, 0, 2.9))
OF_SERIES: dict[str, tuple[Callable[[Series], Any], Callable[[Series], Any], int]] = {
    "fit_decay": (lambda s: jk.fit_decay(s.t, s.decay).rate, lambda s: FALL(s.t, s.decay), TREE),
    "fit_oscillation": (lambda s: jk.fit_oscillation(s.t, s.wave).frequency, lambda s: WAVE(s.t, s.wave), TREE),
    "self_similar_time": (
        lambda s: D.self_similar_time(s.t, s.decay**2, s.decay**2),
        lambda s: scipy.integrate.cumulative_trapezoid(s.decay**2 * np.sqrt(2 * s.decay**2), s.t), ANY,
    ),
}  # fmt: skip


def prepared(name: str, of: Callable[[int], Any], call: Callable[[Any], Any], size: int) -> Callable[[], Any]:
    """The repeated call; the first, which compiles, is timed here."""
    try:
        given = of(size)
        start = time.perf_counter()
        jax.block_until_ready(call(given))
    except ValueError as error:
        raise Skip(str(error)) from error
    FIRST_CALL[name, size] = time.perf_counter() - start
    return lambda: jax.block_until_ready(call(given))


def entries() -> list[Entry]:
    out = []
    for of, table in ((cloud, OF_PARTICLES), (plane, OF_GRIDS), (series, OF_SERIES)):
        for name, (ours, rival, largest) in table.items():
            first = partial(lambda name, size: {"first_call_seconds": FIRST_CALL[name, size]}, name)
            once = lambda size: 1.0  # noqa: E731
            line = f"{name}, NumPy or scipy"
            out.append(Entry(name, CALLS, once, partial(prepared, name, of, ours), largest, extra=first))
            out.append(Entry(line, CALLS, once, partial(prepared, line, of, rival), largest, name))
    return out

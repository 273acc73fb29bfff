"""The same sums in numba, each compiled for one core and for all of them. Coulomb, d = 3, float32."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from _harness import Skip

try:
    import numba
except ImportError:
    numba = None


def _compiled(parallel: bool) -> Callable[[Any], Any]:
    if numba is None:
        raise Skip("numba is not installed")
    return numba.njit(parallel=parallel, fastmath=True, cache=False)


def sums(v: np.ndarray, parallel: bool) -> Callable[[], Any]:
    """sum_b and sum_a together: 3 + 6 outputs in one pass, the exponent -3 compiled in."""
    compiled = _compiled(parallel)
    prange = numba.prange

    @compiled
    def kernel(x, y, u, out):
        for i in prange(x.size):
            bx = by = bu = xx = yy = uu = xy = xu = yu = np.float32(0)
            for j in range(x.size):
                p, q, s = x[i] - x[j], y[i] - y[j], u[i] - u[j]
                r2 = p * p + q * q + s * s
                root = np.float32(1) / np.sqrt(r2) if r2 > 0 else np.float32(0)
                w = root * root * root
                bx += w * p
                by += w * q
                bu += w * s
                xx += w * p * p
                yy += w * q * q
                uu += w * s * s
                xy += w * p * q
                xu += w * p * s
                yu += w * q * s
            row = out[i]
            row[0], row[1], row[2] = -2 * bx, -2 * by, -2 * bu
            row[3], row[4], row[5] = yy + uu, xx + uu, xx + yy
            row[6], row[7], row[8] = -xy, -xu, -yu

    columns = [np.ascontiguousarray(c) for c in v.T]
    out = np.zeros((len(v), 9), np.float32)
    return lambda: kernel(*columns, out)


def noise(v: np.ndarray, parallel: bool) -> Callable[[], Any]:
    """Kac's noise with the same Philox words: on one core each pair once, on several each row alone (each pair twice)."""
    compiled = _compiled(parallel)
    prange = numba.prange
    inline = numba.njit(fastmath=True, inline="always")

    @inline
    def pair(i, j):
        a, b, c, d = np.uint64(i), np.uint64(j), np.uint64(0), np.uint64(0)
        k, l = np.uint64(1), np.uint64(2)
        low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
        for _ in range(10):
            p, q = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
            a, b, c, d = (q >> half) ^ b ^ k, q & low, (p >> half) ^ d ^ l, p & low
            k, l = (k + np.uint64(0x9E3779B9)) & low, (l + np.uint64(0xBB67AE85)) & low
        scale, turn = np.float32(2.0**-32), np.float32(2 * math.pi * 2.0**-32)
        first = np.sqrt(np.float32(-2) * np.log((np.float32(a) + np.float32(0.5)) * scale))
        second = np.sqrt(np.float32(-2) * np.log((np.float32(c) + np.float32(0.5)) * scale))
        angle, other = np.float32(b) * turn, np.float32(d) * turn
        return first * np.cos(angle), first * np.sin(angle), second * np.cos(other)

    @inline
    def kick(p, q, s, e, f, g):
        r2 = p * p + q * q + s * s
        root = np.float32(1) / np.sqrt(np.sqrt(r2))
        along = (p * e + q * f + s * g) / r2
        return root * (e - along * p), root * (f - along * q), root * (g - along * s)

    @compiled
    def triangle(x, y, u, out):
        out[:] = 0
        for i in range(x.size):
            a = b = c = np.float32(0)
            for j in range(i + 1, x.size):
                e, f, g = pair(i, j)
                p, q, s = kick(x[i] - x[j], y[i] - y[j], u[i] - u[j], e, f, g)
                a, b, c = a + p, b + q, c + s
                out[0, j] -= p
                out[1, j] -= q
                out[2, j] -= s
            out[0, i] += a
            out[1, i] += b
            out[2, i] += c

    @compiled
    def rows(x, y, u, out):
        for i in prange(x.size):
            a = b = c = np.float32(0)
            for j in range(x.size):
                if i != j:
                    e, f, g = pair(min(i, j), max(i, j))
                    sign = np.float32(1) if i < j else np.float32(-1)
                    p, q, s = kick(x[i] - x[j], y[i] - y[j], u[i] - u[j], e, f, g)
                    a, b, c = a + sign * p, b + sign * q, c + sign * s
            out[0, i], out[1, i], out[2, i] = a, b, c

    columns = [np.ascontiguousarray(c) for c in v.T]
    out = np.zeros((3, len(v)), np.float32)
    kernel = rows if parallel else triangle
    return lambda: kernel(*columns, out)


def matching(v: np.ndarray) -> Callable[[], Any]:
    """N/2 pairs, one after the other, drawn uniformly by xorshift; the angle by Rayleigh's law theta^2 = 4 tau Exp(1), which is
    cheaper than the exact one, tau = min(.04/r^3, 10)."""
    compiled = _compiled(False)

    @compiled
    def kernel(x, y, u, seed):
        state, count = np.uint64(seed), np.uint64(x.size)
        for _ in range(x.size // 2):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            i, j = (state >> np.uint64(33)) % count, (state & np.uint64(0x7FFFFFFF)) % count
            if i == j:
                continue
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            scale = np.float32(2.0**-32)
            e = -np.log((np.float32(state >> np.uint64(32)) + np.float32(0.5)) * scale)
            azimuth = np.float32(state & np.uint64(0xFFFFFFFF)) * np.float32(2 * math.pi) * scale
            p, q, s = x[i] - x[j], y[i] - y[j], u[i] - u[j]
            r2 = p * p + q * q + s * s
            r = np.sqrt(r2)
            angle = min(
                np.float32(2) * np.sqrt(min(np.float32(0.04) / (r2 * r), np.float32(10)) * e), np.float32(math.pi)
            )
            c, turn = np.cos(angle) - np.float32(1), np.sin(angle)
            cos_a, sin_a = turn * np.cos(azimuth), turn * np.sin(azimuth)
            sign = np.float32(1) if s >= 0 else np.float32(-1)
            a = -np.float32(1) / (sign * r + s)
            b = p * q * a
            dp = c * p + cos_a * (r + sign * p * p * a) + sin_a * b
            dq = c * q + cos_a * sign * b + sin_a * (sign * r + q * q * a)
            ds = c * s - cos_a * sign * p - sin_a * q
            half = np.float32(0.5)
            x[i] += half * dp
            y[i] += half * dq
            u[i] += half * ds
            x[j] -= half * dp
            y[j] -= half * dq
            u[j] -= half * ds

    columns = [np.ascontiguousarray(c) for c in v.T]
    return lambda: kernel(*columns, 88172645463325252)


def walk_one_by_one(v: np.ndarray, hard: bool, bound: float, candidates: int) -> Callable[[], int]:
    """Kac's walk in d = 3, one candidate after the other: uniform pairs, thinning, z' uniform on its sphere. Returns how many
    collided."""
    compiled = _compiled(False)

    @compiled
    def kernel(x, y, u, seed, bound, candidates, hard):
        state, count, accepted = np.uint64(seed), np.uint64(x.size), 0
        scale = np.float32(2.0**-32)
        for _ in range(candidates):
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            i, j = (state >> np.uint64(33)) % count, (state & np.uint64(0x7FFFFFFF)) % count
            if i == j:
                continue
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            p, q, s = x[i] - x[j], y[i] - y[j], u[i] - u[j]
            r = np.sqrt(p * p + q * q + s * s)
            if hard and np.float32(state >> np.uint64(32)) * scale * bound > r:
                continue
            state ^= state << np.uint64(13)
            state ^= state >> np.uint64(7)
            state ^= state << np.uint64(17)
            w = (np.float32(state >> np.uint64(32)) + np.float32(0.5)) * scale
            azimuth = np.float32(state & np.uint64(0xFFFFFFFF)) * np.float32(2 * math.pi) * scale
            half = np.float32(0.5) * r
            across = np.float32(2) * np.sqrt(w * (np.float32(1) - w)) * half
            a, b, c = across * np.cos(azimuth), across * np.sin(azimuth), (np.float32(1) - np.float32(2) * w) * half
            m, n, o = (x[i] + x[j]) / 2, (y[i] + y[j]) / 2, (u[i] + u[j]) / 2
            x[i], y[i], u[i] = m + a, n + b, o + c
            x[j], y[j], u[j] = m - a, n - b, o - c
            accepted += 1
        return accepted

    columns = [np.ascontiguousarray(c) for c in v.T]
    return lambda: kernel(*columns, 88172645463325252, np.float32(bound), candidates, hard)


def keops(v: np.ndarray) -> Callable[[], Any]:
    """sum_b and sum_a by two reductions of pykeops; its rsqrt(0) is 0, which leaves j = i out."""
    try:
        from pykeops.numpy import LazyTensor
    except ImportError:
        raise Skip("pykeops is not installed") from None
    z = LazyTensor(v[:, None, :]) - LazyTensor(v[None, :, :])
    r2 = (z * z).sum(-1)
    root = r2.rsqrt()
    w = root * root * root

    def call() -> tuple[np.ndarray, np.ndarray]:
        return (w * z).sum(axis=1), (w * z.tensorprod(z)).sum(axis=1)

    return call

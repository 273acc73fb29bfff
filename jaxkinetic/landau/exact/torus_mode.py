r"""One mode on the torus: $f = (2\pi)^{-d} (1 + A e^{-\lambda t} \cos(m \cdot v + \varphi))$ solves the Landau equation there.

This is a solution of the nonlinear equation [CarrilloGuoJabin2024, (1.1)]: in the Fourier form $\partial_t f_k = -(2\pi)^d
\sum_m k^T a_m (k - 2m) f_m f_{k-m}$ the product of f_m with itself has the factor k - 2m = 0. Derivation:
docs/derivations/torus_mode.md.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import ArrayLike, Float, Integer, Real

from ..._util.checks import argument_error, check_integer, describe, is_traced
from ..._util.numpy_checks import check_known_scalar, known_numbers
from ..._util.types import Values, ValuesLike
from ..trigonometric import Trigonometric

__all__ = [
    "torus_mode_amplitude", "torus_mode_amplitude_euler", "torus_mode_density", "torus_mode_entropy",
    "torus_mode_fisher_information", "torus_mode_rate",
]  # fmt: skip

_NODES = 64


def torus_mode_rate(interaction: Trigonometric, mode: Integer[ArrayLike, " d"] | Sequence[int]) -> float:
    r"""$\lambda_k = k^T (a_0 - a_k) k$, with a_0 = C_0 and a_{+-m} = C_m / 2; k = `mode`, (d,) integers.

    **Raises:** `ValueError` for a traced interaction, and for a mode that is 0 or not a vector of integers.
    """
    k = _wavevector(interaction, mode)
    coefficients, modes = _matrices(interaction), np.asarray(interaction.modes)
    constant = ~modes.any(axis=1)
    resonant = (modes == k).all(axis=1) | (modes == -k).all(axis=1)
    return float(k @ (coefficients[constant].sum(axis=0) - coefficients[resonant].sum(axis=0) / 2) @ k)


def torus_mode_amplitude(
    t: ValuesLike,
    interaction: Trigonometric,
    mode: Integer[ArrayLike, " d"] | Sequence[int],
    amplitude: ValuesLike = 1.0,
) -> Values:
    r"""$A e^{-\lambda_m t}$; the Fourier mode of f is $\mathbb E\,e^{-i m \cdot v} = \frac12 A e^{-\lambda_m t + i \varphi}$.

    **Raises:** `ValueError` if |A| > 1 at time 0 or at t, as do the functions below.
    """
    rate, t, amplitude = (
        torus_mode_rate(interaction, mode),
        known_numbers("t", t, finite=False),
        known_numbers("amplitude", amplitude),
    )
    largest = np.abs(amplitude).max()
    if not largest <= 1:
        raise argument_error(
            "amplitude", "lie in [-1, 1]", f"is {largest:g} in size", "lower it: the density is negative"
        )
    now = amplitude * np.exp(-rate * t)
    if np.any(np.abs(now) > 1):
        was = f"the amplitude is {np.abs(now).max():g} at t = {t.min():g}"
        raise argument_error("t", "be a time at which the density is not negative, |A(t)| <= 1", was, "start later")
    return now


def torus_mode_amplitude_euler(
    num_steps: int,
    dt: float,
    interaction: Trigonometric,
    mode: Integer[ArrayLike, " d"] | Sequence[int],
    amplitude: float,
) -> Float[np.ndarray, "{num_steps}+1"]:
    r"""A after 0, ..., `num_steps` Euler-Maruyama steps of size dt, as N -> infinity: the law of the discrete scheme.

    A density that is a function of $\theta = m \cdot v$ remains one, because a * f then contains multiples of m only. One step
    is $\theta' = \theta + 2 dt\, m \cdot (b * f) + (2 dt\, m^T (a * f) m)^{1/2} \xi$. Quadrature on 64 nodes of theta.
    """
    num_steps = check_integer("num_steps", num_steps, minimum=0)
    check_known_scalar("dt", dt, positive=True)
    k = _wavevector(interaction, mode)
    matrices, modes = _matrices(interaction), np.asarray(interaction.modes)
    theta = 2 * np.pi * np.arange(_NODES) / _NODES
    waves = np.fft.fftfreq(_NODES, 1 / _NODES)
    order = modes @ k // (k @ k)
    along = (modes == order[:, None] * k).all(axis=1)
    order, strength = order[along], np.einsum("i,mij,j->m", k, matrices[along], k)
    weight = (1 + torus_mode_amplitude(0.0, interaction, mode, amplitude) * np.cos(theta)) / _NODES
    out = []
    for step in range(num_steps + 1):
        if step:
            even, odd = np.cos(np.outer(order, theta)), np.sin(np.outer(order, theta))
            c, s = even @ weight, odd @ weight
            spread = (strength * c) @ even + (strength * s) @ odd
            drift = (strength * order * s) @ even - (strength * order * c) @ odd
            # The Fourier modes of the new law: the node's shift times the characteristic function of its Gaussian noise.
            moved = np.exp(-1j * np.outer(waves, theta + 2 * dt * drift) - dt * waves[:, None] ** 2 * spread)
            weight = np.fft.ifft(moved @ weight).real
        out.append(2 * weight @ np.cos(theta))
    return np.array(out)


def torus_mode_density(
    velocity: Real[ArrayLike, "*#shape d"],
    t: float,
    interaction: Trigonometric,
    mode: Integer[ArrayLike, " d"] | Sequence[int],
    amplitude: ValuesLike,
    phase: float = 0.0,
) -> Values:
    """f(t, v) for `velocity` (..., d); integral 1 over the torus."""
    k = _wavevector(interaction, mode)
    v = known_numbers("velocity", velocity, finite=False)
    if v.ndim == 0 or v.shape[-1] != k.size:
        raise argument_error(
            "velocity", f"have shape (..., {k.size})", f"has shape {v.shape}", "pass one entry a component"
        )
    check_known_scalar("phase", phase)
    wave = np.cos(v @ k + float(phase))
    return (1 + torus_mode_amplitude(t, interaction, mode, amplitude) * wave) / (2 * np.pi) ** k.size


def torus_mode_entropy(
    t: ValuesLike, interaction: Trigonometric, mode: Integer[ArrayLike, " d"] | Sequence[int], amplitude: ValuesLike
) -> Values:
    r"""$H - H_{\rm uniform} = \ln\frac{1+s}{2} + 1 - s$, $s = \sqrt{1 - A(t)^2}$; H_uniform = $-d \ln 2\pi$."""
    deficit = _deficit(t, interaction, mode, amplitude)
    return np.log1p(-deficit / 2) + deficit


def torus_mode_fisher_information(
    t: ValuesLike, interaction: Trigonometric, mode: Integer[ArrayLike, " d"] | Sequence[int], amplitude: ValuesLike
) -> Values:
    r"""$\int |\nabla f|^2 / f = |m|^2 (1 - s)$."""
    k = _wavevector(interaction, mode)
    return float(k @ k) * _deficit(t, interaction, mode, amplitude)


def _deficit(
    t: ValuesLike, interaction: Trigonometric, mode: Integer[ArrayLike, " d"] | Sequence[int], amplitude: ValuesLike
) -> Values:
    """1 - s, without cancellation at small amplitudes."""
    square = torus_mode_amplitude(t, interaction, mode, amplitude) ** 2
    return square / (1 + np.sqrt(1 - square))


def _matrices(interaction: Trigonometric) -> Float[np.ndarray, "M d d"]:
    coefficients = np.asarray(interaction.coefficients, float)
    return coefficients if coefficients.ndim == 3 else coefficients[:, None, None] * np.eye(interaction.dim)


def _wavevector(interaction: Any, mode: Any) -> Integer[np.ndarray, " d"]:
    if not isinstance(interaction, Trigonometric) or is_traced(interaction):
        raise argument_error(
            "interaction",
            "be a Trigonometric with known coefficients",
            f"is {describe(interaction)}",
            "build one outside of `jit` and `grad`",
        )
    k = np.asarray(mode)
    if k.shape != (interaction.dim,) or not np.issubdtype(k.dtype, np.integer) or not k.any():
        raise argument_error(
            "mode", f"be a vector of {interaction.dim} integers, not all 0", f"is {describe(mode)}", "pass [1, 0], say"
        )
    return k

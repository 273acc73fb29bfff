r"""Amplitudes alpha_0(x, v), d = 1, that can be evaluated at any point and sampled: initial data for Monte Carlo of waves."""

import abc
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Complex, Float, Real

from .._util.checks import (
    Range,
    argument_error,
    as_array,
    check_integer,
    check_one_key,
    check_scalar,
    concrete_array,
    describe,
    is_traced,
    scalar_or_nan,
)
from .._util.printing import Printed
from .._util.types import Key, RealScalar, RealScalarLike, Rows
from ..states import Grid, Wave
from .equilibria import Maxwellian, TwoStream
from .starts import random_start

__all__ = ["AbstractAmplitude", "GaussianAmplitude", "PerturbedAmplitude", "check_amplitude"]
_AMPLITUDE = Range("lie in (-1, 1)", "lower it: the density vanishes", low=-1.0, high=1.0, open=True)


class AbstractAmplitude(Printed):
    """alpha_0 with int |alpha_0|^2 = 1. A subclass implements `log` and `sample`."""

    @abc.abstractmethod
    def log(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
        """log alpha_0, complex, at points of any shape."""

    @abc.abstractmethod
    def sample(
        self, key: Key, num: int, dtype: DTypeLike | None = None
    ) -> tuple[Float[Array, " num"], Float[Array, " num"]]:
        """Independent samples (x, v), (num,) each, of |alpha_0|^2."""

    def __call__(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
        return jnp.exp(self.log(x, v))

    def wave(self, grid: Grid) -> Wave:
        """The values on a grid with one axis of position and one of velocity, as a `Wave`."""
        if not isinstance(grid, Grid) or len(grid.axes) != 2:
            raise argument_error(
                "grid", "have one axis of position and one of velocity", f"is {describe(grid)}", "pass jk.Grid(x, v)"
            )
        return Wave(self(*grid.mesh), grid)


def check_amplitude(amplitude: object) -> None:
    """**Raises:** `ValueError` unless `amplitude` is an `AbstractAmplitude`."""
    if not isinstance(amplitude, AbstractAmplitude):
        raise argument_error(
            "amplitude", "be an amplitude", f"is {describe(amplitude)}", "pass jk.vlasov.GaussianAmplitude(...), say"
        )


class GaussianAmplitude(AbstractAmplitude):
    r"""$\alpha_0 \sim \exp(-z^T\Sigma^{-1}z/4 + i z^T B z/2)$, z = (x, v): |alpha_0|^2 is centred, with covariance Sigma.

    **Arguments:** `covariance`: Sigma, (2, 2), positive definite. `chirp`: B, (2, 2), symmetric. `log` and `sample` are
    differentiable in both.

    **Raises:** `ValueError` for other matrices; a traced covariance that is not positive definite and symmetric gives NaN."""

    covariance: Float[Array, "2 2"]
    chirp: Float[Array, "2 2"]

    def __init__(self, covariance: Real[ArrayLike, "2 2"] | Rows, chirp: Real[ArrayLike, "2 2"] | Rows | None = None):
        chirp = np.zeros((2, 2)) if chirp is None else chirp
        for name, matrix in (("covariance", covariance), ("chirp", chirp)):
            as_array(name, matrix, "be a (2, 2) matrix", "pass numbers, ordered as (x, v)")
            if np.shape(matrix) != (2, 2):
                raise argument_error(name, "be a (2, 2) matrix", f"has shape {np.shape(matrix)}", "order it as (x, v)")
            if jnp.iscomplexobj(matrix):
                raise argument_error(name, "be real", f"is {describe(matrix)}", "pass B without the factor i")
            known = None if is_traced(matrix) else np.asarray(matrix, float)
            if known is not None and not (np.isfinite(known).all() and np.allclose(known, known.T)):
                raise argument_error(name, "be symmetric and finite", f"is {known.tolist()}", "symmetrise it")
            if known is not None and name == "covariance" and np.linalg.eigvalsh(known).min() <= 0:
                raise argument_error(name, "be positive definite", f"is {known.tolist()}", "pass that of |alpha_0|^2")
        self.covariance = concrete_array(jnp.asarray(covariance, jnp.result_type(float)))
        if is_traced(covariance):
            self.covariance = jnp.where(_positive_definite(self.covariance), self.covariance, jnp.nan)
        self.chirp = concrete_array(jnp.asarray(chirp, jnp.result_type(float)))

    def log(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
        (xx, xv), (_, vv) = self.covariance.astype(x.dtype)
        (bxx, bxv), (_, bvv) = self.chirp.astype(x.dtype)
        det = xx * vv - xv * xv
        square = (vv * x * x - 2 * xv * x * v + xx * v * v) / det
        # log |alpha_0| is half of the log density of N(0, Sigma).
        size = -square / 4 - jnp.log(2 * math.pi * jnp.sqrt(det)) / 2
        return jax.lax.complex(size, (bxx * x * x + 2 * bxv * x * v + bvv * v * v) / 2)

    def sample(
        self, key: Key, num: int, dtype: DTypeLike | None = None
    ) -> tuple[Float[Array, " num"], Float[Array, " num"]]:
        check_one_key(key)
        num = check_integer("num", num, minimum=1)
        covariance = self.covariance.astype(dtype or self.covariance.dtype)
        (xx, xv), (_, vv) = covariance
        a, b = jax.random.normal(key, (2, num), covariance.dtype)
        # By the Cholesky factor of Sigma.
        x = jnp.sqrt(xx) * a
        return x, xv / xx * x + jnp.sqrt(vv - xv * xv / xx) * b


def _positive_definite(matrix: Float[Array, "2 2"]) -> Array:
    (xx, xv), (vx, vv) = matrix
    return (xx > 0) & (xx * vv > xv * xv) & (jnp.abs(xv - vx) <= 1e-5 * jnp.sqrt(xx * vv)) & jnp.isfinite(matrix).all()


class PerturbedAmplitude(AbstractAmplitude):
    r"""$\alpha_0 = \sqrt{f_0(v)(1 + A\cos kx)}\;e^{i b v \sin kx}$, k = 2 pi/length of `f0`, on a torus. b = `twist` does not
    change f, but makes the term K of (HVl) different from 0. x is the coordinate itself, not the distance from the start of an
    axis.

    **Raises:** `ValueError` for |A| >= 1 (a traced A gives NaN), and for an `f0` without a length."""

    f0: Maxwellian | TwoStream
    amplitude: RealScalar
    twist: RealScalar

    def __init__(self, f0: Maxwellian | TwoStream, amplitude: RealScalarLike = 0.0, twist: RealScalarLike = 0.0):
        if not hasattr(f0, "length") or f0.length is None:
            raise argument_error(
                "f0", "have a length", "has none", "pass the length of the torus, Maxwellian(length=2 * math.pi), say"
            )
        amplitude = scalar_or_nan("amplitude", amplitude, within=_AMPLITUDE)
        check_scalar("twist", twist)
        self.f0, self.amplitude, self.twist = f0, concrete_array(amplitude), concrete_array(twist)

    def log(self, x: Float[Array, "*shape"], v: Float[Array, "*shape"]) -> Complex[Array, "*shape"]:
        assert self.f0.length is not None
        k = 2 * math.pi / self.f0.length.astype(x.dtype)
        size = jnp.log(self.f0(v) * (1 + self.amplitude.astype(x.dtype) * jnp.cos(k * x))) / 2
        return jax.lax.complex(size, self.twist.astype(x.dtype) * v * jnp.sin(k * x))

    def sample(
        self, key: Key, num: int, dtype: DTypeLike | None = None
    ) -> tuple[Float[Array, " num"], Float[Array, " num"]]:
        state = random_start(key, self.f0, num, self.amplitude, dtype=dtype)
        assert state.position is not None
        return state.position[:, 0], state.velocity[:, 0]

r"""Roots of the dispersion relation of the Vlasov equation, linearised about a homogeneous state."""

import contextlib
import math
from collections.abc import Callable
from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex

from .._util.checks import (
    argument_error,
    concrete_array,
    deferred_checks,
    describe,
    is_traced,
    nan_out_of_range,
    nan_unless_met,
    require,
    scalar_or_nan,
)
from .._util.gradients import implicit_root
from .._util.types import RealScalarLike
from ..states import Axis
from .potentials import AbstractPotential, Poisson

__all__ = ["dispersion_root"]

# The range of velocities, in units of `scale`.
_REACH = 14.0
# Nodes of the trapezoidal rule in it.
_NODES = 2048
# Distances at which the path of integration may lie below the root: the largest at which |f0| stays below `_GROWN` times its
# maximum is used.
_GAPS = (1.0, 0.5, 0.25, 0.125, 0.0625)
# Larger values of f0 on the path would cancel.
_GROWN = 1e3
# The largest |f0| allowed at the ends of the range, relative to its maximum: the rule cuts it off there.
_DECAYED = 1e-13


def dispersion_root(
    potential: AbstractPotential,
    f0: Callable[[Complex[Array, "*shape"]], Complex[Array, "*shape"]],
    k: RealScalarLike,
    *,
    scale: RealScalarLike = 1.0,
) -> Complex[Array, ""]:
    r"""omega of the least damped (or fastest growing) mode e^{i(kx - omega t)}: the root of

    $1 = \hat\Gamma(k) \int f_0'(v)/(v - \omega/k)\,dv$

    with the largest Im omega and Re omega >= 0. For Im omega <= 0 the integral is continued along Landau's contour, which
    passes below the pole [Landau1946].

    **Arguments:** `potential`: on a torus of length 2 pi/k (one wavelength); `Poisson` keeps its strength, whatever its length.
    `f0`: the homogeneous state per unit length of position, an entire function of a complex velocity, written with `jnp`, that
    decays along the real axis within 14 times `scale`. `k` > 0.
    **Returns:** a complex scalar, accurate to 1e-9 in float64 unless f0 is much narrower than `scale`. NaN if no root was found
    near k scale or near the plasma frequency, and where one of the conditions below fails for traced numbers. Differentiable
    in k and in the parameters of `potential` and `f0`, in forward and reverse mode, to every order (implicit function theorem).
    **Raises:** `ValueError` for k <= 0, `scale` <= 0, a potential that is not defined on this torus, and an f0 that is not such
    a function.
    """
    k, scale = scalar_or_nan("k", k, positive=True), scalar_or_nan("scale", scale, positive=True)
    known: Any = scale
    with deferred_checks() as checks:
        _check(potential, f0, k, scale)
    k = concrete_array(k).astype(jnp.result_type(float))
    scale = known.astype(k.dtype) if is_traced(known) else float(known)
    if any(callable(leaf) for leaf in jax.tree.leaves((potential, f0), is_leaf=_is_function)):
        # A function may read variables that change between calls, so the program is not cached.
        root = jax.jit(lambda k: _root(potential, f0, k, scale))(k)
    else:
        root = _known_root(potential, f0, k, scale)
    return nan_unless_met(checks, nan_out_of_range(potential, root))


def _is_function(x: Any) -> bool:
    return isinstance(x, jax.tree_util.Partial)


def _root(potential: AbstractPotential, f0: Callable[[Array], Array], k: Array, scale: Any) -> Array:
    parameters, static = eqx.partition((potential, f0, k), eqx.is_inexact_array)

    def residual(omega: Array, parameters: Any) -> Array:
        potential, f0, k = eqx.combine(parameters, static)
        return _dielectric(potential, f0, k, omega, scale)

    still = jax.lax.stop_gradient(parameters)
    sizes = _sizes(*cast(tuple[AbstractPotential, Callable, Array], eqx.combine(still, static)), scale)
    start = jax.lax.stop_gradient(_scan(lambda w: residual(w, still), *sizes))

    # `implicit_root` differentiates real roots: omega as a pair of real numbers.
    def real_residual(pair: Array) -> Array:
        value = residual(jax.lax.complex(*pair), parameters)
        return jnp.stack([value.real, value.imag])

    return jax.lax.complex(*implicit_root(real_residual, jnp.stack([start.real, start.imag])))


_known_root = eqx.filter_jit(_root)


def _check(potential: Any, f0: Any, k: RealScalarLike, scale: Any) -> None:
    if not isinstance(potential, AbstractPotential):
        raise argument_error("potential", "be a potential", f"is {describe(potential)}", "pass jk.vlasov.Cosine(), say")
    if not callable(f0):
        raise argument_error("f0", "be a function of velocity", f"is {describe(f0)}", "write it with jnp")
    known = not is_traced(k)
    if not isinstance(potential, Poisson):
        with jax.ensure_compile_time_eval() if known else contextlib.nullcontext():
            potential.check((Axis(0.0, 2 * math.pi / (float(np.asarray(k)) if known else k), 64),))
    with contextlib.nullcontext() if is_traced(scale) else jax.ensure_compile_time_eval():
        ends = scale * _REACH * jnp.asarray([-1.0, 1.0])
        v = jnp.concatenate([ends, scale * jnp.linspace(-_REACH, _REACH, 400)])
        try:
            z = jax.lax.complex(v, jnp.zeros_like(v))
            values = jax.jit(lambda z: f0(z))(z)
            jax.eval_shape(f0, z[0])
        except (TypeError, jax.errors.JAXTypeError):
            values = v
    if not jnp.iscomplexobj(values):
        raise argument_error(
            "f0", "be an analytic function of a complex velocity", "is not", "write it with jnp, without abs or real"
        )
    size = jnp.abs(values) if is_traced(values) else np.abs(np.asarray(values))
    largest = size[:2].max()
    where = "" if is_traced(scale) else f"|v| = {_REACH * scale:g}, "
    must, do = f"decay by {where}{_REACH:g} times `scale`", "pass a larger `scale`"
    require("f0", largest <= _DECAYED * size.max(), largest, must, do, was="there is")


def _dielectric(potential: AbstractPotential, f0: Callable, k: Array, omega: Array, scale: Any) -> Array:
    """1 - hat Gamma(k) int f0'(v)/(v - omega/k) dv, by the trapezoidal rule on a line below the pole."""
    phase_velocity = omega / k.astype(omega.dtype)
    # A horizontal line below the root and below the real axis: Landau's contour for every sign of Im omega.
    depth = jnp.minimum(jax.lax.stop_gradient(phase_velocity.imag), 0) - _gap(f0, k, scale)
    # The trapezoidal rule converges exponentially: the integrand is analytic and decays.
    step = 2 * _REACH * scale / _NODES
    v = jnp.arange(_NODES, dtype=k.dtype) * step - _REACH * scale
    v = jax.lax.complex(v, jnp.broadcast_to(depth, v.shape))
    slope = jax.vmap(jax.grad(lambda u: f0(u), holomorphic=True))(v)
    factor = (_coefficient(potential, k) * step).astype(v.dtype)
    return 1 - factor * jnp.sum(slope / (v - phase_velocity))


def _gap(f0: Callable, k: Array, scale: Any) -> Array:
    v = jnp.linspace(-_REACH, _REACH, 400).astype(k.dtype) * scale

    def largest(depth: float) -> Array:
        return jnp.max(jnp.abs(f0(jax.lax.complex(v, jnp.full_like(v, -depth * scale)))))

    grown = jnp.stack([largest(gap) for gap in _GAPS[:-1]]) > _GROWN * largest(0.0)
    return jax.lax.stop_gradient(scale * jnp.asarray(_GAPS, k.dtype)[jnp.sum(grown)])


def _coefficient(potential: AbstractPotential, k: Array) -> Array:
    """hat Gamma(k), on the torus of one wavelength."""
    axis = Axis(0.0, 1.0, 256)
    axis = eqx.tree_at(lambda a: (a.start, a.length), axis, (jnp.zeros_like(k), 2 * math.pi / k))
    return potential.coefficients((axis,))[1]


def _sizes(potential: AbstractPotential, f0: Callable, k: Array, scale: Any) -> tuple[Array, Array]:
    """The sizes of the rectangles that are searched: k scale, and the plasma frequency |hat Gamma(k) int f0 dv|^(1/2) k."""
    v = jnp.linspace(-_REACH, _REACH, 400).astype(k.dtype) * scale
    number = jnp.sum(f0(jax.lax.complex(v, jnp.zeros_like(v))).real) * (v[1] - v[0])
    return k * scale, jnp.sqrt(jnp.abs(_coefficient(potential, k) * number)) * k


def _scan(residual: Callable[[Array], Array], *sizes: Array) -> Array:
    """The root with the largest Im omega, from Newton's method started on grids over rectangles of these sizes."""
    k = sizes[0]
    real, imaginary = jnp.linspace(0.0, 4.0, 17), jnp.linspace(-2.0, 1.5, 15)
    corners = [x.reshape(-1).astype(k.dtype) for x in jnp.meshgrid(real, imaginary)]
    start = jnp.concatenate([jax.lax.complex(*(size * x for x in corners)) for size in sizes])
    largest = jnp.max(jnp.stack(sizes))

    def newton(omega: Array) -> tuple[Array, Array]:
        def step(_: Any, w: Array) -> Array:
            value, slope = jax.jvp(residual, (w,), (jnp.ones_like(w),))
            move = value / jnp.where(slope == 0, 1, slope)
            size = jnp.abs(move)
            # Steps are limited, so that a start finds a root in its neighbourhood.
            return w - move * jnp.minimum(1, 0.5 * largest / jnp.maximum(size, 1e-30)).astype(w.dtype)

        w = jax.lax.fori_loop(0, 40, step, omega)
        return w, jnp.abs(residual(w))

    roots, errors = jax.vmap(newton)(start)
    tolerance = max(1e-8, 300 * float(jnp.finfo(k.dtype).eps))
    good = (errors < tolerance) & jnp.isfinite(roots.real) & (roots.real > -1e-9 * jnp.maximum(jnp.abs(roots), 1))
    height = jnp.where(good, roots.imag, -jnp.inf)
    best = jnp.argmax(height)
    return jnp.where(good.any(), roots[best], np.asarray(complex(np.nan, np.nan), roots.dtype))

"""Checks of arguments that several diagnostics share."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._util.checks import argument_error, check_scalar, describe, is_traced
from .._util.types import RealScalar, RealScalarLike
from ..states import Particles


def one_program(*static: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator for a function (state, ...) that uses velocities and mask only: a call runs one compiled program instead of
    one per operation, each of which costs 20 to 100 us of dispatch. `static`: names of options that are not arrays; all
    options are passed by name."""

    def decorate(fn: Callable[..., Any]) -> Callable[..., Any]:
        @functools.partial(jax.jit, static_argnames=static)
        def program(velocity: Array, alive: Array, **options: Any) -> Any:
            return fn(Particles(velocity, alive=alive), **options)

        @functools.wraps(fn)
        def wrapped(state: Particles, **options: Any) -> Any:
            return program(state.velocity, state.alive, **options)

        return wrapped

    return decorate


def check_state(*states: Any, argument: str = "state", also: str = "") -> None:
    """**Raises:** `ValueError` unless every state is `Particles`. `also`: what else the function accepts."""
    for state in states:
        if not isinstance(state, Particles):
            must = f"be Particles{also}"
            raise argument_error(argument, must, f"is {describe(state)}", "pass jk.Particles(velocity)")


def checked_bias(bias: RealScalarLike, dtype: jnp.dtype) -> RealScalar:
    """`bias` as one finite number in `dtype`."""
    check_scalar("bias", bias)
    return jnp.asarray(bias).astype(dtype)


def check_function(argument: str, fn: Any, returns: str) -> None:
    if not callable(fn):
        raise argument_error(
            argument, "be a function of the state", f"is {describe(fn)}", f"pass one that returns {returns}"
        )


def of_every_particle(state: Particles, of: Callable[[Particles], Any], returns: str) -> Float[Array, "N *m"]:
    """of(state) as a real array (N,), or also (N, m) if `returns` says so. The result has the state's dtype, unless `of`
    returns a floating JAX array. `returns`: the description of the required value in error messages."""
    check_function("of", of, returns)
    values = of(state)
    try:
        phi = jnp.asarray(values)
    except (TypeError, ValueError):
        raise argument_error("of", f"return {returns}", f"returns {describe(values)}", "return numbers") from None
    if jnp.issubdtype(phi.dtype, jnp.complexfloating):
        raise argument_error(
            "of", "return real numbers", f"returns {phi.dtype}", "return the real and the imaginary part"
        )
    if phi.ndim not in ((1, 2) if "(N, m)" in returns else (1,)) or phi.shape[0] != state.num_slots:
        raise argument_error("of", f"return {returns}", f"returns shape {phi.shape}", "return one row per particle")
    kept = isinstance(values, jax.Array) and jnp.issubdtype(phi.dtype, jnp.floating)
    return phi if kept else phi.astype(state.velocity.dtype)


def check_finite_array(argument: str, value: Any) -> None:
    """**Raises:** `ValueError` if a concrete array holds a NaN or an infinity."""
    if not is_traced(value) and not np.isfinite(np.asarray(value, float)).all():
        raise argument_error(argument, "hold finite numbers", f"is {describe(value)}", "remove the NaN or infinity")

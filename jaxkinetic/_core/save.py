"""Which steps of a run are saved, and what is saved of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int32

from .._util.checks import argument_error, check_bool, check_integer, describe, takes_one
from .._util.printing import Printed, printed
from .._util.types import Key, Observable, PyTree, RealScalar, State
from .._util.user_laws import hashable


class Context(Printed):
    """The argument of a `Contextual` observable.

    `t`, `dt`: scalars in the state's dtype (float32 may round late times to the same number; `step` distinguishes them).
    `step`: absolute, int32. `system`, `state`. `key`: a JAX key for this observable, different at every step and for every
    name, and independent of the noise of the run.
    """

    t: RealScalar
    step: Int32[Array, ""]
    system: Any
    state: State
    key: Key
    dt: RealScalar


class Contextual(Printed):
    """An observable that needs more than the state: `fn(ctx)` with a `Context`."""

    fn: Observable

    def __init__(self, fn: Observable):
        if not callable(fn):
            raise argument_error(
                "fn", "be a function of a Context", f"is {describe(fn)}", "pass `jk.Contextual(my_function)`"
            )
        if not takes_one(fn):
            raise argument_error("fn", "take one argument, a Context", f"{printed(fn)} does not", _BIND)
        self.fn = hashable(fn)


class Save(Printed):
    """Which absolute steps are saved, and what of them.

    **Arguments:**

    - `every`: save steps 0, every, 2 every, ...; step 0 only on a fresh start.
    - `steps`: save these absolute steps instead.
    - `state`: keep the complete state (`Solution.states`).
    - `observe`: name -> function of the state (or `Contextual`), whose values are kept in `Solution.observed[name]`.

    With neither `every` nor `steps`: the last step, or every step when `observe` is given. Saving and observing never change
    the path. Pass module-level functions, `jax.tree_util.Partial` or modules as observables: a new lambda is compiled again at
    each call. An object with `__call__` that is no module is used with the content that it had when first observed.

    An accelerator waits for the host at a save, and also at every step, unless the longest interval between saves has at least
    10 steps and extending all intervals to L steps would add at most 1/32 to the steps of the run. L is the longest length
    rounded up to n^2, n (n + 1) or (up to 300) a multiple of 10; multiples of 100 stay. So save, for example, every 10, 50 or
    1000 steps.
    """

    every: int | None = eqx.field(static=True)
    steps: tuple[int, ...] | None = eqx.field(static=True)
    state: bool = eqx.field(static=True)
    observe: dict[str, Any]

    def __init__(
        self,
        every: int | None = None,
        steps: Sequence[int] | None = None,
        state: bool = False,
        observe: Mapping[str, Observable | Contextual] | None = None,
    ):
        if every is not None and steps is not None:
            raise argument_error(
                "steps", "be None when `every` is given", f"is {describe(steps)}", "pass one of the two"
            )
        self.every = None if every is None else check_integer("every", every, minimum=1)
        self.steps = None
        if steps is not None:
            if not isinstance(steps, (Sequence, np.ndarray)) or isinstance(steps, str):
                raise argument_error(
                    "steps", "be a sequence of integers", f"is {describe(steps)}", "pass `every`, or a tuple"
                )
            self.steps = tuple(check_integer("steps", step, minimum=0) for step in steps)
            if any(b <= a for a, b in zip(self.steps, self.steps[1:], strict=False)):
                raise argument_error("steps", "increase", f"is {self.steps}", "pass `sorted(set(steps))`")
        self.state = check_bool("state", state)
        if observe is not None and not isinstance(observe, Mapping):
            raise argument_error(
                "observe", "map names to functions", f"is {describe(observe)}", 'pass {"name": function}'
            )
        self.observe = {} if observe is None else dict(observe)
        for name, fn in self.observe.items():
            if not isinstance(name, str):
                raise argument_error("observe", "have strings as names", f"has {describe(name)}", "name it")
            if not callable(fn) and not isinstance(fn, Contextual):
                raise argument_error(
                    f"observe[{name!r}]",
                    "be a function of the state",
                    f"is {describe(fn)}",
                    "pass a function or `jk.Contextual`",
                )
            if not isinstance(fn, Contextual) and not takes_one(fn):
                raise argument_error(
                    f"observe[{name!r}]", "take one argument, the state", f"{printed(fn)} does not", _BIND
                )
            self.observe[name] = hashable(fn)

    def plan(self, first: int, last: int, fresh: bool) -> np.ndarray:
        """The absolute steps to be saved in a run from step `first` to step `last`."""
        begin = first if fresh else first + 1
        if self.steps is not None:
            outside = [step for step in self.steps if not begin <= step <= last]
            if outside:
                raise argument_error(
                    "steps",
                    f"lie in {begin}..{last}, the absolute steps of this run",
                    f"holds {outside}",
                    "drop them",
                )
            return np.asarray(self.steps, np.int64)
        if self.every is None and not self.observe:
            return np.asarray([last], np.int64)
        every = self.every or 1
        return np.arange(-(-begin // every) * every, last + 1, every, dtype=np.int64)

    def at_start(self, first: int) -> bool:
        """Whether a fresh run that starts at step `first` saves its initial state."""
        every = self.every or (1 if self.observe else None)
        return self.steps is None and every is not None and first % every == 0

    def take(self, contexts: Mapping[str, Context], state: State) -> PyTree:
        """The values kept at one saved step: (observed, state or None)."""
        observed = {}
        for name, fn in self.observe.items():
            fn, seen = (fn.fn, contexts[name]) if isinstance(fn, Contextual) else (fn, state)
            observed[name] = _observed(f"observe[{name!r}]", fn, seen)
        return observed, (eqx.filter(state, eqx.is_array) if self.state else None)


_KNOWN_ONLY = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
)
_BIND = "bind the others by `jax.tree_util.Partial(fn, name=value)`"


def _observed(argument: str, fn: Observable, seen: Any) -> PyTree:
    """The value of an observable, as arrays. **Raises:** `ValueError` if JAX cannot trace the function or it returns no arrays.
    Any other error of the function propagates with a note that names the observable."""
    try:
        value = fn(seen)
    except jax.errors.TracerBoolConversionError:
        was, do = "uses a traced array as a condition", "use `jnp.where` instead of `if`"
    except _KNOWN_ONLY:
        was, do = "converts a traced value to a number or a NumPy array", "use `jnp`, not `np`, float() or int()"
    except AttributeError as error:
        if error.obj is not seen:
            error.add_note(f"It was raised by `{argument}`.")
            raise
        has, holds = type(seen).__name__, ", ".join(name for name in dir(seen) if not name.startswith("_"))
        raise argument_error(
            argument, f"use attributes that a {has} has", f"uses `{error.name}`", f"it has {holds}"
        ) from error
    except Exception as error:
        error.add_note(f"It was raised by `{argument}`.")
        raise
    else:
        try:
            # Python numbers are allowed as values.
            arrays = jax.tree.map(jnp.asarray, value)
        except (TypeError, ValueError):
            raise argument_error(
                argument, "give arrays, or a tree of them", f"gives {describe(value)}", "return arrays"
            ) from None
        if not jax.tree.leaves(arrays):
            raise argument_error(
                argument, "give arrays, or a tree of them", f"gives {describe(value)}", "return a value"
            )
        return arrays
    raise argument_error(argument, "be a function that JAX can trace", was, do)

"""Samples of an observable by `ensemble`, differentiated along the paths."""

from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array

from .._core.ensemble import ensemble
from .._core.save import Save
from .._core.system import AbstractScheme, AbstractSystem
from .._util.printing import Printed
from .._util.types import Key, State
from ._observables import TotalOfRows


class Pathwise(Printed):
    key: Any
    replicas: int
    dt: Any
    num_steps: int
    scheme: AbstractScheme
    every: int | None
    batch: int | None
    throw: bool

    def __call__(
        self,
        system: AbstractSystem,
        start: State | Callable[[Key], State],
        observe: Callable[[State], Array],
        function: Callable[[Array], Array] | None,
    ) -> tuple[Array, dict[str, Any]]:
        total = {"total": TotalOfRows(observe)}
        save = Save(steps=(self.num_steps,), observe=total) if self.every is None else Save(self.every, observe=total)
        solution = ensemble(
            system, start, key=self.key, replicas=self.replicas, batch=self.batch, scheme=self.scheme, dt=self.dt,
            num_steps=self.num_steps, save=save, throw=self.throw,
        )  # fmt: skip
        samples = solution.observed["total"]
        if function is not None:
            samples = jax.vmap(jax.vmap(function))(samples)
        return (samples[:, 0] if self.every is None else samples), {}

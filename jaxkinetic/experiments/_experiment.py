"""What an experiment is: a name, defaults, and a function from options to a report."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .._checks import check_integer, check_scalar, refuse
from .._system import AbstractScheme
from ..pairs import RandomMatching, Sweep
from ..schemes import EulerMaruyama

SCHEMES: dict[str, Callable[[], AbstractScheme]] = {
    "euler-maruyama": EulerMaruyama,
    "random-matching": RandomMatching,
    "sweep": Sweep,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of `jaxkinetic run`, all nondimensional."""

    particles: int
    dim: int
    dt: float
    steps: int
    replicas: int
    seed: int = 0
    scheme: str = "euler-maruyama"

    def check(
        self, *, least_dim: int = 2, most_dim: int | None = None, schemes: tuple[str, ...] = tuple(SCHEMES)
    ) -> None:
        """Raise `ValueError` for a value outside its range."""
        check_integer("--particles", self.particles, minimum=2)
        check_integer("--dim", self.dim, minimum=least_dim)
        if most_dim is not None and self.dim > most_dim:
            raise refuse("--dim", f"be at most {most_dim} here", f"is {self.dim}", "lower it")
        check_integer("--steps", self.steps, minimum=1)
        check_integer("--replicas", self.replicas, minimum=1)
        if check_integer("--seed", self.seed, minimum=0) >= 2**32:
            raise refuse("--seed", "be below 2^32", f"is {self.seed}", "choose a smaller one")
        check_scalar("--dt", self.dt, positive=True)
        if self.scheme not in schemes:
            raise refuse("--scheme", f"be one of {', '.join(schemes)} here", f"is {self.scheme!r}", "choose one")

    def make_scheme(self) -> AbstractScheme:
        return SCHEMES[self.scheme]()


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run found. `table`: text. `findings`: one line each. `numbers`: for result.json. `arrays`: for result.npz."""

    table: str
    findings: tuple[str, ...]
    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]
    draw: Callable[[], Figure]


@dataclasses.dataclass(frozen=True)
class Experiment:
    """`run(options, progress)` computes the report; `progress` shows a bar on standard error. `least_dim`, `most_dim`: the
    range of d. `schemes`: those for which the report is right."""

    name: str
    summary: str
    defaults: Options
    run: Callable[[Options, bool], Report]
    least_dim: int = 2
    most_dim: int | None = None
    schemes: tuple[str, ...] = ("euler-maruyama",)

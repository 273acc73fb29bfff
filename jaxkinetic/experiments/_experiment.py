"""What an experiment is: a name, defaults, and a function from options to a report."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .._checks import check_integer, check_scalar, refuse
from .._system import AbstractScheme
from ..pairs import ExactClock, RandomMatching, Sweep, TauLeap
from ..schemes import EulerMaruyama
from ._partial import Partial

SCHEMES: dict[str, Callable[[], AbstractScheme]] = {
    "euler-maruyama": EulerMaruyama,
    "random-matching": RandomMatching,
    "sweep": Sweep,
    "exact-clock": ExactClock,
    "tau-leap": TauLeap,
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
    gamma: float | None = None  # these where the experiment has one
    alpha: float | None = None
    law: str | None = None
    epsilon: float | None = None

    def check(
        self,
        *,
        least_dim: int = 2,
        most_dim: int | None = None,
        least_steps: int = 1,
        schemes: tuple[str, ...] = tuple(SCHEMES),
    ) -> None:
        """Raise `ValueError` for a value outside its range."""
        check_integer("--particles", self.particles, minimum=2)
        check_integer("--dim", self.dim, minimum=least_dim)
        if most_dim is not None and self.dim > most_dim:
            raise refuse("--dim", f"be at most {most_dim} here", f"is {self.dim}", "lower it")
        check_integer("--steps", self.steps, minimum=least_steps)
        check_integer("--replicas", self.replicas, minimum=1)
        if check_integer("--seed", self.seed, minimum=0) >= 2**32:
            raise refuse("--seed", "be below 2^32", f"is {self.seed}", "choose a smaller one")
        check_scalar("--dt", self.dt, positive=True)
        if self.scheme not in schemes:
            raise refuse("--scheme", f"be one of {', '.join(schemes)} here", f"is {self.scheme!r}", "choose one")
        if self.gamma is not None:
            check_scalar("--gamma", self.gamma)
            if self.gamma < -self.dim:
                raise refuse("--gamma", f"be at least -d = {-self.dim}", f"is {self.gamma:g}", "raise it")
        if self.alpha is not None:
            check_scalar("--alpha", self.alpha)
            if not 0 < self.alpha <= 1:
                raise refuse("--alpha", "be in (0, 1]", f"is {self.alpha:g}", "it is a probability")
        if self.epsilon is not None:
            check_scalar("--epsilon", self.epsilon, positive=True)

    def make_scheme(self) -> AbstractScheme:
        return SCHEMES[self.scheme]()


KINDS: dict[str, type] = {
    "particles": int, "dim": int, "dt": float, "steps": int, "replicas": int, "seed": int, "scheme": str, "gamma": float,
    "alpha": float, "law": str, "epsilon": float,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Report:
    """What a run found. `table`: text. `findings`: one line each. `numbers`: for result.json. `arrays`: for result.npz."""

    table: str
    findings: tuple[str, ...]
    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]
    draw: Callable[[], Figure]


@dataclasses.dataclass(frozen=True)
class Watch:
    """How a run is watched and kept. `progress`: a bar on standard error. `partial`: where finished parts go, and come from."""

    progress: bool = False
    partial: Partial | None = None


@dataclasses.dataclass(frozen=True)
class Headline:
    """The number of `Report.numbers` that a sweep follows, its standard error, and what the axis says."""

    number: str
    stderr: str
    label: str


@dataclasses.dataclass(frozen=True)
class Experiment:
    """`run(options, watch)` computes the report. `least_dim`, `most_dim`: the range of d. `least_steps`. `schemes`: those
    for which the report is right. `headline`: what a sweep shows. `adapt(options, given)`: the options, those that the user
    did not give by name fitted to those that are given."""

    name: str
    summary: str
    defaults: Options
    run: Callable[[Options, Watch], Report]
    headline: Headline
    least_dim: int = 2
    most_dim: int | None = None
    least_steps: int = 1
    schemes: tuple[str, ...] = ("euler-maruyama",)
    adapt: Callable[[Options, frozenset[str]], Options] = lambda options, given: options

    def options(self, given: Mapping[str, Any]) -> Options:
        """The defaults with what is given, checked. **Raises:** `ValueError`."""
        for name in ("gamma", "alpha", "law", "epsilon"):
            if given.get(name) is not None and getattr(self.defaults, name) is None:
                raise refuse(f"--{name}", f"be left out for {self.name}", f"is {given[name]}", "it has none")
        chosen = self.adapt(dataclasses.replace(self.defaults, **given), frozenset(given))
        chosen.check(
            least_dim=self.least_dim, most_dim=self.most_dim, least_steps=self.least_steps, schemes=self.schemes
        )
        return chosen

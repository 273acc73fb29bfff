"""An experiment: its name, its default options, and the function that computes a report from options."""

import dataclasses
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from ..._core.system import AbstractScheme, AbstractSystem
from ..._util.checks import argument_error, check_integer, check_scalar, did_you_mean
from ...pairs import ExactClock, RandomMatching, Sweep, TauLeap
from ...plotting import Figure
from ...schemes import EulerMaruyama, Leapfrog, Strang, Yoshida
from ...vlasov import AbstractPotential, HamiltonHartree, HamiltonVlasov, Vlasov
from .partial import Partial

SCHEMES: dict[str, Callable[[], AbstractScheme]] = {
    "euler-maruyama": EulerMaruyama,
    "random-matching": RandomMatching,
    "sweep": Sweep,
    "exact-clock": ExactClock,
    "tau-leap": TauLeap,
    "strang": Strang,
    "strang-4": partial(Strang, 4),
    "leapfrog": Leapfrog,
    "yoshida-4": Yoshida,
}
SYSTEMS: dict[str, Callable[[AbstractPotential], AbstractSystem]] = {
    "vlasov": Vlasov,
    "hamilton-vlasov": HamiltonVlasov,
    "hamilton-hartree": HamiltonHartree,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Common:
    """The options that every experiment has, all nondimensional."""

    dim: int
    dt: float
    steps: int
    scheme: str

    def check(
        self,
        *,
        least_dim: int = 2,
        most_dim: int | None = None,
        least_steps: int = 1,
        schemes: tuple[str, ...] = tuple(SCHEMES),
    ) -> None:
        """Raise `ValueError` for a value outside its range."""
        check_integer("--dim", self.dim, minimum=least_dim)
        if most_dim is not None and self.dim > most_dim:
            raise argument_error("--dim", f"be at most {most_dim} here", f"is {self.dim}", "lower it")
        check_integer("--steps", self.steps, minimum=least_steps)
        check_scalar("--dt", self.dt, positive=True)
        if self.scheme not in schemes:
            sentence = argument_error(
                "--scheme", f"be one of {', '.join(schemes)} here", f"is {self.scheme!r}", "choose one"
            )
            raise did_you_mean(sentence, self.scheme, schemes)

    def make_scheme(self) -> AbstractScheme:
        return SCHEMES[self.scheme]()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(Common):
    """Options of an experiment with particles. None: the experiment does not have this option."""

    particles: int
    replicas: int
    seed: int = 0
    scheme: str = "euler-maruyama"
    gamma: float | None = None
    alpha: float | None = None
    law: str | None = None
    epsilon: float | None = None

    def check(self, **limits: Any) -> None:
        if check_integer("--particles", self.particles, minimum=2) > 2**31:
            raise argument_error("--particles", "be at most 2^31", f"is {self.particles}", "lower it")
        super().check(**limits)
        check_integer("--replicas", self.replicas, minimum=1)
        check_seed(self.seed)
        if self.gamma is not None:
            check_scalar("--gamma", self.gamma)
            if self.gamma < -self.dim:
                raise argument_error("--gamma", f"be at least -d = {-self.dim}", f"is {self.gamma:g}", "raise it")
        if self.alpha is not None:
            check_scalar("--alpha", self.alpha)
            if not 0 < self.alpha <= 1:
                raise argument_error("--alpha", "be in (0, 1]", f"is {self.alpha:g}", "it is a probability")
        if self.epsilon is not None:
            check_scalar("--epsilon", self.epsilon, positive=True)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GridOptions(Common):
    """Options of an experiment on a phase-space grid, d = 1. None: the experiment does not have this option."""

    nx: int
    nv: int
    amplitude: float
    dim: int = 1
    scheme: str = "strang-4"
    system: str = "vlasov"
    wavenumber: float | None = None
    temperature: float | None = None
    drift: float | None = None

    def check(self, **limits: Any) -> None:
        super().check(**limits)
        check_grid(self)
        if self.system not in SYSTEMS:
            sentence = argument_error(
                "--system", f"be one of {', '.join(SYSTEMS)}", f"is {self.system!r}", "choose one"
            )
            raise did_you_mean(sentence, self.system, SYSTEMS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AmplitudeOptions(Common):
    """Options of an experiment with amplitudes of one particle and of N particles, d = 1. `replicas`: Monte Carlo samples."""

    particles: int
    replicas: int
    nx: int
    nv: int
    amplitude: float
    temperature: float
    dim: int = 1
    seed: int = 0
    scheme: str = "strang-4"

    def check(self, **limits: Any) -> None:
        super().check(**limits)
        check_integer("--particles", self.particles, minimum=4)
        check_integer("--replicas", self.replicas, minimum=16)
        check_seed(self.seed)
        check_grid(self)


def check_seed(seed: int) -> None:
    if check_integer("--seed", seed, minimum=0) >= 2**32:
        raise argument_error("--seed", "be below 2^32", f"is {seed}", "choose a smaller one")


def check_grid(options: Any) -> None:
    """Check the numbers of grid points and the parameters of the perturbed homogeneous state."""
    for name, least in (("nx", 8), ("nv", 32)):
        if check_integer(f"--{name}", getattr(options, name), minimum=least) % 2:
            raise argument_error(f"--{name}", "be even", f"is {getattr(options, name)}", "add one")
    for name in ("amplitude", "wavenumber", "temperature", "drift"):
        if getattr(options, name, None) is not None:
            check_scalar(f"--{name}", getattr(options, name), positive=True)
    if options.amplitude >= 1:
        raise argument_error("--amplitude", "be below 1, so that f > 0", f"is {options.amplitude:g}", "lower it")


# The type of every option, in the order of the help text.
KINDS: dict[str, type] = {
    "particles": int, "dim": int, "dt": float, "steps": int, "replicas": int, "seed": int, "scheme": str, "gamma": float,
    "alpha": float, "law": str, "epsilon": float, "system": str, "nx": int, "nv": int, "wavenumber": float,
    "temperature": float, "drift": float, "amplitude": float,
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Report:
    """Result of a run. `table`: text. `findings`: one line each. `numbers`: for result.json. `arrays`: for result.npz."""

    table: str
    findings: tuple[str, ...]
    numbers: dict[str, Any]
    arrays: dict[str, np.ndarray]
    draw: Callable[[], Figure]


@dataclasses.dataclass(frozen=True)
class Watch:
    """`progress`: show a bar on standard error. `partial`: the folder in which a run stores its finished parts."""

    progress: bool = False
    partial: Partial | None = None


@dataclasses.dataclass(frozen=True)
class Headline:
    """What a sweep shows: `number` and `stderr`, keys of `Report.numbers`; the axis `label`; what the error bar is."""

    number: str
    stderr: str
    label: str
    error: str = "one standard error"


@dataclasses.dataclass(frozen=True)
class Experiment:
    """`run(options, watch)` computes the report. `least_dim`, `most_dim`: the range of d. `least_steps`: the fewest steps.
    `schemes`: the schemes for which the report is valid. `headline`: what a sweep shows. `precision`: default bits of a float.
    `adapt(options, given)`: fits the options that the user did not give to those that the user gave (`given`: their names)."""

    name: str
    summary: str
    defaults: Common
    run: Callable[[Any, Watch], Report]
    headline: Headline
    precision: int = 32
    least_dim: int = 2
    most_dim: int | None = None
    least_steps: int = 1
    schemes: tuple[str, ...] = ("euler-maruyama",)
    adapt: Callable[[Any, frozenset[str]], Common] = lambda options, given: options

    def options(self, given: Mapping[str, Any]) -> Common:
        """The default options, replaced by those in `given`, and checked. **Raises:** `ValueError`."""
        for name in KINDS:
            if given.get(name) is not None and getattr(self.defaults, name, None) is None:
                raise argument_error(f"--{name}", f"be left out for {self.name}", f"is {given[name]}", "remove it")
        limits = {"least_dim": self.least_dim, "most_dim": self.most_dim, "least_steps": self.least_steps}
        chosen = dataclasses.replace(self.defaults, **given)
        # Check before `adapt` too: for a value out of range, `adapt` could raise about another option.
        chosen.check(**limits, schemes=self.schemes)
        chosen = self.adapt(chosen, frozenset(given))
        chosen.check(**limits, schemes=self.schemes)
        return chosen

"""The rate of propagation of chaos of one system: distances between N particles and their limit against N."""

import dataclasses
import warnings
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from ... import plotting as look
from ..._util.checks import argument_error
from ...chaos import ChaosStudy, chaos_study
from ...chaos.report import draw_series, plain
from .._harness import option as options
from .._harness.experiment import Experiment, Headline, Watch
from .._harness.option import options_of
from .._harness.panels import panel
from .._harness.report import Estimate, Report, Series
from ._chaos_systems import PLANS, Plan

__all__ = ["Chaos"]

# Defaults that depend on the system, and the options that a system does not have.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "kac-maxwell": {},
    "kac-coulomb": {"gamma": -3.0},
    "matrix-sqrt-torus": {"dim": 1, "dt": 0.02, "steps": 50, "particles": 128, "replicas": 4096},
    "liouville-torus": {"dim": 1, "dt": 0.05, "steps": 10},
    "microcanonical": {"dt": 0.25, "steps": 1, "replicas": 2000},
    "annihilation": {"dt": 1.0, "steps": 1, "particles": 512, "replicas": 4096},
    "hmf": {"dim": 1, "dt": 0.05, "steps": 20, "particles": 256, "replicas": 20_000},
}
# The systems that have an option which others do not have.
_ISOTROPIC = ("kac-maxwell", "kac-coulomb", "microcanonical", "annihilation")
_SAMPLED = tuple(name for name in PLANS if name != "liouville-torus")
_HAVING = {
    "gamma": ("kac-coulomb", "microcanonical", "annihilation"), "dim": _ISOTROPIC, "epsilon": ("microcanonical",),
    "limit": ("microcanonical",), "particles": _SAMPLED, "replicas": _SAMPLED,
}  # fmt: skip


class Chaos(Experiment):
    name = "chaos"
    summary = (
        "the rate of propagation of chaos of a system: distances to the limit against N, with exponents beside theorems"
    )
    headline = Headline("exponent", "exponent of the first distance")
    precision = 64
    system: str = options.option("kac-maxwell", "what is studied", choices=tuple(PLANS))
    particles: int = options.option(
        64, "the largest number of particles N of the study, which halves it up to four times", minimum=8, maximum=2**31,
        symbol="largest number of particles N",
    )  # fmt: skip
    dim: int = options.dim(3, 2, 3)
    dt: float = options.dt(0.025)
    steps: int = options.steps(8)
    replicas: int = options.replicas(4000, minimum=16)
    seed: int = options.seed()
    gamma: float = options.gamma(0.0)
    epsilon: float = options.option(
        0.05, "h of the microcanonical collisions: the mean free time of a particle, at the smallest N", above=0,
        symbol="mean free time h",
    )  # fmt: skip
    limit: str = options.option(
        "own", "what microcanonical collisions are measured against: their own limit at this h, Landau's equation, or Landau's "
        "with h proportional to 1/N", choices=("own", "landau", "coupled"),
    )  # fmt: skip

    @classmethod
    def quick(cls, given: Mapping[str, Any]) -> Mapping[str, Any] | None:
        # The laws of few particles are quick anyway.
        return {} if given.get("system") == "liouville-torus" else {"replicas": 128, "particles": 32}

    def adapt(self, given: frozenset[str]) -> "Chaos":
        for name, systems in _HAVING.items():
            if name in given and self.system not in systems:
                raise argument_error(
                    f"--{name}", f"be left out for {self.system}", f"is {getattr(self, name)}",
                    f"it is an option of {', '.join(systems)}",
                )  # fmt: skip
        fitting = {name: value for name, value in _DEFAULTS[self.system].items() if name not in given}
        return dataclasses.replace(self, **fitting)

    def check(self) -> None:
        for name, one in options_of(self).items():
            if name != "dim" or self.system in _ISOTROPIC:
                one.check(name, getattr(self, name))
        options.check_gamma(self.gamma, self.dim)

    def plan(self) -> Plan:
        system, common = PLANS[self.system], {"largest": self.particles, "dt": self.dt}
        if self.system == "liouville-torus":
            return system(dt=self.dt)
        if self.system == "kac-maxwell":
            return system(dim=self.dim, **common)
        if self.system == "annihilation":
            return system(gamma=self.gamma, dim=self.dim, **common)
        if self.system == "kac-coulomb":
            return PLANS["kac-maxwell"](gamma=self.gamma, dim=self.dim, **common)
        if self.system == "microcanonical":
            coupled = {"couple": "N"} if self.limit == "coupled" else {"against": self.limit}
            return system(gamma=self.gamma, dim=self.dim, h=self.epsilon, **coupled, **common)
        return system(**common)

    def study(self, watch: Watch = Watch()) -> ChaosStudy:  # noqa: B008  (immutable)
        plan = self.plan()
        with warnings.catch_warnings():
            if self.system == "kac-coulomb":
                # See the notes of the plan.
                warnings.filterwarnings("ignore", message=".*The step is too long for Sweep")
            return chaos_study(
                **plan.given(), key=jax.random.key(self.seed, impl="threefry2x32"), times=[self.dt * self.steps],
                replicas=self.replicas, path=None if watch.partial is None else watch.partial.folder,
                progress=watch.progress,
            )  # fmt: skip

    def run(self, watch: Watch = Watch()) -> Report:  # noqa: B008  (immutable)
        study, plan = self.study(watch), self.plan()
        names = list(study.series)
        exponents = [study.exponents[name] for name in names]
        theories = [study.theory.get(name) for name in names]
        series = (
            Series("", "quantity", names),
            Series("", "theorem", [one.theorem if one else "" for one in theories]),
            Series(
                "", "predicted", [f"{one.predicted:g}" if one and one.predicted is not None else "" for one in theories]
            ),
            Series("", "measured", [plain(one.value, one.stderr) if one.used else "none" for one in exponents]),
            Series("", "N", [f"{one.used[0]} to {one.used[-1]}" if one.used else "none" for one in exponents]),
        )
        arrays: dict[str, Any] = {"N": np.array(study.Ns)}
        for i, name in enumerate(names):
            one = study.series[name]
            arrays |= {f"value_{i}": one.value, f"stderr_{i}": one.stderr, f"floor_{i}": one.floor, f"raw_{i}": one.raw}
        numbers: dict[str, Any] = {"time": study.time, "limit": study.limit, "system": study.system}
        for i, (name, one) in enumerate(zip(names, exponents, strict=True)):
            numbers[f"quantity_{i}"] = name
            numbers[f"exponent_{i}"] = Estimate(one.value, one.stderr)
            numbers[f"interval_{i}"] = list(one.interval)
        numbers["exponent"] = Estimate(exponents[0].value, exponents[0].stderr)
        notes = (
            f"Distances decay as N^-p; the table gives p at t = {study.time:g}, with one standard error over the runs and over "
            "the choice of the N that are fitted.",
            f"Limit: {study.limit}",
            *(f"{name}: {one.statement}" for name, one in zip(names, exponents, strict=True)),
            *plan.notes,
        )
        runs = min(study.replicas)
        title = f"Chaos: {self.system}, t = {study.time:g}  ({'exact' if runs == 1 else f'{runs} runs of each N'})"
        panels = [_panel(study, name) for name in names]
        return Report(numbers, series, notes, panels, title, arrays, dims=dict.fromkeys(arrays, "N"))


def _panel(study: ChaosStudy, name: str) -> Any:
    def draw(ax: look.Axes) -> None:
        # First, as it resets the ticks, which `draw_series` puts at the N.
        look.log_log(ax)
        draw_series(ax, series=study.series[name], found=study.exponents[name])

    return panel(draw, x="number of particles N", y="distance", title=name)
